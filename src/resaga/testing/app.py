"""Sagas under test: served in the test's event loop, called, and taken away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeAlias, cast
from urllib.parse import quote

import httpx
import restate
from restate.handler import Handler as Described
from restate.handler import handler_from_callable
from typing_extensions import TypeVar

from resaga import Handler, SagaRequest
from resaga.intercept import Interceptor
from resaga.server import RestateServer
from resaga.testing.admin import Admin
from resaga.testing.controls import Recording, Watcher
from resaga.testing.errors import NotServed, SagaTestError
from resaga.testing.faults import Fault
from resaga.testing.running import LIMIT, RunningSaga, SagaRun
from resaga.testing.serving import Definition, serving

__all__ = ["SagaApp", "SagaClient"]

Out = TypeVar("Out", default=object)

RUN_HEADER = "x-resaga-run"
"""Tells an attempt which run of the test it belongs to."""


Target: TypeAlias = restate.Service | restate.Workflow | Handler[Any, Out] | Described[Any, Any]


class SagaApp:
    """Serves definitions, in this event loop, and takes them away again.

    ``await app(checkout, wallet)`` serves them until `close`; the fixture ``saga_app`` closes
    itself at the test's end. Under ``async with SagaApp(server) as app`` it is closed there.

    Args:
        server: The server to register them with.
        keep: Leave deployments and invocations in the server for you to look at.
    """

    def __init__(self, server: RestateServer, *, keep: bool = False) -> None:
        self.server = server
        self.watcher: Watcher = Watcher()
        self._keep = keep
        self._exit = AsyncExitStack()
        self._services: list[str] = []
        self._deployments: list[str] = []
        self._runs: dict[str, Recording] = {}
        self._admin: Admin | None = None
        self._http: httpx.AsyncClient | None = None

    async def __call__(self, *definitions: Definition) -> Self:
        """Serve definitions and register them.

        Sagas are served as copies that note what happens and let faults strike; all else as it
        is. A definition may be served again, with other services say: the later one counts.

        Raises:
            SagaTestError: The server refuses them.
        """
        admin = await self._open()
        served = [self._watched(d) for d in definitions]
        address = await self._exit.enter_async_context(serving(served))
        self._deployments.append(await admin.register(address))
        self._services += [definition.name for definition in definitions]
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Take away what was served: what is under way is killed, and nobody calls it again."""
        admin, http = self._admin, self._http
        self._admin = self._http = None
        if admin is None or http is None:
            return
        try:
            if not self._keep and self.server.is_alive():
                await asyncio.gather(
                    *([admin.kill_all(self._services)] if self._services else []),
                    *map(admin.forget, self._deployments),
                )
        finally:
            await self._exit.aclose()
            await admin.close()
            await http.aclose()
            self._services.clear()
            self._deployments.clear()

    # -- for the client ----------------------------------------------------------------------

    @property
    def admin(self) -> Admin:
        """The server's admin API."""
        assert self._admin is not None
        return self._admin

    @property
    def http(self) -> httpx.AsyncClient:
        """For calls to the ingress."""
        assert self._http is not None
        return self._http

    def check_served(self, service: str) -> None:
        """Refuse what nobody serves."""
        if service not in self._services:
            served = ", ".join(self._services) or "nothing"
            raise NotServed(
                f"{service} is not served ({served} is). Serve it first: "
                f"await saga_app({service}, ...)."
            )

    def record(self, faults: Sequence[Fault]) -> tuple[str, Recording]:
        """A recording for one run, and the value of `RUN_HEADER` that leads to it."""
        token = uuid.uuid4().hex
        self._runs[token] = recording = Recording(faults, self.admin.cancel)
        return token, recording

    async def _open(self) -> Admin:
        if self._admin is None:
            self._admin = Admin(self.server.admin_url)
            self._http = httpx.AsyncClient(trust_env=False, verify=False, timeout=None)  # noqa: S113, S501
        return self._admin

    def _watched(self, definition: Definition) -> Definition:
        # All of resaga's definitions have it, and no other.
        intercepted = getattr(definition, "intercepted", None)
        if intercepted is None:
            return definition
        return cast(Definition, intercepted(self._intercept, observers=[self.watcher]))

    def _intercept(self, request: SagaRequest[Any]) -> Interceptor:
        recordings = self.watcher.recordings
        recording = recordings.get(request.saga_id)
        if recording is None:
            token = request.headers.get(RUN_HEADER, "")
            # One that another saga has called, or curl, is noted without faults.
            recording = self._runs.pop(token, None) or Recording((), self.admin.cancel)
            recordings[request.saga_id] = recording
        return recording.begin_attempt(request.saga_id)


class SagaClient:
    """Calls the sagas that a `SagaApp` serves; the fixture ``saga_client``.

    ::

        async def test_decline(saga_app, saga_client):
            await saga_app(checkout)
            run = await saga_client.run(checkout, order, faults=[fail(charge_payment)])
            assert run.trace.compensated == ("ReserveStock",)
    """

    def __init__(self, app: SagaApp) -> None:
        self._app = app

    async def run(
        self,
        target: Target[Out],
        input: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        faults: Sequence[Fault] = (),
        limit: timedelta = LIMIT,
    ) -> SagaRun[Out]:
        """Run a saga to its end.

        Args:
            target: A definition with a handler ``run``, or a handler of any definition.
            input: Its input.
            key: The key, of a virtual object or a Restate workflow.
            headers: Further headers of the request.
            faults: What goes wrong in it.
            limit: How long it may take.

        Returns:
            How it ended; a saga that failed is no exception here, see `SagaRun.result`.

        Raises:
            CaseTimeout: It did not end within the limit; the message says where it stood.
            UnknownStep: A fault names a step that the saga has not come to.
            NotServed: Nobody serves it.
        """
        running = await self.start(
            target, input, key=key, headers=headers, faults=faults, limit=limit
        )
        return await running.end()

    async def start(
        self,
        target: Target[Out],
        input: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        faults: Sequence[Fault] = (),
        limit: timedelta = LIMIT,
    ) -> RunningSaga[Out]:
        """Start a saga, and do not wait for its end; the arguments are those of `run`."""
        app = self._app
        described = _described(target)
        service = described.service_tag.name
        app.check_served(service)
        token, recording = app.record(faults)
        parts = [service, described.name] if key is None else [service, key, described.name]
        content = described.handler_io.input_serde.serialize(input)
        has_body = described.handler_io.input_type is None or not getattr(
            described.handler_io.input_type, "is_void", False
        )
        sent = {**(headers or {}), RUN_HEADER: token}
        if content and has_body and input is not None:
            sent["content-type"] = "application/json"
        answer = await app.http.post(
            f"{app.server.ingress_url}/{'/'.join(quote(p, safe='') for p in parts)}/send",
            content=content if "content-type" in sent else None,
            headers=sent,
        )
        if not answer.is_success:
            raise SagaTestError(
                f"The server did not accept the call of {'/'.join(parts)}: "
                f"{answer.status_code} {answer.text}"
            )
        return RunningSaga(
            id=str(answer.json()["invocationId"]),
            key=key,
            service=service,
            recording=recording,
            output=described.handler_io.output_serde,
            limit=limit,
            admin=app.admin,
            http=app.http,
            ingress_url=app.server.ingress_url,
        )


def _described(target: Target[Any]) -> Described[Any, Any]:
    """A handler as the SDK has it, which a definition keeps by name, and resaga's own carry."""
    if isinstance(target, Described):
        return target
    handler: object = target if isinstance(target, Handler) else cast("Any", target).run
    return handler_from_callable(cast("Any", handler))
