"""The program of the guide's chapter on the barrier, run as printed."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

CHAPTER = Path(__file__).parents[2] / "docs" / "guide" / "barrier.md"

DRIVER = """
import asyncio

from resaga import CompensationContext, StepContext

import bank

step = StepContext(name="Debit", saga_id="s", idempotency_key="k", services=None)
order = bank.Transfer("ann", 30)
undo = CompensationContext(
    name="Debit",
    saga_id="s",
    idempotency_key="k.undo",
    forward_idempotency_key="k",
    services=None,
    input=order,
    has_data=False,
    outcome="unknown",
)


async def main() -> None:
    await bank.set_up()
    for _ in range(2):
        async with bank.sessions.begin() as session:
            print(await bank.barrier(session, step, bank.take, order))
    for _ in range(2):
        await bank.give_back(undo, order)
    await bank.engine.dispose()


asyncio.run(main())
"""


def test_the_program(tmp_path: Path) -> None:
    """Debited twice, given back twice: it happens once each."""
    found = re.search(r"```python\n(# bank\.py\n.*?)```", CHAPTER.read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "bank.py").write_text(found[1])
    (tmp_path / "driver.py").write_text(DRIVER)
    done = subprocess.run(
        [sys.executable, "driver.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Debited(source='ann', amount=30, left=70)"] * 2
    with sqlite3.connect(tmp_path / "bank.sqlite") as database:
        assert database.execute("SELECT balance FROM accounts").fetchall() == [(100,)]
        rows = database.execute("SELECT key, state, repeats FROM resaga_barrier").fetchall()
    database.close()
    assert rows == [("k", "undone", 3)]
