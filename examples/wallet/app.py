"""Wallets: virtual objects, so the transfers of one wallet come one after the other."""

from __future__ import annotations

import restate
from restate import TerminalError
from restate.context import ObjectContext, ObjectSharedContext

from examples.wallet.contract import Deposit, Statement, Transfer, Wallet
from resaga import (
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    SagaVirtualObject,
    StepContext,
    object_client,
    saga_step,
)

wallet = SagaVirtualObject("Wallet")


@wallet.handler(Wallet.deposit)
async def deposit(saga: Saga, _: ObjectContext, money: Deposit) -> int:
    if await saga.state.get("closed", bool):
        raise TerminalError("this wallet is closed", 410)
    balance = (await saga.state.get("balance", int) or 0) + money.amount
    await saga.state.set("balance", balance)
    await saga.state.set(f"deposit {money.id}", money.amount)
    return balance


@wallet.handler(Wallet.take_back)
async def take_back(saga: Saga, _: ObjectContext, deposit_id: str) -> None:
    amount = await saga.state.get(f"deposit {deposit_id}", int)
    if amount is None:
        return  # It never came in.
    await saga.state.set("balance", (await saga.state.get("balance", int) or 0) - amount)
    await saga.state.clear(f"deposit {deposit_id}")


# A durable step, since it calls another object. Whether the money arrived, the other wallet
# knows: the id under which it was sent is the step's idempotency key.
@saga_step("Credit", durable=True)
async def credit(step: DurableStepContext, order: Transfer) -> None:
    money = Deposit(id=step.idempotency_key, amount=order.amount)
    await object_client(step, Wallet, order.to).deposit(money)


@credit.compensate
async def take_credit_back(step: DurableCompensationContext, order: Transfer) -> None:
    await object_client(step, Wallet, order.to).take_back(step.forward_idempotency_key)


@saga_step("AskAuditor")
async def ask_auditor(_: StepContext, order: Transfer) -> None:
    if order.amount > 50:
        raise TerminalError("stopped by the auditor", 403)


@wallet.handler(Wallet.transfer)
async def transfer(saga: Saga, ctx: ObjectContext, order: Transfer) -> int:
    # What `ctx.set` writes stays, whatever becomes of the saga.
    ctx.set("tried", (await ctx.get("tried", type_hint=int) or 0) + 1)

    left = (await saga.state.get("balance", int) or 0) - order.amount
    if left < 0:
        raise TerminalError("not enough money", 402)
    # What `saga.state` writes is restored, to the byte, if the saga fails.
    await saga.state.set("balance", left)
    await credit(saga, order)
    await ask_auditor(saga, order)
    return left


@wallet.handler(Wallet.close)
async def close(saga: Saga, _: ObjectContext) -> None:
    await saga.state.set("closed", True)


@wallet.handler(Wallet.statement, kind="shared")
async def statement(ctx: ObjectSharedContext) -> Statement:
    return Statement(
        balance=await ctx.get("balance", type_hint=int) or 0,
        tried=await ctx.get("tried", type_hint=int) or 0,
    )


app = restate.app([wallet])
