"""What users' type checkers tell them: right code passes, and each planted mistake is reported.

The files named ``accepted_*`` and ``rejected_*`` are checked by ``make types``, with all others:
``make test`` begins with that, and it fails where a file does not pass or a comment is not needed.
What makes it so is tested here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

import resaga

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REJECTED = sorted(HERE.glob("rejected_*.py"))


class Told(TypedDict):
    message: str


class Symbol(TypedDict):
    """What pyright says about one public symbol."""

    name: str
    isTypeKnown: bool
    isTypeAmbiguous: bool
    diagnostics: NotRequired[list[Told]]


class Completeness(TypedDict):
    symbols: list[Symbol]
    completenessScore: float
    missingFunctionDocStringCount: int
    missingClassDocStringCount: int


class Report(TypedDict):
    typeCompleteness: Completeness


class Planted(NamedTuple):
    """A line that has a comment by which a checker lets it pass."""

    where: str
    mypy: str | None
    pyright: str | None


def check(*command: str) -> subprocess.CompletedProcess[str]:
    # `pyright --verifytypes` asks the `python` of the PATH what is installed.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def planted() -> list[Planted]:
    lines: list[Planted] = []
    for file in REJECTED:
        for number, line in enumerate(file.read_text().splitlines(), start=1):
            mypy = re.search(r"# type: ignore\[([\w, -]+)\]", line)
            pyright = re.search(r"# pyright: ignore\[([\w, ]+)\]", line)
            if "ignore" in line:
                lines.append(
                    Planted(f"{file.name}:{number}", mypy and mypy[1], pyright and pyright[1])
                )
    return lines


def test_make_test_checks_these_files_first() -> None:
    planned = subprocess.run(
        ["make", "--dry-run", "--always-make", "test"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    checked = next(line for line in planned if "/mypy " in line and "/pyright " in line)
    assert {"src", "tests"} <= set(checked.split())
    tests = next(line for line in planned if "/pytest --cov" in line)
    assert planned.index(checked) < planned.index(tests)


def test_a_comment_that_is_not_needed_is_an_error() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert "exclude" not in tool["mypy"]
    assert "exclude" not in tool["pyright"]
    assert tool["mypy"]["strict"] is True
    assert tool["mypy"].get("warn_unused_ignores", True) is True
    assert tool["pyright"]["reportUnnecessaryTypeIgnoreComment"] == "error"
    assert tool["pyright"]["enableTypeIgnoreComments"] is False


def test_each_planted_mistake_is_told_to_both_checkers() -> None:
    lines = planted()
    assert len(lines) > 400
    assert [line.where for line in lines if line.mypy is None or line.pyright is None] == []


def test_every_public_type_is_written_down_and_every_function_explained() -> None:
    result = check("pyright", "--verifytypes", "resaga", "--ignoreexternal", "--outputjson")
    report: Report = json.loads(result.stdout)
    completeness = report["typeCompleteness"]
    symbols = completeness["symbols"]
    public = {f"resaga.{name}" for name in resaga.__all__} - {"resaga.__version__"}
    assert public <= {symbol["name"] for symbol in symbols}
    unclear = {
        symbol["name"]: [told["message"] for told in symbol.get("diagnostics", [])]
        for symbol in symbols
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
    }
    assert unclear == {}
    assert completeness["completenessScore"] == 1
    assert completeness["missingFunctionDocStringCount"] == 0
    assert completeness["missingClassDocStringCount"] == 0
