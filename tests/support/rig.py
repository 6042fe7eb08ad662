"""The rig: all that one test needs to run sagas on a real server and to see what they did."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Unpack, cast

import httpx
import restate
from restate.client_types import RestateClient
from restate.entry_codec import JournalValueCodec

from resaga import SagaStep
from resaga.server import RestateServer
from tests.support.client import Invocation, RemoteError, Restate, Target
from tests.support.gates import Gate
from tests.support.ledger import Ledger
from tests.support.servers import Flavour
from tests.support.serving import Definition, Protocol, Traffic, serving
from tests.support.steps import Options, make_step
from tests.support.waiting import until
from tests.support.wire import Wire, wire_to


class Rig:
    """One test's access to a server, in one flavour.

    Attributes:
        flavour: ``normal``, ``replay`` or ``serverless``.
        restate: The server's ingress and admin API.
        ledger: Where effects are counted.
        traffic: What the worker has received, by service.
    """

    def __init__(self, flavour: Flavour, server: Restate, ledger: Ledger) -> None:
        self.flavour = flavour
        self.restate = server
        self.ledger = ledger
        self._exit = AsyncExitStack()
        self._suffix = uuid.uuid4().hex[:10]
        self._served: list[Definition] = []
        self._gates: list[Gate] = []
        self._traffic: Traffic | None = None

    # -- definitions -------------------------------------------------------------------------

    def name(self, name: str) -> str:
        """A service name that no other test uses."""
        return f"{name}_{self._suffix}"

    def step(self, name: str, **options: Unpack[Options]) -> SagaStep[Any, Any, Any, Any]:
        """A step whose action writes ``do NAME``, and whose compensation ``undo NAME``.

        `Script` says what the keywords mean.
        """
        return make_step(self.ledger, name, options)

    def steps(self, *names: str, **options: Unpack[Options]) -> list[SagaStep[Any, Any, Any, Any]]:
        """Several of them."""
        return [self.step(name, **options) for name in names]

    def gate(self) -> Gate:
        """A gate, which is opened at the test's end if the test has not done so."""
        gate = Gate()
        self._gates.append(gate)
        return gate

    @property
    def traffic(self) -> Traffic:
        """What the worker has received."""
        assert self._traffic is not None, "serve first"
        return self._traffic

    async def serve(self, *definitions: Definition, codec: JournalValueCodec | None = None) -> None:
        """Serve definitions in this event loop, and register them."""
        await self.restate.register(f"http://127.0.0.1:{await self._serve(definitions, codec)}")

    async def serve_on_wire(self, *definitions: Definition) -> Wire:
        """Serve definitions over a wire that the test can cut."""
        wire = await self._exit.enter_async_context(wire_to(await self._serve(definitions)))
        await self.restate.register(f"http://127.0.0.1:{wire.port}")
        return wire

    async def _serve(
        self, definitions: Sequence[Definition], codec: JournalValueCodec | None = None
    ) -> int:
        protocol: Protocol | None = "request_response" if self.flavour == "serverless" else None
        port, self._traffic = await self._exit.enter_async_context(
            serving(definitions, protocol, codec)
        )
        self._served += definitions
        return port

    # -- calls -------------------------------------------------------------------------------

    async def call(self, target: Target, value: object = None, **how: Any) -> Any:
        """`Restate.call`."""
        return await self.restate.call(target, value, **how)

    async def fail(self, target: Target, value: object = None, **how: Any) -> RemoteError:
        """`Restate.fail`."""
        return await self.restate.fail(target, value, **how)

    async def send(self, target: Target, value: object = None, **how: Any) -> Invocation:
        """`Restate.send`."""
        return await self.restate.send(target, value, **how)

    def client(
        self, codec: JournalValueCodec | None = None
    ) -> AbstractAsyncContextManager[RestateClient]:
        """The SDK's client of the ingress, for calls from outside."""
        create: Any = vars(restate)["create_client"]  # Its annotation is not complete.
        made = create(self.restate.ingress, journal_value_codec=codec)
        return cast("AbstractAsyncContextManager[RestateClient]", made)

    async def cancel_in_flight(self, invocation: Invocation, target: Definition) -> None:
        """Cancel, and wait until the running attempt knows, where it is told while it runs.

        A normal server tells a running attempt. The other flavours tell the next one.
        """
        heard = self.traffic.heard[target.name]
        await invocation.cancel()
        if self.flavour == "normal":
            await until(
                lambda: self.traffic.heard[target.name] > heard, "the worker is told of the cancel"
            )

    # -- the end -----------------------------------------------------------------------------

    async def close(self) -> None:
        """Leave no invocation behind that the server would try again for ever."""
        for gate in self._gates:
            gate.open()
        if self._served:
            names = ", ".join(f"'{definition.name}'" for definition in self._served)
            for row in await self.restate.sql(
                "SELECT id FROM sys_invocation WHERE status <> 'completed' "
                f"AND target_service_name IN ({names})"
            ):
                await self.restate.http.patch(f"{self.restate.admin}/invocations/{row['id']}/kill")
        await self._exit.aclose()


@asynccontextmanager
async def open_rig(server: RestateServer, flavour: Flavour, folder: Path) -> AsyncGenerator[Rig]:
    """A rig on a server, with a ledger in ``folder``."""
    # `verify=False` loads no certificates, which takes longer than many a test.
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=60) as http:
        restate = Restate(http, server.ingress_url, server.admin_url)
        rig = Rig(flavour, restate, Ledger(folder / "ledger.sqlite"))
        try:
            yield rig
        finally:
            await rig.close()
