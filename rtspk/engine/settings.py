"""What a session can be told: the user's latency, and the tracker's gates with their reasons."""

from dataclasses import dataclass, field

from rtspk.errors import ConfigError
from rtspk.types import SAMPLE_RATE

__all__ = ["HOP", "ActivityConfig", "IdentityConfig", "SessionConfig", "TrackerConfig"]

HOP: int = SAMPLE_RATE // 4  # 0.25 s: how often the engine decides; 25 feature frames


@dataclass(frozen=True, slots=True)
class ActivityConfig:
    """When a probability of speech counts as speech."""

    onset: float = 0.5  # Silero's own default
    offset: float = 0.35  # likewise: onset - 0.15
    shortest_seconds: float = 0.1  # a shorter blip is no speech
    gap_seconds: float = 0.2  # a shorter pause is no pause


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Gates of the fast path; cosines are between a window's vector and a prototype.

    Values are from a search on conversations simulated from speakers held out of training (bench/LOG.md).
    """

    window_seconds: float = 1.25  # what one vector hears, around its hop
    pause_seconds: float = 0.3  # beyond such a pause a window does not listen,
    focus_seconds: float = 0.75  # where it has at least this much speech without
    least_speech_seconds: float = 0.3  # in the window; less gets the label of its neighbourhood
    new_cosine: float = 0.26  # a window farther than this from all prototypes may be a new voice
    sharpness: float = 20.0  # log-likelihood for each unit of cosine
    switch: float = 0.12  # chance in a hop that somebody else goes on
    birth_seconds: float = 1.75  # speech in hops that agree on a new voice before it gets a label
    first_seconds: float = 0.75  # likewise for the first voice of a session
    pool_cosine: float = 0.3  # windows of one new voice are at least this close
    update_margin: float = 0.1  # a prototype learns only from windows that are clearly its own
    exemplars: int = 40  # of a prototype; the two nearest are joined when there are more
    merge_cosine: float = 0.45  # two prototypes this close are one voice


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """When a label gets an enrolled name."""

    probability: float = 0.7
    keep_probability: float = 0.4  # a name that falls below is taken back
    margin: float = 0.04  # cosine over the next name
    candidates: int = 5


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """All settings of a session."""

    latency: float = 1.0  # seconds; everything older is final
    max_speakers: int = 20
    activity: ActivityConfig = field(default_factory=ActivityConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)

    def __post_init__(self) -> None:
        if not 0.5 <= self.latency <= 5.0:
            raise ConfigError(f"wanted a latency of 0.5 to 5 seconds, got {self.latency:g}")
        if not 1 <= self.max_speakers <= 100:
            raise ConfigError(f"wanted 1 to 100 speakers at most, got {self.max_speakers}")
