"""Search a session's gates on recordings with a reference: what suits one room and one microphone."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtspk.bench.diarization import evaluate_diarization
from rtspk.bench.diarization_report import DiarizationReport
from rtspk.bench.remembering import RememberingEmbedder, RememberingSegmenter
from rtspk.config import to_settings
from rtspk.engine.pipeline import Engine
from rtspk.engine.settings import MOST_SPEAKERS, ActivityConfig, SessionConfig, TrackerConfig
from rtspk.errors import ConfigError

if TYPE_CHECKING:
    import optuna

__all__ = ["SPACE", "Gate", "Tuned", "config_text", "tune"]


CHUNK_SECONDS: float = 0.5  # a hop: when a label is first said is known to no less


@dataclass(frozen=True, slots=True)
class Gate:
    """One number of the config, and where it is looked for."""

    table: str
    name: str
    low: float
    high: float
    log: bool = False

    def within(self, config: SessionConfig) -> float:
        """What a config has for it, or the nearest that is looked for."""
        value = float(getattr(getattr(config, self.table), self.name))
        return min(max(value, self.low), self.high)


# What decides on labels without asking a network anything new; window lengths do not stand here.
SPACE: tuple[Gate, ...] = (
    Gate("activity", "onset", 0.25, 0.75),
    Gate("activity", "gap_seconds", 0.08, 0.6),
    Gate("activity", "join_seconds", 0.1, 1.0),
    Gate("tracker", "group_cosine", 0.1, 0.5),
    Gate("tracker", "closeness_share", 0.0, 0.8),
    Gate("tracker", "common_share", 0.0, 2.0),
    Gate("tracker", "linked_cosine", 0.0, 0.4),
    Gate("tracker", "parted_cosine", 0.0, 0.6),
    Gate("tracker", "keep_cosine", 0.0, 0.15),
    Gate("tracker", "sharpness", 8.0, 40.0, log=True),
    Gate("tracker", "switch", 0.02, 0.5, log=True),
    Gate("tracker", "link_switch", 0.005, 0.5, log=True),
    Gate("tracker", "link_seconds", 0.05, 1.0, log=True),
    Gate("tracker", "birth_seconds", 1.0, 8.0),
    Gate("tracker", "clear_cosine", 0.0, 0.4),
    Gate("tracker", "beside_cosine", -0.2, 0.4),
    Gate("tracker", "first_seconds", 0.5, 2.0),
    Gate("tracker", "update_margin", 0.0, 0.25),
)


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best settings found, and what they are worth beside those at the start."""

    config: SessionConfig
    before: DiarizationReport
    after: DiarizationReport
    trials: int  # that were made; fewer than were wanted where Ctrl-C ended the search


def tune(
    engine: Engine,
    reference: Path,
    audio: Path,
    uem: Path | None,
    *,
    start: SessionConfig,
    trials: int,
    seed: int,
    progress: Callable[[int, int, float], None],
) -> Tuned:
    """Look for the settings of the least diarization error, first said and revised alike.

    A Tree-structured Parzen Estimator (arXiv:2304.11127) proposes; each proposal is a run over all
    recordings, of which only the first asks the networks much. Ctrl-C ends it behind the first, with the best
    so far.

    Args:
        engine: what is tuned
        reference: a folder of RTTM files, one for each recording, or one file for all
        audio: a folder of recordings of the same stems
        uem: what is scored, as for `evaluate_diarization`
        start: the settings to begin with; its latency and number of speakers stay
        trials: proposals
        seed: of the proposals
        progress: called with trials done, trials in all, and the least error so far

    Raises:
        ConfigError: no trial is wanted, or optuna is missing.
    """
    if trials < 1:
        raise ConfigError(f"wanted at least one trial, got {trials}")
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("wanted optuna for tuning, got none: pip install 'rtspk[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    remembering = Engine(
        RememberingEmbedder(engine.embedder), RememberingSegmenter(engine.segmenter), engine.gallery
    )

    def measured(config: SessionConfig) -> DiarizationReport:
        return evaluate_diarization(
            remembering,
            reference,
            audio,
            uem,
            start.latency,
            0.0,
            lambda _done, _of: None,
            config=config,
            chunk_seconds=CHUNK_SECONDS,
        )

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True))
    study.enqueue_trial({f"{gate.table}.{gate.name}": gate.within(start) for gate in SPACE})
    tried: list[tuple[SessionConfig, DiarizationReport]] = []

    def objective(trial: "optuna.Trial") -> float:
        config = _proposed(start, trial) if tried else start
        report = measured(config)
        tried.append((config, report))
        total = report.total
        return 0.5 * (total.first.error.rate + total.revised.error.rate)

    def heard(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        progress(trial.number + 1, trials, study.best_value)

    def made() -> int:
        return len(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))

    try:
        study.optimize(objective, n_trials=trials, callbacks=[heard])
    except KeyboardInterrupt:
        if not made():
            raise
    config, after = tried[study.best_trial.number]
    return Tuned(config, tried[0][1], after, made())


def config_text(config: SessionConfig) -> str:
    """Settings as TOML, as `--config` reads them; the latency stays the user's choice."""
    lines = ["# Made by `rtspk tune`."]
    if config.max_speakers != MOST_SPEAKERS:
        lines.append(f"max_speakers = {config.max_speakers}")
    for table in ("activity", "tracker", "identity"):
        values = asdict(getattr(config, table))
        lines += [
            "",
            f"[{table}]",
            *(f"{name} = {value:.6g}" for name, value in values.items() if value is not None),
        ]
    return "\n".join(lines) + "\n"


def _proposed(start: SessionConfig, trial: "optuna.Trial") -> SessionConfig:
    found = {
        gate: trial.suggest_float(f"{gate.table}.{gate.name}", gate.low, gate.high, log=gate.log)
        for gate in SPACE
    }
    activity = {gate.name: value for gate, value in found.items() if gate.table == "activity"}
    tracker = {gate.name: value for gate, value in found.items() if gate.table == "tracker"}
    # The lower threshold goes with the upper.
    activity["offset"] = max(0.05, activity["onset"] - 0.15)
    return replace(
        start,
        activity=to_settings({**asdict(start.activity), **activity}, ActivityConfig, "tune"),
        tracker=to_settings({**asdict(start.tracker), **tracker}, TrackerConfig, "tune"),
    )
