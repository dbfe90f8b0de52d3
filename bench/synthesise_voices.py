"""Make the data of the recipe tts-8-voices: eight synthetic voices that read sentences of our own.

    pip install kokoro-onnx
    python bench/synthesise_voices.py kokoro.onnx VOICES OUT

Kokoro-82M (Apache-2.0) as ONNX in single precision, and a folder of its voices as they are published,
`NAME.bin`. Writes OUT/train.csv, a manifest, and a FLAC of each voice. Words and speed are the same for all
voices: what is left to tell them apart is the voice.
"""

import argparse
import csv
import io
import sys
from pathlib import Path

import av
import numpy as np
import soxr
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

VOICES = ("af_heart", "af_nova", "af_sky", "am_adam", "am_michael", "bf_emma", "bm_george", "bm_lewis")
RATE = 16_000
PAUSE = 0.2  # seconds of silence between two sentences
SENTENCES = Path(__file__).with_name("sentences.txt")


def main() -> None:
    """Synthesise every sentence with every voice."""
    parser = argparse.ArgumentParser(description="Make the data of the recipe tts-8-voices.")
    parser.add_argument("kokoro", type=Path, help="Kokoro-82M as ONNX, single precision")
    parser.add_argument("voices", type=Path, help="a folder of NAME.bin")
    parser.add_argument("out", type=Path)
    parser.add_argument("--sentences", type=Path, default=SENTENCES, help="one on each line")
    parser.add_argument("--threads", type=int, default=1)
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    sentences = wanted.sentences.read_text(encoding="utf-8").splitlines()
    voices = {
        name: np.fromfile(wanted.voices / f"{name}.bin", np.float32).reshape(-1, 1, 256) for name in VOICES
    }
    table = wanted.out / "voices.npz"
    np.savez(table, **voices)
    from kokoro_onnx import Kokoro  # here: --help works without it

    options = SessionOptions()
    options.intra_op_num_threads = wanted.threads
    kokoro = Kokoro.from_session(InferenceSession(str(wanted.kokoro), options), str(table))
    rows = []
    for name in VOICES:
        at, parts = 0.0, []
        for sentence in sentences:
            sound, rate = kokoro.create(sentence, voice=name, speed=1.0, lang="en-us")
            spoken = soxr.resample(np.asarray(sound, np.float32), rate, RATE)
            end = at + len(spoken) / RATE
            rows.append(
                (f"{name}.flac", name, "kokoro", "en", name[1], f"{at:.4f}", f"{end:.4f}", "Apache-2.0")
            )
            parts += [spoken, np.zeros(round(PAUSE * RATE), np.float32)]
            at = end + PAUSE
        (wanted.out / f"{name}.flac").write_bytes(flac(np.concatenate(parts)))
        sys.stderr.write(f"{name}: {at:.0f} s\n")
    with (wanted.out / "train.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "speaker", "dataset", "lang", "gender", "start", "end", "licence"))
        writer.writerows(rows)


def flac(samples: NDArray[np.float32]) -> bytes:
    """Encode mono samples at 16 kHz, float32 [shape=(n,)]."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None], "s16", "mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
