"""`resaga check` on definitions: services, retries, types, names; loading them, and silencing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import fastapi
import pytest
import restate
from starlette.routing import Mount

from resaga import Saga, saga_workflow
from resaga.cli.check.findings import CODES, Finding
from resaga.cli.check.load import load
from resaga.cli.check.sagas import definitions_of
from resaga.cli.check.show import as_json
from resaga.cli.trouble import BadInput
from tests.support.checked import checked, found, write


@pytest.fixture(autouse=True)
def _on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def line_of(finding: Finding) -> str:
    """The line that a finding is at."""
    assert finding.place is not None
    return finding.place.file.read_text("utf-8").splitlines()[finding.place.line - 1]


# RS201 to RS203: services

SHOP = """
class Shop:
    tenant: str


class Table(TypedDict):
    user: str


class HasTenant(Protocol):
    tenant: str


class HasUser(Protocol):
    user: str


@asynccontextmanager
async def shop_of(request: SagaRequest) -> AsyncIterator[Shop]:
    yield Shop()


@saga_step("Sell")
async def sell(step: StepContext[{needed}], order: Order) -> None:
    await step.services.sell(order)


@saga_workflow("W"{options})
async def w(saga: Saga{saga}, order: Order) -> None:
    await sell(saga, order)


app = restate.app([{served}])
"""

SERVICES = {
    "none at all": ("object", "[Shop]", "", "RS201"),
    "none for a step": ("Shop", "", "", "RS201"),
    "needs none": ("object", "", "", None),
    "any will do": ("Any", "[Any]", "", None),
    "the object": ("Shop", "[Shop]", ", services=Shop()", None),
    "another object": ("Shop", "[Shop]", ", services=bank", "RS202"),
    "a table": ("Table", "[Table]", ", services={'user': 'me'}", None),
    "a provider": ("Shop", "[Shop]", ", services_from=shop_of", None),
    "another provider": ("Bank", "", ", services_from=shop_of", "RS202"),
    "a provider of which nothing is known": ("Bank", "", ", services_from=lambda r: r", None),
    "a protocol": ("HasTenant", "", ", services_from=shop_of", None),
    "a protocol that it does not keep": ("HasUser", "", ", services_from=shop_of", "RS202"),
}


@pytest.mark.parametrize("case", SERVICES)
def test_services_that_are_needed(case: str, tmp_path: Path) -> None:
    needed, saga, options, code = SERVICES[case]
    text = SHOP.format(needed=needed, saga=saga, options=options, served="w")
    assert found(checked(tmp_path, text)) == ([] if code is None else [(code, "W")])


def test_a_bound_copy_has_services(tmp_path: Path) -> None:
    text = SHOP.format(needed="Shop", saga="[Shop]", options="", served="w.with_services(shop_of)")
    assert found(checked(tmp_path, text)) == []


INJECTED = """
from dishka import make_async_container
from resaga.ext.dishka import FromDishka, SagaProvider, dishka_services


@saga_step("Sell")
async def sell(step: StepContext, order: Order, at: {asks}) -> None:
    await at.sell(order)


@saga_workflow("W"{options})
async def w(saga: Saga, order: Order) -> None:
    await sell(saga, order)


app = restate.app([w])
"""

CONTAINER = ", services_from=dishka_services(make_async_container(SagaProvider()))"


@pytest.mark.parametrize(
    ("asks", "options", "code"),
    [
        ("FromDishka[Bank]", "", "RS203"),
        ("FromDishka[Bank]", CONTAINER, None),
        ("Bank", CONTAINER, "RS203"),
        ("Bank = bank", "", None),
    ],
)
def test_parameters_that_are_injected(
    asks: str, options: str, code: str | None, tmp_path: Path
) -> None:
    examined = checked(tmp_path, INJECTED.format(asks=asks, options=options))
    assert found(examined) == ([] if code is None else [(code, "step Sell")])


# RS301, RS302: retries

RETRIES = """
@saga_step("Tried"{retry})
async def tried(step: StepContext, order: Order) -> None:
    await bank.charge(order.amount)


