"""The pages of the guide as modules, all served by one worker."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from resaga.server import RestateServer, Worker

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TIMEOUT = 30.0
"""Seconds; against a hang only."""

# The pages whose Python blocks are one module each, by the module's name.
PAGES = {
    "index": DOCS / "index.md",
    **{
        name.replace("-", "_"): DOCS / "guide" / f"{name}.md"
        for name in (
            *("clients", "composition", "errors", "failure", "from-a-list", "from-typescript"),
            *("keyed", "running", "steps", "tutorial"),
        )
    },
}


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [text for kind, text in BLOCK.findall(page.read_text("utf-8")) if kind == language]


def code(page: Path) -> str:
    """A page's Python blocks as one module."""
    return "\n\n".join(blocks(page, "python"))


SERVED = """
import importlib, json
import restate

pages = {{name: importlib.import_module(name) for name in {names}}}
guide = restate.Service("Guide")


@guide.handler()
async def look(ctx: restate.Context, path: str) -> str:
    page, _, name = path.partition(".")
    return json.dumps(vars(pages[page])[name], default=sorted)


kinds = restate.Service, restate.Workflow, restate.VirtualObject
definitions = {{
    id(one): one for page in pages.values() for one in vars(page).values() if isinstance(one, kinds)
}}
app = restate.app([guide, *definitions.values()])
"""
"""What the worker serves: all definitions of all pages, and one that shows a page's variables."""


@dataclass(frozen=True)
class Guide:
    """The guide's definitions on a server."""

    server: RestateServer
    folder: Path

    def call(self, path: str, value: object = None, **headers: str) -> httpx.Response:
        """Call a handler, ``Service/handler`` or ``Service/key/handler``."""
        content = None if value is None else json.dumps(value)
        if content is not None:
            headers["content-type"] = "application/json"
        url = f"{self.server.ingress_url}/{path}"
        return httpx.post(url, content=content, headers=headers, timeout=TIMEOUT, trust_env=False)

    def told(self, path: str, value: object = None) -> str:
        """A call's status and, of what came back, its message, else the output."""
        answer = self.call(path, value)
        body = answer.text if answer.is_success else answer.json()["message"]
        return f"{answer.status_code} {body}"

    def attach(self, path: str) -> httpx.Response:
        """Wait for a Restate workflow, ``Workflow/key``."""
        url = f"{self.server.ingress_url}/restate/workflow/{path}/attach"
        return httpx.get(url, timeout=TIMEOUT, trust_env=False)

    def look(self, path: str) -> Any:
        """A variable of a page's module, ``page.variable``, as it is in the worker."""
        return json.loads(self.call("Guide/look", path).json())


@contextmanager
def serving_pages(folder: Path) -> Generator[Guide]:
    """Write the pages as modules into a folder, and serve what they define."""
    for name, page in PAGES.items():
        (folder / f"{name}.py").write_text(code(page), "utf-8")
    (folder / "served.py").write_text(SERVED.format(names=list(PAGES)), "utf-8")
    with RestateServer() as server, Worker(app="served:app", cwd=folder) as worker:
        server.register(worker.uri)
        yield Guide(server, folder)
