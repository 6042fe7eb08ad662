"""`resaga demo` as its users run it: a command, in a pipe or on a terminal, ended in every way."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

HANG = 90.0
"""Seconds after which something that does not end is a failure."""

MARK = "RESAGA_TEST_MARK"


@dataclass
class Demo:
    """A demo that runs, and all processes that come of it: they inherit its mark."""

    process: subprocess.Popen[str]
    mark: str
    scratch: Path

    def lines_until(self, text: str) -> list[str]:
        """Read its output up to a line with a text in it."""
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if text in line:
                return lines
        raise AssertionError(f"no line with {text!r} in:\n" + "\n".join(lines))

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return its status, and the rest of its output."""
        output, errors = self.process.communicate(timeout=HANG)
        return self.process.returncode, output, errors

    def assert_nothing_left(self) -> None:
        """No process, and no temporary folder of ours."""
        assert self.relatives() == []
        assert list(self.scratch.glob("resaga-*")) == []

    def relatives(self) -> list[str]:
        """The processes of this demo that there are."""
        entry = f"{MARK}={self.mark}".encode()
        found: list[str] = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if entry in environment.read_bytes().split(b"\0"):
                    found.append(environment.with_name("cmdline").read_text().replace("\0", " "))
            except OSError:  # It has just ended.
                continue
        return found


Start = Callable[..., Demo]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts demos, with a folder of the test's own for temporary files."""
    demos: list[Demo] = []
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def start(*options: str, **env: str) -> Demo:
        mark = uuid.uuid4().hex
        process = subprocess.Popen(
            [sys.executable, "-m", "resaga.cli", "demo", *options],
            env={**os.environ, MARK: mark, "TMPDIR": str(scratch), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        demos.append(Demo(process, mark, scratch))
        return demos[-1]

    yield start
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.kill()
        demo.process.communicate()


def free_ports(count: int) -> list[int]:
    """Ports that are free right now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def run_curl(line: str) -> str:
    """Run a command as a shell would, and return its output."""
    command = shlex.split(line)
    if shutil.which(command[0]) is None:  # Where there is no curl: what it would have sent.
        assert command[0] == "curl"
        _, url, option, header, data, body = command
        assert (option, data) == ("-H", "-d")
        headers = dict([header.split(": ")])
        return httpx.post(url, content=body, headers=headers, timeout=HANG).text
    run = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=True)
    return run.stdout


def test_plays_four_acts_and_ends_by_itself(start: Start) -> None:
    status, output, errors = start().end()
    assert (status, errors) == (0, "")
    assert "\x1b" not in output
    # Each act shows all of its checks, in plain text.
    shown = re.findall(r"^  (✔|✘) (.*)$", output, re.MULTILINE)
    assert [mark for mark, _ in shown] == ["✔"] * len(shown)
    heads = ["The customer", "Stock", "Payments", "Shipments"]
    assert [re.split(r" got| was|:", text)[0] for _, text in shown] == [
        *heads,
        *heads,
        *("ChargePayment ran twice, its second time in a new worker", *heads),
        *("The undo of ChargePayment ran twice, its second time in a new worker", *heads),
    ]


def test_plays_four_acts_and_keeps_server_and_worker(start: Start) -> None:
    ingress, admin = free_ports(2)
    demo = start("--keep", "--ingress-port", str(ingress), "--admin-port", str(admin))
    lines = demo.lines_until("curl ")

    # Paths and commands are never broken; all else fits.
    assert max(len(line) for line in lines[:-1] if "database" not in line) <= 80
    assert not any("\x1b" in line or line != line.rstrip() for line in lines)
    assert "4 of 4 acts went as they should" in "\n".join(lines)
    assert not any("NOT SO" in line for line in lines)
    told = [re.sub(r"^ *\d+\.\d\d s ", "", line) for line in lines]
    assert [line.split("SIGKILL")[1] for line in told if "SIGKILL" in line] == [
        ": charge committed, not in the journal yet",
        ": refund committed, not in the journal yet",
    ]
    # The rollbacks, newest first; in the last act with the refund twice.
    assert [line[2:].split()[0] for line in told if line.startswith("◀")] == [
        *("ChargePayment", "ReserveStock"),
        *("ChargePayment", "ChargePayment", "ReserveStock"),
    ]

    # What the demo says of its database is so.
    file = next(line for line in lines if line.startswith("  database")).split(", ")[1]
    with closing(sqlite3.connect(file)) as database:
        held = database.execute("SELECT count(*) FROM stock WHERE held_by IS NOT NULL").fetchone()
        assert held == (5,)
        paid = "SELECT order_id, amount FROM payments ORDER BY order_id, amount DESC"
        assert database.execute(paid).fetchall() == [
            ("order-1", 4900),
            ("order-2", 2450),
            ("order-2", -2450),
            ("order-3", 7350),
            ("order-4", 2450),
            ("order-4", -2450),
        ]
        sent = database.execute("SELECT order_id, city FROM shipments ORDER BY order_id")
        assert sent.fetchall() == [("order-1", "Lisbon"), ("order-3", "Quito")]

    # What it offers works.
    ui = f"http://127.0.0.1:{admin}/ui/"
    assert f"  {ui}" in lines
    assert httpx.get(ui, timeout=HANG).status_code == 200
    answer = json.loads(run_curl(lines[-1]))
    assert answer == {"order_id": "order-5", "units": [6, 7], "amount": 4900}
    demo.lines_until("completed")

    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == (0, "", "")
    demo.assert_nothing_left()


def test_ends_by_itself_and_has_colours_on_a_terminal() -> None:
    ours, its = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "50"}
    for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        env.pop(variable, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "resaga.cli", "demo"], env=env, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    output = b""
    try:
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says EIO where the other side is closed.
                break
            if not chunk:
                break
            output += chunk
        assert process.wait(HANG) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    text = output.decode()
    assert "\x1b[1;32m4 of 4 acts went as they should\x1b[0m" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    acts = plain[plain.index("Act 1 of 4") - 3 :]
    assert max(len(line.rstrip("\r")) for line in acts.split("\n")) <= 80


def test_fails_if_the_database_is_wrong(start: Start, tmp_path: Path) -> None:
    # Python runs a module of this name at its start: here, it spoils the idempotency keys.
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
            import uuid
            from resaga.cli.demo import shop

            charge = shop.Shop.charge

            async def charge_again(self, order_id, amount, *, key):
                await charge(self, order_id, amount, key=f"{key}.{uuid.uuid4()}")

            shop.Shop.charge = charge_again
        """)
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    demo = start(PYTHONPATH=path)
    status, output, _ = demo.end()
    assert status == 1
    # Only in the first act nobody asks for a charge by its key again.
    assert "1 of 4 acts went as they should" in output
    assert "NOT SO: Payments: the order is paid, once" in output
    demo.assert_nothing_left()


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("ReserveStock", signal.SIGTERM),  # The server is being started.
        ("Act 1 of 4", signal.SIGINT),
        ("SIGKILL", signal.SIGINT),  # A worker is being replaced.
    ],
)
def test_interrupted_it_says_so_and_leaves_nothing_behind(
    moment: str, number: signal.Signals, start: Start
) -> None:
    demo = start()
    demo.lines_until(moment)
    demo.process.send_signal(number)
    status, output, errors = demo.end()
    assert status == 128 + number
    assert errors == "resaga: interrupted; server and worker are stopped.\n"
    assert "acts went" not in output
    demo.assert_nothing_left()