@tried.compensate
async def undo(step: CompensationContext, order: Order) -> None:
    await bank.refund(order.amount)


@saga_restate_workflow("W"{options})
async def w(saga: Saga, ctx: WorkflowContext, order: Order) -> None:
    await tried(saga, order)


app = restate.app([w])
"""
DEADLINE = ", deadline=timedelta(minutes=5)"


@pytest.mark.parametrize(
    ("retry", "options", "codes"),
    [
        (", retry=Retry(initial_interval=timedelta(1))", DEADLINE, ["RS301"]),
        (", retry=Retry()", DEADLINE, ["RS301"]),
        (", compensation_retry=Retry(factor=2.0)", DEADLINE, ["RS302"]),
        (", retry=Retry(max_attempts=3)", DEADLINE, []),
        (", retry=Retry(max_duration=timedelta(minutes=1))", DEADLINE, []),
        ("", DEADLINE, []),
        (", retry=Retry(), compensation_retry=Retry()", "", []),
    ],
)
def test_retries_that_never_end(retry: str, options: str, codes: list[str], tmp_path: Path) -> None:
    examined = checked(tmp_path, RETRIES.format(retry=retry, options=options))
    assert [each.code for each in examined.findings] == codes


# RS401 to RS404: what resaga, or the SDK, refuses


def test_a_type_that_json_cannot_carry(tmp_path: Path) -> None:
    text = """
@saga_step("Read")
async def read(step: StepContext, order: Order) -> Order | Bank:
    return order


app = restate.app([])
"""
    (finding,) = checked(tmp_path, text).findings
    assert (finding.code, finding.definition, line_of(finding)) == (
        "RS401",
        "read",
        '@saga_step("Read")',
    )
    assert finding.what.startswith("step 'Read', output: Order | Bank cannot go through JSON")
    assert finding.mend


def test_a_type_that_is_refused_when_its_names_are_known(tmp_path: Path) -> None:
    text = """
@saga_step("Read")
async def read(step: StepContext, order: Order) -> Later:
    return order


class Later:
    pass


@saga_step("Lost")
async def lost(step: StepContext, order: Order) -> Missing:
    return order


@saga_workflow("W")
async def w(saga: Saga, order: Order) -> None:
    await read(saga, order)
    await lost(saga, order)


app = restate.app([w])
"""
    codes = [each for each in found(checked(tmp_path, text)) if each[0] != "RS101"]
    assert codes == [("RS401", "step Read"), ("RS402", "step Lost")]


TWICE = """
@saga_workflow("W")
async def one(saga: Saga[Bank], order: Order) -> None:
    await kept(saga, order)


@saga_workflow("W")
async def other(saga: Saga, order: Order) -> None:
    await kept(saga, order)


app = restate.app([one, other])
"""


def test_two_definitions_of_one_name(tmp_path: Path) -> None:
    """The first is looked at, though there is no app."""
    (services, twice) = checked(tmp_path, TWICE).findings
    assert (services.code, services.definition) == ("RS201", "W")
    assert (twice.code, twice.definition) == ("RS403", "W")
    assert line_of(twice) == "app = restate.app([one, other])"


def test_two_handlers_of_one_name(tmp_path: Path) -> None:
    text = """
wallet = SagaVirtualObject("Wallet")


@wallet.handler("pay")
async def pay(saga: Saga, ctx: ObjectContext) -> None: ...


@wallet.handler("pay")
async def pay_again(saga: Saga, ctx: ObjectContext) -> None: ...


app = restate.app([wallet])
"""
    assert found(checked(tmp_path, text)) == [("RS403", "Wallet/pay")]


def test_a_definition_that_is_refused(tmp_path: Path) -> None:
    text = """
@saga_workflow("W", deadline=timedelta())
async def w(saga: Saga, order: Order) -> None: ...


app = restate.app([w])
"""
    (finding,) = checked(tmp_path, text).findings
    assert (finding.code, finding.definition) == ("RS404", "w")
    assert finding.what == "deadline of workflow W is 0:00:00"
    assert finding.mend == "give a duration above zero, or leave it out"
    assert line_of(finding).startswith("@saga_workflow")


def test_what_is_refused_cannot_be_silenced(tmp_path: Path) -> None:
    text = """
