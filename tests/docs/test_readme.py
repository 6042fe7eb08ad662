"""README.md does what it says: its programs run as printed, and what it names is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = set(PYPROJECT["project"]["optional-dependencies"])


@dataclass(frozen=True)
class Block:
    """A fenced block, and what its language says it is."""

    language: str
    text: str


BLOCKS = [
    Block(language, text)
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
]
PROGRAMS = [index for index, block in enumerate(BLOCKS) if block.language == "python"]
COMMANDS = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]


def test_every_block_is_of_a_kind_that_is_tested_here() -> None:
    assert {block.language for block in BLOCKS} == {"python", "sh", "text"}
    assert PROGRAMS
    for index, block in enumerate(BLOCKS):
        if block.language == "text":
            assert index - 1 in PROGRAMS, "an output without its program"


@pytest.mark.parametrize("index", PROGRAMS)
def test_program_runs_as_printed(index: int, tmp_path: Path) -> None:
    program = BLOCKS[index].text
    name = re.match(r"# (\w+\.py)\n", program)
    assert name is not None, "the first line of a program is a comment with the file's name"
    (tmp_path / name[1]).write_text(program)

    run = subprocess.run(
        [sys.executable, name[1]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    following = BLOCKS[index + 1]
    assert following.language == "text", "no output is printed after the program"
    assert run.stdout == following.text


@pytest.mark.parametrize("command", COMMANDS)
def test_command_names_what_is_there(command: str) -> None:
    if target := re.fullmatch(r"make (\w+)", command):
        assert re.search(rf"^{target[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif extras := re.fullmatch(r"pip install '\.\[([\w,]+)\]'", command):
        assert set(extras[1].split(",")) <= EXTRAS
    else:
        pytest.fail(f"this test does not know how to check {command!r}")


def test_begins_with_two_sentences_and_the_two_commands() -> None:
    title, what, commands = README.split("\n\n")[:3]
    assert title == "# resaga"
    assert len(re.findall(r"\.(?:\s|$)", what)) == 2
    assert commands == "```sh\nmake demo\nmake test\n```"


def test_extras_are_those_of_the_package() -> None:
    table = README.partition("| extra |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == EXTRAS


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).is_file(), target
