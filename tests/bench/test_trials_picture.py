"""The picture of a report of trials."""

import numpy as np
import pytest

from rtspk.bench.trials import LengthRates, TrialsReport
from rtspk.bench.trials_picture import draw_trials
from rtspk.errors import ConfigError


@pytest.fixture
def report():
    rng = np.random.default_rng(0)
    target = np.arange(400) % 4 == 0
    scores = (rng.normal(0.1, 0.15, 400) + 0.4 * target).astype(np.float32)
    lengths = tuple(LengthRates(length, 0.1, 0.5, 0.4, None, 0.3, scores) for length in (None, 3.0, 1.0))
    return TrialsReport(target, lengths, ())


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_of_the_kind_that_its_name_says(report, tmp_path, kind, start):
    draw_trials(report, tmp_path / f"trials.{kind}")
    assert (tmp_path / f"trials.{kind}").read_bytes().startswith(start)


def test_every_length_stands_in_the_picture(report, tmp_path):
    draw_trials(report, tmp_path / "trials.svg")
    drawn = (tmp_path / "trials.svg").read_text()
    for word in ("full: EER 10.00%", "3.0 s: EER", "1.0 s: EER", "same voice", "400 trials"):
        assert f"<!-- {word}" in drawn


def test_another_kind_is_refused(report, tmp_path):
    with pytest.raises(ConfigError, match=r"wanted a picture as \.png, \.svg or \.pdf, got 'trials.doc'"):
        draw_trials(report, tmp_path / "trials.doc")
