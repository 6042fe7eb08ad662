"""Registration: what does not fit is refused before any step, what is refused later is undone."""

from __future__ import annotations

from tests.examples.running import documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("registration")
    assert output == documented("registration")
    statuses = [line.split()[0] for line in output.splitlines()[:5]]
    assert statuses == ["200", "400", "400", "409", "403"]
    # Bob had an account before his plan was refused.
    assert output.endswith(":\n   1 anna@example.org free\n   anna@example.org\n")