@saga_workflow("W", deadline=timedelta())  # resaga: ignore[RS404]
async def w(saga: Saga, order: Order) -> None: ...


app = restate.app([w])
"""
    assert found(checked(tmp_path, text)) == [("RS404", "w")]


# Loading


def test_definitions_are_found_where_the_app_is_mounted() -> None:
    @saga_workflow("W")
    async def workflow(saga: Saga) -> None: ...

    app = restate.app([workflow])
    api = fastapi.FastAPI(routes=[Mount("/restate", app=app)])

    async def wrapped(scope: object, receive: object, send: object) -> None:
        await app(scope, receive, send)

    for each in (app, api, wrapped):
        assert definitions_of(each) == [workflow]
    assert definitions_of(fastapi.FastAPI()) is None


def test_what_serves_nothing_of_restates_is_bad_input(tmp_path: Path) -> None:
    name, _ = write(tmp_path, "def app() -> None: ...")
    with pytest.raises(BadInput, match="is no app of Restate's"):
        load(f"{name}:app")


def test_what_does_not_import_is_bad_input(tmp_path: Path) -> None:
    name, _ = write(tmp_path, "raise ValueError('Service Bank already exists')")
    with pytest.raises(BadInput, match="does not import"):
        load(f"{name}:app")


# Silencing

SILENCED = """
{above}
@saga_step("Tried"){decorator}
async def tried(  {head}
    step: StepContext, order: Order
) -> None:
    await bank.charge(order.amount)  {inside}


@saga_workflow("W")
async def w(saga: Saga, order: Order) -> None:
    await tried(saga, order)  {call}
    await last(saga, order)


app = restate.app([w])
"""

IGNORE = "# resaga: ignore[RS101] nothing to undo"


@pytest.mark.parametrize(
    ("where", "comment", "silenced"),
    [
        ("above", IGNORE, True),
        ("decorator", f"  {IGNORE}", True),
        ("head", IGNORE, True),
        ("call", IGNORE, True),
        ("call", "# resaga: ignore[RS102, RS101]", True),
        ("inside", IGNORE, False),
        ("head", "# resaga: ignore[RS102]", False),
        ("head", "# resaga: ignore", False),
        ("head", "# noqa: RS101", False),
    ],
)
def test_a_comment_silences_by_code_where_it_is_defined(
    where: str, comment: str, silenced: bool, tmp_path: Path
) -> None:
    places = dict.fromkeys(("above", "decorator", "head", "inside", "call"), "")
    examined = checked(tmp_path, SILENCED.format(**{**places, where: comment}))
    expected = [("RS101", "step Tried")]
    assert found(examined) == ([] if silenced else expected)
    assert [(each.code, each.definition) for each in examined.silenced] == (
        expected if silenced else []
    )


def test_a_comment_silences_where_a_step_is_made_without_decorators(tmp_path: Path) -> None:
    text = """
async def pay(step: StepContext, order: Order) -> None:
    await bank.charge(order.amount)


loud = create_saga_step("Loud", pay)
quiet = create_saga_step("Quiet", pay)  # resaga: ignore[RS101] it undoes itself


@saga_workflow("W")
async def w(saga: Saga, order: Order) -> None:
    await loud(saga, order)
    await quiet(saga, order)
    await last(saga, order)


app = restate.app([w])
"""
    assert found(checked(tmp_path, text)) == [("RS101", "step Loud")]


def test_json_has_all_of_it(tmp_path: Path) -> None:
    text = SILENCED.format(above="", decorator="", head="", inside="", call="")
    examined = checked(tmp_path, text)
    told = json.loads(as_json("shop:app", examined, None))
    (finding,) = told["findings"]
    assert set(finding) == {"code", "title", "definition", "file", "line", "what", "why", "mend"}
    assert finding["title"] == CODES["RS101"]
    assert (told["sagas"], told["steps"]) == (["W"], ["Tried", "Last"])
