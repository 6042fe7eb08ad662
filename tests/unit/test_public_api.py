"""The names that users import: one place, sorted, documented."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import pytest
import restate

import resaga

CLASSES = [name for name in resaga.__all__ if inspect.isclass(getattr(resaga, name))]
FUNCTIONS = [name for name in resaga.__all__ if inspect.isfunction(getattr(resaga, name))]
# Type aliases and the version have their words in the module they stand in.
OTHERS = {"ErrorMapper", "Outcome", "Via", "__version__"}


def own_members(cls: type) -> list[str]:
    return [
        name
        for name, member in vars(cls).items()
        if not name.startswith("_")
        and isinstance(member, property | classmethod | staticmethod | type(own_members))
    ]


def test_all_is_sorted_and_names_nothing_twice() -> None:
    assert resaga.__all__ == sorted(set(resaga.__all__))


def test_all_is_everything_public() -> None:
    found = {
        name
        for name, value in vars(resaga).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert found | {"__version__"} == set(resaga.__all__)


def test_a_star_import_gives_all() -> None:
    namespace: dict[str, object] = {}
    exec("from resaga import *", namespace)
    assert set(resaga.__all__) <= namespace.keys()


def test_the_version_is_that_of_the_distribution() -> None:
    assert resaga.__version__ == version("resaga")
    assert re.match(r"\d+\.\d+\.\d+", resaga.__version__)


def test_all_is_classes_and_functions_but_for_few() -> None:
    assert {*CLASSES, *FUNCTIONS} == set(resaga.__all__) - OTHERS


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_it_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(resaga, name)
    assert value.__doc__
    # A dataclass without one gets its signature instead.
    assert not value.__doc__.startswith(f"{name}(")
    assert value.__doc__.splitlines()[0].rstrip().endswith((".", ":", "``"))


@pytest.mark.parametrize("name", CLASSES)
def test_its_public_members_have_docstrings(name: str) -> None:
    value = getattr(resaga, name)
    assert [name for name in own_members(value) if not getattr(value, name).__doc__] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_documents_each_of_its_parameters(name: str) -> None:
    value = getattr(resaga, name)
    missing = [
        parameter
        for parameter in inspect.signature(value).parameters
        if not re.search(rf"\b{parameter}\b", value.__doc__ or "")
    ]
    assert missing == []


def test_definitions_are_the_sdks_own() -> None:
    assert issubclass(resaga.SagaWorkflow, restate.Service)


def test_errors_are_terminal_or_resagas_own() -> None:
    errors = [
        value
        for value in map(vars(resaga).get, resaga.__all__)
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(errors) > 5
    for error in errors:
        assert issubclass(error, restate.TerminalError) != issubclass(error, resaga.ResagaError)


def test_the_core_imports_nothing_that_needs_an_extra() -> None:
    optional = {"aiosqlite", "dishka", "fastapi", "granian", "httpx", "pydantic", "sqlalchemy"}
    # The SDK itself imports httpx where it is installed.
    script = (
        "import sys, restate; before = set(sys.modules); import resaga; "
        f"print(sorted({optional!r} & (set(sys.modules) - before)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
