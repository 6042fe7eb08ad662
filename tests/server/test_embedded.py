"""The embedded server and the worker: real processes, killed in every way."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from resaga.server import (
    AdminError,
    RestateServer,
    StartFailed,
    Worker,
    find_restate_server,
)
from tests.support.processes import LONG, eventually, gone

QUICK = {"RESTATE_DEFAULT_NUM_PARTITIONS": "2"}

APP = """
    import os
    from datetime import timedelta
    from pathlib import Path
    import restate

    probe = restate.VirtualObject("Probe")

    @probe.handler()
    async def worker(ctx: restate.ObjectContext) -> dict[str, object]:
        return {"pid": os.getpid(), "cwd": os.getcwd(), "told": os.environ.get("TOLD")}

    @probe.handler()
    async def count(ctx: restate.ObjectContext) -> int:
        number = (await ctx.get("number", type_hint=int) or 0) + 1
        ctx.set("number", number)
        return number

    @probe.handler()
    async def nap(ctx: restate.ObjectContext, file: str) -> None:
        with Path(file).open("a") as attempts:
            attempts.write("attempt\\n")
        await ctx.sleep(timedelta(milliseconds=20))
        await ctx.sleep(timedelta(milliseconds=20))

    app = restate.app([probe])
    serverless = restate.app([probe], protocol="request_response")
"""


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


def call(server: RestateServer, handler: str, argument: object = None) -> object:
    url = f"{server.ingress_url}/Probe/one/{handler}"
    # None sends no body at all, which is what a handler without input asks for.
    answer = httpx.post(url, json=argument, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json() if answer.content else None


def listening(pid: int) -> list[str]:
    """The local addresses at which a process listens for TCP, as Linux lists them."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    found: list[str] = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.append(fields[1])
    return found


@pytest.fixture(scope="session")
def binary() -> Path:
    return find_restate_server()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with an app in it."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "probe_app.py").write_text(textwrap.dedent(APP))
    return folder


@pytest.fixture
def server(binary: Path) -> Iterator[RestateServer]:
    with RestateServer(binary=binary, env=QUICK) as server:
        yield server


def stub(folder: Path, source: str) -> Path:
    """A program in the place of restate-server."""
    file = folder / "stub"
    file.write_text(f"#!{sys.executable}\n{textwrap.dedent(source)}")
    file.chmod(0o755)
    return file


# The server


def test_a_server_takes_calls_and_leaves_nothing(binary: Path, shop: Path) -> None:
    with RestateServer(binary=binary, env=QUICK) as server, Worker(
        app="probe_app:app", cwd=shop
    ) as worker:  # fmt: skip
        assert server.register(worker.uri).startswith("dp_")
        assert call(server, "count") == 1
        rows = server.query("SELECT target_service_name AS service FROM sys_invocation")
        assert {"service": "Probe"} in rows
        pids, data = [server.pid, worker.pid], server.data_dir
        assert not any(gone(pid) for pid in pids)
        folders = [data.parent, worker.log_file.parent]
        assert all(folder.exists() for folder in folders)
    assert all(gone(pid) for pid in pids)
    assert not any(folder.exists() for folder in folders)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_on_loopback_only(server: RestateServer) -> None:
    ports = {port_of(url) for url in (server.ingress_url, server.admin_url, server.node_url)}
    addresses = listening(server.pid)
    assert {int(address.split(":")[1], 16) for address in addresses} == ports
    assert {address.split(":")[0] for address in addresses} == {"0100007F"}


