"""A worker's side of a stream: its messages become sound, and the engine's session hears it."""

import numpy as np

from rtspk.engine.recurrence import Asking
from rtspk.engine.session import Session
from rtspk.engine.session_state import SessionParts
from rtspk.errors import DamagedGalleryError, GalleryError, SessionError, StorageError
from rtspk.server.messages import AudioFormat, EndRequest, Label, Merge, WarningMessage
from rtspk.server.portion import Outcome, Portion
from rtspk.server.sound import decoder_of
from rtspk.server.watch import Watch
from rtspk.types import FloatArray

__all__ = ["Listener"]


class Listener:
    """Shared with nobody."""

    def __init__(self, format_: AudioFormat, parts: SessionParts) -> None:
        self.session = Session(parts)
        self._decoder = decoder_of(format_)
        self._watch = Watch()
        self._damaged = 0

    def hear(self, portion: Portion, outcome: Outcome) -> Asking[None]:
        """Work on the sound of a portion, up to the windows that the network is wanted for.

        It asks what is in passages, as `Session.take_audio` does.

        Raises:
            AudioError: samples that are no sound.
        """
        sound: list[FloatArray] = []
        try:
            for piece in portion.pieces:
                if piece.data is None:
                    samples = self._decoder.silence(piece.seconds)
                else:
                    samples = self._decoder.decode(piece.data)
                    outcome.warnings += self._watch.hear(samples)
                sound.append(samples)
        finally:  # what came before a damaged piece is heard
            if sound:
                outcome.heard += sum(map(len, sound))
                yield from self.session.take_audio(np.concatenate(sound))
        if self._decoder.damaged > self._damaged:
            lost, self._damaged = self._decoder.damaged - self._damaged, self._decoder.damaged
            text = f"{lost} Opus packets did not decode and became silence"
            outcome.warnings.append(WarningMessage(code="damaged_audio", message=text))

    def obey(self, portion: Portion, outcome: Outcome) -> None:
        """Do the order of a portion, once its sound is decided on; what is refused becomes a warning."""
        try:
            match portion.order:
                case Label() as label:
                    self.session.label(label.speaker, label.name, keep=label.scope == "gallery")
                case Merge() as merge:
                    self.session.merge(merge.speaker, merge.into)
                case EndRequest():
                    rest = self._decoder.finish()
                    outcome.heard += len(rest)
                    self.session.receive_audio(rest)
                    self.session.finish()
        except (DamagedGalleryError, StorageError):  # its path is nobody's business
            outcome.warnings.append(_refused("the gallery cannot be used now: the voice is not kept"))
        except (SessionError, GalleryError) as error:
            outcome.warnings.append(_refused(str(error)))


def _refused(why: str) -> WarningMessage:
    return WarningMessage(code="refused", message=" ".join(why.split()))
