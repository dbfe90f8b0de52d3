"""What a session can be told: the user's latency, and the tracker's gates with their reasons."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from rtspk.config import check_number, read_toml, refuse_outside
from rtspk.types import SAMPLE_RATE

__all__ = [
    "HOP",
    "MOST_SPEAKERS",
    "ActivityConfig",
    "IdentityConfig",
    "SessionConfig",
    "TrackerConfig",
    "session_config",
]

# What a number may be where it is not a chance from 0 to 1: by its table and name, or else by its last word.
RANGES: dict[str, tuple[float, float]] = {
    "tracker.memory": (10, 2000),
    "tracker.before_seconds": (0.0, 10.0),  # a stream keeps the sound of the longest latency and of this
    "tracker.least_speech_seconds": (0.01, 10.0),  # a row: of nothing no network can be asked
    "tracker.settled_seconds": (0.1, 1e6),
    "tracker.young_seconds": (0.1, 1e6),
    "tracker.sharpness": (0.0, 300.0),  # beyond it chances are no float64 any more,
    "tracker.switch": (0.001, 1.0),  # nor is one that has been nought for once ever more
    "tracker.link_switch": (0.001, 1.0),
    "tracker.common_share": (0.0, 3.0),
    "identity.candidates": (1, 100),
    "seconds": (0.0, 1e6),
    "cosine": (-1.0, 1.0),
}

HOP: int = SAMPLE_RATE // 2  # 0.5 s: how often the engine decides; 50 feature frames
MOST_SPEAKERS: int = 100  # labels of a session; each keeps some of the windows that are remembered


@dataclass(frozen=True, slots=True)
class ActivityConfig:
    """When the chance that a local speaker is active counts as speech."""

    onset: float = 0.5
    offset: float = 0.35
    shortest_seconds: float = 0.1  # a shorter blip is no speech
    gap_seconds: float = 0.2  # a shorter pause is no pause
    join_seconds: float = 0.4  # nor does a shorter one end a turn
    # How much earlier windows count in what a later one knows of too; None: as the segmenter's card says.
    memory: float | None = None
    # Of a window's end, which has not heard what comes next, they learn nothing.
    edge_seconds: float = 0.48

    def __post_init__(self) -> None:
        _refuse_outside(self, "activity")


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Gates of the fast path; cosines are between a window's vector and a prototype.

    Values are from searches on conversations simulated from speakers held out of training, and on some real
    talk that was taken for development (bench/LOG.md).
    """

    before_seconds: float = 0.75  # how far a vector hears back from its hop,
    after_seconds: float = 0.5  # and forth, where the latency allows
    hindsight_seconds: float = 1.0  # what is heard behind a hop before it is decided on, likewise
    least_speech_seconds: float = 0.3  # of one voice in the window; less gets the label of its neighbourhood
    alone_seconds: float = 0.4  # with less of it alone, speech under other voices is heard too
    sharpness: float = 34.0  # log-likelihood for each unit of cosine
    switch: float = 0.3  # chance in a hop that somebody else goes on
    link_switch: float = 0.3  # likewise where the segmenter says that it is the same local speaker,
    link_seconds: float = 0.6  # so much of whose earlier speech is half of a proof
    birth_seconds: float = 4.0  # speech in hops that agree on a new voice before it gets a label,
    early_seconds: float = 0.5  # less at the beginning,
    settled_seconds: float = 120.0  # until so much was spoken,
    clear_cosine: float = 0.2  # and half of it where a voice, shown as the next label, is less close to all;
    birth_certainty: float = 0.66  # that the segmenter has of it: barks and cries are less surely speech
    first_seconds: float = 0.5  # likewise for the first voice of a session
    update_margin: float = 0.07  # a turn changes its label only for one that is so much nearer
    beside_cosine: float = 0.0  # who is heard beside somebody else and is unlike their label is nobody
    memory: int = 240  # windows that are grouped anew in every hop;
    group_cosine: float = 0.2  # groups whose pairs are this close in the mean are one voice's
    known_seconds: float = 8.0  # of speech; labels with so much are joined by the slow path alone
    join_cosine: float = 0.55  # and only where they are so close;
    long_cosine: float = 0.7  # the nearer to this the more either has spoken,
    long_seconds: float = 60.0  # until it is so much
    slow_seconds: float = 4.0  # of talk between two slow paths, the first of which comes
    ripe_seconds: float = 10.0  # when so much is remembered;
    part_cosine: float = 0.28  # groups that are this close in the mean are what it starts from
    young_cosine: float = 0.06  # how much closer both must be at first, less and less
    young_seconds: float = 60.0  # until so much is remembered
    closeness_share: float = 0.3  # of how much closer windows of one voice are than usual, both are closer
    common_share: float = 1.3  # of how close windows of two people are: it is the line, and parts nobody
    linked_cosine: float = 0.15  # windows of one local speaker count as so much closer at most,
    parted_cosine: float = 0.4  # and of two, while the segmenter hears both, as so much less close
    anchor_seconds: float = 2.0  # of speech, as whose a print stands among the windows
    keep_cosine: float = 0.05  # windows of one label count as so much closer, of two labels as less
    split_seconds: float = 15.0  # of speech that leaves a label, in two slow paths, to be one of its own,
    split_share: float = 0.1  # and at least so much of what stays with it
    known_cosine: float = 0.7  # a group that is this close to a label's other windows is nobody new

    def __post_init__(self) -> None:
        _refuse_outside(self, "tracker")


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """When a label gets an enrolled name; probabilities are posteriors over all names and a stranger.

    Values are from conversations simulated from speakers held out of training (bench/LOG.md).
    """

    probability: float = 0.65
    keep_probability: float = 0.4  # a name that falls below is taken back
    anchor_cosine: float = 0.35  # of a window to a print: that person may be in the stream
    candidates: int = 5  # names among which the one held so far is looked for

    def __post_init__(self) -> None:
        _refuse_outside(self, "identity")


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """All settings of a session."""

    latency: float = 1.0  # seconds; everything older is final
    max_speakers: int = MOST_SPEAKERS
    activity: ActivityConfig = field(default_factory=ActivityConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)

    def __post_init__(self) -> None:
        check_number(self.latency, 0.5, 5.0, "a latency of 0.5 to 5 seconds")
        most = f"1 to {MOST_SPEAKERS} speakers at most"
        check_number(self.max_speakers, 1, MOST_SPEAKERS, most, whole=True)

    def with_choice(
        self, *, latency: float | None = None, max_speakers: int | None = None
    ) -> "SessionConfig":
        """These settings but for what a user chose; None where nothing was. Raises ConfigError likewise."""
        return replace(
            self,
            latency=self.latency if latency is None else latency,
            max_speakers=self.max_speakers if max_speakers is None else max_speakers,
        )


def _refuse_outside(settings: ActivityConfig | TrackerConfig | IdentityConfig, table: str) -> None:
    """Refuse a number outside its range."""
    for each in fields(settings):
        last = each.name.rsplit("_", 1)[-1]
        low, high = RANGES.get(f"{table}.{each.name}") or RANGES.get(last, (0.0, 1.0))
        refuse_outside(settings, low, high, each.name, table=table)


def session_config(
    path: Path | None, *, latency: float | None = None, max_speakers: int | None = None
) -> SessionConfig:
    """Settings from a TOML file, or the usual ones; what is given beside it counts more.

    Raises:
        ConfigError: the file is no valid config, or a number is out of its range.
    """
    config = SessionConfig() if path is None else read_toml(path, SessionConfig)
    return config.with_choice(latency=latency, max_speakers=max_speakers)