def test_killed_it_leaves_no_process_behind(start: Start) -> None:
    demo = start()
    demo.lines_until("Act 1 of 4")
    assert len(demo.relatives()) > 2
    demo.process.kill()
    demo.process.wait()
    limit = time.monotonic() + HANG
    while relatives := demo.relatives():
        assert time.monotonic() < limit, relatives
        time.sleep(0.05)


def test_nobody_reads_on(start: Start) -> None:
    demo = start()
    demo.lines_until("Act 1 of 4")
    assert demo.process.stdout is not None
    demo.process.stdout.close()
    assert demo.process.wait(HANG) == 1
    assert demo.process.stderr is not None
    assert demo.process.stderr.read() == ""
    demo.assert_nothing_left()
    demo.process.stdout = None


@pytest.mark.parametrize("option", ["--ingress-port", "--admin-port"])
def test_a_port_that_is_taken(option: str, start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = start(option, str(port))
        status, _, errors = demo.end()
    assert status == 1
    assert re.fullmatch(rf"resaga: error: port {port} of 127\.0\.0\.1, [^\n]+\n", errors)
    demo.assert_nothing_left()


def test_the_server_asked_for_is_not_there(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "none"
    demo = start(RESAGA_RESTATE_SERVER=str(path))
    status, output, errors = demo.end()
    assert status == 1
    assert "Act" not in output
    start_of_line = (
        "resaga: error: there is no restate-server to run. Tried: RESAGA_RESTATE_SERVER="
    )
    assert errors.startswith(f"{start_of_line}{path}: there is no such file")
    assert errors.count("\n") == 1


def test_the_server_asked_for_is_none(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "false"
    path.write_text("#!/bin/sh\necho no server, sorry\nexit 3\n")
    path.chmod(0o755)
    demo = start(RESAGA_RESTATE_SERVER=str(path))
    status, output, errors = demo.end()
    assert status == 1
    assert "Act" not in output
    assert errors.startswith("resaga: error: restate-server ")
    assert "no server, sorry" in errors
    assert "Traceback" not in errors
    demo.assert_nothing_left()
