"""docs/guide/encryption.md does what it says: its code encrypts what a saga leaves."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx

from resaga.server import RestateServer, Worker
from tests.support.guide import DOCS, blocks

SAGA = """
from resaga import Saga, StepContext, saga_step, saga_workflow, workflow_client


@saga_step("Wrap")
async def wrap(step: StepContext, order: str) -> str:
    return f"wrapped {order}"


@saga_workflow("EncryptedCheckout")
async def checkout(saga: Saga, order: str) -> str:
    return await wrap(saga, order)
"""

CLIENT = """
import asyncio, sys


async def main(ingress: str, order: str) -> None:
{block}
    print(receipt)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
"""


def test_what_it_prints_encrypts(tmp_path: Path) -> None:
    served, called = blocks(DOCS / "guide" / "encryption.md", "python")
    client = CLIENT.format(block=textwrap.indent(called, "    "))
    (tmp_path / "shop.py").write_text(f"{SAGA}\n\n{served}\n\n{client}", "utf-8")
    key = {"JOURNAL_KEY_2026_01": base64.b64encode(os.urandom(32)).decode()}
    with RestateServer() as server, Worker(app="shop:app", cwd=tmp_path, env=key) as worker:
        server.register(worker.uri)
        run = subprocess.run(
            [sys.executable, "shop.py", server.ingress_url, "a teapot"],
            cwd=tmp_path,
            env=os.environ | key,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout == "wrapped a teapot\n"
        journal = server.query("SELECT entry_type, raw FROM sys_journal")
        assert {"Command: Run", "Notification: Run"} <= {row["entry_type"] for row in journal}
        stored = b"".join(bytes.fromhex(row["raw"]) for row in journal)
        assert b"Wrap" in stored
        assert b"teapot" not in stored
        unencrypted = httpx.post(
            f"{server.ingress_url}/EncryptedCheckout/run",
            json="a teapot",
            timeout=60,
            trust_env=False,
        )
        assert not unencrypted.is_success
