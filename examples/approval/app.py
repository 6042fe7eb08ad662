"""An approval: the money is set aside while somebody thinks, and comes back if nobody agrees."""

from __future__ import annotations

import os

import restate
from restate import TerminalError
from restate.context import WorkflowContext, WorkflowSharedContext
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from examples.approval.contract import Approval, Expense
from examples.approval.tables import Budget
from resaga import CompensationContext, Saga, StepContext, saga_restate_workflow, saga_step
from resaga.ext.sql import barrier

sessions = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))


@saga_step("SetAside")
async def set_aside(step: StepContext, expense: Expense) -> int:
    async with sessions.begin() as session:
        return await barrier(session, step, take, expense)


@set_aside.compensate
async def give_back(step: CompensationContext[object, Expense], _: int | Expense) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, put_back, step.input)


async def take(session: AsyncSession, expense: Expense) -> int:
    budget = await session.get_one(Budget, expense.team)
    if budget.left < expense.amount:
        raise TerminalError(f"only {budget.left} left", 402)
    budget.left -= expense.amount
    return budget.left


async def put_back(session: AsyncSession, _: int, expense: Expense) -> None:
    (await session.get_one(Budget, expense.team)).left += expense.amount


@saga_restate_workflow("ApprovalWorkflow")
async def approval(saga: Saga, ctx: WorkflowContext, expense: Expense) -> str:
    left = await set_aside(saga, expense)
    # Minutes or months: meanwhile nothing of this is in memory anywhere.
    match await restate.select(
        decision=ctx.promise("decision", type_hint=bool).value(),
        timeout=ctx.sleep(expense.patience),
    ):
        case ["decision", True]:
            return f"approved, {left} left"
        case ["decision", _]:
            raise TerminalError("rejected", 403)
        case _:
            raise TerminalError("nobody decided in time", 408)


@approval.handler(Approval.decide)
async def decide(ctx: WorkflowSharedContext, approved: bool) -> None:
    await ctx.promise("decision", type_hint=bool).resolve(approved)


@approval.handler(Approval.is_open)
async def is_open(ctx: WorkflowSharedContext) -> bool:
    return await ctx.promise("decision", type_hint=bool).peek() is None


app = restate.app([approval])
