"""Making a worker known to a Restate server."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final

import httpx

from resaga.cli.trouble import BadInput

__all__ = ["register", "wait_until_healthy"]

PATIENCE: Final = timedelta(seconds=60)
POLL: Final = timedelta(milliseconds=100)


def wait_until_healthy(uri: str, *, stop: threading.Event, verify: bool) -> bool:
    """Wait until a worker answers; whether it did before ``stop`` was set.

    Args:
        uri: Where it listens.
        stop: Set when nobody waits any more.
        verify: Whether its certificate is checked.

    Raises:
        BadInput: It did not answer for a minute.
    """
    end = time.monotonic() + PATIENCE.total_seconds()
    with httpx.Client(trust_env=False, timeout=5, verify=verify) as client:
        while not stop.wait(POLL.total_seconds()):
            try:
                if client.get(f"{uri}/health").is_success:
                    return True
            except httpx.HTTPError as error:
                if time.monotonic() > end:
                    raise BadInput(
                        f"the worker did not answer at {uri} for {PATIENCE}: {error}."
                    ) from error
    return False


def register(admin: str, uri: str, *, force: bool, token: str | None = None) -> str:
    """Register a deployment, and give its id.

    Args:
        admin: The address of Restate's admin API.
        uri: Where Restate reaches the worker.
        force: Replace what is registered under the same URI with other services.
        token: A bearer token for the admin API.

    Raises:
        BadInput: The server does not answer, or refuses.
    """
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(timeout=60, headers=headers) as client:
            answer = client.post(
                f"{admin.rstrip('/')}/deployments", json={"uri": uri, "force": force}
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadInput(
            f"registering {uri}: Restate's admin API at {admin} does not answer ({error}). Give "
            "the address of a server that runs to --register."
        ) from error
    if not answer.is_success:
        mend = (
            " Deploy other code under another address, so that sagas in flight keep theirs; or "
            "replace it with --force, in development."
            if answer.status_code == 409
            else " Restate has to reach the worker there: set --advertise, if it is elsewhere."
        )
        raise BadInput(
            f"registering {uri}: the server at {admin} refused with {answer.status_code}: "
            f"{answer.text}{mend}"
        )
    return str(answer.json()["id"])
