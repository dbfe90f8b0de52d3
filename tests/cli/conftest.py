"""Fixtures of the command line's tests: the command as a user runs it, and two voices."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, slots=True)
class Voices:
    """Two clips each of two people."""

    a1: Path = DATA / "voice-a1.opus"
    a2: Path = DATA / "voice-a2.opus"
    b1: Path = DATA / "voice-b1.opus"
    b2: Path = DATA / "voice-b2.opus"


@pytest.fixture
def voices() -> Voices:
    return Voices()


@pytest.fixture
def user_env(tmp_path) -> dict[str, str]:
    """The environment of a user who has no gallery yet."""
    env = {key: value for key, value in os.environ.items() if key not in {"RTSPK_GALLERY", "RTSPK_TRACEBACK"}}
    env["XDG_DATA_HOME"] = str(tmp_path / "share")
    return env


@pytest.fixture
def rtspk(user_env, tmp_path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run the command line in a folder of its own."""

    def run(*args, stdin=b"", env=None):
        done = subprocess.run(
            [sys.executable, "-m", "rtspk", *map(str, args)],
            input=stdin,
            capture_output=True,
            env={**user_env, **(env or {})},
            cwd=tmp_path,
            timeout=240,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        )

    return run
