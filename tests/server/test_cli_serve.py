"""``resaga serve``, run as a service manager runs it, for a real server."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from resaga.server import RestateServer
from tests.support.servers import QUICK
from tests.support.terminal import LIMIT

ROOT = Path(__file__).parents[2]
APP = "tests.support.served_app:app"


class Served:
    """A ``resaga serve`` that runs, with what it has logged."""

    def __init__(self, folder: Path, *options: str, target: str = APP, **env: str) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "resaga.cli",
                "serve",
                target,
                "--port",
                str(self.port),
                *options,
            ],
            cwd=ROOT,
            env={**os.environ, "RESAGA_TEST_FOLDER": str(folder), **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds."""
        limit = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < limit, f"{what} never came, in:\n{self.log}"
            time.sleep(0.02)

    def until_logged(self, text: str) -> None:
        """Wait for a text in its log."""
        self.until(lambda: text in self.log, repr(text))

    def told(self, what: str) -> list[str]:
        """The processes that something happened in, as the app has told."""
        file = self.folder / "told"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.rpartition(" ")[2] for line in lines if line.rpartition(" ")[0] == what]

    def all_told(self, kind: str) -> list[str]:
        """What has happened, of a kind, in its order."""
        file = self.folder / "told"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(kind)]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end, and wait until it has."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended."""
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return status

    @property
    def log(self) -> str:
        """What it has logged."""
        return "".join(self.lines)

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def close(self) -> None:
        """End it if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(LIMIT)
        assert self.process.stderr is not None
        self.process.stderr.close()


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts them."""
    started: list[Served] = []

    def start(*options: str, **env: str) -> Served:
        started.append(Served(tmp_path, *options, **env))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def server() -> Iterator[RestateServer]:
    """A server of the test's own: the services here have fixed names."""
    with RestateServer(env=QUICK) as server:
        yield server


def send(server: RestateServer, service: str, name: str) -> str:
    """Start a saga, and give its id."""
    answer = httpx.post(f"{server.ingress_url}/{service}/run/send", json=name, timeout=LIMIT)
    invocation: str = answer.raise_for_status().json()["invocationId"]
    return invocation


def output(server: RestateServer, invocation: str) -> object:
    """Wait for a saga's end."""
    where = f"{server.ingress_url}/restate/invocation/{invocation}/attach"
    return httpx.get(where, timeout=LIMIT).raise_for_status().json()


def status_of(server: RestateServer, invocation: str) -> str:
    """What the server says of an invocation."""
    rows = server.query(f"SELECT status FROM sys_invocation WHERE id = '{invocation}'")
    status: str = rows[0]["status"]
    return status


@pytest.mark.parametrize("service", ["Held", "Threaded"])
def test_sigterm_lets_a_running_action_end_and_loses_nothing(
    service: str, serve: Serve, server: RestateServer, tmp_path: Path
) -> None:
    first = serve("--register", server.admin_url)
    first.until_logged("registered")
    waiting = send(server, "Sleeps", "s")
    invocation = send(server, service, "gate")
    first.until(lambda: first.told("begin gate"), "the action")
    first.until(lambda: first.told("quick s"), "the saga that waits")
    first.process.send_signal(signal.SIGTERM)
    # What only waits goes at once; the action is waited for.
    first.until(lambda: status_of(server, waiting) == "suspended", "the waiting saga to suspend")
    assert first.process.poll() is None
    assert first.told("end gate") == []
    (tmp_path / "gate").touch()
    assert first.wait() == 0
    assert "did not acknowledge" not in first.log
    assert len(first.told("end gate")) == 1
    # Its result is in the journal, so another worker goes on after it.
    second = serve("--port", str(first.port))
    assert output(server, invocation) == "gate"
    assert len(second.told("begin gate")) == 1
    assert len(second.told("quick gate")) == 1
    assert second.end(signal.SIGINT) == 0


def test_an_action_that_does_not_end_is_broken_off_after_the_grace(
    serve: Serve, server: RestateServer, tmp_path: Path
) -> None:
    first = serve("--register", server.admin_url, "--grace", "0.2")
    first.until_logged("registered")
    invocation = send(server, "Held", "gate")
    first.until(lambda: first.told("begin gate"), "the action")
    assert first.end() == 0
    assert "1 attempts did not end within" in first.log
    assert first.told("end gate") == []
    (tmp_path / "gate").touch()
    second = serve("--port", str(first.port))
    assert output(server, invocation) == "gate"
    assert len(second.told("begin gate")) == 2


