"""The checkout: bought, declined and put back, bought once; the caller knows no code of it."""

from __future__ import annotations

import subprocess
import sys

from tests.examples.running import ROOT, documented, printed


def test_does_what_its_readme_says() -> None:
    output = printed("checkout")
    assert output == documented("checkout")
    bought, declined, *_ = output.splitlines()
    assert (bought, declined) == ("order-1: payment 1, 8 left", "order-2: 402 card declined")
    # Ten less two for each of the two that paid: the declined order left nothing behind.
    assert "teapot 6" in output


def test_the_client_imports_the_contract_alone() -> None:
    program = (
        "import sys, examples.checkout.client; "
        "print(*sorted(m for m in sys.modules if m.startswith('examples')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [
        "examples",
        "examples.checkout",
        "examples.checkout.client",
        "examples.checkout.contract",
    ]
