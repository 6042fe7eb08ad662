"""Who is measured, and how each is served: as its own documentation says."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import httpx

from chaos.compare.rivals import install_rivals
from resaga.server import Worker
from resaga.server.health import wait_until_ready
from resaga.server.npm import find_npms, install
from resaga.server.ports import Ports
from resaga.server.process import SupervisedProcess

__all__ = ["CONTENDERS", "Contender", "Folders", "Served", "serve"]

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(__file__).with_name("programs")
HOST = "127.0.0.1"
START = timedelta(seconds=60)

NPM_PACKAGE = "@kowalski21/restate-saga"
NPM_VERSION = "0.3.0"

Server: TypeAlias = Literal["granian", "hypercorn", "node"]

HYPERCORN = """\
bind = ["{host}:{port}"]
# It closes a connection after 1000 requests by default, with sagas in flight on it.
keep_alive_max_requests = 1000000000
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A program and what serves it.

    Attributes:
        name: What reports call it, in a word.
        title: What it is.
        program: The module, or the file for Node.
        server: What serves it.
        rival: Whether it needs the environment of what others have made.
    """

    name: str
    title: str
    program: str
    server: Server
    rival: bool = False

    @property
    def service(self) -> str:
        """What its service is called."""
        return "Bench" + "".join(part.title() for part in self.name.split("-"))


CONTENDERS: tuple[Contender, ...] = (
    Contender(
        name="hand-granian",
        title="hand-written, granian",
        program="benchmarks.programs.handwritten:app",
        server="granian",
    ),
    Contender(
        name="resaga-granian",
        title="resaga, granian",
        program="benchmarks.programs.own:app",
        server="granian",
    ),
    Contender(
        name="hand-hypercorn",
        title="hand-written, hypercorn",
        program="benchmarks.programs.handwritten:app",
        server="hypercorn",
    ),
    Contender(
        name="resaga-hypercorn",
        title="resaga, hypercorn",
        program="benchmarks.programs.own:app",
        server="hypercorn",
    ),
    Contender(
        name="pypi-hypercorn",
        title="PyPI restate-saga 0.1.0, hypercorn",
        program="benchmarks.programs.pypi_restate_saga:app",
        server="hypercorn",
        rival=True,
    ),
    Contender(
        name="npm-node",
        title=f"npm {NPM_PACKAGE} {NPM_VERSION}, Node",
        program="npm_restate_saga.mjs",
        server="node",
        rival=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where what others have made is installed.

    Attributes:
        path: The folder for all of it.
    """

    path: Path

    def python(self) -> Path:
        """The modules of the Python packages, in a virtual environment of their own."""
        return install_rivals(self.path / "venv")

    def node(self) -> Path:
        """A folder with the npm package in its ``node_modules``.

        Raises:
            FileNotFoundError: There is no npm.
            InstallFailed: npm failed.
        """
        folder = self.path / f"npm-{NPM_VERSION}"
        if not (folder / "node_modules" / NPM_PACKAGE).is_dir():
            npms = find_npms()
            if not npms or shutil.which("node") is None:
                raise FileNotFoundError("npm and node are needed to measure the npm package")
            install(
                npms[0],
                f"{NPM_PACKAGE}@{NPM_VERSION}",
                target=folder,
                check=lambda _: None,
                progress=lambda _: None,
            )
        return folder


@dataclass(frozen=True, slots=True)
class Served:
    """A contender that is being served.

    Attributes:
        contender: Which.
        uri: Where.
        pid: The process at the root of all that serve it.
    """

    contender: Contender
    uri: str
    pid: int


@contextmanager
def serve(contender: Contender, folders: Folders) -> Generator[Served]:
    """Serve a contender's program."""
    env = {"RESAGA_BENCH_SERVICE": contender.service}
    if contender.server == "granian":
        with Worker(app=contender.program, cwd=ROOT, env=env) as worker:
            yield Served(contender, worker.uri, worker.pid)
        return
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resaga-bench-")))
        ports = Ports()
        stack.callback(ports.release)
        port = ports.take(HOST, None, what=contender.title)
        if contender.server == "hypercorn":
            config = scratch / "hypercorn.toml"
            config.write_text(HYPERCORN.format(host=HOST, port=port))
            command = [sys.executable, "-m", "hypercorn", "-c", str(config), contender.program]
            modules = [str(folders.python())] if contender.rival else []
            env |= {"PYTHONPATH": ":".join([*modules, str(ROOT)])}
        else:
            # Node looks for packages where the program is.
            program = folders.node() / contender.program
            shutil.copyfile(PROGRAMS / contender.program, program)
            command = ["node", str(program)]
            env |= {"PORT": str(port), "NODE_ENV": "production"}
        process = stack.enter_context(SupervisedProcess(name=contender.title))
        log = scratch / "log"
        pid = process.start(command, log_file=log, env={**os.environ, **env}, cwd=ROOT)
        uri = f"http://{HOST}:{port}"
        http = stack.enter_context(httpx.Client(http1=False, http2=True, trust_env=False))
        wait_until_ready(
            process,
            lambda: _probe(http, uri),
            name=contender.title,
            log_file=log,
            timeout=START,
            pulse=lambda: None,
        )
        yield Served(contender, uri, pid)


def _probe(http: httpx.Client, uri: str) -> None:
    """Whatever it answers, it is there."""
    http.get(uri)
