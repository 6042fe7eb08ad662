"""Recording the journal of a saga, and replaying one without a server (R23).

Over the serverless protocol each attempt is one request that holds the whole journal, so the last
request of an invocation is its journal as the server keeps it. ``python -m
tests.support.extra_recording NAME`` records the sagas that `RECORDED` has under a name into
``tests/journals/NAME.json``. Do that when the format has a new version, under a new name; the
recordings of versions that were released stay as they are.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import restate

from resaga import SagaWorkflow
from tests.support.extra_recorded import recorded_sagas
from tests.support.extra_recorded_about import recorded_about
from tests.support.rig import Rig, open_rig
from tests.support.servers import make_server

JOURNALS = Path(__file__).parents[1] / "journals"

RECORDED: dict[str, Callable[..., list[SagaWorkflow[Any, Any]]]] = {
    "format_1": recorded_sagas,
    "format_1_about": recorded_about,
}
"""The sagas by the name of the file that holds their journals."""

HICCUPS = ("RecordedCompleted", "RecordedBounded", "RecordedInside")
"""Those whose last attempt shall meet a whole journal, though nothing fails in them."""

OUTPUT, END = 0x0401, 0x0003
"""Types of the two messages that an attempt which finishes a saga sends last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The last request of an invocation, and how the invocation ended.

    Attributes:
        service: The saga's name.
        content_type: The version of the protocol, as the server announces it.
        request: The request's body in base64: the journal.
        runs: The names of the journal's runs.
        output: What the saga returned, ``None`` if it failed.
        error: Code, message and metadata it failed with, ``None`` if it succeeded.
    """

    service: str
    content_type: str
    request: str
    runs: list[str]
    output: str | None
    error: list[Any] | None


def recordings(name: str) -> list[Recording]:
    """Those in a file."""
    return [Recording(**each) for each in json.loads((JOURNALS / name).read_text())]


async def replay(sagas: Sequence[SagaWorkflow[Any, Any]], recording: Recording) -> bytes:
    """Send a recorded request to these sagas, as the server would; gives what they answer."""
    app: Any = restate.app(list(sagas), protocol="request_response")
    body = base64.b64decode(recording.request)
    answered = asyncio.Event()
    answer: list[bytes] = []
    requests = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        else:
            answer.append(message["body"])
            if not message["more_body"]:
                answered.set()

    scope = {
        "type": "http",
        "path": f"/invoke/{recording.service}/run",
        "headers": [(b"content-type", recording.content_type.encode())],
    }
    await app(scope, receive, send)
    return b"".join(answer)


def messages(answer: bytes) -> list[tuple[int, bytes]]:
    """The messages of the protocol in an answer: type and content."""
    found: list[tuple[int, bytes]] = []
    while answer:
        kind, _, length = struct.unpack(">HHI", answer[:8])
        found.append((kind, answer[8 : 8 + length]))
        answer = answer[8 + length :]
    return found


class _Tap:
    """An ASGI app around another one, that keeps the last request to each service."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.last: dict[str, tuple[str, bytes]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        heard: list[bytes] = []

        async def listening() -> Any:
            message = await receive()
            heard.append(message.get("body", b""))
            return message

        await self._app(scope, listening, send)
        if "/invoke/" in scope["path"]:
            headers = dict(scope["headers"])
            service = scope["path"].split("/")[-2]
            self.last[service] = (headers[b"content-type"].decode(), b"".join(heard))


async def _record(rig: Rig, name: str) -> list[Recording]:
    sagas = RECORDED[name]([], hiccups=HICCUPS)
    await rig.serve(*sagas)
    rig.traffic._app = tap = _Tap(rig.traffic._app)
    found: list[Recording] = []
    for saga in sagas:
        invocation = await rig.send(saga, {"product": "tea", "quantity": 2})
        if saga.name == "RecordedCancelled":
            await invocation.until_status("suspended")
            await invocation.cancel()
        end = await invocation.attach()
        content_type, request = tap.last[saga.name]
        found.append(
            Recording(
                service=saga.name,
                content_type=content_type,
                request=base64.b64encode(request).decode(),
                runs=await invocation.runs(),
                output=end.value,
                error=None
                if end.error is None
                else [end.error.code, end.error.message, end.error.metadata],
            )
        )
    return found


async def _main(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder, make_server("serverless") as server:
        async with open_rig(server, "serverless", Path(folder)) as rig:
            found = await _record(rig, name)
    JOURNALS.mkdir(exist_ok=True)
    text = json.dumps([asdict(each) for each in found], indent=1, ensure_ascii=False)
    (JOURNALS / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
