"""`resaga.ext.encryption` on a real server: nothing readable, and no rollback lost with a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from restate import TerminalError
from restate.context import ObjectContext, WorkflowContext, WorkflowSharedContext
from restate.entry_codec import JournalValueCodec

from resaga import (
    CompensationContext,
    Contract,
    Saga,
    SagaVirtualObject,
    StepContext,
    StepResponse,
    object_client,
    saga_restate_workflow,
    saga_step,
    saga_workflow,
    workflow_client,
    workflow_send_client,
)
from resaga.ext.encryption import JournalEncryption
from tests.support import Rig, until

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
SECRET = "4242-secret"


class Vault(JournalValueCodec):
    """The codec of a worker whose keys change while it runs."""

    def __init__(self, codec: JournalValueCodec) -> None:
        self.codec = codec

    def encode(self, buf: bytes) -> bytes:
        return self.codec.encode(buf)

    async def decode(self, buf: bytes) -> bytes:
        return await self.codec.decode(buf)


def texts(value: Any) -> Iterator[bytes]:
    """All that a row of SQL holds, as bytes; JSON in it taken apart, and its lists of bytes."""
    kind: str = (
        value.__class__.__name__
    )  # An `isinstance` would make the checkers know less of what is in it.
    if kind == "dict":
        yield from texts(list(value.values()))
    elif kind == "list":
        if value and all(isinstance(each, int) and 0 <= each < 256 for each in value):
            yield bytes(value)
        for each in value:
            yield from texts(each)
    elif kind == "str":
        yield value.encode()
        with suppress(ValueError):
            yield bytes.fromhex(value)
        with suppress(ValueError):
            inner = json.loads(value)
            if not isinstance(inner, str):
                yield from texts(inner)


async def stored(rig: Rig, *services: str) -> list[bytes]:
    """All that the server has about the invocations, the state and promises of services."""
    names = ", ".join(f"'{name}'" for name in services)
    ids = f"SELECT id FROM sys_invocation WHERE target_service_name IN ({names})"
    rows = [
        row
        for query in (
            f"SELECT * FROM sys_invocation WHERE target_service_name IN ({names})",
            f"SELECT * FROM sys_journal WHERE id IN ({ids})",
            f"SELECT * FROM sys_journal_events WHERE id IN ({ids})",
            f"SELECT * FROM state WHERE service_name IN ({names})",
            f"SELECT * FROM sys_promise WHERE service_name IN ({names})",
        )
        for row in await rig.restate.sql(query)
    ]
    assert len(rows) > 10
    return [text for row in rows for text in texts(row)]


@pytest.mark.parametrize("encrypted", [True, False])
async def test_nothing_on_the_server_is_readable(rig: Rig, encrypted: bool) -> None:
    """Inputs, outputs, data, failures of steps, state, promises, calls; from outside, too."""
    codec = JournalEncryption({"a": OLD}, primary="a") if encrypted else None
    wallet = SagaVirtualObject(rig.name("Wallet"))
    undone: list[Any] = []

    @saga_step("Pay")
    async def pay(step: StepContext, card: str) -> StepResponse[str, dict[str, str]]:
        return StepResponse(f"paid by {card}", {"card": card})

    @pay.compensate
    async def refund(step: CompensationContext, data: dict[str, str] | str) -> None:
        undone.append(data)

    @saga_step("Decline")
    async def decline(step: StepContext, card: str) -> StepResponse[None, str]:
        return StepResponse.permanent_failure(f"{card} is declined", card)

    @wallet.handler()
    async def spend(saga: Saga, ctx: ObjectContext, card: str) -> str:
        await saga.state.set("card", card)
        return f"spent by {await saga.state.get('card', str)}"

    @saga_restate_workflow(rig.name("Approval"))
    async def approval(saga: Saga, ctx: WorkflowContext, card: str) -> str:
        return await ctx.promise("approved", type_hint=str).value()

    @approval.handler()
    async def approve(ctx: WorkflowSharedContext, by: str) -> None:
        await ctx.promise("approved", type_hint=str).resolve(by)

    @saga_workflow(rig.name("Checkout"))
    async def checkout(saga: Saga, card: str) -> str:
        paid = await pay(saga, card)
        spent = await object_client(saga, wallet, "anna").call(spend, card)
        try:
            await decline(saga, card)
        except TerminalError as error:
            if error.message != f"{card} is declined":
                raise
        if card.endswith("fail"):
            raise TerminalError("no", 409)
        return f"{paid}, {spent}"

    await rig.serve(checkout, wallet, approval, codec=codec)
    async with rig.client(codec) as client:
        contract = Contract(checkout.name, str, str)
        output = await workflow_client(client, contract).run(SECRET)
        assert output == f"paid by {SECRET}, spent by {SECRET}"
        with pytest.raises(TerminalError, match=r"^no$"):
            await workflow_client(client, checkout).run(f"{SECRET} fail")
        assert undone == [{"card": f"{SECRET} fail"}]
        sent = await workflow_send_client(client, approval, "order-7").run(SECRET)
        await workflow_client(client, approval, "order-7").call(approve, SECRET)
        assert await sent.attach() == SECRET
    texts = await stored(rig, checkout.name, wallet.name, approval.name)
    assert any(SECRET.encode() in text for text in texts) is not encrypted
    assert any(b"Pay" in text for text in texts), "names stay readable (R23)"


LOST = {
    "missing": JournalEncryption({"b": NEW}, primary="b"),
    "wrong": JournalEncryption({"a": NEW}, primary="a"),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("when", ["forward", "rollback"])
async def test_a_key_that_is_gone_loses_nothing(rig: Rig, when: str, lost: str) -> None:
    """The saga stands still, says why, and rolls back when the key is there again."""
    good = JournalEncryption({"a": OLD}, primary="a")
    vault = Vault(good)

    def lose(phase: str) -> Any:
        def fails(attempt: int) -> Exception | None:
            if phase == when and attempt == 1:
                vault.codec = LOST[lost]
                return ValueError("a hiccup")
            return TerminalError("sold out", 409) if phase == "forward" else None

        return fails

    a = rig.step("A", undo_fails=lose("rollback"))
    b = rig.step("B", fails=lose("forward"))

    def eager(exc: Exception) -> TerminalError | None:
        return None if isinstance(exc, ValueError) else TerminalError("mapped")

    @saga_workflow(rig.name("KeyLost"), as_terminal_error=eager)
    async def workflow(saga: Saga, order: int) -> None:
        await a(saga, order)
        await b(saga, order)

    await rig.serve(workflow, codec=vault)
    invocation = await rig.send(workflow, content=good.encode(b"1"))
    await until(lambda: vault.codec is not good, "the key is lost")

    async def told() -> bool:
        return any("NotDecryptedError" in said for said in await invocation.failures())

    await until(told, "the server knows why")
    done = rig.ledger.order()
    assert await invocation.status() != "completed"
    vault.codec = good
    await invocation.resume()
    assert (await invocation.error()).message == "sold out"
    assert rig.ledger.order()[len(done) :][-1] == "undo A"
    said = next(s for s in await invocation.failures() if "NotDecryptedError" in s)
    assert "key 'a'" in said
    assert "nothing is rolled back" in said


async def test_a_result_whose_key_is_gone_is_no_failure_of_its_step(rig: Rig) -> None:
    """The input is readable and a step's result is not; the body catches what it can."""
    both = JournalEncryption({"a": OLD, "b": NEW}, primary="b")
    vault = Vault(both)
    caught: list[BaseException] = []
    hiccups: list[int] = []
    a, plan_b = rig.step("A"), rig.step("PlanB")

    @saga_workflow(rig.name("Catches"))
    async def workflow(saga: Saga, order: int) -> int:
        try:
            await a(saga, order)
            await saga.gather(a(saga, order), a(saga, order))
        except Exception as error:
            caught.append(error)
            await plan_b(saga, order)
        if not hiccups:
            hiccups.append(1)
            vault.codec = JournalEncryption({"a": OLD}, primary="a")
            raise ValueError("a hiccup")
        return order

    await rig.serve(workflow, codec=vault)
    content = JournalEncryption({"a": OLD}, primary="a").encode(b"1")
    invocation = await rig.send(workflow, content=content)

    async def told() -> bool:
        return any("key 'b'" in said for said in await invocation.failures())

    await until(told, "the server knows why")
    vault.codec = both
    await invocation.resume()
    await invocation.until_status("completed")
    assert (await invocation.row())["completion_result"] == "success"
    assert rig.ledger.order() == ["do A", "do A", "do A"]
    assert not caught


