"""Asking Restate's admin API, with errors that a person can act on."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Generic, Never, Self, TypeVar

import httpx
import msgspec

from resaga.cli.trouble import BadInput

__all__ = ["Admin", "QueryRefused"]

T = TypeVar("T")

TIMEOUT: Final = httpx.Timeout(60, connect=5)

NEEDED: Final = "1.7"
"""The oldest server whose tables these commands are made for."""

ADDRESS: Final = "Give one like http://127.0.0.1:9070 with --admin, or in RESTATE_ADMIN_URL."

UNKNOWN_TABLE: Final = ("No field named", "not found", "Schema error", "Invalid function")
"""What a server says that lacks a table or a column."""


class QueryRefused(BadInput):
    """The server refused a query.

    Attributes:
        said: What it said.
    """

    def __init__(self, message: str, *, said: str) -> None:
        self.said = said
        super().__init__(message)


class _Version(msgspec.Struct):
    version: str


class _Rows(msgspec.Struct, Generic[T]):
    rows: list[T]


class Admin:
    """Restate's admin API at an address.

    Args:
        address: Where it is, ``http://127.0.0.1:9070`` say.
        token: Sent as a bearer token, for a server behind one.
    """

    def __init__(self, address: str, *, token: str | None = None) -> None:
        self.address: str = address.rstrip("/")
        headers = {"accept": "application/json"}
        if token:
            if not token.isascii() or not token.isprintable():
                raise BadInput(
                    "RESTATE_AUTH_TOKEN holds what no HTTP header can carry. Set it to the token "
                    "alone, without a line end."
                )
            headers["authorization"] = f"Bearer {token}"
        try:
            url = httpx.URL(self.address)
        except httpx.InvalidURL as error:
            raise BadInput(f"{address!r} is no address: {error}. {ADDRESS}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise BadInput(f"{address!r} is no address of an admin API. {ADDRESS}")
        # A proxy of the environment's is not for this very machine.
        proxied = url.host not in ("localhost", "127.0.0.1", "::1")
        # Where there is no TLS, no certificates are loaded, which takes longer than most questions.
        self._client = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=TIMEOUT,
            trust_env=proxied,
            verify=url.scheme == "https",
        )

    def query(self, sql: str, type: type[T]) -> list[T]:
        """Run a query over the server's tables, and give its rows as ``type``.

        Raises:
            QueryRefused: The server refuses, because it is too old say.
            BadInput: There is no answer.
        """
        response = self._send("POST", "/query", json={"query": sql})
        if not response.is_success:
            self._refuse(response)
        try:
            return msgspec.json.decode(response.content, type=_Rows[type]).rows  # type: ignore[valid-type]
        except msgspec.DecodeError as error:
            version = self.get("/version", _Version).version
            raise BadInput(
                f"the server at {self.address} (Restate {version}) answered a query with what this "
                f"cannot read ({error}). It needs {NEEDED} or newer, and may need a newer resaga."
            ) from error

    def get(self, path: str, type: type[T]) -> T:
        """Read something of the admin API's own.

        Raises:
            BadInput: There is no answer, or it is not Restate's.
        """
        response = self._send("GET", path)
        try:
            if response.is_success:
                return msgspec.json.decode(response.content, type=type)
        except msgspec.DecodeError:
            pass
        raise BadInput(
            f"{self.address} answers, but not like the admin API of a Restate server (GET {path} "
            f"gave {response.status_code}). Give the admin API's address with --admin; its port "
            "is 9070 unless it was set."
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, method: str, path: str, *, json: object = None) -> httpx.Response:
        try:
            return self._client.request(method, path, json=json)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise BadInput(
                f"Restate's admin API at {self.address} does not answer ({why}). Start the server, "
                "or give its address with --admin, or in RESTATE_ADMIN_URL."
            ) from error

    def _refuse(self, response: httpx.Response) -> Never:
        """Say why a query was refused; the usual reason is a server that is too old."""
        version = self.get("/version", _Version).version
        said = response.text[:300]
        if response.status_code == 404 or any(text in said for text in UNKNOWN_TABLE):
            raise QueryRefused(
                f"the server at {self.address} is Restate {version}, and this needs {NEEDED} or "
                f"newer: upgrade it. (It said: {said})",
                said=said,
            )
        raise QueryRefused(
            f"the server at {self.address} (Restate {version}) refused a query with "
            f"{response.status_code}: {said}",
            said=said,
        )
