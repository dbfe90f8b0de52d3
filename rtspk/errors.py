"""One tree of errors, each a single line for a person: what was wanted and what came."""

__all__ = [
    "AudioError",
    "ConfigError",
    "DamagedGalleryError",
    "DeviceError",
    "FormatError",
    "GalleryError",
    "ModelError",
    "ReportError",
    "RtspkError",
    "SessionError",
    "StorageError",
    "TakenNameError",
    "UnknownNameError",
]


class RtspkError(Exception):
    """Anything that rtspk reports to its user; `exit_code` is what the command line returns for it."""

    exit_code: int = 2


class AudioError(RtspkError):
    """Sound that cannot be read, or samples of the wrong shape, rate or value."""


class DeviceError(RtspkError):
    """A microphone that is missing, busy, or went away."""


class ConfigError(RtspkError):
    """A setting outside its range, an unknown key, or an option that makes no sense."""


class FormatError(RtspkError):
    """A text file (RTTM, UEM, trials, manifest) that does not follow its format."""


class ReportError(FormatError):
    """A manifest with problems: the first line says how many, each line after it what they are."""


class ModelError(RtspkError):
    """A model file that is missing, damaged, or answers with the wrong shape."""


class GalleryError(RtspkError):
    """A gallery that is damaged, or that another model made; a name that is not in it."""


class DamagedGalleryError(GalleryError):
    """A gallery whose file cannot be relied on; the message names the file, which clients need not know."""


class UnknownNameError(GalleryError):
    """A name that is not in the gallery."""


class TakenNameError(GalleryError):
    """A name that somebody in the gallery has already."""


class SessionError(RtspkError):
    """A verb called on a session in the wrong state, such as audio after `finish`."""


class StorageError(RtspkError):
    """The disk is full or refuses: nothing that was there before is lost."""

    exit_code = 1
