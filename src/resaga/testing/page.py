"""The report as one page of HTML that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --paper: #fff; --soft: #667085; --line: #d8dde6;
  --right: #117a43; --right-paper: #e6f5ec; --wrong: #b42318; --wrong-paper: #fde8e6;
  --code: #f5f7fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --paper: #14171d; --soft: #97a1b3;
  --line: #313845; --right: #4ac585; --right-paper: #14301f; --wrong: #ff8a7d;
  --wrong-paper: #421a17; --code: #1c212a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 70rem; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; } .sum { color: var(--soft); margin: .2rem 0 1.5rem; }
.wrong-sum { color: var(--wrong); font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: 0; text-align: center; }
thead th { height: 8.2rem; vertical-align: bottom; padding: .5rem .2rem; font-weight: 500; }
thead th span { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; }
tbody th { text-align: left; padding: .35rem .8rem; font-weight: 600; white-space: nowrap; }
td { width: 2.4rem; height: 2.2rem; } td a { display: block; line-height: 2.2rem;
  text-decoration: none; font-weight: 700; }
.right, .right a { color: var(--right); } td.right { background: var(--right-paper); }
.wrong, .wrong a { color: var(--wrong); } td.wrong { background: var(--wrong-paper); }
.na { color: var(--soft); }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; }
details:target { outline: 2px solid var(--soft); }
summary { padding: .5rem .9rem; cursor: pointer; font-weight: 600; }
summary small { font-weight: 400; color: var(--soft); margin-left: .6rem; }
details > div { padding: 0 .9rem .8rem; }
pre { background: var(--code); padding: .8rem; border-radius: 4px; overflow-x: auto;
  margin: .4rem 0; font: 13px/1.45 ui-monospace, monospace; }
.finding { margin: .2rem 0; } .finding b { color: var(--wrong); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; }
dt { font-weight: 600; } dd { margin: 0; color: var(--soft); }
"""

_SIGNS = {"right": ("right", "✔"), "wrong": ("wrong", "✘"), "not applicable": ("na", "·")}


def page(report: Mapping[str, Any]) -> str:
    """The page of a report, which is given as it is in JSON."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    cases: list[dict[str, Any]] = report["cases"]
    wrong = [case for case in cases if case["verdict"] == "wrong"]
    ran = [case for case in cases if case["verdict"] != "not applicable"]
    title = f"{report['workflow']}, explored"
    yield "<!doctype html>"
    yield f'<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<style>{_STYLE}</style>"
    yield f"<h1>{escape(title)}</h1>"
    found = (
        f'<span class="wrong-sum">{len(wrong)} broke a rule</span>' if wrong else "all are right"
    )
    yield f'<p class="sum">{len(ran)} cases in {report["seconds"]:.1f} s; {found}.</p>'
    yield from _table(report, {case["name"]: n for n, case in enumerate(cases)}, cases)
    if wrong:
        yield "<h2>What is wrong</h2>"
        for case in wrong:
            yield from _case(cases.index(case), case)
    yield "<h2>What each column does to a step</h2><dl>"
    for column, what in report["columns"].items():
        yield f"<dt>{escape(column)}</dt><dd>{escape(what)}</dd>"
    yield "</dl>"
    yield "<h2>The other cases</h2>"
    for number, case in enumerate(cases):
        if case["verdict"] != "wrong":
            yield from _case(number, case)
    yield "</html>"


def _table(
    report: Mapping[str, Any], numbers: Mapping[str, int], cases: list[dict[str, Any]]
) -> Iterator[str]:
    yield '<div class="scroll"><table><thead><tr><th></th>'
    for column, what in report["columns"].items():
        yield f'<th scope="col" title="{escape(what)}"><span>{escape(column)}</span></th>'
    yield "</tr></thead><tbody>"
    for row in report["rows"]:
        yield f'<tr><th scope="row">{escape(row)}</th>'
        for column in report["columns"]:
            number = numbers.get(f"{row}/{column}")
            verdict = "not applicable" if number is None else cases[number]["verdict"]
            kind, sign = _SIGNS[verdict]
            inner = sign if number is None else f'<a href="#case-{number}">{sign}</a>'
            yield f'<td class="{kind}" title="{escape(f"{row}, {column}: {verdict}")}">{inner}</td>'
        yield "</tr>"
    yield "</tbody></table></div>"


def _case(number: int, case: Mapping[str, Any]) -> Iterator[str]:
    kind, sign = _SIGNS[case["verdict"]]
    is_open = " open" if case["verdict"] == "wrong" else ""
    yield f'<details id="case-{number}"{is_open}><summary><span class="{kind}">{sign}</span> '
    yield f"{escape(case['name'])}<small>the saga {escape(case['end'])}</small></summary><div>"
    for finding in case["violations"]:
        yield (
            f'<p class="finding"><b>{escape(finding["rule"])}</b>: {escape(finding["message"])}</p>'
        )
    yield f"<pre>{escape(chr(10).join(case['trace']))}</pre>"
    if case["verdict"] == "wrong":
        yield f"<p>Run it alone:</p><pre>{escape(case['rerun'])}</pre>"
    yield "</div></details>"
