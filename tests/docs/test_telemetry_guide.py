"""docs/guide/telemetry.md does what it says: its code runs, and what it names is emitted."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from resaga import SagaStep, SagaWorkflow
from resaga.ext import logs, opentelemetry
from resaga.ext.logs import LoggingObserver
from resaga.ext.opentelemetry import OpenTelemetryObserver

CHAPTER = (Path(__file__).parents[2] / "docs" / "guide" / "telemetry.md").read_text("utf-8")

PRELUDE = """
from dataclasses import dataclass

from resaga import Contract


@dataclass
class Order:
    product: str


@dataclass
class Receipt:
    id: str


@dataclass
class Parcel:
    id: str


shipping = Contract("Shipping", Order, Parcel)
"""


def test_its_code_defines_what_it_says(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", CHAPTER, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    program = tmp_path / "shop.py"
    program.write_text("\n\n".join([PRELUDE, *blocks]), "utf-8")
    defined = runpy.run_path(str(program))
    assert isinstance(defined["telemetry"], OpenTelemetryObserver)
    assert isinstance(defined["checkout"], SagaWorkflow)
    assert isinstance(defined["ship"], SagaStep)
    assert defined["LoggingObserver"] is LoggingObserver


def test_its_names_are_those_of_the_code() -> None:
    told = set(re.findall(r"`(resaga\.[a-z_.]+|error\.type)`", CHAPTER))
    packages = {"resaga.ext.opentelemetry", "resaga.ext.logs", "resaga.sagas"}
    code = "".join(
        Path(str(module.__file__)).read_text("utf-8") for module in (opentelemetry, logs)
    )
    emitted = set(re.findall(r'"(resaga\.[a-z_.]+|error\.type)"', code))
    assert told - packages == emitted - packages
