"""`resaga check` on steps and compensations: RS101 to RS104, and what is none of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from resaga.cli.check.findings import Finding
from tests.support.checked import checked, found

BARE = [("RS101", "step Bare")]


@pytest.fixture(autouse=True)
def _on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def body(lines: str, *, signature: str = "saga: Saga, order: Order") -> str:
    """A workflow with this body."""
    inner = "\n".join(f"    {line}" for line in lines.strip("\n").splitlines())
    return f"""
@saga_workflow("W")
async def w({signature}) -> None:
{inner}


app = restate.app([w])
"""


# RS101: what comes after a step without a compensation

AFTER = {
    "a step": """
await bare(saga, order)
await last(saga, order)
""",
    "a step with a compensation": """
await bare(saga, order)
await kept(saga, order)
""",
    "a terminal error": """
await bare(saga, order)
if order.amount > 5:
    raise TerminalError("too much")
""",
    "a call of another service": """
await bare(saga, order)
await service_client(saga, "Other").call("x", order)
""",
    "a call through the context": """
await bare(saga, order)
await saga.ctx.service_call(w.run, order)
""",
    "the next round of a loop": """
for _ in range(3):
    await bare(saga, order)
""",
    "a later round": """
while order.amount:
    if order.amount == 1:
        await bare(saga, order)
        continue
    await kept(saga, order)
""",
    "one beside it": """
await saga.gather(bare(saga, order), last(saga, order))
""",
    "itself in other branches": """
await saga.gather(*(bare(saga, order) for _ in range(3)))
""",
    "itself by map": """
await saga.gather(*map(lambda one: bare(saga, one), [order, order]))
""",
    "a step in one arm": """
await bare(saga, order)
if order.amount:
    await last(saga, order)
""",
    "a step after try": """
try:
    await bare(saga, order)
except TerminalError:
    pass
await last(saga, order)
""",
    "a step in finally": """
try:
    await bare(saga, order)
finally:
    await last(saga, order)
""",
    "a step in a savepoint": """
async with saga.savepoint():
    await bare(saga, order)
    await last(saga, order)
""",
    "a step in a match": """
await bare(saga, order)
match order.amount:
    case 1:
        return
    case _:
        await last(saga, order)
""",
    "what cannot be seen": """
await bare(saga, order)
await vars(bank)["run"](saga)
""",
    "by another name": """
step = kept if order.amount else bare
await step(saga, order)
await last(saga, order)
""",
    "from a table": """
steps = {"bare": bare, "kept": kept}
await steps[str(order.amount)](saga, order)
await last(saga, order)
""",
    "in a list": """
for step in (kept, bare, kept):
    await step(saga, order)
""",
    "in a function within": """
async def inner() -> None:
    await bare(saga, order)

await inner()
await last(saga, order)
""",
    "in a nested saga": """
await run_nested_saga(saga, lambda inner: bare(inner, order))
await last(saga, order)
""",
}


@pytest.mark.parametrize("case", AFTER)
def test_a_step_without_compensation_that_more_comes_after(case: str, tmp_path: Path) -> None:
    examined = checked(tmp_path, body(AFTER[case]))
    codes = [each for each in found(examined) if each[1] == "step Bare"]
    assert codes == BARE, examined


SAFE = {
    "last": "await kept(saga, order)\nawait bare(saga, order)",
    "a pivot after it": """
await bare(saga, order)
saga.pivot()
await kept(saga, order)
""",
    "a return after it": """
if order.amount:
    await bare(saga, order)
    return
await kept(saga, order)
""",
    "a break after it": """
while True:
    if order.amount:
        await bare(saga, order)
        break
    await kept(saga, order)
""",
    "in either arm": """
if order.amount:
    await bare(saga, order)
else:
    await last(saga, order)
""",
    "a handler of its own failure": """
try:
    await bare(saga, order)
except TerminalError as error:
    raise TerminalError("really not") from error
""",
    "an error that is retried": """
