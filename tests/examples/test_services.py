"""Services from a container: each tenant has a shelf, each action a session, a rollback both."""

from __future__ import annotations

from tests.examples.running import documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("services")
    assert output == documented("services")
    sold, expired, not_there, *shelves = output.splitlines()
    assert sold == '200 "paid to north"'
    assert expired.startswith("402 ")
    assert not_there.startswith("409 ")
    # One basket was sold; what the others had reserved is back, each on its tenant's shelf.
    assert [shelf.strip() for shelf in shelves] == [
        "north cup 8",
        "north teapot 9",
        "south cup 10",
        "south teapot 0",
    ]
