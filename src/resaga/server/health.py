"""Waiting until a child process answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx

from resaga.server.errors import StartFailed
from resaga.server.process import SupervisedProcess, last_lines

__all__ = ["http_client", "wait_until_ready"]

POLL = timedelta(milliseconds=50)


def http_client(base_url: str, *, timeout: timedelta) -> httpx.Client:
    """A client for a process on this machine: no proxy from the environment is in between."""
    # `verify=False` loads no certificates, which takes longer than the request: this is plain HTTP.
    return httpx.Client(
        base_url=base_url,
        timeout=timeout.total_seconds(),
        trust_env=False,
        verify=False,  # noqa: S501
    )


def wait_until_ready(
    process: SupervisedProcess,
    probe: Callable[[], None],
    *,
    name: str,
    log_file: Path,
    timeout: timedelta,
    pulse: Callable[[], None],
) -> None:
    """Wait until `probe` raises no `httpx.HTTPError` any more.

    Args:
        process: The process that is to get ready.
        probe: Asks it.
        name: What error messages call it.
        log_file: Its log.
        timeout: How long at most.
        pulse: Called between two probes; may raise to give up.

    Raises:
        StartFailed: The process ended, or `timeout` passed; with the end of the log.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    reason: httpx.HTTPError | None = None
    while True:
        pulse()
        try:
            probe()
        except httpx.HTTPError as error:
            reason = error
        else:
            if process.is_alive():
                return
        if process.wait(POLL):
            raise StartFailed(
                f"{name} {process.ending()} before it was ready. {last_lines(log_file)}"
            )
        if time.monotonic() > deadline:
            raise StartFailed(
                f"{name} was not ready within {timeout} ({reason}). {last_lines(log_file)}"
            )
