"""Hybrid and strict: which compensations run, with which outcome, and what is left."""

from __future__ import annotations

from tests.examples.running import documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("hybrid_strict")
    assert output == documented("hybrid_strict")
    rows = [" ".join(line.split()) for line in output.splitlines()[1:]]
    assert rows == [
        "card declined hybrid failed nothing 0",
        "card declined strict not undone 0",
        "no answer hybrid unknown a charge 0",
        "no answer strict not undone 50",
        "sold out later hybrid completed a charge 0",
        "sold out later strict completed a charge 0",
    ]
