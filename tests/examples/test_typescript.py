"""A TypeScript client, unchanged: with Restate's own client from npm, and by its JSON alone."""

from __future__ import annotations

import pytest

from examples._run import running
from examples.typescript.__main__ import NO_PACKAGES
from examples.typescript.tables import Base
from tests.examples.running import documented, run


def test_does_what_its_readme_says() -> None:
    ran = run("typescript")
    if ran.returncode == NO_PACKAGES:
        pytest.skip(f"THE TYPESCRIPT CLIENT WAS NOT TRIED, only its JSON: {ran.stderr}")
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert ran.stdout == documented("typescript")


def test_speaks_camel_case() -> None:
    """What the client sends, byte for byte; this needs neither Node.js nor a network."""
    with running("examples.typescript.app:app", Base.metadata) as here:
        assert here.post("Wallet/anna/topUp", {"amountInCents": 100}) == "200 100"
        order = {"productId": "teapot", "quantity": 2, "amountInCents": 5000}
        receipt = here.post("CheckoutWorkflow/run", order)
        assert receipt == '200 {"reservationId":1,"paidInCents":5000}'
        declined = here.post("CheckoutWorkflow/run", order | {"amountInCents": 500000})
        assert declined.startswith("402 ")
        snake = here.post("CheckoutWorkflow/run", {"product_id": "teapot", "quantity": 2})
        assert snake.startswith("400 "), snake
