"""Approvals: the money comes back unless somebody says yes in time."""

from __future__ import annotations

from tests.examples.running import documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("approval")
    assert output == documented("approval")
    ends = [line for line in output.splitlines()[:7] if "open" not in line]
    assert ends == [
        "E-1: approved, 700 left",
        "E-2: 403 rejected",
        "E-3: 408 nobody decided in time",
    ]
    assert output.endswith("research 700\n")
