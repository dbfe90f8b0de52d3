"""Labels become names: the gallery is asked about a whole cluster, and a name sticks to it."""

from dataclasses import dataclass, field

from rtspk.engine.calibration import Calibration
from rtspk.engine.gallery import Gallery
from rtspk.engine.settings import IdentityConfig
from rtspk.types import FloatArray, Match

__all__ = ["Identities", "IdentitiesState", "matches"]


def matches(
    gallery: Gallery, calibration: Calibration, vector: FloatArray, net_speech: int, count: int
) -> list[Match]:
    """The names nearest to a voice, best first, with calibrated probabilities.

    Args:
        gallery: the enrolled
        calibration: of the model that made both sides
        vector: float32 [shape=(dimension,)]
        net_speech: samples of speech behind it
        count: how many at most
    """
    return [
        Match(name, score, calibration.probability(score, net_speech))
        for name, score in gallery.search(vector, count)
    ]


@dataclass(slots=True)
class IdentitiesState:
    """Who holds which name, and how surely."""

    held: dict[int, Match] = field(default_factory=dict)


class Identities:
    """Shared and read-only; `IdentitiesState` is the session's."""

    def __init__(self, gallery: Gallery, calibration: Calibration, config: IdentityConfig) -> None:
        self.gallery, self.calibration, self.config = gallery, calibration, config

    def update(
        self, label: int, vector: FloatArray, net_speech: int, state: IdentitiesState
    ) -> list[tuple[int, str | None]]:
        """Ask the gallery about a label's voice as it is known by now.

        Returns:
            the labels whose name changes, each with the new one
        """
        config = self.config
        before = state.held.get(label)
        found = matches(self.gallery, self.calibration, vector, net_speech, config.candidates)
        best = found[0] if found else None
        rival = found[1].score if len(found) > 1 else -1.0
        if before is not None:
            own = next((m for m in found if m.name == before.name), None)
            if (
                own is not None
                and own.probability >= config.keep_probability
                and (best is own or best is None or best.score - own.score < config.margin)
            ):
                state.held[label] = own
                return []
        if best is None or best.probability < config.probability or best.score - rival < config.margin:
            if before is None:
                return []
            del state.held[label]
            return [(label, None)]
        holder = next(
            (other for other, m in state.held.items() if m.name == best.name and other != label), None
        )
        changes: list[tuple[int, str | None]] = []
        if holder is not None:
            if state.held[holder].probability >= best.probability:
                return []
            del state.held[holder]
            changes.append((holder, None))
        state.held[label] = best
        return [*changes, (label, best.name)]

    def merge(self, gone: int, kept: int, state: IdentitiesState) -> list[tuple[int, str | None]]:
        """A label's name goes to the one that it turned out to be."""
        match = state.held.pop(gone, None)
        if match is None or kept in state.held:
            return []
        state.held[kept] = match
        return [(kept, match.name)]
