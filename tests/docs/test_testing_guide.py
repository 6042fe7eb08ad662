"""docs/guide/testing.md does what it says: its files run under pytest as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import resaga.testing
from resaga.testing.cases import COLUMNS
from resaga.testing.faults import FaultKind

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "testing.md").read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(\w+)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE
)
FILES = {
    text.split("\n", 1)[0].removeprefix("# "): text
    for language, text in BLOCKS
    if language == "python"
}

COUNTS = """
from checkout import Shop, checkout
from resaga.testing import explore

async def test_counts(restate_server):
    report = await explore(checkout, "teapot", server=restate_server, services=Shop)
    print("cases:", sum(r.verdict == "right" for r in report.results))
"""


def test_its_files_run_as_printed(tmp_path: Path) -> None:
    assert set(FILES) == {
        "checkout.py", "test_approved.py", "test_decisions.py", "test_explored.py",
        "test_points.py",
    }  # fmt: skip
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "test_counts.py").write_text(COUNTS, "utf-8")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-s", "-n", "0", "--asyncio-mode=auto"),
            *("-p", "no:cacheprovider", "-p", "no:hypothesispytest"),
            *("--rootdir", str(tmp_path), "-W", "error"),
            *("-o", "asyncio_default_fixture_loop_scope=function"),
        ],
        cwd=tmp_path,
        # Without coverage's variables: to measure the start of a pytest takes longer than that.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    printed = [text for language, text in BLOCKS if language == "text"]
    assert len(printed) == 1
    assert printed[0] in run.stdout
    counted = re.search(r"cases: (\d+)", run.stdout)
    assert counted is not None
    assert f"fault: {counted[1]} cases here" in GUIDE


def test_what_it_names_is_there() -> None:
    for column in re.findall(r"RESAGA_CASE='\w+/([^']+)'", GUIDE):
        assert column in COLUMNS
    for call in re.findall(r"^\| `(\w+)\(", GUIDE, re.MULTILINE):
        assert call in resaga.testing.__all__
    assert len(get_args(FaultKind)) == len(re.findall(r"^\| `\w+\(", GUIDE, re.MULTILINE)) + 1