await bare(saga, order)
raise ValueError("weather")
""",
    "something is sent": """
await bare(saga, order)
service_send_client(saga, "Other").call("x", order)
print(saga)
""",
    "it is handed on": """
await bare(saga, order)
helper = vars(bank)["Helper"](saga)
""",
}


@pytest.mark.parametrize("case", SAFE)
def test_nothing_can_fail_after_it(case: str, tmp_path: Path) -> None:
    examined = checked(tmp_path, body(SAFE[case]))
    assert found(examined) == []
    assert examined.steps


ACTIONS = {
    "a sketch": ("return None", True),
    "a sketch that waits": ("await asyncio.sleep(0)\nreturn None", True),
    "a sketch of a value": ("order = Order(max(order.amount, 3))", True),
    "something by chance": ("return random.choice([1, 2])", False),
    "a list of the module's": ("table.append(order.amount)", True),
    "a look at the module's list": ("return table[order.amount]", False),
    "a check": (
        "if order.amount > 5:\n    raise TerminalError(f'{order.amount:,} is too much')",
        False,
    ),
    "a question": ("await bank.get_rate(order.amount)", False),
    "a query": ("async with shop() as session:\n    await session.execute(select(1))", False),
    "a statement": ("async with shop() as session:\n    await session.execute(insert(1))", True),
    "a list of its own": ("mine = [await bank.get_rate(1)]\nmine.append(Order(2))", False),
    "a log": ("logger.info('hello')\nassert order.amount", False),
    "a question and a change": ("await bank.get_or_create(order.amount)", True),
    "a call": ("await bank.http.post(order.amount)", True),
    "a function of mine": ("await really(order)", True),
    "a harmless function of mine": ("await harmless(order)", False),
    "a change of what is not its own": ("order.amount = 5", True),
    "a deletion": ("del table[order.amount]", True),
    "a call in what is asked": ("await bank.get_rate(await bank.http.post(1))", True),
    "a thread": ("await asyncio.to_thread(order.save)", True),
}


@pytest.mark.parametrize("case", ACTIONS)
def test_only_what_has_effects_needs_a_compensation(case: str, tmp_path: Path) -> None:
    code, has_effects = ACTIONS[case]
    action = "\n".join(f"    {line}" for line in code.splitlines())
    examined = checked(
        tmp_path,
        f"""
async def really(order: Order) -> None:
    await bank.charge(order.amount)


async def harmless(order: Order) -> int:
    return await bank.get_rate(order.amount)


import random

table: list[int] = []


@saga_step("Tried")
async def tried(step: StepContext, order: Order) -> None:
{action}
"""
        + body("await tried(saga, order)\nawait last(saga, order)"),
    )
    assert found(examined) == ([("RS101", "step Tried")] if has_effects else [])


def test_the_name_of_a_sketch_tells_what_it_will_do(tmp_path: Path) -> None:
    examined = checked(
        tmp_path,
        """
@saga_step("Quote")
async def quote_price(step: StepContext, order: Order) -> int:
    return order.amount


@saga_step("Tried")
async def hold_price(step: StepContext, order: Order) -> int:
    return order.amount
"""
        + body(
            "await quote_price(saga, order)\nawait hold_price(saga, order)\nawait last(saga, order)"
        ),
    )
    assert found(examined) == [("RS101", "step Tried")]


def test_modules_and_workflows_inside_are_followed(tmp_path: Path) -> None:
    examined = checked(
        tmp_path,
        """
@saga_module
async def part(saga: Saga, order: Order, *, by: Any) -> None:
    await by(saga, order)


@saga_workflow("Inner")
async def inner(saga: Saga, order: Order) -> None:
    await part(saga, order, by=bare)


@saga_workflow("Outer")
async def outer(saga: Saga, order: Order) -> None:
    await inner.run_as_step(saga, order)
    await last(saga, order)


