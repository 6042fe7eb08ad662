"""The pytest plugin of resaga: fixtures and options, see `resaga.testing`.

It stands outside of the package, and imports resaga only when a fixture is used: a run that uses
none pays nothing, and coverage that is measured by plugins sees resaga being imported.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from resaga.server import RestateServer
    from resaga.testing import SagaApp, SagaClient


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add resaga's options."""
    group = parser.getgroup("resaga", "resaga: sagas on a real Restate server")
    group.addoption(
        "--restate-server",
        metavar="PATH",
        type=Path,
        default=None,
        help="the restate-server to run; by default one is found, or fetched",
    )
    group.addoption(
        "--saga-replay",
        action="store_true",
        help="suspend and replay sagas at every await",
    )
    group.addoption(
        "--saga-keep",
        metavar="FOLDER",
        type=Path,
        default=None,
        help="keep the server's data in this folder, and what tests have left in it",
    )


@pytest.fixture(scope="session")
def restate_server(pytestconfig: pytest.Config) -> Iterator[RestateServer]:
    """A Restate server for the whole session; under pytest-xdist one for each worker."""
    from resaga.testing import quick_server

    keep: Path | None = pytestconfig.getoption("--saga-keep")
    if keep is not None:
        keep = keep / getattr(pytestconfig, "workerinput", {}).get("workerid", "")
    binary: Path | None = pytestconfig.getoption("--restate-server")
    if binary is not None and not binary.is_file():
        raise pytest.UsageError(f"--restate-server {binary}: there is no such file")
    replay = bool(pytestconfig.getoption("--saga-replay"))
    with quick_server(binary=binary, data_dir=keep, replay=replay) as server:
        yield server


@pytest.fixture
def saga_app(request: pytest.FixtureRequest, restate_server: RestateServer) -> SagaApp:
    """To serve definitions in the event loop of a test, and to take them away at its end.

    ``await saga_app(checkout, ...)`` serves some; works with pytest-asyncio and anyio.
    """
    from resaga.testing import SagaApp

    keep = request.config.getoption("--saga-keep") is not None
    app = SagaApp(restate_server, keep=keep)
    _close_at_the_end_of(request, app)
    return app


@pytest.fixture
def saga_client(saga_app: SagaApp) -> SagaClient:
    """Runs the sagas that ``saga_app`` serves: ``await saga_client.run(checkout, order)``."""
    from resaga.testing import SagaClient

    return SagaClient(saga_app)


def _close_at_the_end_of(request: pytest.FixtureRequest, app: SagaApp) -> None:
    """Close the app in the loop that it serves in, which is the test's, whoever runs that.

    A fixture's own end is no place for it: which plugin runs the loop then, and whether it still
    does, nothing tells.
    """
    item = request.node
    test: Any = getattr(item, "obj", None)
    if not inspect.iscoroutinefunction(test):
        raise pytest.UsageError(
            f"{item.nodeid} uses saga_app and is not an async def. Sagas are served in the test's "
            "event loop, so the test has to be one, under pytest-asyncio or anyio."
        )

    @functools.wraps(test)
    async def closing(*args: Any, **kwargs: Any) -> None:
        try:
            await test(*args, **kwargs)
        finally:
            await app.close()

    item.obj = closing
