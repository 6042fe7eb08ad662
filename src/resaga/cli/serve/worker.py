"""One process of the production worker: the app behind its gateway, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from restate.server import install_shutdown_hook

from resaga.cli.serve.gateway import App, Gateway
from resaga.cli.serve.loading import import_app
from resaga.cli.trouble import BadInput

__all__ = ["WorkerSettings", "load"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What each process is told.

    Attributes:
        identity_keys: Public keys that requests have to be signed with; none if empty.
        threads: How many plain functions run at a time.
        grace: How long attempts may take to end.
        trouble: Where a process that cannot load the app writes why.
    """

    identity_keys: tuple[str, ...]
    threads: int | None
    grace: timedelta
    trouble: Path


def load(settings: WorkerSettings, target: str) -> App:
    """Load the app in a process of the worker; if that fails, tell the main one, and end both."""
    try:
        app = import_app(target)
    except BadInput as error:
        settings.trouble.write_text(str(error), encoding="utf-8")
        os.kill(os.getppid(), signal.SIGTERM)
        sys.exit(1)
    return Gateway(
        app,
        identity_keys=settings.identity_keys,
        threads=settings.threads,
        on_first_request=lambda gateway: _end_gracefully(gateway, settings.grace),
    )


def _end_gracefully(gateway: Gateway, grace: timedelta) -> None:
    """On SIGTERM let attempts come to their end, and then end the process.

    The SDK's app takes the place of granian's handler with its first request, and nothing would
    end the process any more. On Ctrl-C the terminal signals all processes, and the main one then
    signals this one again.
    """
    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []

    async def end() -> None:
        await gateway.end(grace)
        _leave()

    def on_sigterm() -> None:
        if not ending:
            ending.append(loop.create_task(end()))

    def nothing() -> None: ...

    hooks: list[tuple[Callable[[], Any], signal.Signals]] = [
        (on_sigterm, signal.SIGTERM),
        (nothing, signal.SIGINT),
    ]
    for hook, number in hooks:
        install_shutdown_hook(loop, hook, number)


def _leave() -> None:
    """End the process: all that it held has ended, or will be tried again elsewhere."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
