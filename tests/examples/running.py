"""Runs an example as its README says, and knows what it is to print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def documented(example: str) -> str:
    """What its README says that it prints; the command stands right before."""
    readme = (ROOT / "examples" / example / "README.md").read_text()
    (command_kind, command), (output_kind, output) = BLOCK.findall(readme)[:2]
    assert (command_kind, output_kind) == ("sh", "text")
    assert command == f".venv/bin/python -m examples.{example}\n"
    return str(output)


def run(example: str) -> subprocess.CompletedProcess[str]:
    """Run its command to the end."""
    return subprocess.run(
        [sys.executable, "-m", f"examples.{example}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def printed(example: str) -> str:
    """What it prints."""
    ran = run(example)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout
