"""``resaga dev``, run as a developer runs it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.terminal import LIMIT, Terminal

APP = """
import restate
from resaga import Saga, saga_workflow

@saga_workflow("Greeter")
async def greeter(saga: Saga, name: str) -> str:
    return f"WORD {name}"

app = restate.app([greeter])
"""


def ports(count: int) -> list[int]:
    """Ports that are free right now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Dev:
    """A ``resaga dev`` in a folder with an app."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.app = folder / "shop.py"
        if not self.app.exists():
            self.write("hello")
        worker, self.ingress, self.admin = ports(3)
        self.terminal = Terminal(
            *("dev", "shop:app", "--port", str(worker), "--data", str(folder / "data")),
            *("--ingress-port", str(self.ingress), "--admin-port", str(self.admin)),
            columns=200,
            cwd=folder,
            env={"TMPDIR": str(scratch)},
        )

    def write(self, word: str) -> None:
        """Save the app."""
        self.app.write_text(APP.replace("WORD", word))

    def times(self, text: str) -> int:
        """How often a text has been shown."""
        return self.terminal.output.count(text)

    def until_registered(self, times: int) -> None:
        """Wait until the worker has been registered so often."""
        self.terminal.until(lambda text: text.count(" as dp_") >= times)

    def greet(self) -> object:
        """Call the app through Restate."""
        where = f"http://127.0.0.1:{self.ingress}/Greeter/run"
        return httpx.post(where, json="you", timeout=LIMIT).raise_for_status().json()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """Starts one, and ends it."""
    scratch, folder = tmp_path / "scratch", tmp_path / "shop"
    scratch.mkdir()
    folder.mkdir()
    dev = Dev(folder, scratch)
    with dev.terminal:
        yield dev


def test_reloads_and_shows_errors_until_ctrl_c(dev: Dev, tmp_path: Path) -> None:
    dev.until_registered(1)
    shown = dev.terminal.until(lambda text: "its UI is at" in text)
    assert f"http://127.0.0.1:{dev.admin}/ui/" in shown
    assert dev.greet() == "hello you"

    dev.write("welcome")
    dev.until_registered(2)
    assert "shop.py changed" in dev.terminal.output
    assert dev.greet() == "welcome you"

    dev.app.write_text("app = (\n")
    dev.terminal.until(lambda text: "shop.py, line 1: SyntaxError" in text)
    dev.terminal.until(lambda text: "starts anew when you save" in text)
    assert "Traceback" not in dev.terminal.output

    dev.write("good day")
    dev.until_registered(3)
    assert dev.greet() == "good day you"

    dev.terminal.interrupt()
    run = dev.terminal.end()
    assert run.status == 0, run.output
    assert "Traceback" not in run.output
    # Nothing runs any more, and only what was to be kept is left.
    for port in (dev.ingress, dev.admin):
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/health")
    assert list((tmp_path / "scratch").glob("resaga-*")) == []
    # What the server knew it knows in the next run, at other addresses.
    again = Dev(tmp_path / "shop", tmp_path / "scratch")
    with again.terminal:
        again.until_registered(1)
        assert again.greet() == "good day you"
        query = {"query": "SELECT id FROM sys_invocation WHERE target = 'Greeter/run'"}
        where = f"http://127.0.0.1:{again.admin}/query"
        accept = {"accept": "application/json"}
        rows = httpx.post(where, json=query, headers=accept, timeout=LIMIT).json()["rows"]
        assert len(rows) == 4
        again.terminal.interrupt()
        assert again.terminal.end().status == 0


def test_what_it_cannot_develop_takes_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with Terminal(
            "dev", "shop:app", "--admin-port", port, columns=200, cwd=tmp_path
        ) as terminal:
            run = terminal.end()
    assert run.status == 2
    assert any(line.startswith("resaga: error: port ") for line in run.lines)
    assert "Traceback" not in run.output
