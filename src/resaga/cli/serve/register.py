"""Making a worker known to a Restate server."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final

import httpx
import msgspec

from resaga.cli.trouble import BadInput

__all__ = ["register", "wait_until_healthy"]

PATIENCE: Final = timedelta(seconds=60)
POLL: Final = timedelta(milliseconds=100)


REACHABLE: Final = "Restate has to reach the worker there: set --advertise, if it is elsewhere."
TRUSTED: Final = (
    " It also has to trust the certificate: by an authority that its machine knows, or that is in "
    "the file that its SSL_CERT_FILE names."
)
OTHER_ADDRESS: Final = (
    "Deploy other code under another address, so that sagas in flight keep theirs; or replace it "
    "with --force, in development."
)


class _Handler(msgspec.Struct):
    name: str


class _Service(msgspec.Struct):
    name: str
    handlers: list[_Handler]


class _Deployment(msgspec.Struct):
    """A deployment as the admin API tells it."""

    id: str
    services: list[_Service]

    @property
    def handlers(self) -> set[str]:
        """What it serves, as ``Service/handler``."""
        return {f"{s.name}/{h.name}" for s in self.services for h in s.handlers}


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
        BadInput: The server does not answer, or refuses; or other services are registered under
            the URI, and may have sagas in flight.
    """
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=admin, timeout=60, headers=headers) as client:
        answer, added = _post(client, {"uri": uri, "force": force})
        if not added and not force:
            # The server does not look again at what is registered already.
            found, _ = _post(client, {"uri": uri, "force": True, "dry_run": True})
            if found.handlers != answer.handlers:
                raise BadInput(
                    f"registering {uri}: other services are registered there "
                    f"({', '.join(sorted(answer.handlers))}; served are "
                    f"{', '.join(sorted(found.handlers))}). {OTHER_ADDRESS}"
                )
    return answer.id


def _post(client: httpx.Client, body: dict[str, object]) -> tuple[_Deployment, bool]:
    """Register; what is registered then, and whether it was not before."""
    uri, admin = body["uri"], str(client.base_url).rstrip("/")
    try:
        response = client.post("deployments", json=body)
    except httpx.HTTPError as error:
        raise BadInput(
            f"registering {uri}: Restate's admin API at {admin} does not answer ({error}). Give "
            "the address of a server that runs to --register."
        ) from error
    status = response.status_code
    if not response.is_success:
        mend = REACHABLE
        if status == 409:
            mend = OTHER_ADDRESS
        elif str(uri).startswith("https:"):
            mend += TRUSTED
        raise BadInput(
            f"registering {uri}: the server at {admin} refused with {status}: "
            f"{response.text} {mend}"
        )
    try:
        return msgspec.json.decode(response.content, type=_Deployment), status == 201
    except msgspec.DecodeError as error:
        raise BadInput(
            f"registering {uri}: {admin} answers, but not like the admin API of a Restate server. "
            "Give its address to --register; the port is 9070 unless it was set."
        ) from error
