import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rtspk as package
from rtspk.cli import app
from rtspk.errors import AudioError, StorageError


def test_the_version_is_the_packages(rtspk):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    done = rtspk("--version")
    assert (done.returncode, done.stdout) == (0, f"rtspk {project['version']}\n")
    assert package.__version__ == project["version"]


def test_help_names_every_verb_and_loads_nothing_heavy(rtspk):
    done = rtspk("--help", env={"PYTHONPROFILEIMPORTTIME": "1", "COLUMNS": "100"})
    assert done.returncode == 0
    for verb in (
        "listen",
        "devices",
        "enroll",
        "speakers",
        "identify",
        "verify",
        "evaluate",
        "bench",
        "doctor",
    ):
        assert verb in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {
        "numpy",
        "numba",
        "onnxruntime",
        "faiss",
        "av",
        "torch",
        "sounddevice",
        "matplotlib",
        "pydantic",
    }


def test_importing_the_package_loads_nothing_and_gives_its_names_when_asked():
    code = (
        "import sys, rtspk; assert 'numpy' not in sys.modules; "
        "assert rtspk.errors.AudioError.__name__ == 'AudioError'; "
        "assert rtspk.SessionConfig().latency == 1.0; assert 'Engine' in dir(rtspk)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_help_shows_flags_as_flags_and_what_a_file_of_tokens_holds(rtspk):
    said = rtspk("serve", "--help", env={"COLUMNS": "200"}).stdout
    assert "TOML of tables `tokens`: name, token, scopes." in said
    assert "--insecure" in said
    for args in (["serve"], [], ["evaluate"], ["models", "list"]):
        assert "bool" not in rtspk(*args, "--help", env={"COLUMNS": "200"}).stdout


@pytest.mark.parametrize("args", [["--nothing"], ["nothing"], ["listen", "--nothing"], ["verify", "one.wav"]])
def test_a_usage_error_ends_with_2(rtspk, args):
    done = rtspk(*args)
    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (AudioError("wanted sound,\ngot none"), 2, "rtspk: wanted sound, got none\n"),
        (StorageError("wanted room, got none"), 1, "rtspk: wanted room, got none\n"),
        (KeyboardInterrupt(), 130, ""),
        (
            ZeroDivisionError("by zero"),
            1,
            "rtspk: internal failure, ZeroDivisionError: by zero (RTSPK_TRACEBACK=1 shows the traceback)\n",
        ),
    ],
)
def test_every_failure_is_one_line_and_a_status(raised, status, line, capsys, monkeypatch):
    monkeypatch.delenv("RTSPK_TRACEBACK", raising=False)

    def verb() -> None:
        raise raised

    with pytest.raises(SystemExit) as caught:
        app._guarded(verb)()
    assert (caught.value.code, capsys.readouterr().err) == (status, line)


def test_the_traceback_is_shown_to_who_asks(monkeypatch):
    monkeypatch.setenv("RTSPK_TRACEBACK", "1")

    def verb() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        app._guarded(verb)()


@pytest.mark.parametrize(
    ("args", "after"),
    [
        (["listen", "--mic"], ["listen", "--mic="]),
        (["listen", "--mic", "--json"], ["listen", "--mic=", "--json"]),
        (["listen", "--mic", "USB"], ["listen", "--mic", "USB"]),
        (["enroll", "Anna", "--mic", "5"], ["enroll", "Anna", "--mic", "5"]),
    ],
)
def test_the_microphone_needs_no_name_for_listening(args, after):
    assert app._with_default_microphone(args) == after


def test_a_full_disk_behind_stdout_is_one_line(user_env, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rtspk", "speakers", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=user_env,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "rtspk: wanted room for the output, got a full disk\n")
