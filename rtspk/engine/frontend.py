"""From sound to what the engine decides on: feature rows and local speakers of the last seconds.

Sound is worked on in blocks of one hop, however it arrives, so that any chunking gives the same numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtspk.engine.local import LocalActivity, LocalChances, blended, decided
from rtspk.engine.powerset import LOCAL_SPEAKERS
from rtspk.engine.recurrence import Asking, Passage, Told, alone
from rtspk.engine.recurrent import Hearing
from rtspk.engine.rows import Rows
from rtspk.engine.runs import Run, Sought, frames_on
from rtspk.engine.segmenter import ACTIVITY_HOP, ROWS, Segmenter
from rtspk.engine.settings import HOP, ActivityConfig
from rtspk.engine.trunk import Trunk, picture
from rtspk.kernels.framing import check_samples, refuse_values
from rtspk.kernels.mel import MelConfig
from rtspk.types import LOUDEST, FloatArray, Segment, Window, samples_of

__all__ = ["Frontend", "FrontendState"]

LONGEST_SECONDS: float = 15.0  # from where the longest window begins to the newest sound, at the most
SPARE_SECONDS: float = 1.0  # what may still be asked of sound before
# What was tried: bench/LOG.md.
SHARED: int = 30  # rows of others among a voice's own, or just before, that count as nobody's
YOUNG: int = 100  # rows of a voice behind somebody else's that are heard as a whole


@dataclass(slots=True)
class FrontendState:
    """What a stream remembers of its sound.

    pending : float32 [shape=(less than a hop,)], samples that wait for the rest of their block
    """

    rows: Rows  # for the embedder
    activity_rows: Rows | None  # for the segmenter, where it wants others
    hearing: Hearing | None  # the segmenter's own, where it goes on from hop to hop
    pending: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    received: int = 0  # samples
    heard: LocalChances | None = None  # of the last window
    runs: list[Run] = field(default_factory=list)  # of the embedder's trunk; the one used last comes first


class Frontend:
    """Shared and read-only; `FrontendState` is the stream's."""

    def __init__(
        self,
        features: MelConfig,
        segmenter: Segmenter,
        config: ActivityConfig,
        trunk: Trunk | None = None,
        seconds: float = LONGEST_SECONDS,
    ) -> None:
        """Windows that are sought begin at most `seconds` before the newest sound."""
        self.features, self._segmenter, self._config, self._trunk = features, segmenter, config, trunk
        self._kept = samples_of(seconds + SPARE_SECONDS) // features.hop

    def empty(self) -> FrontendState:
        """The state before the first sample."""
        kept, own = self._kept, None
        wanted, heard = self._segmenter.features, self._segmenter.frames * ROWS + ROWS
        if wanted == self.features:
            kept = max(kept, heard)
        elif wanted is not None:
            own = Rows.empty(wanted, heard)
        return FrontendState(Rows.empty(self.features, kept), own, self._segmenter.hearing())

    def cut(self, samples: FloatArray, state: FrontendState) -> Iterator[tuple[int, FloatArray]]:
        """Take samples; yields each block that they complete, and the stream time, in samples, behind it.

        Raises:
            AudioError: not float32 of one dimension, or values that no sound has; the stream stays as it was.
        """
        samples = check_samples(samples)
        if not (np.abs(samples) < LOUDEST).all():
            raise refuse_values(samples, state.received)
        state.received += len(samples)
        sound = np.concatenate([state.pending, samples])
        whole = len(sound) - len(sound) % HOP
        state.pending = sound[whole:].copy()
        end = state.received - len(state.pending)
        for start in range(0, whole, HOP):
            yield end - whole + start + HOP, sound[start : start + HOP]

    def take(self, block: FloatArray, state: FrontendState) -> Asking[None]:
        """Hear a block; asks the segmenter what is in passages (`tell`)."""
        state.rows.push(block)
        if state.activity_rows is not None:
            state.activity_rows.push(block)
        if state.hearing is not None:
            yield from self._segmenter.take(block, state.hearing)

    def flush(self, state: FrontendState) -> None:
        """Hear what is left of the stream."""
        alone(self.take(state.pending, state), self.tell)
        state.pending = state.pending[:0]

    def tell(self, passages: Sequence[Passage]) -> list[Told]:
        """What is in passages of streams, as the segmenter tells it."""
        return self._segmenter.tell(passages)

    def listen(self, state: FrontendState) -> LocalActivity:
        """Who of the local speakers is active, in the last seconds up to now."""
        chances = self._heard(state)
        if state.heard is not None:
            card, config = self._segmenter.card, self._config
            memory = card.memory if config.memory is None else config.memory
            chances = blended(chances, state.heard, config, memory)
        state.heard = chances
        return decided(chances, self._config)

    def _heard(self, state: FrontendState) -> LocalChances:
        if state.hearing is not None:
            return LocalChances(*self._segmenter.heard(state.hearing))
        rows = state.rows if state.activity_rows is None else state.activity_rows
        last = rows.end // ROWS
        first = max(0, -(-rows.oldest // ROWS), last - self._segmenter.frames)
        return LocalChances(first, self._segmenter.speakers(rows.between(first * ROWS, last * ROWS)))

    def mask(
        self, segment: Segment, speaker: int, activity: LocalActivity, least: int, state: FrontendState
    ) -> tuple[FloatArray, bool]:
        """In which rows of a stretch one local speaker is heard.

        Rows in which others speak too are left out, unless fewer than `least` would remain.

        Args:
            segment: the stretch; what lies outside the stream is off the mask
            speaker: 0 to 2
            activity: what the segmenter heard
            least: rows that the speaker should have alone
            state: the stream's

        Returns:
            float32 [shape=(rows,)], and whether the speaker is alone there
        """
        first, last = segment.start // self.features.hop, segment.end // self.features.hop
        alone = self._rows_on(activity.alone[:, speaker], activity.first, first, last, state)
        if int(alone.sum()) >= least:
            return alone, True
        return self._rows_on(activity.active[:, speaker], activity.first, first, last, state), False

    def seek(
        self, stretch: Segment, masks: Sequence[FloatArray], activity: LocalActivity, state: FrontendState
    ) -> list[Sought]:
        """What the embedder is to hear of each of some voices in a stretch that ends now.

        Where nobody else speaks from a voice's first row to its last, its window is to hold frames of the
        trunk, most of which are known from earlier ones. Else, and where it has just begun behind somebody
        else, it holds rows, and the others are kept out of it. What lies before and behind a voice changes
        nothing and costs as much, so it is cut off.

        Args:
            stretch: where
            masks: float32 [shape=(rows,)] each, with some rows on
            activity: what the segmenter heard
            state: the stream's
        """
        hop = self.features.hop
        first, last = stretch.start // hop, stretch.end // hop
        anyone = self._rows_on(np.asarray(activity.active.any(1)), activity.first, first, last, state)
        sought = []
        for mask in masks:
            spoken = np.flatnonzero(mask) + first
            begin, end = int(spoken[0]), int(spoken[-1]) + 1
            own = mask[begin - first : end - first]
            segment, net = Segment(begin * hop, end * hop), int(mask.sum()) * hop
            before = float(anyone[: begin - first].sum())
            others = float(anyone[begin - first : end - first].sum() - own.sum())
            is_young = before > SHARED and end - begin < YOUNG
            if self._trunk is not None and others <= SHARED and not is_young:
                group = self._trunk.group
                run = _run(begin, first, group, anyone, state.runs)
                self._follow(run, first, end, group, activity, state)
                on = frames_on(own, begin, run.end, group)
                if on.any():
                    sought.append(Sought(segment, on, net, None, run, begin // group, first // group))
                    continue
            sought.append(Sought(segment, own, net, rows=state.rows.between(begin, end)))
        return sought

    def windows(self, sought: Sequence[Sought]) -> list[Window]:
        """Make windows; what is said in them goes through the trunk, if it has not yet."""
        return [one.window(self._trunk) for one in sought]

    def _follow(
        self, run: Run, first: int, last: int, group: int, activity: LocalActivity, state: FrontendState
    ) -> None:
        """Let a run go on up to row `last`, less means from row `first` on."""
        begin, end = run.end, min(-(-last // group), state.rows.end // group)
        if end <= begin:
            return
        low = min(first, begin * group)
        heard = self._rows_on(np.asarray(activity.active.any(1)), activity.first, low, end * group, state)
        heard[: max(0, run.first - low)] = 0.0  # somebody else
        # What nobody says is a frame of no window, and stays nought. Behind what is said it may turn out to
        # be speech: it is left for the next hop.
        said = np.flatnonzero(heard[begin * group - low :].reshape(-1, group).any(1))
        if len(said):
            rows = picture(state.rows.between(low, end * group), heard)[begin * group - low :]
            silent, behind = int(said[0]), int(said[-1]) + 1
            run.go_on(silent, rows[silent * group : behind * group], group)

    def _rows_on(
        self, on: NDArray[np.bool_], origin: int, first: int, last: int, state: FrontendState
    ) -> FloatArray:
        """Which of the rows [first, last) lie in activity frames that are on, float32 [shape=(rows,)].

        on : bool [shape=(frames,)], from activity frame `origin` on
        """
        hop, middle = self.features.hop, self.features.window // 2
        # The first rows whose middles lie in the frames that are known, and behind them.
        low, high = (-(-(frame * ACTIVITY_HOP - middle) // hop) for frame in (origin, origin + len(on)))
        begin, end = max(first, 0, low), min(last, state.rows.end, high)
        rows = np.zeros(last - first, np.float32)
        if begin < end:
            at = (np.arange(begin, end) * hop + middle) // ACTIVITY_HOP - origin
            rows[begin - first : end - first] = on[at]
        return rows


def _run(row: int, first: int, group: int, anyone: FloatArray, runs: list[Run]) -> Run:
    """The run of a voice that is heard from a row on: one that goes on without anybody else, or a new one.

    Of several the one of which most is known. Of those of the stream it comes first then; what no stretch to
    come can hear is forgotten.

    Args:
        row: where
        first: the first row of the stretch
        group: rows of a frame
        anyone: float32 [shape=(rows,)], where in the stretch somebody is heard
        runs: of the stream
    """

    def goes_on(run: Run) -> bool:
        others = anyone[max(0, run.first - first) : row - first]
        return run.begin <= row // group <= run.end and float(others.sum()) <= SHARED

    own = max(filter(goes_on, runs), key=lambda run: run.end, default=None)
    own = own or Run(row, row // group, row // group)
    others = [run for run in runs if run is not own and run.end >= first // group]
    runs[:] = [own, *others][:LOCAL_SPEAKERS]
    return own
