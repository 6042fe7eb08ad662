"""Virtual objects whose exclusive handlers are sagas, and `saga.state` (R9, R18)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest
from restate import TerminalError
from restate.context import ObjectContext, ObjectSharedContext

from resaga import (
    Call,
    MisuseError,
    ObjectContract,
    Saga,
    SagaFactory,
    SagaRequest,
    SagaVirtualObject,
    create_saga_virtual_object,
    saga_workflow,
)
from tests.support import Rig


@dataclass
class Transfer:
    amount: int
    to: str = "bob"


@dataclass
class Item:
    name: str


async def state_of(rig: Rig, name: str, key: str) -> dict[str, str]:
    """The state of an object, as the server has it."""
    rows = await rig.restate.sql(
        f"SELECT key, value_utf8 FROM state WHERE service_name = '{name}' AND service_key = '{key}'"
    )
    return {row["key"]: row["value_utf8"] for row in rows}


async def test_exclusive_handlers_are_sagas_and_shared_ones_are_not(rig: Rig) -> None:
    debit, credit = rig.steps("Debit", "Credit")
    wallet = SagaVirtualObject(rig.name("Wallet"))

    @wallet.handler()
    async def transfer(saga: Saga, ctx: ObjectContext, order: Transfer) -> int:
        await debit(saga, order.amount)
        await credit(saga, order.to)
        balance = (await ctx.get("balance", type_hint=int) or 0) - order.amount
        ctx.set("balance", balance)
        if balance < -10:
            raise TerminalError("overdrawn", 402)
        return balance

    @wallet.handler("getBalance", kind="shared")
    async def get_balance(ctx: ObjectSharedContext) -> int:
        return await ctx.get("balance", type_hint=int) or 0

    await rig.serve(wallet)
    assert await rig.call(wallet, {"amount": 5}, key="anna", handler="transfer") == -5
    error = await rig.fail(wallet, {"amount": 50}, key="anna", handler="transfer")
    assert error.code == 402
    assert rig.ledger.order()[2:] == ["do Debit", "do Credit", "undo Credit", "undo Debit"]
    # ctx.set is not undone: that is what saga.state is for.
    assert await rig.call(wallet, key="anna", handler="getBalance") == -55


async def test_a_rollback_restores_state_exactly(rig: Rig) -> None:
    (pay,) = rig.steps("Pay")
    wallet = SagaVirtualObject(rig.name("Wallet"))

    @wallet.handler()
    async def change(saga: Saga, ctx: ObjectContext, fail: bool) -> None:
        assert await saga.state.get("absent") is None
        assert await saga.state.get("cleared", list[Item]) == [Item("a")]
        await saga.state.set("absent", "now there")
        await saga.state.set("balance", 1)
        await pay(saga, 1)
        _ = saga.state.set("balance", 2)
        await saga.state.clear("cleared")
        await saga.state.set("items", [Item("b")], list[Item])
        assert await saga.state.get("items", list[Item]) == [Item("b")]
        ctx.set("beside", "kept")
        assert await saga.state.get("balance", int) == 2
        assert await saga.state.get("cleared") is None
        if fail:
            raise TerminalError("no", 409)

    @wallet.handler()
    async def prepare(saga: Saga, ctx: ObjectContext) -> None:
        ctx.set("balance", 100)
        await saga.state.set("cleared", [Item("a")], list[Item])
        ctx.set("untouched", {"a": [1, 2.5, None]})

    await rig.serve(wallet)
    await rig.call(wallet, key="k", handler="prepare")
    before = await state_of(rig, wallet.name, "k")
    assert (await rig.fail(wallet, True, key="k", handler="change")).code == 409
    after = await state_of(rig, wallet.name, "k")
    assert after == {**before, "beside": '"kept"'}
    assert rig.ledger.order() == ["do Pay", "undo Pay"]
    await rig.call(wallet, False, key="k", handler="change")
    assert await state_of(rig, wallet.name, "k") == {
        "absent": '"now there"',
        "balance": "2",
        "items": '[{"name":"b"}]',
        "beside": '"kept"',
        "untouched": before["untouched"],
    }


async def test_a_restored_state_takes_its_turn_among_the_compensations(rig: Rig) -> None:
    first, second = rig.steps("First", "Second")
    wallet = SagaVirtualObject(rig.name("Wallet"))

    @wallet.handler()
    async def change(saga: Saga, ctx: ObjectContext) -> None:
        await first(saga, 1)
        await saga.state.set("x", 1)
        await second(saga, 2)
        await saga.state.set("x", 2)
        raise TerminalError("no")

    await rig.serve(wallet)
    sent = await rig.send(wallet, key="k", handler="change")
    await sent.error()
    names = [
        (entry.type, entry.name)
        for entry in await sent.journal()
        if entry.type in ("Run", "SetState", "ClearState")
    ]
    # The old value of the second change was 1, that of the first one nothing.
    assert [kind for kind, _ in names] == [
        "Run", "SetState", "Run", "SetState", "SetState", "Run", "ClearState", "Run",
    ]  # fmt: skip
    assert await state_of(rig, wallet.name, "k") == {}


async def test_a_savepoint_restores_its_own_changes_only(rig: Rig) -> None:
    wallet = SagaVirtualObject(rig.name("Wallet"))

    @wallet.handler()
    async def change(saga: Saga, ctx: ObjectContext) -> int | None:
        await saga.state.set("x", 1)
        try:
            async with saga.savepoint():
                await saga.state.set("x", 2)
                await saga.state.set("y", 2)
                raise TerminalError("inside")
        except TerminalError:
            pass
        return await saga.state.get("x", int)

    await rig.serve(wallet)
    assert await rig.call(wallet, key="k", handler="change") == 1
    assert await state_of(rig, wallet.name, "k") == {"x": "1"}


async def test_changes_in_branches_are_restored(rig: Rig) -> None:
    a, b = rig.steps("A", "B")
    wallet = SagaVirtualObject(rig.name("Wallet"))

    @wallet.handler()
    async def change(saga: Saga, ctx: ObjectContext) -> None:
        async def branch(name: str) -> None:
            await (a if name == "a" else b)(saga, 1)
            await saga.state.set(name, 1)
            await a(saga, 2)

        await saga.gather(branch("a"), branch("b"))
        raise TerminalError("no")

    await rig.serve(wallet)
    await rig.fail(wallet, key="k", handler="change")
    assert await state_of(rig, wallet.name, "k") == {}
    assert len(rig.ledger.undone()) == 4


async def test_state_is_restored_after_a_cancel(rig: Rig) -> None:
    gate = rig.gate()
    slow = rig.step("Slow", gate=gate)
    wallet = SagaVirtualObject(rig.name("Wallet"), state_preload=False)

    @wallet.handler()
    async def change(saga: Saga, ctx: ObjectContext) -> None:
        await saga.state.set("x", 1)
        await slow(saga, 1)
        await saga.state.set("x", 2)

    await rig.serve(wallet)
    sent = await rig.send(wallet, key="k", handler="change")
    await gate.reached()
    await rig.cancel_in_flight(sent, wallet)
    gate.open()
    assert (await sent.error()).code == 409
    assert await state_of(rig, wallet.name, "k") == {}
    assert rig.ledger.order() == ["do Slow", "undo Slow"]


async def test_state_is_restored_after_a_crash_in_the_rollback(rig: Rig) -> None:
    gate = rig.gate()
    wallet = SagaVirtualObject(rig.name("Wallet"))
    pay = rig.step("Pay", undo_gate=gate)

    @wallet.handler()
    async def change(saga: Saga, ctx: ObjectContext) -> None:
        ctx.set("x", 7)
        await saga.state.set("x", 8)
        await pay(saga, 1)
        await saga.state.set("x", 9)
        raise TerminalError("no")

    wire = await rig.serve_on_wire(wallet)
    sent = await rig.send(wallet, key="k", handler="change")
    await gate.reached()
    wire.cut()
    gate.open()
    await sent.error()
    assert await state_of(rig, wallet.name, "k") == {"x": "7"}


async def test_r14_r21_where_there_is_no_state(rig: Rig) -> None:
    @saga_workflow(rig.name("Plain"))
    async def plain(saga: Saga) -> None:
        try:
            await saga.state.get("x")
        except MisuseError as error:
            raise TerminalError(str(error)) from None

    await rig.serve(plain)
    assert "has no state. Make it a SagaVirtualObject" in (await rig.fail(plain)).message


async def test_r22_input_is_validated_in_both_kinds(rig: Rig) -> None:
    wallet = SagaVirtualObject(rig.name("Wallet"))

    @wallet.handler()
    async def transfer(saga: Saga, ctx: ObjectContext, order: Transfer) -> None: ...

    @wallet.handler(kind="shared")
    async def look(ctx: ObjectSharedContext, order: Transfer) -> None: ...

    await rig.serve(wallet)
    for handler in ("transfer", "look"):
        error = await rig.fail(wallet, {"amount": "5"}, key="k", handler=handler)
        assert error.code == 400
        assert "$.amount: expected int, got str" in error.message


async def test_options_of_a_handler_replace_those_of_the_object(rig: Rig) -> None:
    wallet = SagaVirtualObject(
        rig.name("Wallet"), as_terminal_error=lambda e: TerminalError("of the object", 418)
    )

    @wallet.handler(as_terminal_error=lambda e: TerminalError("of the handler", 419))
    async def own(saga: Saga, ctx: ObjectContext) -> None:
        raise KeyError

    @wallet.handler()
    async def plain(saga: Saga, ctx: ObjectContext) -> None:
        raise KeyError

    @wallet.handler(kind="shared")
    async def shared(ctx: ObjectSharedContext) -> None:
        raise KeyError

    @wallet.handler(deadline=timedelta(milliseconds=200))
    async def late(saga: Saga, ctx: ObjectContext) -> None:
        await rig.step("Before")(saga, 1)
        await ctx.sleep(timedelta(seconds=60))

    await rig.serve(wallet)
    expected = {"own": 419, "plain": 418, "shared": 418, "late": 408}
    for handler, code in expected.items():
        assert (await rig.fail(wallet, key="k", handler=handler)).code == code
    assert rig.ledger.undone() == ["Before"]


async def test_functions_make_the_same_and_a_copy_has_services(rig: Rig) -> None:
    async def whose(saga: Saga[str], ctx: ObjectContext) -> str:
        return saga.services

    async def key_of(ctx: ObjectSharedContext) -> str:
        return ctx.key()

    @asynccontextmanager
    async def provide(request: SagaRequest) -> AsyncGenerator[str]:
        yield f"services of {request.key}"

    wallet = create_saga_virtual_object(rig.name("Wallet"), {"whose": whose}, {"keyOf": key_of})
    copy = wallet.with_services(provide)
    made = SagaFactory(services_from=provide).virtual_object(rig.name("Made"))
    made.handler()(whose)
    await rig.serve(copy, made)
    assert await rig.call(copy, key="k", handler="whose") == "services of k"
    assert await rig.call(copy, key="k", handler="keyOf") == "k"
    assert await rig.call(made, key="k", handler="whose") == "services of k"


class Wallet(ObjectContract, name="Wallet"):
    transfer = Call(Transfer, int)
    get_balance = Call(None, int, name="getBalance")


def test_a_contract_checks_an_implementation() -> None:
    wallet = SagaVirtualObject("Wallet")

    @wallet.handler(Wallet.transfer)
    async def transfer(saga: Saga, ctx: ObjectContext, order: Transfer) -> int:
        return 1

    @wallet.handler(Wallet.get_balance, kind="shared")
    async def get_balance(ctx: ObjectSharedContext) -> int:
        return 1

    assert (transfer.name, get_balance.name) == ("transfer", "getBalance")

    async def gives_text(saga: Saga, ctx: ObjectContext, order: Transfer) -> str:
        return ""

    async def takes_nothing(saga: Saga, ctx: ObjectContext) -> int:
        return 1

    keeps: Any = SagaVirtualObject("Wallet").handler(Wallet.transfer)
    with pytest.raises(MisuseError, match=r"returns str, and its contract says int"):
        keeps(gives_text)
    with pytest.raises(MisuseError, match=r"takes None, and its contract says Transfer"):
        keeps(takes_nothing)
    with pytest.raises(MisuseError, match="which is a call of Wallet"):
        SagaVirtualObject("Purse").handler(Wallet.transfer)(transfer_of)


async def transfer_of(saga: Saga, ctx: ObjectContext, order: Transfer) -> int:
    return 1


def test_r21_what_cannot_be_a_handler_is_refused() -> None:
    wallet = SagaVirtualObject("Wallet")

    async def takes_no_context(saga: Saga) -> None: ...
    def plain(saga: Saga, ctx: ObjectContext) -> None: ...

    loose: Any = wallet
    with pytest.raises(MisuseError, match="the saga and the Restate context"):
        loose.handler()(takes_no_context)
    with pytest.raises(MisuseError, match="not an async def"):
        loose.handler()(plain)
    with pytest.raises(MisuseError, match="kind='both'"):
        loose.handler(kind="both")
    with pytest.raises(MisuseError, match=r"deadline=\.\.\., and no saga"):
        loose.handler(kind="shared", deadline=timedelta(1))(takes_no_context)
    with pytest.raises(TypeError, match="has no option 'colour'"):
        cast("Any", SagaVirtualObject)("Wallet", colour="red")
    with pytest.raises(MisuseError, match="is called: @wallet"):
        loose.handler(transfer_of)
