"""The guide's site builds in strict mode, and fetches nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.guide import DOCS, ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


class Loaded(HTMLParser):
    """What a page loads, and what it links to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a":
            self.linked.append(given.get("href") or "")
            return
        self.loaded += [given[name] or "" for name in ("src", "href", "data") if name in given]


def test_every_page_is_there(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).with_suffix("")
        built = site / (name.parent if name.name == "index" else name) / "index.html"
        assert built.is_file(), built
        assert "<h1" in built.read_text("utf-8")


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert pages
    for page in pages:
        loaded = Loaded(page.read_text("utf-8")).loaded
        assert loaded
        away = [url for url in loaded if re.match(r"(?:\w+:)?//", url)]
        assert not away, f"{page.name} loads {away}"
        assert "mermaid" not in page.read_text("utf-8"), "its script would come from elsewhere"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", style.read_text("utf-8"))


def test_its_examples_are_shown_as_python(site: Path) -> None:
    page = (site / "reference" / "steps" / "index.html").read_text("utf-8")
    assert page.count("<strong>Example</strong>") > 5
    assert "Example::" not in page


def test_make_builds_the_same() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^docs: .*\n\t.*mkdocs build --strict", makefile, re.MULTILINE)
    assert "/site/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