app = restate.app([inner, outer])
""",
    )
    assert found(examined) == BARE
    assert "in Outer" in examined.findings[0].what
    assert examined.unseen == []


def test_methods_are_followed_where_their_object_is_known(tmp_path: Path) -> None:
    examined = checked(
        tmp_path,
        """
class Part:
    step = bare

    def __init__(self) -> None:
        self.other = last

    async def run(self, inner: Saga, order: Order) -> None:
        await self.step(inner, order)
        await self.other(inner, order)

    async def __call__(self, saga: Saga, order: Order) -> None:
        await self.run(saga, order)

    async def body(self, saga: Saga, order: Order) -> None:
        await part(saga, order)


part = Part()
app = restate.app([create_saga_workflow("W", part.body)])
""",
    )
    assert found(examined) == BARE
    assert examined.unseen == []


def test_what_cannot_be_followed_is_said(tmp_path: Path) -> None:
    examined = checked(tmp_path, body("await vars(bank)['run'](saga)\nawait kept(saga, order)"))
    assert [each.definition for each in examined.unseen] == ["W"]
    assert "vars(bank)['run']" in examined.unseen[0].what
    assert found(examined) == []


# RS102: data that may be the input; RS104: nothing is done then

UNDO: dict[str, tuple[str, list[str]]] = {
    "uses it": ("await bank.refund(data)", ["RS102"]),
    "hands it on": ("await bank.refund(str(data))", ["RS102"]),
    "does not use it": ("await bank.refund(step.input)", []),
    "goes by the key": ("await bank.refund(data, key=step.forward_idempotency_key)", []),
    "hands on its context": ("await bank.undo(step, data)", []),
    "asks has_data": ("if step.has_data:\n    await bank.refund(data)", ["RS104"]),
    "asks has_data, else": (
        "if step.has_data:\n    await bank.refund(data)\nelse:\n    await bank.find_and_refund(1)",
        [],
    ),
    "returns without": ("if not step.has_data:\n    return\nawait bank.refund(data)", ["RS104"]),
    "asks the outcome": ("if step.outcome == 'completed':\n    await bank.refund(1)", ["RS104"]),
    "asks for unknown": ("if step.outcome != 'failed':\n    await bank.refund(1)", []),
    "asks whether it failed": ("if not step.failed:\n    await bank.refund(data)", ["RS104"]),
    "asks for more": ("if step.has_data or await bank.is_paid(1):\n    bank.refund(1)", []),
    "matches one": ("match data:\n    case str(): await bank.refund(data)", ["RS104"]),
    "matches both": ("match data:\n    case str() | int(): await bank.refund(data)", []),
    "matches each": (
        "match data:\n    case str(): await bank.refund(data)\n    case _: await bank.refund(1)",
        [],
    ),
    "asks for the type": ("if isinstance(data, str):\n    await bank.refund(data)", ["RS104"]),
    "asks for the other": ("if isinstance(data, int):\n    await bank.refund(data)", []),
    "a sketch": ("pass", []),
    "in a transaction": (
        "async with bank.begin():\n    if step.has_data:\n        await bank.refund(data)",
        ["RS104"],
    ),
    "tries": (
        "try:\n    if step.has_data:\n        await bank.refund(1)\nexcept ValueError:\n    raise",
        ["RS104"],
    ),
}


def charging(undo: str, *, returns: str, takes: str, strict: str = "", data: str = "Any") -> str:
    code = "\n".join(f"    {line}" for line in undo.splitlines())
    given = f", amount: {takes}" if takes else ""
    argument = ", 1" if takes else ""
    return f"""
@saga_step{strict}("Charge")
async def charge(step: StepContext{given}) -> {returns}:
    return await bank.charge(1)


class Table(TypedDict):
    name: str


