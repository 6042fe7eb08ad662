"""Fixtures for the tests against a real server; each of them runs in all three flavours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.support.rig import Rig, open_rig
from tests.support.servers import FLAVOURS, Flavour, Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of this session; each is started when a test first needs it."""
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """A normal server, one that replays at every await, the serverless protocol."""
    return cast(Flavour, request.param)


@pytest.fixture
async def rig(servers: Servers, flavour: Flavour, tmp_path: Path) -> AsyncIterator[Rig]:
    """What a test needs to run sagas, see `Rig`."""
    async with open_rig(servers.get(flavour), flavour, tmp_path) as rig:
        yield rig
