"""The pytest plugin as users have it: in a pytest of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]

TEST = """
import os
from pathlib import Path
import pytest
from resaga.testing import fail
from tests.testing.shop import WORLD, charge, shop

{mark}

async def test_one(saga_app, saga_client, restate_server):
    Path({pids!r}).joinpath(str(restate_server.pid)).touch()
    await saga_app(shop)
    run = await saga_client.run(shop, "tea", faults=[fail(charge)])
    assert run.trace.compensated == ("Charge", "Reserve")

async def test_other(saga_app, saga_client, monkeypatch):
    monkeypatch.setattr(WORLD, "do", lambda key, what: None)
    await saga_app(shop)
    run = await saga_client.run(shop, "milk")
    assert run.result() == 4
    assert WORLD.effects == {{}}
"""


HANGS = """
import asyncio, os
from pathlib import Path

async def test_hangs(restate_server):
    written = Path({pids!r}, "some")
    written.write_text(f"{{os.getpid()}} {{restate_server.pid}}")
    written.rename(written.with_name("all"))
    await asyncio.Event().wait()
"""


def write(folder: Path, mark: str) -> tuple[Path, Path]:
    pids = folder / "pids"
    pids.mkdir()
    test = folder / "test_it.py"
    test.write_text(TEST.format(mark=mark, pids=str(pids)))
    return test, pids


def command(test: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"),
        # It imports all of Hypothesis at the end, which takes longer than the tests.
        *("-p", "no:hypothesispytest"),
        *("--rootdir", str(test.parent)),
        *("-W", "error", *(() if "no:asyncio" in options else LOOP_SCOPE)),
        *options,
        str(test),
    ]


def environment() -> dict[str, str]:
    # Without coverage's, which would measure the start of each, and that is most of it.
    own = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return {**own, "PYTHONPATH": str(ROOT)}


def run(test: Path, *options: str) -> str:
    done = subprocess.run(
        command(test, *options),
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=test.parent,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def is_gone(pid: str) -> bool:
    try:
        # One that has ended, and that nobody has asked for yet, is gone, too.
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


LOOP_SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")

ANYIO = "pytestmark = pytest.mark.anyio"
ASYNCIO = "pytestmark = pytest.mark.asyncio"


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        (ASYNCIO, ["-p", "no:anyio", "-n", "0", "--saga-keep", "kept"]),
        ("", ["--asyncio-mode=auto", "-n", "2"]),
        (
            f"{ANYIO}\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'",
            ["-p", "no:asyncio", "-n", "0", "--saga-replay"],
        ),
    ],
    ids=["pytest-asyncio, kept", "pytest-asyncio and xdist", "anyio, replayed at every await"],
)
def test_runs_under(tmp_path: Path, mark: str, options: list[str]) -> None:
    test, pids = write(tmp_path, mark)
    assert "2 passed" in run(test, *options)
    assert [p.name for p in pids.iterdir() if not is_gone(p.name)] == []
    kept = tmp_path / "kept"
    assert (kept.exists() and any(kept.iterdir())) is ("--saga-keep" in options)


@pytest.mark.parametrize("workers", ["0", "1"], ids=["alone", "xdist"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_leaves_nothing_behind_when_it_is_ended(
    tmp_path: Path, sent: signal.Signals, workers: str
) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    test = tmp_path / "test_it.py"
    test.write_text(HANGS.format(pids=str(pids)))
    with subprocess.Popen(
        command(test, "--asyncio-mode=auto", "-n", workers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=tmp_path,
        start_new_session=True,
    ) as running:
        try:
            asyncio.run(until(lambda: (pids / "all").exists(), "it hangs in its test"))
            if sent == signal.SIGINT:
                # Ctrl-C comes to all that a terminal has in its foreground.
                os.killpg(running.pid, sent)
            else:
                running.send_signal(sent)
            assert running.wait(timeout=60) != 0
        finally:
            running.kill()
    there = (pids / "all").read_text().split()
    assert len(there) == 2
    asyncio.run(until(lambda: all(map(is_gone, there)), "pytest's processes are gone"))


WRONG = """
import pytest

async def test_no_server(restate_server):
    pass

class TestNoLoop:
    @pytest.fixture
    def restate_server(self):
        pass

    def test_it(self, saga_app):
        pass
"""


def test_wrong_use(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(WRONG)
    done = subprocess.run(
        command(test, "-n", "0", "--restate-server", str(tmp_path / "nope")),
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert "there is no such file" in done.stdout
    assert "uses saga_app and is not an async def" in done.stdout


def test_costs_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        "import sys\n\ndef test_one():\n    assert 'pytest_resaga' in sys.modules\n"
        "    assert not {'resaga', 'restate', 'httpx', 'granian'} & set(sys.modules)\n"
    )
    assert "1 passed" in run(test, "-n", "0")
