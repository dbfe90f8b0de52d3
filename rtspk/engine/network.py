"""A network file in ONNX Runtime: arrays in, arrays out, on one thread unless told otherwise."""

from pathlib import Path

from rtspk.errors import ModelError
from rtspk.types import FloatArray

__all__ = ["Network"]


class Network:
    """An ONNX file on the CPU; safe for threads, since it remembers nothing."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # where it keeps to this alone, as on Windows
        if not path.is_file():
            raise ModelError(f"wanted an ONNX file at {path}, got nothing there")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # its warnings speak of how the file was exported
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no public base class for its errors
            raise ModelError(
                f"wanted a network in {path}, got a file that does not load: {_line(error)}"
            ) from error
        self.inputs: tuple[str, ...] = tuple(one.name for one in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(one.name for one in self._session.get_outputs())
        self.path = path

    def run(self, inputs: dict[str, FloatArray]) -> list[FloatArray]:
        """All outputs of the network, in its order."""
        try:
            outputs: list[FloatArray] = self._session.run(None, inputs)
        except Exception as error:  # likewise
            raise ModelError(f"wanted an answer of {self.path.name}, got: {_line(error)}") from error
        return outputs


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
