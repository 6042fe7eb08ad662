"""The proof, in short: nothing is off while workers, servers, nodes and connections are killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Against a hang only, and on a busy machine; alone, each takes a quarter of a minute.
LIMIT = 500

# On one worker of xdist, so that the two do not slow each other.
pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(LIMIT + 60)]


def run(tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "chaos", "--json", str(report), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=LIMIT
    )
    return done, report


@pytest.mark.parametrize(
    ("faults", "how", "guard"),
    [
        ("worker,server,database", "--barrier", "barrier"),
        ("worker,node,database", "--cluster", "keys"),
    ],
    ids=["server, behind the barrier", "cluster, with unique keys"],
)
def test_every_promise_holds(tmp_path: Path, faults: str, how: str, guard: str) -> None:
    done, report = run(
        tmp_path, "--sagas", "120", "--kills", "6", "--faults", faults, "--seed", "7", how
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Every promise held." in done.stdout
    figures = json.loads(report.read_text())
    assert figures["held"] is True
    assert figures["findings"] == []
    assert figures["guard"] == guard
    assert sum(figures["outcomes"].values()) == 120
    # Both ends are there, and what was killed, too.
    assert figures["outcomes"]["completed"] > 20
    assert figures["outcomes"]["rolled back"] > 20
    assert figures["compensations"] > 40
    # Some compensations came without an effect, and something was asked for twice.
    assert figures["blocked"] > 0
    assert figures["repeats_held_off"] > 0
    assert figures["faults_by_kind"] == dict.fromkeys(faults.split(","), 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--faults", "node"], "with --cluster only"),
        (["--cluster", "--faults", "server"], "not with --cluster"),
        (["--faults", "disk"], "choose from"),
        (["--sagas", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    done, _ = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
