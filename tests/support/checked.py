"""Programs for ``resaga check`` to look at."""

from __future__ import annotations

import importlib
import itertools
import textwrap
from pathlib import Path

from resaga.cli.check.examine import Examined, examine
from resaga.cli.check.load import load

__all__ = ["HEAD", "checked", "found", "write"]

HEAD = """
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypedDict

import restate
from restate import TerminalError
from restate.context import ObjectContext, WorkflowContext

from resaga import *


class Bank:
    async def charge(self, amount: int) -> int:
        return await self.http.post("/charges", amount)

    async def refund(self, payment: int) -> None:
        await self.http.post("/refunds", payment)


bank = Bank()


@dataclass
class Order:
    amount: int


@saga_step("Kept")
async def kept(step: StepContext, order: Order) -> None:
    await bank.charge(order.amount)


@kept.compensate
async def undo_kept(step: CompensationContext, order: Order) -> None:
    await bank.refund(order.amount)


@saga_step("Bare")
async def bare(step: StepContext, order: Order) -> None:
    await bank.charge(order.amount)


@saga_step("Last")
async def last(step: StepContext, order: Order) -> None:
    await bank.charge(order.amount)
"""
"""Steps: one with a compensation, two without."""

_numbers = itertools.count(1)


def write(folder: Path, text: str, *, head: str = HEAD) -> tuple[str, Path]:
    """Write a program; its module's name, and its file."""
    name = f"resaga_checked_{next(_numbers)}"
    file = folder / f"{name}.py"
    file.write_text(head + textwrap.dedent(text), "utf-8")
    importlib.invalidate_caches()
    return name, file


def checked(folder: Path, text: str) -> Examined:
    """What is found of a program that has an ``app``; the folder has to be on the path."""
    name, _ = write(folder, text)
    loaded = load(f"{name}:app")
    return examine(loaded.definitions, loaded.findings)


def found(examined: Examined) -> list[tuple[str, str]]:
    """Codes, and what they were found of."""
    return [(each.code, each.definition) for each in examined.findings]
