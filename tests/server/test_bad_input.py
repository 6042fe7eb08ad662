"""Bad input gets a 4xx, with the path to the fault; no step runs, and the next saga works (R22)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pydantic
import pytest

from resaga import Saga, create_saga_workflow, saga_workflow
from resaga.serde import codec_for
from tests.support import Rig


@dataclass
class Line:
    price: float


@dataclass
class Order:
    product: str
    quantity: int
    lines: list[Line] = field(default_factory=list[Line])


DEEP = b'{"product":"x","quantity":1,"lines":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"

BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{nonsense", "invalid JSON (byte 1)"),
    "cut off": (b'{"product":"x"', "invalid JSON (incomplete)"),
    "not UTF-8": (b'{"product":"\xff","quantity":1}', "invalid JSON"),
    "another type": (b"[1, 2]", "$: expected object, got array"),
    "wrong field": (b'{"product":"x","quantity":"2"}', "$.quantity: expected int, got str"),
    "wrong field inside": (
        b'{"product":"x","quantity":2,"lines":[{"price":1},{"price":"x"}]}',
        "$.lines[1].price: expected float, got str",
    ),
    "missing field": (b'{"product":"x"}', "$: missing required field `quantity`"),
    "nested": (DEEP, "$.lines[0]: expected object, got array"),
    "NaN": (b'{"product":"x","quantity":NaN}', "invalid JSON (byte"),
    "infinite": (
        b'{"product":"x","quantity":2,"lines":[{"price":1e999}]}',
        "$.lines[0].price: number out of range",
    ),
    "negative infinity": (b'{"product":"x","quantity":-Infinity}', "invalid JSON (byte"),
    "an infinite whole number": (
        b'{"product":"x","quantity":1e999}',
        "$.quantity: number out of range",
    ),
    "a surrogate in UTF-8": (b'{"product":"\xed\xa0\x80","quantity":1}', "invalid JSON"),
    "cut off within a character": (b'{"product":"\xc3', "invalid JSON"),
    "nothing but space": (b"  ", "invalid JSON (incomplete)"),
    "null": (b"null", "$: expected object, got null"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_r22_bad_input_is_refused_before_any_step(rig: Rig, kind: str) -> None:
    content, told = BAD[kind]
    a = rig.step("A")

    @saga_workflow(rig.name("Input"))
    async def workflow(saga: Saga, order: Order) -> str:
        await a(saga, order.quantity)
        return order.product

    await rig.serve(workflow)
    error = await rig.fail(workflow, content=content)
    assert error.status == 400
    assert error.code == 400
    assert told in error.message
    assert rig.ledger.order() == []
    assert await rig.call(workflow, {"product": "next", "quantity": 1}) == "next"
    assert rig.ledger.order() == ["do A"]


class Node(pydantic.BaseModel):
    child: Node | None = None
    size: float = 0


@dataclass
class Tree:
    child: Tree | None = None


# Types in which the nesting itself is allowed: it is its depth that is refused.
LOOSE: dict[str, tuple[Any, bytes, str]] = {
    "deep array": (Any, b"[" * 500_000 + b"]" * 500_000, "$: nested too deeply"),
    "deep object": (
        dict[str, Any],
        b'{"child":' * 100_000 + b"null" + b"}" * 100_000,
        "$: nested too deeply",
    ),
    "deep dataclass": (
        Tree,
        b'{"child":' * 100_000 + b"null" + b"}" * 100_000,
        "$: nested too deeply",
    ),
    "deep model": (
        Node,
        b'{"child":' * 100_000 + b"null" + b"}" * 100_000,
        "$: nested too deeply",
    ),
    "infinite in a model": (Node, b'{"child":{"size":1e999}}', "$[...][...]: number out of range"),
    "wrong in a model": (
        Node,
        b'{"child":{"size":"s3cr3t"}}',
        "$.child.size: expected float, got str",
    ),
    "infinite in anything": (Any, b'{"s3cr3t":1e999}', "$[...]: number out of range"),
    "NaN in anything": (Any, b"[NaN]", "invalid JSON (byte 1)"),
    "a lone surrogate": (str, b'"\\ud800"', "invalid JSON"),
    "two values": (Any, b"1 2", "invalid JSON"),
    "UTF-16": (Any, '"x"'.encode("utf-16"), "invalid JSON"),
    "a key": (dict[int, int], b'{"s3cr3t":1}', "expected int, got str as a key"),
}


@pytest.mark.parametrize("kind", LOOSE)
async def test_r22_bad_input_of_loose_types_is_refused(rig: Rig, kind: str) -> None:
    declared, content, told = LOOSE[kind]
    a = rig.step("A")

    async def body(saga: Saga, value: Any) -> None:
        await a(saga, 1)

    body.__annotations__["value"] = declared
    workflow = create_saga_workflow(rig.name("Loose"), body)
    await rig.serve(workflow)
    error = await rig.fail(workflow, content=content)
    assert (error.status, error.code) == (400, 400)
    assert told in error.message
    assert "s3cr3t" not in error.message
    assert rig.ledger.order() == []
    await rig.call(workflow, content=codec_for(declared, where="here").encode(GOOD[declared]))
    assert rig.ledger.order() == ["do A"]


GOOD: dict[Any, Any] = {
    Any: [1],
    dict[str, Any]: {"a": 1},
    Tree: Tree(Tree()),
    Node: Node(child=Node()),
    str: "x",
    dict[int, int]: {1: 1},
}


async def test_r22_a_saga_whose_input_is_bad_is_over_at_once(rig: Rig) -> None:
    """It is not retried: the same bytes would never fit."""

    @saga_workflow(rig.name("Once"))
    async def workflow(saga: Saga, order: Order) -> None:
        """Never runs."""

    await rig.serve(workflow)
    invocation = await rig.send(workflow, {"product": "x"})
    assert (await invocation.error()).code == 400
    assert await invocation.failures() == []
    assert [entry.type for entry in await invocation.journal()] == ["Input", "Output"]


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}])
async def test_r22_a_missing_body_is_refused(rig: Rig, headers: dict[str, str]) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("Missing"))
    async def workflow(saga: Saga, order: Order) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    response = await rig.restate.http.post(
        f"{rig.restate.ingress}/{workflow.name}/run", headers=headers
    )
    assert response.status_code == 400, response.text
    assert rig.ledger.order() == []


async def test_r22_an_empty_body_is_refused(rig: Rig) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("Empty"))
    async def workflow(saga: Saga, order: Order) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    error = await rig.fail(workflow, content=b"")
    assert (error.status, error.code) == (400, 400)
    assert rig.ledger.order() == []
    await rig.call(workflow, {"product": "next", "quantity": 1})
    assert rig.ledger.order() == ["do A"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("text/plain", 400),
        ("application/xml", 400),
    ],
)
async def test_r22_the_content_type_has_to_be_json(
    rig: Rig, content_type: str, status: int
) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("ContentType"))
    async def workflow(saga: Saga, order: Order) -> str:
        await a(saga, 1)
        return order.product

    await rig.serve(workflow)
    response = await rig.restate.post(
        workflow,
        content=b'{"product":"x","quantity":1}',
        headers={"content-type": content_type},
    )
    assert response.status_code == status, response.text
    assert rig.ledger.order() == (["do A"] if status == 200 else [])


async def test_r22_bad_input_of_a_callee_fails_its_caller_which_rolls_back(rig: Rig) -> None:
    """The 400 crosses the call as a terminal error, and nothing of the callee has run."""
    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("CalledBadly"))
    async def callee(saga: Saga, order: Order) -> None:
        await b(saga, 1)

    @saga_workflow(rig.name("CallsBadly"))
    async def caller(saga: Saga) -> None:
        await a(saga, 1)
        await saga.ctx.generic_call(callee.name, "run", b'{"product":"x","quantity":"2"}')

    await rig.serve(callee, caller)
    error = await rig.fail(caller)
    assert (error.status, error.code) == (400, 400)
    assert "$.quantity: expected int, got str" in error.message
    assert rig.ledger.order() == ["do A", "undo A"]


async def test_r22_a_saga_without_input_takes_no_body(rig: Rig) -> None:
    @saga_workflow(rig.name("Void"))
    async def workflow(saga: Saga) -> int:
        return 1

    await rig.serve(workflow)
    assert await rig.call(workflow) == 1
    response = await rig.restate.http.post(
        f"{rig.restate.ingress}/{workflow.name}/run", json={"a": 1}
    )
    assert response.status_code == 400
