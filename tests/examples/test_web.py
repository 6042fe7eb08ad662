"""The application: one sale for one key, problems for errors, and a status to come back for."""

from __future__ import annotations

from tests.examples.running import documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("web")
    assert output == documented("web")
    sold, again, declined, nobody, accepted, ended, *sales = output.splitlines()
    assert sold == again == '200 application/json {"sale":1,"sold_by":"north"}'
    assert declined.startswith("402 application/problem+json ")
    assert nobody.startswith("400 application/problem+json ")
    assert accepted == "202 running"
    assert ended.startswith("failed ")
    assert sales == ["sales:", "   1 north anna teapot"]