@charge.compensate
async def refund(step: CompensationContext, data: {data}) -> None:
{code}
""" + body(f"await charge(saga{argument})", signature="saga: Saga")


@pytest.mark.parametrize("case", UNDO)
def test_a_compensation_that_takes_its_data_for_granted(case: str, tmp_path: Path) -> None:
    code, codes = UNDO[case]
    examined = checked(tmp_path, charging(code, returns="str", takes="int"))
    assert found(examined) == [(each, "step Charge") for each in codes]


TYPES = {
    "one type for both": ("int", "int", "", True),
    "another type": ("Order", "int", "", True),
    "no input": ("int", "", "", True),
    "a record for both": ("Order", "Order", "", False),
    "records for both": ("list[Order]", "list[Order]", "", False),
    "no data": ("None", "int", "", False),
    "a strict step": ("int", "int", "_strict", False),
    "data of a response": ("StepResponse[None, str]", "int", "", True),
    "no data of a response": ("StepResponse[None]", "int", "", False),
}


@pytest.mark.parametrize("case", TYPES)
def test_the_step_decides_whether_there_may_be_no_data(case: str, tmp_path: Path) -> None:
    returns, takes, strict, wrong = TYPES[case]
    text = charging("await bank.refund(data)", returns=returns, takes=takes, strict=strict)
    examined = checked(tmp_path, text)
    assert found(examined) == ([("RS102", "step Charge")] if wrong else [])


@pytest.mark.parametrize(
    ("data", "undo", "wrong"),
    [
        ("str", "pass", True),
        ("str | int", "pass", False),
        ("object", "pass", False),
        ("Any", "pass", False),
        ("Table", "pass", False),
        ("float | str", "pass", False),
        ("str", "await bank.refund(step.input)", False),
        ("str", "await bank.refund(step.forward_idempotency_key)", False),
    ],
)
def test_an_annotation_that_does_not_admit_the_input(
    data: str, undo: str, wrong: bool, tmp_path: Path
) -> None:
    examined = checked(tmp_path, charging(undo, returns="str", takes="int", data=data))
    assert found(examined) == ([("RS102", "step Charge")] if wrong else [])
    assert all("takes str only" in each.what for each in examined.findings)


def test_none_is_what_a_step_without_input_leaves(tmp_path: Path) -> None:
    undo = "if data is not None:\n    await bank.refund(data)"
    text = charging(undo, returns="int", takes="")
    assert found(checked(tmp_path, text)) == [("RS104", "step Charge")]
    both = f"{undo}\nelse:\n    await bank.refund(step.input)"
    assert found(checked(tmp_path, charging(both, returns="int", takes=""))) == []


def test_a_finding_says_what_why_and_the_mend(tmp_path: Path) -> None:
    text = charging("await bank.refund(data)", returns="int", takes="int")
    (finding,) = checked(tmp_path, text).findings
    assert isinstance(finding, Finding)
    assert finding.place is not None
    line = finding.place.file.read_text().splitlines()[finding.place.line - 1]
    assert line.startswith("async def refund")
    assert "its compensation refund uses 'data' without asking what it is" in finding.what
    assert "'data' is the input (int)" in finding.why
    assert "step.has_data" in finding.mend


# RS103: two steps of one name

NAMESAKES = """
again = create_saga_step("Kept", undo_kept, undo_kept)


@saga_workflow("W")
async def w(saga: Saga, order: Order) -> None:
{body}


app = restate.app([w])
"""


ELSE = ("else:", "    await again(saga, order)")


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (["await kept(saga, order)", "await again(saga, order)"], True),
        (["await saga.gather(kept(saga, order), again(saga, order))"], True),
        (["try:", "    await kept(saga, order)", "finally:", "    await again(saga, order)"], True),
        (["await (kept if order.amount else again)(saga, order)"], False),
        (["if order.amount:", "    await kept(saga, order)", *ELSE], False),
        (["await kept(saga, order)", "await kept(saga, order)"], False),
    ],
)
def test_two_steps_of_one_name_in_one_saga(lines: list[str], wrong: bool, tmp_path: Path) -> None:
    text = NAMESAKES.format(body="\n".join(f"    {line}" for line in lines))
    assert [each.code for each in checked(tmp_path, text).findings] == (["RS103"] if wrong else [])