async def test_keys_are_rotated_under_a_saga_in_flight(rig: Rig) -> None:
    old = JournalEncryption({"a": OLD}, primary="a")
    vault = Vault(old)
    gate = rig.gate()
    a, b = rig.step("A"), rig.step("B", gate=gate, fails=TerminalError("no", 409))

    @saga_workflow(rig.name("Rotated"))
    async def workflow(saga: Saga, order: int) -> None:
        await a(saga, order)
        await b(saga, order)

    await rig.serve(workflow, codec=vault)
    invocation = await rig.send(workflow, content=old.encode(b"1"))
    await gate.reached()
    vault.codec = JournalEncryption({"a": OLD, "b": NEW}, primary="b")
    gate.open()
    assert (await invocation.error()).message == "no"
    assert rig.ledger.undone() == ["B", "A"]
    key_ids = {e.name: e.raw[9:10] for e in await invocation.journal() if e.raw}
    assert key_ids == {"A": b"a", "B": b"b"}


async def test_an_input_that_is_not_encrypted_is_refused_before_any_step(rig: Rig) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("Plain"))
    async def workflow(saga: Saga, order: int) -> None:
        await a(saga, order)

    vault = Vault(JournalEncryption({"a": OLD}, primary="a"))
    await rig.serve(workflow, codec=vault)
    assert (await rig.fail(workflow, 1)).code == 400
    assert rig.ledger.order() == []
    vault.codec = JournalEncryption({"a": OLD}, primary="a", accept_plaintext=True)
    assert (await rig.restate.post(workflow, 1)).status_code == 200
    assert rig.ledger.order() == ["do A"]


async def test_encryption_that_is_turned_on_loses_no_saga_in_flight(rig: Rig) -> None:
    """What is in the journal is not encrypted, and has steps to undo: no 400 any more."""
    lenient = JournalEncryption({"a": OLD}, primary="a", accept_plaintext=True)
    strict = JournalEncryption({"a": OLD}, primary="a")
    vault = Vault(lenient)

    def fails(attempt: int) -> Exception:
        if attempt == 1:
            vault.codec = strict
            return ValueError("a hiccup")
        return TerminalError("no", 409)

    a, b = rig.step("A"), rig.step("B", fails=fails)

    @saga_workflow(rig.name("TurnedOn"))
    async def workflow(saga: Saga, order: int) -> None:
        await a(saga, order)
        await b(saga, order)

    await rig.serve(workflow, codec=vault)
    invocation = await rig.send(workflow, 1)

    async def told() -> bool:
        return any("accept_plaintext=True" in said for said in await invocation.failures())

    await until(told, "the server knows why")
    vault.codec = lenient
    await invocation.resume()
    assert (await invocation.error()).message == "no"
    assert rig.ledger.undone() == ["B", "A"]
