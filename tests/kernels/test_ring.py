import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtspk.errors import AudioError
from rtspk.kernels.ring import RingBuffer


@given(capacity=st.integers(1, 50), lengths=st.lists(st.integers(0, 120), max_size=12), data=st.data())
def test_it_reads_what_a_list_of_everything_would_give(capacity, lengths, data):
    ring = RingBuffer(capacity)
    everything = np.arange(sum(lengths), dtype=np.float32)
    written = 0
    for length in lengths:
        ring.write(everything[written : written + length])
        written += length
    assert (ring.start, ring.end) == (max(0, written - capacity), written)
    start = data.draw(st.integers(ring.start, ring.end))
    end = data.draw(st.integers(start, ring.end))
    np.testing.assert_array_equal(ring.read(start, end), everything[start:end])


def test_what_is_read_is_a_copy():
    ring = RingBuffer(4)
    ring.write(np.ones(4, dtype=np.float32))
    ring.read(0, 4)[:] = 7.0
    assert ring.read(0, 4).tolist() == [1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(("start", "end"), [(1, 5), (3, 7), (5, 4)])
def test_what_is_gone_or_not_there_yet_or_backwards_is_refused(start, end):
    ring = RingBuffer(4)
    ring.write(np.zeros(6, dtype=np.float32))
    with pytest.raises(AudioError, match=f"wanted samples {start} to {end}, got a buffer of 2 to 6"):
        ring.read(start, end)


def test_samples_of_another_type_or_shape_are_refused():
    ring = RingBuffer(4)
    with pytest.raises(AudioError, match="float64"):
        ring.write(np.zeros(2))
    with pytest.raises(AudioError, match=r"\(1, 2\)"):
        ring.write(np.zeros((1, 2), dtype=np.float32))


def test_a_buffer_without_room_is_refused():
    with pytest.raises(AudioError, match="capacity 0"):
        RingBuffer(0)


def test_a_pickled_buffer_goes_on_where_it_was():
    ring = RingBuffer(5)
    ring.write(np.arange(7, dtype=np.float32))
    again = pickle.loads(pickle.dumps(ring))
    again.write(np.arange(7, 9, dtype=np.float32))
    assert (again.start, again.end, again.capacity) == (4, 9, 5)
    assert again.read(4, 9).tolist() == [4.0, 5.0, 6.0, 7.0, 8.0]
