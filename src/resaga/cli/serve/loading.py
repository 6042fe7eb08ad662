"""Importing the user's app, with an error that says where it went wrong."""

from __future__ import annotations

import importlib
import operator
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resaga.cli.trouble import BadInput

__all__ = ["check_target", "import_app"]


def check_target(target: str) -> None:
    """Refuse what names no app.

    Raises:
        BadInput: It is not of the form ``module:name``.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name) or "/" in module or module.endswith(".py"):
        raise BadInput(
            f"{target!r} names no app. Give the module and the name of what restate.app([...]) "
            "gave in it, shop.app:app say; the module is looked for in the current folder."
        )


def import_app(target: str) -> Callable[..., Any]:
    """Import what ``module:name`` stands for.

    Raises:
        BadInput: The module does not import, or has nothing to serve under that name; the
            message names the line in the user's code.
    """
    check_target(target)
    module_name, _, name = target.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except SystemExit as error:
        raise BadInput(f"{target}: importing it ended in sys.exit({error.code!r}).") from error
    except Exception as error:
        raise BadInput(_import_failed(target, module_name, error)) from error
    try:
        app: Callable[..., Any] = operator.attrgetter(name)(module)
    except AttributeError as error:
        raise BadInput(
            f"{target}: the module {module_name} has no {name!r}. Name what restate.app([...]) "
            "gave in it."
        ) from error
    if not callable(app):
        raise BadInput(
            f"{target} is no app but {type(app).__name__}. Name what restate.app([...]) gave; "
            "a single workflow needs restate.app([workflow])."
        )
    return app


def _import_failed(target: str, module: str, error: Exception) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and f"{module}.".startswith(f"{missing}."):
        return (
            f"{target}: there is no module {missing} in {Path.cwd()} or on PYTHONPATH. Run this "
            "in the folder that it is in, or give its full dotted name."
        )
    if isinstance(error, SyntaxError) and error.filename is not None:
        where = f"{error.filename}, line {error.lineno}"
        return f"{target} does not import: {where}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    # Python's own frames come last where its code raises: os.environ["..."], say.
    ours = [f for f in frames if "importlib" not in f.filename and "<frozen" not in f.filename]
    where = f"{ours[-1].filename}, line {ours[-1].lineno}: " if len(ours) > 1 else ""
    return f"{target} does not import: {where}{type(error).__name__}: {error}"
