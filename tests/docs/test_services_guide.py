"""The guide's chapters services.md and fastapi.md, run as printed on a real server."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from resaga.server import RestateServer, Worker
from tests.support.guide import DOCS, blocks, code
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("guide")

SERVED = """
import restate
import page_services as services, page_fastapi as fastapi
kinds = restate.Service, restate.Workflow, restate.VirtualObject
pages = [*vars(services).values(), *vars(fastapi).values()]
# A bound copy has the name of what it is a copy of.
names = {one.name: one for one in reversed(pages) if isinstance(one, kinds)}
looking = restate.Service("Looking")

@looking.handler()
async def charged(ctx: restate.Context) -> int:
    return sum(services.shop.bank.charged.values())

app = restate.app([looking, *names.values()])
"""


class Pages:
    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def call(self, path: str, value: object = None, **headers: str) -> tuple[int, Any]:
        answer = httpx.post(
            f"{self.url}/{path}", json=value, headers=headers, timeout=60, trust_env=False
        )
        body = answer.json()
        return answer.status_code, body if answer.is_success else body["message"]

    def holds(self) -> list[tuple[str, str]]:
        with sqlite3.connect(self.folder / "stock.db") as database:
            return database.execute("SELECT product, tenant FROM holds").fetchall()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    with RestateServer() as server:
        for name in ("services", "fastapi"):
            text = code(DOCS / "guide" / f"{name}.md")
            text = text.replace("http://127.0.0.1:8080", server.ingress_url)
            (folder / f"page_{name}.py").write_text(text)
        (folder / "served.py").write_text(SERVED)
        with Worker(app="served:app", cwd=folder) as worker:
            server.register(worker.uri)
            yield Pages(server.ingress_url, folder)


def test_code_is_as_narrow_as_the_page() -> None:
    for name in ("services", "fastapi"):
        for line in code(DOCS / "guide" / f"{name}.md").splitlines():
            assert len(line) <= 84, line


def test_services_are_shared_or_the_tenants(pages: Pages) -> None:
    before = pages.call("Looking/charged")[1]
    tea, piano = {"product": "tea", "amount": 50}, {"product": "piano", "amount": 50}
    assert pages.call("ServicesShared/run", tea) == (200, 50)
    assert pages.call("ServicesShared/run", piano) == (409, "we do not carry pianos")
    assert pages.call("ServicesTenant/run", tea) == (403, "whose shop?")
    acme = {"x-tenant": "acme"}
    assert pages.call("ServicesTenant/run", tea, **acme) == (200, "acme got 50")
    assert pages.call("ServicesTenant/run", piano, **acme) == (409, "we do not carry pianos")
    assert pages.call("ServicesTwice/run", tea, **acme) == (200, ["acme got 50"] * 2)
    assert pages.call("Looking/charged")[1] == before + 200


def test_a_container_gives_each_action_its_own(pages: Pages) -> None:
    tea, piano = {"product": "tea", "amount": 1}, {"product": "piano", "amount": 1}
    assert pages.call("ServicesDishka/run", tea, **{"x-tenant": "acme"}) == (200, "acme")
    assert pages.call("ServicesDishka/run", piano) == (409, "we do not carry pianos")
    assert pages.holds() == [("tea", "acme")] * 2
    first, second = pages.call("ServicesNumbers/run")[1]
    assert second > first


async def test_the_application_answers(pages: Pages) -> None:
    spec = importlib.util.spec_from_file_location("page_fastapi", pages.folder / "page_fastapi.py")
    assert spec is not None
    assert spec.loader is not None
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    tea, costly = {"product": "tea", "amount": 50}, {"product": "tea", "amount": 5000}
    transport = httpx.ASGITransport(app=page.app)
    async with (
        page.clients.open(),
        httpx.AsyncClient(transport=transport, base_url="http://shop", timeout=60) as client,
    ):
        answer = await client.post("/orders", json=tea, headers={"x-tenant": "acme"})
        assert answer.json() == {"product": "tea", "paid": 50, "tenant": "acme"}
        answer = await client.post("/orders", json=costly)
        problem, statuses = blocks(DOCS / "guide" / "fastapi.md", "json")
        assert (answer.status_code, answer.json()) == (402, json.loads(problem))
        assert (await client.post("/wallets/anna?amount=3")).json() == 3
        shown = [json.loads(line) for line in statuses.splitlines()]
        assert [each["status"] for each in shown] == ["running", "completed", "failed"]
        for order, expected in ((tea, shown[1]), (costly, shown[2])):
            answer = await client.post("/orders/later", json=order)
            assert answer.status_code == 202
            status = answer.headers["location"]
            ended = await _ended(client, status)
            assert ended["status"] == expected["status"]
            for part in ("result", "error"):
                assert expected.get(part, {}).items() <= ended.get(part, {}).items()
    await asyncio.sleep(0)


async def _ended(client: httpx.AsyncClient, status: str) -> dict[str, Any]:
    last: dict[str, Any] = {}

    async def ended() -> bool:
        last.clear()
        last.update((await client.get(status)).json())
        return bool(last["status"] != "running")

    await until(ended, "the saga has ended")
    return last
