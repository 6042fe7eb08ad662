"""Wallets: no transfer that fails, at whatever place, moves money."""

from __future__ import annotations

from tests.examples.running import documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("wallet")
    assert output == documented("wallet")
    assert "60 to bob: stopped by the auditor" in output
    # One of four transfers went through, and all four were counted.
    assert output.splitlines()[-2:] == [
        "anna: Statement(balance=70, tried=4)",
        "bob: Statement(balance=30, tried=0)",
    ]
