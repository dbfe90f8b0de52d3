"""Simulated rooms."""

import sys

import numpy as np
import pytest

from rtspk.errors import ConfigError
from rtspk.train import rooms
from rtspk.train.rooms import room_seats


def test_seats_of_a_room_differ_and_a_second_time_they_are_read(tmp_path, monkeypatch):
    pytest.importorskip("pyroomacoustics", reason="rooms need the train extra")
    monkeypatch.setattr(rooms, "SEATS", 2)
    told = []
    ((one, two),) = room_seats(1, 3, tmp_path, lambda *what: told.append(what))
    assert told == [(1, 1)]
    for response in (one, two):
        assert abs(response[0]) == 1.0
        assert np.abs(response).max() == 1.0
        assert len(response) <= 8_000
    direct = [1.0 / np.square(response).sum() for response in (one, two)]  # share of all energy
    assert direct[0] != pytest.approx(direct[1], rel=0.05)
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    ((again, _),) = room_seats(1, 3, tmp_path, lambda *what: told.append(what))
    np.testing.assert_array_equal(again, one)
    assert told == [(1, 1)]


def test_without_pyroomacoustics_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="wanted pyroomacoustics for rooms"):
        room_seats(1, 0, tmp_path, lambda *_: None)
