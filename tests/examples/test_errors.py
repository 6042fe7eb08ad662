"""Errors: what each one comes to at the caller, and what is left undone."""

from __future__ import annotations

from tests.examples.running import documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("errors")
    assert output == documented("errors")
    told = dict(line.split(": ", 1) for line in output.splitlines()[:6])
    assert told["bad weather"] == "shipped at try 2"
    assert told["last teapot"].startswith("409 ")
    assert told["to Atlantis"].startswith("422 ")
    assert told["heavy"] == "413 over 30 kg {'limit': '30'}"
    assert "NOT UNDONE: HoldGoods" in told["jammed door"]
    # What was shipped, and what could not be released.
    held = [line.strip() for line in output.partition("held:\n")[2].splitlines()]
    assert held == ["bad weather", "jammed door", "teapot"]
