"""README.md does what it says: its code runs as printed, and what it names is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from resaga.server import RestateServer, Worker

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = set(PYPROJECT["project"]["optional-dependencies"])


@dataclass(frozen=True)
class Block:
    """A fenced block, and what its language says it is."""

    language: str
    text: str


BLOCKS = [
    Block(language, text)
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
]
PYTHON = [index for index, block in enumerate(BLOCKS) if block.language == "python"]
NAMED = re.compile(r"# (\w+\.py)\n")
PROGRAMS = [index for index in PYTHON if NAMED.match(BLOCKS[index].text)]
"""A program's first line is a comment with its file's name; its output is the next block."""
PIECES = [BLOCKS[index].text for index in PYTHON if index not in PROGRAMS]
"""Pieces stand after the program `checkout.py`, and use what is in it."""
COMMANDS = [line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()]


def test_every_block_is_of_a_kind_that_is_tested_here() -> None:
    assert {block.language for block in BLOCKS} == {"python", "sh", "text"}
    assert PROGRAMS
    for index, block in enumerate(BLOCKS):
        if block.language == "text":
            assert index - 1 in PROGRAMS, "an output without its program"


@pytest.mark.parametrize("index", PROGRAMS)
def test_program_runs_as_printed(index: int, tmp_path: Path) -> None:
    program = BLOCKS[index].text
    name = NAMED.match(program)
    assert name is not None
    (tmp_path / name[1]).write_text(program)

    run = subprocess.run(
        [sys.executable, name[1]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    following = BLOCKS[index + 1]
    assert following.language == "text", "no output is printed after the program"
    assert run.stdout == following.text


SERVED = """
import checkout
import restate
from resaga import SagaRestateWorkflow, SagaVirtualObject, SagaWorkflow

shop = restate.Service("Shop")


@shop.handler()
async def look(ctx: restate.Context) -> list[int]:
    paid, apologies = sum(checkout.charges.values()), len(checkout.apologies)
    return [checkout.stock["teapot"], paid, apologies]


