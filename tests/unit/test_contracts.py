"""Contracts without a server: what they are, when they are equal, what cannot be one (R16, R21)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from restate.context import ObjectContext, ObjectSharedContext, WorkflowSharedContext

from resaga import (
    Call,
    Contract,
    MisuseError,
    ObjectContract,
    Saga,
    SagaVirtualObject,
    UnsupportedTypeError,
    WorkflowContract,
    saga_restate_workflow,
    saga_workflow,
)
from tests.unit.test_options import keyed


@dataclass
class Order:
    product: str


@dataclass
class Receipt:
    id: str


class Wallet(ObjectContract, name="Wallet"):
    transfer = Call(Order, Receipt)
    get_balance = Call(None, int, name="getBalance")
    close = Call(type(None), None)


class Approval(WorkflowContract, name="Name"):
    run = Call(int, None)
    approve = Call(bool, None)


def loose(value: object) -> Any:
    """Something to be used as the checkers would not let it."""
    return value


# -- one handler ---------------------------------------------------------------------------------


def test_a_call_knows_its_names() -> None:
    assert (Wallet.transfer.name, Wallet.transfer.contract) == ("transfer", "Wallet")
    assert (Wallet.get_balance.name, Wallet.contract_name) == ("getBalance", "Wallet")
    assert list(Wallet.contract_calls) == ["transfer", "get_balance", "close"]
    assert (str(Wallet.get_balance), repr(Wallet.get_balance)) == (
        "Wallet.getBalance",
        "<Call Wallet.getBalance>",
    )
    alone = Call(None, int, name="getBalance")
    assert (str(alone), alone.contract) == ("getBalance", "")


def test_none_is_no_input_however_it_is_written() -> None:
    assert Wallet.transfer.takes_input
    assert not Wallet.get_balance.takes_input
    assert not Wallet.close.takes_input
    assert Call(Order | None, None).takes_input


def test_schemas_are_those_of_the_codec() -> None:
    schema = Wallet.transfer.input_schema()
    assert schema is not None
    assert schema["$defs"]["Order"]["required"] == ["product"]
    assert Wallet.get_balance.input_schema() is None
    assert Wallet.get_balance.output_schema() == {"type": "integer"}
    assert Wallet.close.output_schema() is None
    checkout = Contract("Checkout", Order, Receipt)
    assert (checkout.input_schema(), checkout.output_schema()) == (
        Wallet.transfer.input_schema(),
        Wallet.transfer.output_schema(),
    )


def test_values_are_written_and_read_as_their_types() -> None:
    assert Wallet.transfer.input_codec().encode(Order("tea")) == b'{"product":"tea"}'
    assert Wallet.transfer.output_codec().decode(b'{"id":"r-1"}') == Receipt("r-1")


# -- when they are equal -------------------------------------------------------------------------


def test_contracts_are_equal_by_name_and_types() -> None:
    checkout = Contract("Checkout", Order, Receipt)
    same = Contract("Checkout", Order, Receipt)
    assert checkout == same
    assert hash(checkout) == hash(same)
    assert checkout.run == same.run
    assert {checkout: 1}[same] == 1
    others: list[object] = [
        Contract("Other", Order, Receipt),
        Contract("Checkout", Receipt, Receipt),
        Contract("Checkout", Order, Order),
        Contract("Checkout", Order | None, Receipt),
        checkout.run,
        "Checkout",
        None,
    ]
    assert [other for other in others if checkout == other] == []
    assert [other for other in others if checkout.run == other] == [checkout.run]
    assert (checkout.input, checkout.output, repr(checkout)) == (
        Order,
        Receipt,
        "<Contract Checkout>",
    )


def test_nothing_is_equal_however_it_is_written() -> None:
    one, other = Contract("Tidy", None, None), Contract("Tidy", type(None), type(None))
    assert one == other
    assert hash(one) == hash(other)


def test_a_workflow_has_the_contract_it_keeps() -> None:
    @saga_workflow("Checkout")
    async def checkout(saga: Saga, order: Order | None) -> list[Receipt]:
        return []

    @saga_workflow("Tidy")
    async def tidy(saga: Saga) -> None: ...

    assert checkout.contract == Contract("Checkout", Order | None, list[Receipt])
    assert tidy.contract == Contract("Tidy", None, None)
    assert (tidy.contract.input, tidy.contract.output) == (None, None)


# -- what cannot be one --------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [Callable[[], int], Order | Receipt])
def test_r16_a_type_that_cannot_come_back_is_refused_at_once(declared: Any) -> None:
    with pytest.raises(UnsupportedTypeError, match=r"the input of Checkout\.run"):
        Contract("Checkout", declared, None)
    with pytest.raises(UnsupportedTypeError, match=r"the result of Wallet\.transfer"):
        type("Wallet", (ObjectContract,), {"transfer": Call(None, declared)}, name="Wallet")


@pytest.mark.parametrize("name", ["", None, 7])
def test_r21_it_has_the_definitions_name(name: Any) -> None:
    with pytest.raises(MisuseError, match="name"):
        Contract(name, Order, Receipt)
    with pytest.raises(MisuseError, match="Wallet"):
        type("Wallet", (ObjectContract,), {}, name=name)


def test_r21_a_subclass_of_a_contract_is_one_of_its_own_and_says_of_what() -> None:
    with pytest.raises(MisuseError, match=r'class More\(Wallet, name="\.\.\."\)'):
        type("More", (Wallet,), {})


@pytest.mark.parametrize("attribute", ["calling", "contract_name", "contract_calls"])
def test_r21_names_of_every_contract_are_no_handlers(attribute: str) -> None:
    with pytest.raises(MisuseError, match=rf"has a handler '{attribute}'.*name=\"{attribute}\""):
        type("Wallet", (ObjectContract,), {attribute: Call(None, int)}, name="Wallet")


# -- an implementation ---------------------------------------------------------------------------


async def transfer(saga: Saga, ctx: ObjectContext, order: Order) -> Receipt:
    return Receipt(order.product)


async def get_balance(ctx: ObjectSharedContext) -> int:
    return 0


async def approve(ctx: WorkflowSharedContext, approved: bool) -> None: ...


async def approve_text(ctx: WorkflowSharedContext, approved: str) -> None: ...


def test_an_implementation_has_the_contracts_name_on_the_wire() -> None:
    wallet = SagaVirtualObject("Wallet")
    balance = wallet.handler(Wallet.get_balance, kind="shared")(get_balance)
    assert (balance.service, balance.name) == ("Wallet", "getBalance")
    assert repr(balance) == "<Handler Wallet/getBalance>"
    approval = saga_restate_workflow("Name")(keyed)
    assert approval.handler(Approval.approve)(approve).name == "approve"


def test_r21_an_implementation_that_differs_is_refused() -> None:
    wallet = loose(SagaVirtualObject("Wallet"))
    with pytest.raises(MisuseError, match="takes Order, and its contract says None"):
        wallet.handler(Wallet.close)(transfer)
    approval = loose(saga_restate_workflow("Name")(keyed))
    with pytest.raises(MisuseError, match=r"takes str, and its contract says bool"):
        approval.handler(Approval.approve)(approve_text)
    with pytest.raises(MisuseError, match=r"call of Wallet.*name the definition 'Wallet'"):
        approval.handler(Wallet.close)(approve)
    with pytest.raises(MisuseError, match="a call of no contract"):
        wallet.handler(Call(Order, Receipt, name="transfer"))(transfer)


@pytest.mark.parametrize("name", [7, transfer, Wallet, True, b"transfer"])
def test_r21_what_is_no_name_is_refused(name: object) -> None:
    for definition in (SagaVirtualObject("Wallet"), saga_restate_workflow("Name")(keyed)):
        with pytest.raises(MisuseError, match="the decorator is called"):
            loose(definition).handler(name)


def test_r21_a_handler_without_a_name_is_refused() -> None:
    class Nameless:
        async def __call__(self, ctx: ObjectSharedContext) -> None: ...

    for name, fn in (("", get_balance), (None, Nameless())):
        with pytest.raises(MisuseError, match="has no name"):
            loose(SagaVirtualObject("Wallet")).handler(name, kind="shared")(fn)


# -- as a client ---------------------------------------------------------------------------------


class Told:
    """Keeps what a contract calls with."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def by_contract(
        self,
        call: Call[Any, Any],
        argument: object,
        *,
        idempotency_key: str | None,
        headers: Mapping[str, str] | None,
    ) -> Coroutine[Any, Any, Any]:
        self.calls.append((call.name, argument, idempotency_key, headers))
        return self.answer()

    async def answer(self) -> str:
        return "answer"


async def test_its_attributes_call() -> None:
    told = Told()
    wallet = Wallet(told)
    assert loose(await wallet.transfer(Order("tea"), idempotency_key="k")) == "answer"
    assert loose(await wallet.get_balance(headers={"tenant": "a"})) == "answer"
    assert told.calls == [
        ("transfer", Order("tea"), "k", None),
        ("getBalance", None, None, {"tenant": "a"}),
    ]


def test_an_unknown_handler_is_told_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no handler 'nope'\. It has: close, get_balance"):
        _ = loose(Wallet(Told())).nope
    with pytest.raises(AttributeError, match="_hidden"):
        _ = loose(Wallet(Told()))._hidden

    class Empty(ObjectContract, name="Empty"):
        pass

    with pytest.raises(AttributeError, match="It has: none"):
        _ = loose(Empty(Told())).nope
