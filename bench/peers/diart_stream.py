"""Diarize recordings with diart 0.9.2 as it would do live, on one processor core, and write what it emitted.

Networks: pyannote's segmentation-3.0 and WeSpeaker's ResNet34-LM, both as ONNX files. For each WAV or FLAC
file of a folder (16 kHz, its first channel) one RTTM file is written, and told how much time it took.

    pip install diart==0.9.2 torch==2.4.1 torchaudio==2.4.1 "numpy<2" "pyannote.audio<3.4" \
        "huggingface_hub<0.26" "matplotlib<3.9" onnxruntime soundfile
    python bench/peers/diart_stream.py FOLDER --segmentation segmentation-3.0.onnx \
        --embedding wespeaker_resnet34_LM.onnx --out OUTDIR --latency 1.0 --delta-new 0.7
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded

import numpy as np
import onnxruntime
import soundfile
import torch
from diart import SpeakerDiarization, SpeakerDiarizationConfig
from diart.models import EmbeddingModel, SegmentationModel
from pyannote.audio.utils.powerset import Powerset
from pyannote.core import Annotation, SlidingWindow, SlidingWindowFeature
from torchaudio.compliance import kaldi

SAMPLE_RATE = 16_000
STEP = 0.5  # s, between windows
PATCH = 0.05  # s, gaps that diart's own accumulator closes (diart.sinks.PredictionAccumulator)
# diart's weights of frames are 1 where one speaks alone, 1/8 where two do, else about 0 (beta 10, gamma 3).
LONE, ANY = 0.5, 0.1
LEAST_LONE, LEAST_ANY = 50, 10  # frames of 10 ms: of less speech no voice is embedded


class OnnxSegmentation(torch.nn.Module):
    """segmentation-3.0: who of three speakers speaks when in a window, hard, from its powerset classes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = open_session(path)
        self.powerset = Powerset(3, 2)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Hear windows (batch, 1, samples) and return (batch, frames, speakers) of 0 and 1."""
        return self.powerset.to_multilabel(run(self.session, waveform))


class OnnxEmbedding(torch.nn.Module):
    """WeSpeaker's ResNet34-LM; it takes no weights, so that frames are chosen, as pyannote does with it.

    A speaker's frames are those where they speak alone; with `with_overlap`, where these are too few, all of
    theirs. NaN where there are too few: diart then leaves the speaker out.
    """

    def __init__(self, path: Path, *, with_overlap: bool) -> None:
        super().__init__()
        self.session = open_session(path)
        self.with_overlap = with_overlap

    def forward(self, waveform: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Embed waveforms (batch, 1, samples) by weights (batch, frames); returns (batch, 256).

        diart repeats one waveform for each speaker: its features are computed once.
        """
        vectors = torch.full((len(waveform), 256), torch.nan)
        features = filterbank(waveform[0])
        for row, (sound, weight) in enumerate(zip(waveform, weights, strict=True)):
            if row and not torch.equal(sound, waveform[row - 1]):
                features = filterbank(sound)
            share = torch.nn.functional.interpolate(weight[None, None], size=len(features))[0, 0]
            chosen, least = features[share > LONE], LEAST_LONE
            if len(chosen) < LEAST_LONE and self.with_overlap:
                chosen, least = features[share > ANY], LEAST_ANY
            if len(chosen) >= least:
                vectors[row] = run(self.session, chosen[None])[0]
        return vectors


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open a network that computes in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, value: torch.Tensor) -> torch.Tensor:
    """Return the only output of a network of one input."""
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: value.numpy()})[0])


def filterbank(sound: torch.Tensor) -> torch.Tensor:
    """Return WeSpeaker's features (frames, 80) of a waveform (1, samples), less their mean over time."""
    features = kaldi.fbank(
        sound * 2**15, num_mel_bins=80, sample_frequency=SAMPLE_RATE, window_type="hamming", dither=0.0
    )
    return features - features.mean(dim=0)


def read_sound(path: Path) -> np.ndarray:
    """Read the first channel of a recording, float32."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != SAMPLE_RATE:
        raise SystemExit(f"{path}: wanted {SAMPLE_RATE} Hz, got {rate}")
    return sound[:, 0]


def windows_of(
    sound: np.ndarray, duration: float, lead: float, tail: float
) -> Iterator[SlidingWindowFeature]:
    """Cut a recording, with silence before and after it, into windows as diart takes them."""
    step, size = round(STEP * SAMPLE_RATE), round(duration * SAMPLE_RATE)
    before, after = round(lead * SAMPLE_RATE), round(tail * SAMPLE_RATE)
    padded = np.pad(sound, (before, after + -(before + len(sound) + after) % step))
    padded = np.pad(padded, (0, max(0, size - len(padded))))
    for number, start in enumerate(range(0, len(padded) - size + 1, step)):
        resolution = SlidingWindow(1 / SAMPLE_RATE, 1 / SAMPLE_RATE, number * STEP)
        yield SlidingWindowFeature(padded[start : start + size, None], resolution)


def diarize(pipeline: SpeakerDiarization, sound: np.ndarray, name: str, lead: float) -> Annotation:
    """Give a recording to diart window by window, and return all that it emitted."""
    pipeline.reset()
    pipeline.set_timestamp_shift(-lead)
    emitted = Annotation(uri=name)
    for window in windows_of(sound, pipeline.config.duration, lead, pipeline.config.latency):
        (annotation, _), *_ = pipeline([window])
        for segment, track, label in annotation.itertracks(yield_label=True):
            emitted[segment, track] = label
    return emitted.support(PATCH).crop(SlidingWindow(start=0, duration=len(sound) / SAMPLE_RATE)[0])


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of WAV or FLAC files at 16 kHz")
    parser.add_argument("--segmentation", type=Path, required=True, help="segmentation-3.0 as ONNX")
    parser.add_argument("--embedding", type=Path, required=True, help="WeSpeaker's ResNet34-LM as ONNX")
    parser.add_argument("--out", type=Path, required=True, help="folder for the RTTM files")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds")
    parser.add_argument("--duration", type=float, default=10.0, help="of a window, seconds")
    parser.add_argument(
        "--delta-new", type=float, default=1.0, help="cosine distance from which a voice is new"
    )
    parser.add_argument(
        "--with-overlap",
        action="store_true",
        help="embed who is hardly ever alone by all of their speech, not by what they say alone only",
    )
    parser.add_argument("--lead", type=float, default=0.0, help="seconds of silence before each recording")
    return parser.parse_args()


def main() -> None:
    """Diarize a folder."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    pipeline = SpeakerDiarization(
        SpeakerDiarizationConfig(
            segmentation=SegmentationModel(lambda: OnnxSegmentation(arguments.segmentation)),
            embedding=EmbeddingModel(
                lambda: OnnxEmbedding(arguments.embedding, with_overlap=arguments.with_overlap)
            ),
            duration=arguments.duration,
            step=STEP,
            latency=arguments.latency,
            delta_new=arguments.delta_new,
            device=torch.device("cpu"),
        )
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    for path in sorted(arguments.folder.iterdir()):
        if path.suffix not in {".wav", ".flac"}:
            continue
        sound = read_sound(path)
        started = time.process_time()
        annotation = diarize(pipeline, sound, path.stem, arguments.lead)
        spent = time.process_time() - started
        with (arguments.out / f"{path.stem}.rttm").open("w") as file:
            annotation.write_rttm(file)
        share = spent * SAMPLE_RATE / len(sound)
        sys.stdout.write(f"{path.stem}: {share:.3f} s of processor time for a second\n")


if __name__ == "__main__":
    main()
