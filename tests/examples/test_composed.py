"""Composition: one rollback over the workflows and the module that a workflow is made of."""

from __future__ import annotations

from tests.examples.running import documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("composed")
    assert output == documented("composed")
    anna, rest = output.split("Bob: ")
    bob, cleo = rest.split("Cleo: ")
    assert anna.startswith("Anna: 200\n")
    assert bob.startswith("402 ")
    # Bob leaves the database as Anna left it.
    assert bob.splitlines()[1:] == anna.splitlines()[1:]
    assert [line.split()[:2] for line in cleo.splitlines() if "Cleo" in line] == [
        ["Cleo", "meal"],
        ["Cleo", "seat"],
    ]
