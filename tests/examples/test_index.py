"""The list of examples is whole, and each of them is small and tested."""

from __future__ import annotations

import re

import pytest

from tests.examples.running import ROOT

FOLDERS = sorted(main.parent.name for main in (ROOT / "examples").glob("*/__main__.py"))


def test_the_list_is_whole() -> None:
    index = (ROOT / "examples" / "README.md").read_text()
    assert sorted(re.findall(r"^\| \[`(\w+)`\]\(\1/README\.md\)", index, re.MULTILINE)) == FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_has_a_test_and_files_that_can_be_read_at_a_glance(folder: str) -> None:
    assert (ROOT / "tests" / "examples" / f"test_{folder}.py").is_file()
    for module in (ROOT / "examples" / folder).glob("*.py"):
        assert len(module.read_text().splitlines()) <= 120, module
