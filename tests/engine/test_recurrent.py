"""A segmenter that goes on from hop to hop hears what it would hear in whole windows."""

import math
import pickle

import numpy as np
import pytest

from rtspk.engine import recurrent
from rtspk.engine.eight_bits import in_eight_bits
from rtspk.engine.powerset import ORDERS, speaker_probabilities
from rtspk.engine.recurrent import FRAME, RecurrentNetwork
from rtspk.engine.segmenter import ACTIVITY_HOP, BUNDLED, ROWS
from rtspk.engine.settings import HOP
from rtspk.errors import ModelError
from rtspk.types import samples_of


@pytest.fixture(scope="module")
def network():
    return RecurrentNetwork(BUNDLED)


def with_group(group, folder):
    """The bundled filters and convolutions, and recurrences of chance that hear so many frames at a step."""
    for name in recurrent.PARTS[:-1]:
        (folder / name).write_bytes((BUNDLED / name).read_bytes())
    rng, tables, states = np.random.default_rng(0), {}, 16
    sizes = {
        "gates0": (8 * states, 60 * group),
        "recurrent0": (2, 4 * states, states),
        "dense0": (7, 2 * states),
    }
    for name, shape in sizes.items():
        weights, scales = in_eight_bits(
            rng.normal(0.0, 0.4, (math.prod(shape[:-1]), shape[-1])).astype(np.float32)
        )
        tables[f"{name}_weights"] = weights.reshape(shape)
        tables[f"{name}_scales"] = scales.reshape(shape[:-1])
    for name in ("gates0", "dense0"):
        tables[f"{name}_bias"] = rng.normal(0.0, 0.2, sizes[name][0]).astype(np.float32)
    np.savez(folder / recurrent.PARTS[-1], **tables)
    return RecurrentNetwork(folder)


@pytest.fixture(scope="module", params=[1, 2, 3])
def grouped(request, tmp_path_factory):
    """A frame a step, as in public networks, and several."""
    network = with_group(request.param, tmp_path_factory.mktemp("network"))
    assert network.group == request.param
    return network


def played(network, sound):
    """A stream's state behind each hop."""
    hearing = network.empty()
    for start in range(0, len(sound), HOP):
        network.hear(sound[start : start + HOP], hearing)
        yield hearing


def unlike(one, other):
    """In how many places two decisions differ, in the order of speakers that suits them best."""
    return min(int((one ^ other[:, order]).sum()) for order in ORDERS)


def test_behind_a_whole_window_the_answer_is_that_of_the_window_alone(network, conversation):
    apart = []
    for hearing in played(network, conversation[: samples_of(20.0)]):
        if hearing.since or len(hearing.frames) < recurrent.WINDOW:
            continue
        begin = hearing.begin * FRAME
        alone = network.classes(conversation[begin : hearing.received], hearing.received - begin)
        assert len(alone) == len(hearing.classes)
        apart.append(np.abs(alone - hearing.classes).mean())
    assert len(apart) >= 9
    # The level of the sound is that of the last ten seconds; it counts for next to nothing.
    assert np.mean(apart) < 0.003


def test_a_stream_that_has_just_begun_is_heard_as_a_window_that_ends_early(network, conversation):
    wrong, spoken = 0, 0
    for hearing in played(network, conversation[: samples_of(3.5)]):
        assert hearing.since == 0
        sound = np.zeros((recurrent.WINDOW - 1) * FRAME + recurrent.HEARD, np.float32)
        sound[: hearing.received] = conversation[: hearing.received]
        alone = network.classes(sound, hearing.received)[: len(hearing.classes)]
        wanted, heard = (speaker_probabilities(classes) > 0.5 for classes in (alone, hearing.classes))
        wrong += unlike(wanted, heard)
        spoken += int(wanted.sum())
    assert spoken > 250
    assert wrong < 0.06 * spoken