def test_requests_without_a_valid_signature_are_refused(serve: Serve, tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    pem = tmp_path / "key.pem"
    pem.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    raw = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    key = f"publickeyv1_{base58(raw)}"
    signed = {"RESTATE_REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE": str(pem)}
    with RestateServer(env=QUICK | signed) as server, RestateServer(env=QUICK) as stranger:
        worker = serve("--register", server.admin_url, RESAGA_IDENTITY_KEY=key)
        worker.until_logged("registered")
        (tmp_path / "gate").touch()
        assert output(server, send(server, "Held", "gate")) == "gate"
        # Another server, and nobody in particular.
        refused = httpx.post(
            f"{stranger.admin_url}/deployments", json={"uri": f"http://127.0.0.1:{worker.port}"}
        )
        assert refused.status_code >= 400
        where = f"http://127.0.0.1:{worker.port}"
        assert httpx.get(f"{where}/discover").status_code == 401
        assert httpx.post(f"{where}/invoke/Held/run", content=b"x").status_code == 401
        assert httpx.get(f"{where}/health").status_code == 200
        assert "without a valid signature" in worker.log


def test_over_tls(serve: Serve, tmp_path: Path) -> None:
    """Restate trusts the certificate's authority, and registers, calls and is answered by it."""
    authority, certificate, key = certificates(tmp_path)
    with RestateServer(env=QUICK | {"SSL_CERT_FILE": str(authority)}) as server:
        worker = serve(
            *("--tls-cert", str(certificate), "--tls-key", str(key)),
            *("--register", server.admin_url),
        )
        worker.until_logged("registered https://127.0.0.1")
        (tmp_path / "gate").touch()
        assert output(server, send(server, "Held", "gate")) == "gate"
        trusting = ssl.create_default_context(cafile=str(authority))
        trusting.set_alpn_protocols(["h2"])
        with (
            socket.create_connection(("127.0.0.1", worker.port), timeout=LIMIT) as plain,
            trusting.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            assert secure.selected_alpn_protocol() == "h2"
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{worker.port}/health", timeout=LIMIT)
        assert worker.end() == 0
    # A server that does not trust it registers nothing, and that is one line.
    with RestateServer(env=QUICK) as stranger:
        worker = serve(
            *("--tls-cert", str(certificate), "--tls-key", str(key)),
            *("--register", stranger.admin_url),
        )
        assert worker.wait() == 2
        assert "has to trust the certificate" in worker.lines[-1]


def test_so_many_plain_functions_run_at_a_time(
    serve: Serve, server: RestateServer, tmp_path: Path
) -> None:
    worker = serve("--threads", "2", "--register", server.admin_url)
    worker.until_logged("registered")
    names = ["one", "two", "three"]
    begun = [send(server, "Threaded", name) for name in names]
    entries = "SELECT id FROM sys_journal WHERE name = 'InThread'"
    worker.until(lambda: len(server.query(entries)) == len(begun), "the actions' entries")
    worker.until(lambda: len(worker.all_told("begin")) == 2, "two of them")
    for name in names:
        (tmp_path / name).touch()
    assert [output(server, each) for each in begun] == names
    order = [what.partition(" ")[0] for what in worker.all_told("")]
    assert order.index("end") == 2
    assert order.count("begin") == 3


def test_several_processes_share_the_work(
    serve: Serve, server: RestateServer, tmp_path: Path
) -> None:
    worker = serve("--workers", "2", "--streams", "1", "--register", server.admin_url)
    worker.until_logged("registered")
    names = [f"gate{number}" for number in range(16)]
    begun = [send(server, "Held", name) for name in names]
    worker.until(lambda: all(worker.told(f"begin {name}") for name in names), "all of them")
    processes = {pid for name in names for pid in worker.told(f"begin {name}")}
    for name in names:
        (tmp_path / name).touch()
    assert [output(server, each) for each in begun] == names
    assert len(processes) == 2


def test_logs_as_json(serve: Serve, server: RestateServer, tmp_path: Path) -> None:
    worker = serve("--log-format", "json", "--register", server.admin_url)
    worker.until_logged("registered")
    (tmp_path / "gate").touch()
    invocation = send(server, "Held", "gate")
    assert output(server, invocation) == "gate"
    assert worker.end() == 0
    records = [json.loads(line) for line in worker.lines]
    held = next(record for record in records if record["message"] == "held")
    assert (held["logger"], held["level"], held["saga"]) == ("shop", "info", invocation)


def test_other_code_under_an_address_that_is_registered_is_refused(
    serve: Serve, server: RestateServer, tmp_path: Path
) -> None:
    first = serve("--register", server.admin_url)
    first.until_logged("registered")
    assert first.end() == 0
    (tmp_path / "other.py").write_text(
        "import restate, resaga\n"
        "@resaga.saga_workflow('Other')\n"
        "async def other(saga: resaga.Saga) -> None: ...\n"
        "app = restate.app([other])\n"
    )
    how = {"target": "other:app", "PYTHONPATH": str(tmp_path)}
    there = ("--port", str(first.port), "--register", server.admin_url)
    second = serve(*there, **how)
    assert second.wait() == 2
    assert "other services are registered there" in second.lines[-1]
    third = serve(*there, "--force", **how)
    third.until_logged("registered")


def test_an_app_that_does_not_import_takes_one_line(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("app = (\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    worker = serve(target="broken:app", PYTHONPATH=path)
    assert worker.wait() == 2
    assert len(worker.lines) == 1
    assert worker.log.startswith("resaga: error: broken:app does not import: ")
    assert "broken.py, line 1: SyntaxError" in worker.log


def test_other_things_that_cannot_be_served_take_one_line(serve: Serve) -> None:
    worker = serve("--register", "http://127.0.0.1:1")
    assert worker.wait() == 2, worker.log
    assert "does not answer" in worker.lines[-1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        worker = serve("--port", str(taken.getsockname()[1]))
        assert worker.wait() == 2
        assert "cannot be listened on" in worker.log


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """An authority of our own, and a certificate of it for this machine with its key; as files."""
    now = datetime.now(UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("resaga's tests"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = (
        builder("resaga's tests", root)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root, hashes.SHA256())
    )
    here = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        builder("localhost", own)
        .add_extension(x509.SubjectAlternativeName(here), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(root, hashes.SHA256())
    )
    files = folder / "authority.pem", folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[2].write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def base58(data: bytes) -> str:
    """As Restate writes public keys."""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = alphabet[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text
