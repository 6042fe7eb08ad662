"""The exceptions: where each stands, and what a `RollbackIncomplete` tells (R4, R10)."""

from __future__ import annotations

import inspect
import json
import re

import pytest
import restate
from restate import TerminalError

from resaga import (
    BranchAbandoned,
    CompensationFailure,
    DeadlineExceeded,
    Interruption,
    MisuseError,
    ResagaError,
    RollbackIncomplete,
    SagaCancelled,
    StepTimeout,
    UnsupportedTypeError,
    errors,
)
from resaga.errors import received

CLASSES: dict[str, type[Exception]] = {
    name: cls
    for name, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, Exception) and cls.__module__ == errors.__name__
}


def drawn() -> dict[str, str]:
    """The tree in the module's docstring: each class and the one above it."""
    above: dict[str, str] = {}
    path = ["Exception"]
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
        found = re.match(r"(?P<indent>\s*(?:[│ ]\s*)*)[├└]── (?P<name>[\w.]+)", line)
        if found:
            depth = (found.start("name") - len("    ├── ")) // 4 + 1
            del path[depth:]
            above[found["name"].removeprefix("restate.")] = path[-1]
            path.append(found["name"].removeprefix("restate."))
    return above


def test_the_hierarchy_is_as_drawn() -> None:
    tree = drawn()
    assert tree.pop("TerminalError") == "Exception"
    assert tree.keys() == CLASSES.keys()
    for name, above in tree.items():
        bases = {base.__name__ for base in CLASSES[name].__bases__}
        assert above in bases, f"{name} is not drawn where it stands"


def test_r04_what_is_retried_is_no_terminal_error() -> None:
    for cls in CLASSES.values():
        assert issubclass(cls, ResagaError) != issubclass(cls, TerminalError)
    assert issubclass(UnsupportedTypeError, MisuseError)
    assert issubclass(StepTimeout, TimeoutError)


@pytest.mark.parametrize(
    ("error", "code"),
    [(SagaCancelled(), 409), (DeadlineExceeded("late"), 408), (BranchAbandoned("beside"), 409)],
)
def test_an_interruption_has_a_code_of_its_own(error: Interruption, code: int) -> None:
    assert (error.status_code, type(error).code) == (code, code)


def test_a_cancel_is_told_as_the_sdk_tells_it() -> None:
    """The caller of a cancelled saga sees what the caller of a cancelled handler sees."""
    assert SagaCancelled().message == "cancelled"


@pytest.mark.parametrize("cls", [SagaCancelled, DeadlineExceeded, BranchAbandoned])
def test_an_interruption_can_be_raised_anew(cls: type[Interruption]) -> None:
    """The journal does that at every later wait (R5)."""
    again = cls(cls("why").message)
    assert (type(again), again.message) == (cls, "why")


# -- R10 -----------------------------------------------------------------------------------------

FAILURES = [CompensationFailure("Pay", "bank closed"), CompensationFailure("Hold", "gone", 404)]


def test_r10_it_tells_the_original_and_what_is_left() -> None:
    original = TerminalError("no flights", 409, {"airline": "X"})
    error = RollbackIncomplete(original, FAILURES)
    assert error.original is original
    assert error.failures == tuple(FAILURES)
    assert error.status_code == 409
    assert error.message.startswith("no flights (rollback incomplete")
    assert "Pay: bank closed; Hold: gone" in error.message
    assert isinstance(error, restate.TerminalError)


def test_r10_its_metadata_cross_services_and_keep_the_originals() -> None:
    original = TerminalError("no", 409, {"airline": "X"})
    metadata = RollbackIncomplete(original, FAILURES).metadata
    assert metadata is not None
    assert metadata["airline"] == "X"
    assert metadata["resaga.rollback"] == "incomplete"
    assert json.loads(metadata["resaga.failed"]) == ["Pay", "Hold"]
    assert all(isinstance(value, str) for value in metadata.values())
    assert original.metadata == {"airline": "X"}, "the original stays as it was"


def test_r10_it_is_known_by_its_metadata() -> None:
    sent = RollbackIncomplete(TerminalError("no flights", 409, {"airline": "X"}), FAILURES)
    crossed = received(TerminalError(sent.message, sent.status_code, sent.metadata))
    assert isinstance(crossed, RollbackIncomplete)
    assert (crossed.message, crossed.status_code) == (sent.message, 409)
    assert crossed.metadata == sent.metadata
    assert crossed.original.message == "no flights"
    assert crossed.original.metadata == {"airline": "X"}
    assert [(f.name, f.message) for f in crossed.failures] == [
        (f.name, f.message) for f in FAILURES
    ]
    for metadata in (None, {}, {"resaga.rollback": "complete"}, {"other": "incomplete"}):
        other = TerminalError("no", 409, metadata)
        assert received(other) is other


@pytest.mark.parametrize(
    "message", ["told otherwise", "no (rollback incomplete, not undone: Else: x)", ""]
)
def test_r10_one_whose_message_tells_nothing_still_names_what_failed(message: str) -> None:
    sent = RollbackIncomplete(TerminalError("no"), FAILURES)
    crossed = received(TerminalError(message, 500, sent.metadata))
    assert isinstance(crossed, RollbackIncomplete)
    assert crossed.message == message
    assert [f.name for f in crossed.failures] == [f.name for f in FAILURES]


def test_r10_names_that_are_no_list_are_none() -> None:
    for names in ("", "{}", "null", "[1"):
        metadata = {"resaga.rollback": "incomplete", "resaga.failed": names}
        crossed = received(TerminalError("no", 500, metadata))
        assert isinstance(crossed, RollbackIncomplete)
        assert crossed.failures == ()


@pytest.mark.parametrize("names", [{}, {"resaga.failed": "[]"}, {"resaga.failed": "[1"}])
def test_r10_without_names_its_message_is_enough(names: dict[str, str]) -> None:
    sent = RollbackIncomplete(TerminalError("no"), FAILURES)
    crossed = received(TerminalError(sent.message, 500, {"resaga.rollback": "incomplete", **names}))
    assert isinstance(crossed, RollbackIncomplete)
    assert (crossed.original.message, crossed.failures) == ("no", ())


def test_r10_names_of_any_text_are_listed_so_that_they_can_be_read_back() -> None:
    names = ['a "quoted", name', "größe 💶", "a\nb"]
    error = RollbackIncomplete(TerminalError("no"), [CompensationFailure(n, "x") for n in names])
    assert error.metadata is not None
    assert json.loads(error.metadata["resaga.failed"]) == names


def test_a_failure_is_plain_data() -> None:
    assert CompensationFailure("Pay", "x") == CompensationFailure("Pay", "x", 500)
    assert len({*FAILURES, *FAILURES}) == 2