def test_between_whole_windows_hops_are_heard_as_one_would_hear_them_at_once(network, conversation):
    """The slow twin: all frames since the window began, by its norms, through the recurrence from nothing."""
    sound, wrong, spoken = conversation[: samples_of(25.0)], 0, 0
    for hearing in played(network, sound):
        if not hearing.since or hearing.hops < 24:
            continue
        slow, reach = network.told(hearing.frames), recurrent.REACH // network.group
        wanted, heard = (speaker_probabilities(classes[-reach:]) > 0.5 for classes in (slow, hearing.classes))
        wrong += unlike(wanted, heard)
        spoken += int(wanted.sum())
    assert spoken > 500
    assert wrong < 0.03 * spoken


def test_every_hop_has_steps_to_the_end_of_its_sound(grouped, conversation):
    """What a hop adds is decided at once; of a step that is not whole yet, with the next hop."""
    for hearing in played(grouped, conversation[: samples_of(14.0)]):
        end = hearing.first + (hearing.places - recurrent.WIDE) // recurrent.PLACES + 1
        assert len(hearing.classes) == (end - hearing.begin) // grouped.group
        assert hearing.begin + len(hearing.frames) == end
        assert (hearing.at - hearing.begin) % grouped.group == 0
        assert hearing.classes.sum(1) == pytest.approx(np.ones(len(hearing.classes)), abs=1e-5)


