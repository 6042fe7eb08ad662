"""The exceptions of `resaga.server`.

::

    ResagaError
    ├── RestateServerNotFound   no binary of restate-server, and none could be fetched
    ├── StartFailed             a child process did not start, or never became healthy
    └── AdminError              Restate's admin API refused a request

None of them is raised inside a saga, so Restate retries none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from resaga.errors import ResagaError

__all__ = ["AdminError", "RestateServerNotFound", "StartFailed"]


class RestateServerNotFound(ResagaError):
    """There is no restate-server to run, and none could be fetched.

    The message lists every way that was tried, in order, with what came of it, and the mends.

    Attributes:
        tried: One line for each way.
    """

    def __init__(self, version: str, *, tried: Sequence[str], mends: Sequence[str]) -> None:
        self.tried: tuple[str, ...] = tuple(tried)
        ways = "\n".join(f"  {number}. {way}" for number, way in enumerate(self.tried, 1))
        ends = "\n".join(f"  - {mend}" for mend in mends)
        super().__init__(
            f"there is no restate-server to run. Tried, in this order:\n{ways}\n"
            f"Any one of these mends it (resaga is made for version {version}):\n{ends}"
        )


class StartFailed(ResagaError):
    """A child process did not start, ended at once, or did not become healthy in time.

    The message names the process, says what happened, and ends with the last lines of its log.
    """


class AdminError(ResagaError):
    """Restate's admin API refused a request.

    Attributes:
        status_code: The HTTP status; 0 if there was no answer at all.
        body: The server's answer, as text.
    """

    def __init__(self, what: str, *, status_code: int, body: str) -> None:
        self.status_code = status_code
        self.body = body
        super().__init__(f"{what}: {body}")
