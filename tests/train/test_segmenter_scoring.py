"""The local error is that of pyannote.metrics, and a network's is that of what it answers."""

import warnings
from itertools import permutations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.engine.powerset import CLASSES, MEMBERS, reordered  # noqa: E402 - behind the skip
from rtspk.train.activity_batches import local_classes  # noqa: E402
from rtspk.train.activity_set import ActivitySet  # noqa: E402
from rtspk.train.segmenter_scoring import LocalError, local_error, measure  # noqa: E402

CPU = torch.device("cpu")


def drawn(seed, frames=60):
    """What is said and what is true, with overlap, silence and mistakes."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(MEMBERS[rng.integers(CLASSES, size=frames // 6)], 6, axis=0)
    said = np.where(
        rng.random(frames)[:, None] < 0.7, truth[:, rng.permutation(3)], MEMBERS[rng.integers(CLASSES)]
    )
    return said, truth


@pytest.mark.parametrize("seed", range(12))
def test_errors_are_those_of_pyannote(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever its own imports warn about
        core = pytest.importorskip("pyannote.core")
        theirs = pytest.importorskip("pyannote.metrics.diarization")

    def annotation(active):
        made = core.Annotation()
        for frame, speaker in np.argwhere(active):
            made[core.Segment(frame, frame + 1), int(speaker)] = int(speaker)
        return made

    said, truth = drawn(seed)
    uem = core.Timeline([core.Segment(0, len(truth))])
    wanted = theirs.DiarizationErrorRate()(annotation(truth), annotation(said), uem=uem, detailed=True)
    error = local_error(said, truth)
    assert error.total == pytest.approx(wanted["total"])
    assert error.miss == pytest.approx(wanted["missed detection"])
    assert error.false_alarm == pytest.approx(wanted["false alarm"])
    assert error.confusion == pytest.approx(wanted["confusion"])
    assert error.rates()["der"] == pytest.approx(wanted["diarization error rate"])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_numbers_of_the_speakers_do_not_matter(order):
    said, truth = drawn(3)
    assert local_error(said[:, order], truth) == local_error(said, truth)
    assert local_error(truth[:, order], truth) == LocalError(total=float(truth.sum()))


def test_windows_are_pooled_by_frames_and_not_by_rates():
    pooled = LocalError(1.0, 2.0, 3.0, 10.0) + LocalError(0.0, 0.0, 0.0, 30.0)
    assert pooled == LocalError(1.0, 2.0, 3.0, 40.0)
    assert pooled.rates() == {"der": 0.15, "miss": 0.025, "false_alarm": 0.05, "confusion": 0.075}


def test_silence_has_no_error_where_nothing_is_said():
    nothing = np.zeros((5, 3), bool)
    assert local_error(nothing, nothing).rates()["der"] == 0.0


class Reads(torch.nn.Module):
    """Answers with the class that the first band of each trunk frame holds."""

    def forward(self, features):
        classes = features[:, ::4, 0].long()
        return torch.log(torch.nn.functional.one_hot(classes, CLASSES) * 0.9 + 0.01)


@pytest.fixture
def pieces():
    """Three local speakers at most in any window of 5 s; the first band holds the class, renumbered."""
    rng = np.random.default_rng(0)
    bits = np.repeat(rng.choice([0, 1, 2, 4, 3, 5, 6], (2, 25)), 10, axis=1).astype(np.uint16)
    classes = np.concatenate([local_classes(bits[p, at : at + 125])[0] for p in range(2) for at in (0, 125)])
    numbers = np.argsort(reordered()[3])[classes].reshape(2, 250)
    taught = np.eye(CLASSES, dtype=np.float16)[numbers]
    features = np.repeat(numbers, 4, axis=1)[..., None].repeat(8, axis=2).astype(np.float16)
    return ActivitySet(features, bits, taught)


def spoken(pieces):
    return sum(int((pieces.speakers >> bit & 1).sum()) for bit in range(16))


def test_a_network_that_is_right_under_other_numbers_has_no_error(pieces):
    error = measure(Reads(), pieces, 5.0, CPU)
    assert error == LocalError(total=float(spoken(pieces)))
    assert error.total > 100


def test_without_a_network_the_teacher_is_measured(pieces):
    assert measure(None, pieces, 5.0, CPU) == measure(Reads(), pieces, 5.0, CPU)
    silent = np.zeros_like(pieces.taught)
    silent[..., 0] = 1.0
    error = measure(None, ActivitySet(pieces.features, pieces.speakers, silent), 5.0, CPU)
    assert error.rates()["miss"] == 1.0


def test_a_network_is_measured_window_by_window(pieces):
    network = Reads()
    wrong = ActivitySet(np.roll(pieces.features, 40, axis=1), pieces.speakers, pieces.taught)
    wanted = LocalError()
    for piece in range(2):
        for at in (0, 62, 124, 186):  # whole windows of 2.48 s; the rest is left out
            rows = torch.from_numpy(wrong.features[piece, at * 4 : (at + 62) * 4].astype(np.float32))
            said = MEMBERS[network(rows[None])[0].argmax(-1).numpy()]
            wanted += local_error(said, MEMBERS[local_classes(pieces.speakers[piece, at : at + 62])[0]])
    assert measure(network, wrong, 2.48, CPU) == wanted
    assert 0.0 < wanted.rates()["der"] < 2.0
