"""The production worker's main process: granian, registration, and how it ends."""

from __future__ import annotations

import logging
import logging.config
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP2Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from resaga.cli.serve.loading import check_target
from resaga.cli.serve.logs import LogFormat, logging_config
from resaga.cli.serve.register import register, wait_until_healthy
from resaga.cli.serve.worker import WorkerSettings, load
from resaga.cli.trouble import BadInput

__all__ = ["ServeSettings", "serve"]

logger: Final = logging.getLogger("resaga.serve")

LEEWAY: Final = timedelta(seconds=5)
"""How much longer than its grace a process may live before it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How to serve.

    Attributes:
        target: The app, as ``module:name``.
        host: The address to listen on.
        port: The port to listen on.
        workers: How many processes.
        threads: How many plain functions run at a time in each.
        tls: Files of a certificate and its key.
        identity_keys: Public keys that requests have to be signed with.
        admin: Restate's admin API to register at.
        advertise: Where Restate reaches the worker, if that is not ``host`` and ``port``.
        force: Replace what is registered there.
        token: A bearer token for the admin API.
        grace: How long attempts may take to end.
        log_format: How to log.
        log_level: What to log.
        streams: How many attempts one connection carries; with several processes this spreads
            them, as Restate opens another connection, for another process, beyond it.
    """

    target: str
    host: str
    port: int
    workers: int = 1
    threads: int | None = None
    tls: tuple[Path, Path] | None = None
    identity_keys: Sequence[str] = ()
    admin: str | None = None
    advertise: str | None = None
    force: bool = False
    token: str | None = None
    grace: timedelta = timedelta(seconds=30)
    log_format: LogFormat = "console"
    log_level: str = "info"
    streams: int = 200

    @property
    def uri(self) -> str:
        """Where it is reached from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{shown}:{self.port}"


def serve(settings: ServeSettings) -> None:
    """Serve until a signal ends it.

    Raises:
        BadInput: It cannot serve: no such app, a port that is taken, a server that refuses it.
    """
    check_target(settings.target)
    _check_port(settings.host, settings.port)
    config = logging_config(settings.log_format, settings.log_level)
    logging.config.dictConfig(config)
    # Forking is not safe beside the thread that registers.
    multiprocessing.set_start_method("spawn", force=True)
    with tempfile.TemporaryDirectory(prefix="resaga-serve-") as folder:
        trouble = Path(folder) / "trouble"
        server = _server(settings)
        stop = threading.Event()
        registering = threading.Thread(
            target=_announce, args=(settings, stop, trouble), name="register", daemon=True
        )
        server.on_startup(registering.start)
        try:
            server.serve(
                target_loader=partial(
                    load,
                    WorkerSettings(
                        identity_keys=tuple(settings.identity_keys),
                        threads=settings.threads,
                        grace=settings.grace,
                        trouble=trouble,
                    ),
                )
            )
        finally:
            stop.set()
            registering.join()
            if trouble.exists():
                raise BadInput(trouble.read_text(encoding="utf-8"))


def _server(settings: ServeSettings) -> MPServer:
    certificate, key = settings.tls or (None, None)
    return MPServer(
        settings.target,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        loop=Loops.uvloop,
        workers=settings.workers,
        http=HTTPModes.auto,
        http2_settings=HTTP2Settings(max_concurrent_streams=settings.streams),
        websockets=False,
        ssl_cert=certificate,
        ssl_key=key,
        log_level=LogLevels.warning,
        log_dictconfig=logging_config(settings.log_format, settings.log_level),
        respawn_failed_workers=True,
        workers_kill_timeout=int((settings.grace + LEEWAY).total_seconds()),
    )


def _announce(settings: ServeSettings, stop: threading.Event, trouble: Path) -> None:
    """Say that the worker answers, and register it; what goes wrong ends it."""
    try:
        if not wait_until_healthy(settings.uri, stop=stop, verify=False):
            return
        logger.info("serving %s at %s, process %d", settings.target, settings.uri, os.getpid())
        if settings.admin is not None:
            where = settings.advertise or settings.uri
            deployment = register(settings.admin, where, force=settings.force, token=settings.token)
            logger.info("registered %s at %s as %s", where, settings.admin, deployment)
    except BadInput as error:
        trouble.write_text(str(error), encoding="utf-8")
        os.kill(os.getpid(), signal.SIGTERM)


def _check_port(host: str, port: int) -> None:
    """Refuse an address that cannot be bound: granian's processes would end one by one.

    Raises:
        BadInput: It is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(
                f"port {port} of {host} cannot be listened on: {error.strerror}. Give another "
                "with --port, or --host."
            ) from error
