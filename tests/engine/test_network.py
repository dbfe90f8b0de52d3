"""What ONNX Runtime does beside its work."""

import os
import subprocess
import sys
from pathlib import Path

import rtspk

PROGRAM = """
from rtspk.engine.segmenter import MODELS
from rtspk.engine.network import Network
Network(MODELS / "segmenter-light" / "model.onnx")
"""


def test_a_network_leaves_nothing_in_the_home_and_tells_nobody_of_its_run(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_", "CI"))}
    home = {"HOME": str(tmp_path), "PYTHONPATH": str(Path(rtspk.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, env=kept | home)
    assert [path for path in tmp_path.rglob("*") if "Microsoft" in str(path)] == []
