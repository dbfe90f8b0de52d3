"""What the README shows works: its commands have these options, and its programs run."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from rtspk.audio import read_audio
from rtspk.cli.app import main
from rtspk.data import DEMO
from rtspk.types import samples_of
from tests.conftest import serving

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    command.strip()
    for language, text in BLOCKS
    if not language
    for line in text.splitlines()
    for command in line.split("#")[0].split("|")
    if re.match(r"(RTSPK_TOKEN=\S+ |torchrun .* -m )?rtspk ", command.strip())
]
PROGRAMS = [text for language, text in BLOCKS if language == "python"]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_has_the_options_that_the_readme_gives_it(line, monkeypatch, capsys):
    """What is no option is refused before any help is shown."""
    words = shlex.split(line)
    monkeypatch.setattr(sys, "argv", [*words[words.index("rtspk") :], "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capsys.readouterr().err


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.fixture
def sound():
    heard = read_audio(DEMO / "conversation.opus")[: samples_of(10.0)]
    return [heard[begin : begin + 1600] for begin in range(0, len(heard), 1600)]


async def one_by_one(sound):
    for samples in sound:
        yield samples


@pytest.mark.parametrize("program", PROGRAMS, ids=["client", "asyncio", "engine"])
def test_a_program_of_the_readme_runs(program, port, sound, tmp_path, monkeypatch, capsys):
    for name, clip in [("anna1.wav", "Anna.opus"), ("anna2.flac", "Anna.opus")]:
        (tmp_path / name).write_bytes((DEMO / clip).read_bytes())
    monkeypatch.chdir(tmp_path)
    heard = one_by_one(sound) if "async for" in program else sound
    exec(program.replace("localhost:8765", f"127.0.0.1:{port}"), {"microphone": heard})
    said = capsys.readouterr().out
    assert "'segment'" in said
    assert "'end'" in said.splitlines()[-1]