def test_telemetry_is_off_and_its_own_environment_does_not_reach_it(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = tmp_path / "environment"
    program = f"""
        import os, sys
        from pathlib import Path
        told = [f"{{name}}={{value}}\\n" for name, value in os.environ.items()
                if name.startswith("RESTATE_") or name == "DO_NOT_TRACK"]
        Path({str(dump)!r}).write_text("".join(told))
        os.execv({str(binary)!r}, [{str(binary)!r}, *sys.argv[1:]])
    """
    monkeypatch.setenv("RESTATE_CONFIG", "/no/such/file")
    monkeypatch.setenv("RESTATE_CLUSTER_NAME", "somebody-elses")
    with RestateServer(
        binary=stub(tmp_path, program), env={"RESTATE_CLUSTER_NAME": "mine"} | QUICK
    ):
        told = dict(line.split("=", 1) for line in dump.read_text().splitlines())
    assert told["RESTATE_DISABLE_TELEMETRY"] == "true"
    assert told["DO_NOT_TRACK"] == "1"
    assert told["RESTATE_CLUSTER_NAME"] == "mine"
    assert "RESTATE_CONFIG" not in told


def test_a_proxy_in_the_environment_is_not_in_the_way(
    binary: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with RestateServer(binary=binary, env=QUICK) as server, Worker(
        app="probe_app:app", cwd=shop
    ) as worker:  # fmt: skip
        server.register(worker.uri)
        assert call(server, "count") == 1


async def test_async_form_does_the_same(binary: Path) -> None:
    async with RestateServer(binary=binary, env=QUICK) as server:
        assert server.query("SELECT 1 AS one") == [{"one": 1}]
        pid, folder = server.pid, server.data_dir.parent
    assert gone(pid)
    assert not folder.exists()


async def test_an_async_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = f"""
        import os, time
        from pathlib import Path
        Path({str(pid_file)!r}).write_text(f"{{os.getpid()}} {{os.getcwd()}}\\n")
        time.sleep(1000)
    """
    server = RestateServer(binary=stub(tmp_path, program), start_timeout=timedelta(seconds=120))

    async def use() -> None:
        async with server:
            raise AssertionError("it is not there")

    task = asyncio.create_task(use())
    await asyncio.to_thread(eventually, lambda: pid_file.exists() and bool(pid_file.read_text()))
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=60)
    assert done, "the start went on"
    assert task.cancelled()
    assert gone(int(pid_file.read_text().split()[0]))
    assert not server.data_dir.parent.exists()
    assert not server.is_alive()


def test_killed_and_restarted_it_has_its_data_and_ports(server: RestateServer, shop: Path) -> None:
    with Worker(app="probe_app:app", cwd=shop) as worker:
        server.register(worker.uri)
        assert call(server, "count") == 1
        first, urls = server.pid, (server.ingress_url, server.admin_url, server.node_url)
        server.kill()
        assert gone(first)
        assert not server.is_alive()
        server.restart()
        assert server.is_alive()
        assert (server.ingress_url, server.admin_url, server.node_url) == urls
        assert call(server, "count") == 2
        second = server.pid
        server.restart()
        assert gone(second)
        assert call(server, "count") == 3


def test_a_data_folder_is_kept_for_the_next_server(
    binary: Path, shop: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "not yet there" / "data"
    log = tmp_path / "server.log"
    with Worker(app="probe_app:app", cwd=shop) as worker:
        with RestateServer(binary=binary, env=QUICK, data_dir=folder, log_file=log) as server:
            assert server.data_dir == folder
            server.register(worker.uri)
            assert call(server, "count") == 1
        assert log.stat().st_size > 0
        with RestateServer(binary=binary, env=QUICK, data_dir=folder) as server:
            assert call(server, "count") == 2


@pytest.mark.parametrize(("timeout", "attempts"), [(None, 1), (timedelta(0), 3)])
def test_without_inactivity_it_replays_at_every_wait(
    binary: Path, shop: Path, tmp_path: Path, timeout: timedelta | None, attempts: int
) -> None:
    file = tmp_path / "attempts"
    with RestateServer(binary=binary, env=QUICK, inactivity_timeout=timeout) as server, Worker(
        app="probe_app:app", cwd=shop
    ) as worker:  # fmt: skip
        server.register(worker.uri)
        call(server, "nap", str(file))
    assert len(file.read_text().splitlines()) == attempts


def test_it_takes_the_ports_it_is_told(binary: Path) -> None:
    with RestateServer(binary=binary, env=QUICK) as server:
        ports = [port_of(url) for url in (server.ingress_url, server.admin_url, server.node_url)]
    with RestateServer(
        binary=binary,
        env=QUICK,
        ingress_port=ports[0],
        admin_port=ports[1],
        node_port=ports[2],
    ) as server:
        urls = (server.ingress_url, server.admin_url, server.node_url)
        assert [port_of(url) for url in urls] == ports
        assert server.is_alive()


def test_a_told_port_in_use_is_an_error_that_names_it(binary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartFailed, match=f"port {port} .* ingress port"):
            RestateServer(binary=binary, ingress_port=port).start()


RACE = """
    import os, sys
    from pathlib import Path
    seen = Path({seen!r})
    with seen.open("a") as file:
        file.write(os.environ["RESTATE_INGRESS__BIND_ADDRESS"] + "\\n")
    if len(seen.read_text().splitlines()) <= {losses}:
        print("[http-ingress-server] failed binding to address: Address in use")
        sys.exit(1)
    os.execv({binary!r}, [{binary!r}, *sys.argv[1:]])
"""


def test_who_loses_the_race_for_a_port_takes_another(binary: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = RACE.format(seen=str(seen), losses=2, binary=str(binary))
    with RestateServer(binary=stub(tmp_path, program), env=QUICK) as server:
        tried = seen.read_text().splitlines()
        assert len(tried) == 3
        assert server.ingress_url == f"http://{tried[-1]}"
    assert len(set(tried)) == 3


def test_but_not_when_it_was_told_which(binary: Path, tmp_path: Path) -> None:
    with RestateServer(binary=binary, env=QUICK) as server:
        ports = [port_of(url) for url in (server.ingress_url, server.admin_url, server.node_url)]
    seen = tmp_path / "seen"
    program = RACE.format(seen=str(seen), losses=99, binary=str(binary))
    server = RestateServer(
        binary=stub(tmp_path, program),
        ingress_port=ports[0],
        admin_port=ports[1],
        node_port=ports[2],
    )
    with pytest.raises(StartFailed, match="failed binding"):
        server.start()
    assert len(seen.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("program", "limit", "says"),
    [
        ("print('boom'); raise SystemExit(3)", LONG, r"ended with status 3 .*\n  boom"),
        (
            "import time; print('thinking', flush=True); time.sleep(1000)",
            timedelta(seconds=2),
            r"not ready within 0:00:02 .*\n  thinking",
        ),
    ],
)
def test_what_does_not_get_ready_is_an_error_with_the_end_of_its_log(
    tmp_path: Path, program: str, limit: timedelta, says: str
) -> None:
    server = RestateServer(binary=stub(tmp_path, program), start_timeout=limit)
    with pytest.raises(StartFailed) as caught:
        server.start()
    assert re.search(says, str(caught.value), re.DOTALL), caught.value
    assert not server.data_dir.parent.exists()
    assert not server.is_alive()


def test_a_binary_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="/no/such/binary"):
        RestateServer(binary=Path("/no/such/binary")).start()


def test_admin_errors_say_what_the_server_said(server: RestateServer) -> None:
    with pytest.raises(AdminError, match=r"registering http://127\.0\.0\.1:1, .*refused") as caught:
        server.register("http://127.0.0.1:1")
    assert caught.value.status_code >= 400
    assert "META0003" in caught.value.body
    with pytest.raises(AdminError, match="SQL") as caught:
        server.query("SELEC")
    assert caught.value.status_code == 400
    server.kill()
    with pytest.raises(AdminError, match="no answer") as caught:
        server.query("SELECT 1")
    assert caught.value.status_code == 0


def test_used_before_or_twice_is_an_error(server: RestateServer) -> None:
    with pytest.raises(StartFailed, match="runs already"):
        server.start()
    assert server.is_alive()
    idle = RestateServer()
    idle.stop()
    for use in (idle.kill, idle.restart, lambda: idle.pid):
        with pytest.raises(StartFailed, match="not started"):
            use()
    never = Worker(app="a:b")
    never.stop()
    with pytest.raises(StartFailed, match="not started"):
        never.restart()


def test_after_a_stop_it_starts_afresh(binary: Path) -> None:
    server = RestateServer(binary=binary, env=QUICK)
    for _ in range(2):
        with server:
            assert server.query("SELECT 1 AS one") == [{"one": 1}]
        assert not server.data_dir.parent.exists()


# The worker


def test_the_pid_is_that_of_the_process_that_runs_the_app(
    server: RestateServer, shop: Path
) -> None:
    with Worker(app="probe_app:app", cwd=shop, env={"TOLD": "this"}) as worker:
        server.register(worker.uri)
        told = {"pid": worker.pid, "cwd": str(shop), "told": "this"}
        assert call(server, "worker") == told


def test_serverless_app_from_a_folder_it_is_told(
    server: RestateServer, shop: Path, tmp_path: Path
) -> None:
    with Worker(app="probe_app:serverless", cwd=tmp_path, pythonpath=[shop]) as worker:
        server.register(worker.uri)
        assert call(server, "count") == 1


def test_it_answers_http_2(shop: Path) -> None:
    client = httpx.Client(http1=False, http2=True, trust_env=False)
    with Worker(app="probe_app:app", cwd=shop) as worker, client:
        answer = client.get(f"{worker.uri}/health")
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")


def test_killed_it_is_gone_and_restarts_on_its_port(server: RestateServer, shop: Path) -> None:
    with Worker(app="probe_app:app", cwd=shop) as worker:
        server.register(worker.uri)
        uri, first = worker.uri, worker.pid
        worker.kill()
        assert gone(first)
        assert not worker.is_alive()
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port_of(uri))) != 0
        worker.restart()
        assert worker.uri == uri
        second = worker.pid
        assert second != first
        assert call(server, "count") == 1
        worker.restart()
        assert gone(second)
        assert call(server, "count") == 2