kinds = SagaWorkflow, SagaRestateWorkflow, SagaVirtualObject
definitions = [one for one in vars(checkout).values() if isinstance(one, kinds)]
app = restate.app([shop, *definitions])
"""


@dataclass(frozen=True)
class Shop:
    """The workflows of the README, served by a worker."""

    url: str
    folder: Path

    def call(self, name: str, value: object = None) -> httpx.Response:
        return httpx.post(f"{self.url}/{name}", json=value, timeout=60, trust_env=False)

    def look(self) -> tuple[int, int, int]:
        """Teapots on the shelf, money taken, apologies made."""
        stock, paid, apologies = self.call("Shop/look").json()
        return stock, paid, apologies


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("readme")
    program = next(BLOCKS[i].text for i in PROGRAMS if BLOCKS[i].text.startswith("# checkout.py"))
    (folder / "checkout.py").write_text("\n\n".join([program, *PIECES]))
    (folder / "served.py").write_text(SERVED)
    with RestateServer() as server, Worker(app="served:app", cwd=folder) as worker:
        server.register(worker.uri)
        yield Shop(server.ingress_url, folder)


def test_each_definition_is_tested_here() -> None:
    made = r'(?:saga_workflow|saga_restate_workflow|SagaVirtualObject)\("(\w+)"'
    named = [re.findall(made, piece) for piece in PIECES]
    assert all(named), "a piece that defines nothing"
    assert {name for names in named for name in names} == {case[0] for case in CASES} | OTHERS


OTHERS = {"ApprovalWorkflow", "Bundle", "Shopping", "Wallet"}


def order(amount: int) -> dict[str, object]:
    return {"product": "teapot", "quantity": 2, "amount": amount}


def test_a_bundle_is_one_saga(shop: Shop) -> None:
    before = shop.look()
    assert shop.call("Bundle/run", [order(50), order(5000)]).status_code == 402
    assert shop.look() == before
    assert len(shop.call("Bundle/run", [order(50), order(50)]).json()) == 2


@pytest.mark.parametrize("approved", [True, False])
def test_an_approval_waits_for_its_signal(shop: Shop, approved: bool) -> None:
    stock = shop.look()[0]
    key = f"ApprovalWorkflow/{approved}"
    assert shop.call(f"{key}/run/send", order(50)).status_code == 202
    shop.call(f"{key}/approve", approved)
    attach = f"{shop.url}/restate/workflow/{key}/attach"
    answer = httpx.get(attach, timeout=60, trust_env=False)
    assert answer.status_code == (200 if approved else 403), answer.text
    assert shop.look()[0] == stock - (2 if approved else 0)


def test_a_wallet_restores_its_balance(shop: Shop) -> None:
    assert shop.call("Wallet/bob/spend", 5000).status_code == 402
    assert shop.call("Wallet/bob/getBalance").json() == 0
    assert shop.call("Wallet/bob/spend", 50).json() == -50
    assert shop.call("Wallet/bob/getBalance").json() == -50


def test_clients_call_from_inside(shop: Shop) -> None:
    assert shop.call("Shopping/run", order(50)).json() == -50


def test_clients_call_from_outside(shop: Shop) -> None:
    program = (
        "import asyncio, sys, checkout; "
        "print(asyncio.run(checkout.from_outside(sys.argv[1], checkout.Order('teapot', 2, 50))))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, shop.url],
        cwd=shop.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Receipt(reserved=2, left=")


NOTHING = (0, 0, 0)
CASES = [
    # Workflow, amount, status, what the answer has in it; then what it changes: teapots on the
    # shelf, money taken, apologies made. Above 1000 the card declines.
    ("SideBySide", 50, 200, '"paid":50', (-2, 50, 0)),
    ("SideBySide", 5000, 402, "card declined", NOTHING),
    ("PayOrAsk", 50, 200, "sold", (-2, 50, 0)),
    ("PayOrAsk", 5000, 200, "nothing reserved: card declined", NOTHING),
    ("KeepTheStock", 50, 200, "", (-2, 50, 0)),
    ("KeepTheStock", 5000, 402, "card declined", (-2, 0, 0)),
    ("InTime", 50, 200, "", (-2, 0, 0)),
    ("Later", 50, 200, '"paid":50', (-2, 50, 0)),
    ("Later", 5000, 402, "card declined", NOTHING),
    ("Polite", 50, 200, "", (0, 50, 0)),
    ("Polite", 5000, 402, "card declined", (0, 0, 1)),
]


@pytest.mark.parametrize(("name", "amount", "status", "text", "change"), CASES)
def test_piece_does_what_is_said(
    name: str, amount: int, status: int, text: str, change: tuple[int, int, int], shop: Shop
) -> None:
    before = shop.look()
    answer = shop.call(f"{name}/run", {"product": "teapot", "quantity": 2, "amount": amount})
    assert (answer.status_code, text in answer.text) == (status, True), answer.text
    after = shop.look()
    assert tuple(new - old for new, old in zip(after, before, strict=True)) == change


@pytest.mark.parametrize("command", COMMANDS)
def test_command_names_what_is_there(command: str) -> None:
    if target := re.fullmatch(r"make (\w+)", command):
        assert re.search(rf"^{target[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif extras := re.fullmatch(r"pip install '\.\[([\w,]+)\]'", command):
        assert set(extras[1].split(",")) <= EXTRAS
    else:
        pytest.fail(f"this test does not know how to check {command!r}")


def test_begins_with_two_sentences_and_the_two_commands() -> None:
    title, what, commands = README.split("\n\n")[:3]
    assert title == "# resaga"
    assert len(re.findall(r"\.(?:\s|$)", what)) == 2
    assert commands == "```sh\nmake demo\nmake test\n```"


def test_extras_are_those_of_the_package() -> None:
    table = README.partition("| extra |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == EXTRAS


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).is_file(), target


def test_the_package_shows_it() -> None:
    assert PYPROJECT["project"]["readme"] == "README.md"
