"""Child processes that do not outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from resaga.server.errors import StartFailed
from resaga.server.process import SupervisedProcess, last_lines
from tests.support.processes import LONG, eventually, gone

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")

READY = "from pathlib import Path; import os, signal, subprocess, sys, time\n"
"""What the programs below begin with."""


def dead(pid: int) -> bool:
    """Gone, or a zombie that the machine's first process is yet to reap."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return gone(pid) or state.stdout.startswith(b"Z")


def pid_in(file: Path) -> int:
    eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


def python(source: str) -> list[str]:
    return [sys.executable, "-c", READY + textwrap.dedent(source)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[SupervisedProcess]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with SupervisedProcess(name="the child", scratch=scratch) as process:
        yield process
    assert not scratch.exists()


def test_runs_a_command_and_tells_how_it_ended(process: SupervisedProcess, log: Path) -> None:
    process.start(python("print(os.environ['X'], os.getcwd()); sys.exit(3)"),
                  log_file=log, env={"X": "told"}, cwd=Path("/"))  # fmt: skip
    assert process.wait(LONG)
    assert process.status == 3
    assert process.ending() == "ended with status 3"
    assert log.read_text() == "told /\n"


def test_tells_the_signal_that_ended_it(process: SupervisedProcess, log: Path) -> None:
    process.start(python("os.kill(os.getpid(), signal.SIGSEGV)"), log_file=log)
    assert process.wait(LONG)
    assert process.ending() == "was ended by SIGSEGV"


@pytest.mark.parametrize("command", [["/no/such/program"], ["nul\0byte"]])
def test_what_cannot_be_started_is_an_error(
    process: SupervisedProcess, log: Path, command: list[str]
) -> None:
    with pytest.raises(StartFailed, match="the child could not be started: "):
        process.start(command, log_file=log)
    assert not process.is_alive()
    process.start(python(""), log_file=log)
    assert process.wait(LONG)


def test_one_command_at_a_time_but_many_after_each_other(
    process: SupervisedProcess, log: Path
) -> None:
    first = process.start(python("time.sleep(1000)"), log_file=log)
    with pytest.raises(StartFailed, match="runs already"):
        process.start(python(""), log_file=log)
    process.kill()
    assert not process.is_alive()
    assert process.ending() == "was ended by SIGKILL"
    second = process.start(python("time.sleep(1000)"), log_file=log)
    assert process.is_alive()
    assert gone(first)
    process.stop()
    assert gone(second)
    assert process.ending() == "was ended by SIGTERM"
    process.stop()
    process.kill()


def test_a_command_that_ignores_sigterm_is_killed_after_its_grace(
    process: SupervisedProcess, log: Path
) -> None:
    process.start(
        python("signal.signal(signal.SIGTERM, lambda *_: print('no', flush=True)); print('up', "
               "flush=True)\nwhile True: time.sleep(1000)"),
        log_file=log,
        grace=timedelta(milliseconds=200),
    )  # fmt: skip
    eventually(lambda: "up" in log.read_text())
    process.stop()
    assert log.read_text() == "up\nno\n"
    assert process.ending() == "was ended by SIGKILL"


def test_ctrl_c_can_be_the_signal_that_stops_it(process: SupervisedProcess, log: Path) -> None:
    source = """
        try:
            print("up", flush=True)
            time.sleep(1000)
        except KeyboardInterrupt:
            print("interrupted")
    """
    process.start(python(source), log_file=log, stop_signal=signal.SIGINT)
    eventually(lambda: "up" in log.read_text())
    process.stop()
    assert log.read_text() == "up\ninterrupted\n"


@pytest.mark.parametrize("how", ["kill", "stop", "by itself"])
def test_nothing_of_its_process_group_is_left(
    process: SupervisedProcess, log: Path, tmp_path: Path, how: str
) -> None:
    pid_file = tmp_path / "grandchild"
    source = f"""
        child = subprocess.Popen([sys.executable, "-c",
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print('up', flush=True); time.sleep(1000)"])
        Path({str(pid_file)!r}).write_text(f"{{child.pid}}\\n")
        if {how!r} == "by itself":
            while "up" not in Path({str(log)!r}).read_text(): time.sleep(0.01)
            sys.exit()
        child.wait()
    """
    process.start(python(source), log_file=log)
    grandchild = pid_in(pid_file)
    if how != "by itself":
        eventually(lambda: "up" in log.read_text())
        getattr(process, how)()
    assert process.wait(LONG)
    assert gone(grandchild)


def test_a_supervisor_that_is_killed_takes_it_along(
    process: SupervisedProcess, log: Path, tmp_path: Path
) -> None:
    source = """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        print(os.getppid(), child.pid, flush=True)
        time.sleep(1000)
    """
    pid = process.start(python(source), log_file=log)
    eventually(lambda: log.read_text().endswith("\n"))
    supervisor, grandchild = map(int, log.read_text().split())
    os.kill(supervisor, signal.SIGKILL)
    assert process.wait(LONG)
    assert "supervisor" in process.ending()
    eventually(lambda: dead(pid) and dead(grandchild))
    # What its supervisor would have removed: the fixture looks for it.
    (tmp_path / "scratch").rmdir()


PARENT = """
    import os, sys, time
    from pathlib import Path
    from resaga.server.process import SupervisedProcess

    scratch, log = Path(sys.argv[1]), Path(sys.argv[2])
    scratch.mkdir()
    process = SupervisedProcess(name="the child", scratch=scratch)
    process.launch()
    process.start([sys.executable, "-c", "import time; time.sleep(1000)"], log_file=log)
    if "forks" in sys.argv and os.fork() == 0:
        sys.stdin.read()  # a copy of the pipe to the supervisor stays open in here
        os._exit(0)
    print(process.pid, flush=True)
    if "ends" not in sys.argv:
        time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("mode", "end"),
    [
        ("plain", signal.SIGKILL),
        ("plain", signal.SIGTERM),
        ("plain", signal.SIGINT),
        ("forks", signal.SIGKILL),
        ("ends", None),
    ],
)
def test_it_dies_with_its_parent(tmp_path: Path, mode: str, end: signal.Signals | None) -> None:
    scratch = tmp_path / "scratch"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), scratch, tmp_path / "log", mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if end is not None:
            assert not gone(pid)
            parent.send_signal(end)
        parent.wait(60)
        eventually(lambda: gone(pid) and not scratch.exists())


@LINUX
def test_it_dies_even_if_parent_and_supervisor_are_killed(tmp_path: Path) -> None:
    """The parent, frozen, can do nothing about its supervisor's death."""
    program = textwrap.dedent(PARENT)
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "scratch", tmp_path / "log", "plain"],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        supervisor = int(Path(f"/proc/{pid}/stat").read_text().split()[3])
        parent.send_signal(signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        parent.kill()
        parent.wait(60)
    eventually(lambda: dead(pid))


@LINUX
def test_orphans_are_reaped_where_the_first_process_reaps_nobody(tmp_path: Path) -> None:
    """Zombies keep a process group alive: it would never be seen to be gone."""
    program = """
        import ctypes, sys, time
        from pathlib import Path
        from resaga.server.process import SupervisedProcess

        ctypes.CDLL(None).prctl(36, 1)  # orphans come here, and this program reaps none
        log = Path(sys.argv[1])
        orphan = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', %r])" % (
            "import time; print('up', flush=True); time.sleep(1000)"
        )
        with SupervisedProcess(name="the child") as process:
            process.start([sys.executable, "-c", orphan + "; import time; time.sleep(1000)"],
                          log_file=log)
            while not log.exists() or "up" not in log.read_text():
                time.sleep(0.01)
            process.kill()
            print("all of it is gone")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path / "log"],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.stdout == "all of it is gone\n", done.stderr


def test_close_again_does_nothing_and_then_nothing_starts(tmp_path: Path, log: Path) -> None:
    process = SupervisedProcess(name="the child")
    process.launch()
    process.close()
    process.close()
    with pytest.raises(StartFailed, match="the child is closed"):
        process.start(python(""), log_file=log)
    assert not process.is_alive()


def test_the_end_of_a_log(log: Path) -> None:
    assert "cannot be read" in last_lines(log)
    log.write_text("")
    assert "empty" in last_lines(log)
    log.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(100)))
    text = last_lines(log, count=2)
    assert "line 97" not in text
    assert "line 98" in text
    assert "line 99" in text
    assert str(log) in text
