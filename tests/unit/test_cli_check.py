"""`resaga check`, run as a person runs it; and over the examples."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console
from typer.testing import CliRunner

from resaga.cli import command
from resaga.cli.check.findings import CODES
from resaga.cli.check.run import run
from resaga.cli.check.show import print_examined
from tests.support.checked import write
from tests.support.terminal import Run, in_pipe, on_terminal

ROOT = Path(__file__).parents[2]

WRONG = """
@saga_step("Charge")
async def charge(step: StepContext, amount: int) -> int:
    return await bank.charge(amount)


@charge.compensate
async def refund(step: CompensationContext, payment: int) -> None:
    await bank.refund(payment)


@saga_workflow("Checkout")
async def checkout(saga: Saga, order: Order) -> None:
    await bare(saga, order)
    await charge(saga, order.amount)
    await vars(bank)["more"](saga)


app = restate.app([checkout])
"""

RIGHT = """
@saga_workflow("Checkout")
async def checkout(saga: Saga, order: Order) -> None:
    await kept(saga, order)


app = restate.app([checkout])
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(tmp_path)}


def lines(file: Path, *begins: str) -> list[int]:
    """The lines of a file that begin so."""
    text = file.read_text("utf-8").splitlines()
    return [next(n for n, line in enumerate(text, 1) if line.startswith(each)) for each in begins]


async def test_in_a_pipe_one_finding_is_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    name, file = write(tmp_path, WRONG)
    ran = await in_pipe("check", f"{name}:app", env=env)
    assert (ran.status, ran.errors) == (1, "")
    assert "\x1b" not in ran.output
    at = lines(file, "async def bare", "async def refund", "    await vars(bank)")
    bare, refund, unseen, summary = ran.lines
    assert bare.startswith(
        f"{file}:{at[0]}: RS101 step Bare: it has no compensation, and in Checkout "
    )
    assert "Charge follows" in bare
    assert refund.startswith(f"{file}:{at[1]}: RS102 step Charge: its compensation refund uses ")
    assert all(". Mend: " in line for line in (bare, refund))
    assert unseen.startswith(f"{file}:{at[2]}: not seen in Checkout: what vars(bank)['more'](")
    assert summary == "2 findings; 1 saga and 2 steps looked at"


@pytest.mark.parametrize("columns", [80, 200])
async def test_on_a_terminal_it_is_as_wide_as_that(
    columns: int, tmp_path: Path, env: dict[str, str]
) -> None:
    name, _ = write(tmp_path, WRONG)
    ran = await on_terminal("check", f"{name}:app", columns=columns, env=env)
    assert ran.status == 1
    assert "\x1b[" in ran.output
    assert max(map(len, ran.lines)) <= min(columns, 100), ran.lines
    text = " ".join(" ".join(ran.lines).split())
    assert "RS101 step Bare" in text
    assert "Mend: give it a compensation" in text
    assert ran.lines[-1] == "2 findings; 1 saga and 2 steps looked at"


def here(*args: str) -> Run:
    """Run it in this process, which is quicker."""
    result = CliRunner().invoke(command.app, ["check", *args], env={"RESTATE_ADMIN_URL": None})
    return Run(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program in which nothing is wrong."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    name, _ = write(tmp_path, RIGHT)
    return f"{name}:app"


def test_nothing_wrong_is_status_0(program: str) -> None:
    assert here(program) == Run(0, "no findings; 1 saga and 1 step looked at\n", "")


def test_json_is_for_programs(tmp_path: Path, program: str) -> None:
    name, file = write(tmp_path, f"print('hello')\n{WRONG}")
    ran = here(f"{name}:app", "--json")
    assert (ran.status, ran.errors) == (1, "hello\n")
    told = json.loads(ran.output)
    at = lines(file, "async def bare", "async def refund", "    await vars(bank)")
    assert [(each["code"], each["file"], each["line"]) for each in told["findings"]] == [
        ("RS101", str(file), at[0]),
        ("RS102", str(file), at[1]),
    ]
    assert told["target"] == f"{name}:app"
    assert told["server"] is None
    assert [each["line"] for each in told["unseen"]] == at[2:]


def test_bad_use_takes_one_line(program: str, tmp_path: Path) -> None:
    broken, file = write(tmp_path, "import no_such_module")
    for args, said in [
        (["shop"], "names no app"),
        (["no_such_module:app"], "there is no module no_such_module"),
        ([f"{broken}:app"], f"{file}, line "),
        ([program.replace(":app", ":other")], "has no 'other'"),
        ([program, "--admin", "http://127.0.0.1:1"], "does not answer"),
        ([program, "--admin", "nonsense"], "no address"),
    ]:
        ran = here(*args)
        assert (ran.status, ran.output) == (2, ""), args
        assert ran.errors.startswith("resaga: error: ")
        assert said in ran.errors
        assert ran.errors.count("\n") == 1
    assert here("--debug", f"{broken}:app").status == 1, "the traceback is Python's own"
    assert here(program, "--nonsense").status == 2


EXAMPLES = """
import importlib, os, pathlib, sys
os.environ["DATABASE_URL"] = "sqlite+aiosqlite://"
from resaga.cli.check.run import run
for app in sorted(pathlib.Path("examples").glob("*/app.py")):
    examined, _ = run(f"examples.{app.parent.name}.app:app", admin=None, token=None)
    print(app.parent.name, len(examined.sagas) > 0, [*examined.findings, *examined.silenced,
        *examined.unseen])
"""


def test_examples_are_clean() -> None:
    """Nothing is found in them, nothing silenced, and all of them can be seen."""
    ran = subprocess.run(
        [sys.executable, "-c", EXAMPLES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    names = sorted(app.parent.name for app in (ROOT / "examples").glob("*/app.py"))
    assert len(names) >= 10
    assert ran.stdout.splitlines() == [f"{name} True []" for name in names], ran.stderr


GUIDE = (ROOT / "docs" / "guide" / "checking.md").read_text("utf-8")


def test_the_guide_has_a_row_for_each_code() -> None:
    rows = [line.split("`")[1] for line in GUIDE.splitlines() if line.startswith("| `RS")]
    assert rows == list(CODES)


def test_the_guide_shows_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, silenced = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    (printed,) = re.findall(r"^```text\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    Path("shop.py").write_text(shop, "utf-8")
    screen = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    print_examined(screen, *run("shop:app", admin=None, token=None))
    assert cast(io.StringIO, screen.file).getvalue() == printed
    again = f"{silenced}\n\n@saga_workflow('W')\nasync def w(saga: Saga) -> None:\n"
    again += "    await notify_again(saga, 'anna')\n    await charge(saga, 5)\n"
    Path("shop2.py").write_text(f"{shop}\n{again}\napp = restate.app([w])\n", "utf-8")
    examined, _ = run("shop2:app", admin=None, token=None)
    assert [each.code for each in examined.silenced] == ["RS101"]
    assert [each.code for each in examined.findings] == ["RS102"]