def test_classes_at_the_middles_of_steps_are_the_steps_own(grouped):
    classes = np.random.default_rng(1).uniform(size=(5, 7)).astype(np.float32)
    step = FRAME * grouped.group
    middles = 640 + step * np.arange(5) + (recurrent.HEARD + step - FRAME) // 2
    near = grouped.at(middles, classes, 640)
    assert np.abs(near - classes).max() < 0.51 / step * 2
    between = grouped.at(middles[:-1] + step // 2, classes, 640)
    assert np.abs(between - (classes[:-1] + classes[1:]) / 2).max() < 1.01 / step
    far = grouped.at(np.array([-100_000, 100_000]), classes, 640)
    assert np.array_equal(far, classes[[0, -1]])


def test_frames_of_hops_are_those_of_the_sound_at_once(network, conversation):
    """By the same norms: what is cut into hops is cut nowhere."""
    hearing = None
    for hearing in played(network, conversation[: samples_of(12.0)]):  # noqa: B007 - the last one is wanted
        pass
    while not hearing.since:
        network.hear(np.zeros(HOP, np.float32), hearing)
    kept = hearing.frames[hearing.first - hearing.begin :]
    assert len(kept) > 400
    loudness = np.concatenate(hearing.loudness)
    assert len(loudness) == hearing.places
    assert np.array_equal(network.convolutions.more(loudness, hearing.norms), kept)


def test_who_speaks_is_nearly_always_what_whole_windows_say(segmenter, conversation):
    sound = conversation[: samples_of(40.0)]
    hearing, wrong, spoken = segmenter.hearing(), 0, 0
    rows = segmenter.rows(sound)
    for end in range(HOP, len(sound) + 1, HOP):
        segmenter.hear(sound[end - HOP : end], hearing)
        first, chances = segmenter.heard(hearing)
        last = end // ACTIVITY_HOP
        assert first + len(chances) == last
        if end < samples_of(4.0):
            continue
        whole_first = max(0, last - segmenter.frames)
        whole = segmenter.speakers(rows[whole_first * ROWS : last * ROWS])[-50:] > 0.5
        heard = chances[-50:] > 0.5
        wrong += unlike(whole, heard)
        spoken += int(whole.sum())
    assert spoken > 1000
    assert wrong < 0.06 * spoken


@pytest.mark.parametrize("refresh", [1, 2, 8])
def test_a_whole_window_is_heard_as_often_as_it_should_be(refresh, conversation):
    network = RecurrentNetwork(BUNDLED, refresh=refresh)
    since = [hearing.since for hearing in played(network, conversation[: samples_of(30.0)])]
    assert since[:7] == [0] * 7  # at first at every hop
    assert max(since) == refresh - 1
    late = since[30:]
    assert late.count(0) == pytest.approx(len(late) / refresh, abs=1)


def test_the_card_says_how_often_a_whole_window_is_heard(segmenter, conversation):
    hearing, since = segmenter.hearing(), []
    for start in range(0, samples_of(20.0), HOP):
        segmenter.hear(conversation[start : start + HOP], hearing)
        since.append(hearing.since)
    assert max(since) == segmenter.card.refresh - 1 == 7


def test_a_state_can_be_parked_at_any_hop(grouped, conversation):
    sound = conversation[: samples_of(15.0)]
    plain = parked = grouped.empty()
    parked = pickle.loads(pickle.dumps(parked))
    for start in range(0, len(sound), HOP):
        grouped.hear(sound[start : start + HOP], plain)
        grouped.hear(sound[start : start + HOP], parked)
        parked = pickle.loads(pickle.dumps(parked))
        assert np.array_equal(plain.classes, parked.classes)


def test_a_state_does_not_grow_with_the_stream(network, conversation):
    sound = np.concatenate([conversation, conversation])
    sizes = [len(pickle.dumps(hearing)) for hearing in played(network, sound[: samples_of(100.0)])]
    assert max(sizes[30:]) <= 1.01 * max(sizes[30:50])


def test_a_stream_too_short_for_two_steps_has_no_answer(grouped):
    hearing, least = grouped.empty(), recurrent.HEARD + (2 * grouped.group - 1) * FRAME
    grouped.hear(np.zeros(0, np.float32), hearing)
    grouped.hear(np.ones(least - 1, np.float32), hearing)
    assert not len(hearing.classes)
    grouped.hear(np.ones(1, np.float32), hearing)
    assert len(hearing.classes) == 2


def test_a_constant_under_the_sound_does_not_matter(segmenter, conversation):
    sound = conversation[: samples_of(12.0)]
    answers = []
    for one in (sound, sound + np.float32(0.1)):
        hearing = segmenter.hearing()
        for start in range(0, len(one), HOP):
            segmenter.hear(one[start : start + HOP], hearing)
        answers.append(segmenter.heard(hearing)[1] > 0.5)
    assert (answers[0] == answers[1]).mean() > 0.98


def test_a_folder_with_other_networks_is_refused(tmp_path):
    for name in recurrent.PARTS:
        (tmp_path / name).write_bytes(b"no tables")
    with pytest.raises(ModelError, match="wanted the parts of a segmenter on samples in"):
        RecurrentNetwork(tmp_path)


def test_a_folder_without_the_parts_says_how_to_make_them(tmp_path):
    (tmp_path / "filters.npz").write_bytes(b"")
    with pytest.raises(ModelError, match=r"got no convolutions.npz, recurrence.npz; `rtspk export`"):
        RecurrentNetwork(tmp_path)


def test_parts_of_two_networks_are_refused(tmp_path):
    """Their kernels read as many numbers as they are told."""
    for name in recurrent.PARTS:
        (tmp_path / name).write_bytes((BUNDLED / name).read_bytes())
    path = tmp_path / "convolutions.npz"
    with np.load(path) as file:
        tables = {name: table[:-4] if name.startswith("norm2") else table for name, table in file.items()}
    for name in ("weights", "scales"):
        tables[f"convolution1_{name}"] = tables[f"convolution1_{name}"][:-4]
    np.savez(path, **tables)
    with pytest.raises(
        ModelError, match=r"parts of one network in .*, got frames of 56 numbers in .* of 120 in"
    ):
        RecurrentNetwork(tmp_path)


@pytest.mark.parametrize("kept", [0, 20, 39])
def test_filters_of_another_network_are_refused(tmp_path, kept):
    for name in recurrent.PARTS:
        (tmp_path / name).write_bytes((BUNDLED / name).read_bytes())
    path = tmp_path / "filters.npz"
    with np.load(path) as file:
        tables = {name: table[:kept] if table.ndim else table for name, table in file.items()}
    np.savez(path, **tables)
    with pytest.raises(ModelError, match=rf"got frames of {2 * kept} numbers in filters.npz and of 80 in"):
        RecurrentNetwork(tmp_path)
