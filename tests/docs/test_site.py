"""The guide's site builds in strict mode, and fetches nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

from tests.support.guide import DOCS, ROOT


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


def test_site_is_whole_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=160,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    check_pages(tmp_path)
    check_loads(tmp_path)
    steps = (tmp_path / "reference" / "steps" / "index.html").read_text("utf-8")
    assert steps.count("<strong>Example</strong>") > 5, "docstrings' examples are not shown"
    assert "Example::" not in steps


def check_pages(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).with_suffix("")
        built = site / (name.parent if name.name == "index" else name) / "index.html"
        assert built.is_file(), built
        assert "<h1" in built.read_text("utf-8")


def check_loads(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loaded = Loaded(text).loaded
        assert loaded
        away = [url for url in loaded if re.match(r"(?:\w+:)?//", url)]
        assert not away, f"{page.name} loads {away}"
        # Material loads its script from elsewhere as soon as a page has a chart.
        assert not re.search(r'class="[^"]*\bmermaid\b', text), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", style.read_text("utf-8"))


def test_make_builds_the_same() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^docs: .*\n\t.*mkdocs build --strict", makefile, re.MULTILINE)
    assert "/site/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