def test_an_app_that_kills_itself_ends_the_worker(shop: Path) -> None:
    with Worker(app="probe_app:app", cwd=shop) as worker:
        assert not worker.wait(timedelta(0))
        os.kill(worker.pid, signal.SIGKILL)
        assert worker.wait(LONG)
        worker.restart()
        assert worker.is_alive()


def test_a_stop_is_clean_after_requests(server: RestateServer, shop: Path, tmp_path: Path) -> None:
    """The SDK takes SIGTERM away from granian's worker: without SIGINT it would be killed."""
    log = tmp_path / "worker.log"
    with Worker(app="probe_app:app", cwd=shop, log_file=log) as worker:
        server.register(worker.uri)
        call(server, "count")
    assert "shutdown completed" in log.read_text()


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("probe_app:nothing", "has no attribute 'nothing'"),
        ("no_such_module:app", "No module named 'no_such_module'"),
    ],
)
def test_an_app_that_cannot_be_loaded_is_an_error_with_the_reason(
    shop: Path, app: str, says: str
) -> None:
    worker = Worker(app=app, cwd=shop)
    with pytest.raises(StartFailed, match=f"the worker of {app}") as caught:
        worker.start()
    assert says in str(caught.value)
    assert not worker.log_file.parent.exists()


def test_a_workers_told_port_in_use_is_an_error(shop: Path) -> None:
    """Without that, granian would share the port, and half of the connections."""
    with Worker(app="probe_app:app", cwd=shop) as worker:
        port = port_of(worker.uri)
        with pytest.raises(StartFailed, match=f"port {port} "):
            Worker(app="probe_app:app", cwd=shop, port=port).start()


