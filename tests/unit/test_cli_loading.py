"""What names an app, and what is said of what does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from resaga.cli.serve.loading import import_app
from resaga.cli.trouble import BadInput

BROKEN = {
    "one.py": ("app = (\n", "one.py, line 1: SyntaxError"),
    "two.py": ("import no_such_module\n", "two.py, line 1: ModuleNotFoundError"),
    "three.py": ("\nraise ValueError('no')\n", "three.py, line 2: ValueError: no"),
    "four.py": ("import sys\nsys.exit(3)\n", "sys.exit(3)"),
    "five.py": ("other = 1\n", "has no 'app'"),
    "six.py": ("app = 1\n", "no app but int"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_module_that_does_not_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, said = BROKEN[name]
    module = f"resaga_test_{name.removesuffix('.py')}"
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    with pytest.raises(BadInput) as told:
        import_app(f"{module}:app")
    assert said in str(told.value)


@pytest.mark.parametrize("target", ["shop", "shop:", ":app", "shop.py:app", "src/shop:app", ""])
def test_what_names_no_app(target: str) -> None:
    with pytest.raises(BadInput, match="names no app"):
        import_app(target)


@pytest.mark.parametrize("target", ["no_such_module:app", "no_such_module.inner:app"])
def test_a_module_that_is_not_there(target: str) -> None:
    with pytest.raises(BadInput, match="there is no module no_such_module"):
        import_app(target)