async def test_async_worker(shop: Path) -> None:
    async with Worker(app="probe_app:app", cwd=shop) as worker:
        pid = worker.pid
        assert not gone(pid)
    assert gone(pid)


# Both, and their parent

PARENT = """
    import sys, time
    from pathlib import Path
    from resaga.server import RestateServer, Worker

    with RestateServer(binary=Path(sys.argv[1])) as server, Worker(
        app="probe_app:app", cwd=Path(sys.argv[2])
    ) as worker:
        server.register(worker.uri)
        print(server.pid, worker.pid, server.data_dir.parent, worker.log_file.parent, flush=True)
        time.sleep(1000)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_both_die_with_their_parent(binary: Path, shop: Path, end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), binary, shop],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        server, worker, *folders = parent.stdout.readline().split()
        pids = [int(server), int(worker)]
        assert not any(gone(pid) for pid in pids)
        parent.send_signal(end)
        parent.wait(60)
        eventually(lambda: all(gone(pid) for pid in pids))
        eventually(lambda: not any(Path(folder).exists() for folder in folders))


def test_two_processes_fetch_the_server_at_once(tmp_path: Path) -> None:
    """With the real npm, an empty cache, and a real server in the end."""
    npm_on_path = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)}
    env = {name: value for name, value in os.environ.items() if name != "RESAGA_RESTATE_SERVER"}
    program = """
        import shutil
        from resaga.server import RestateServer, find_restate_server
        found = find_restate_server()
        with RestateServer(binary=found) as server:
            print(found, server.query("SELECT 1 AS one"))
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env | npm_on_path,
        )
        for _ in range(2)
    ]
    outcomes = [process.communicate(timeout=150) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outcomes
    first, second = (out for out, _ in outcomes)
    assert first == second
    assert first.startswith(str(tmp_path))
    assert first.endswith(" [{'one': 1}]\n")
    assert sum("fetching" in err for _, err in outcomes) == 1
    assert len(list((tmp_path / "resaga/restate-server").iterdir())) == 2  # it, and its lock
