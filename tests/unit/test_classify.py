"""Which exceptions are terminal: R2, R3 and R4 without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restate import TerminalError
from restate.exceptions import RetryableError, SdkInternalException, SuspendedException
from restate.server_context import DisconnectedException

from resaga import (
    CodecError,
    DeadlineExceeded,
    MisuseError,
    ProviderError,
    ResagaError,
    RollbackIncomplete,
    SagaCancelled,
    StepTimeout,
    clear_terminal_errors,
    get_global_error_mapper,
    register_terminal_errors,
    set_global_error_mapper,
    unregister_terminal_errors,
)
from resaga.classify import internal_of, raise_ordinary, terminal_of


class Base(Exception):
    """A domain error."""


class Derived(Base):
    """A more special one."""


class MostDerived(Derived):
    """The most special one."""


def chain(*links: Exception) -> Exception:
    """The first of them, each caused by the next."""
    for link, cause in pairwise(links):
        link.__cause__ = cause
    return links[0]


def everything(exc: Exception) -> TerminalError | None:
    """A mapper that is too eager."""
    return TerminalError("mapped", 418)


@pytest.fixture
def eager() -> Iterator[None]:
    """Every way of mapping maps everything."""
    register_terminal_errors([Exception])
    set_global_error_mapper(everything)
    yield
    clear_terminal_errors()
    set_global_error_mapper(None)


# -- R2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "terminal",
    [
        TerminalError("x"),
        SagaCancelled(),
        DeadlineExceeded("late"),
        RollbackIncomplete(TerminalError("x"), []),
    ],
)
def test_r02_a_terminal_error_is_itself(terminal: TerminalError) -> None:
    assert terminal_of(terminal) is terminal


def test_r02_the_cause_chain_leads_to_it() -> None:
    terminal, second = TerminalError("x"), TerminalError("y")
    assert terminal_of(chain(Base(), terminal)) is terminal
    assert terminal_of(chain(Base(), Derived(), terminal, second)) is terminal
    assert terminal_of(chain(Base(), ValueError())) is None


def test_r02_the_context_is_no_cause() -> None:
    error = Base()
    error.__context__ = TerminalError("x")
    assert terminal_of(error) is None


@pytest.mark.parametrize(
    "first",
    [
        RetryableError("again"),
        SuspendedException(),
        SdkInternalException(),
        DisconnectedException(),
    ],
)
def test_r02_not_behind_what_is_retried(first: Exception) -> None:
    assert terminal_of(chain(Base(), first, TerminalError("x"))) is None


def test_r02_in_front_of_what_is_retried() -> None:
    terminal = TerminalError("x")
    assert terminal_of(chain(Base(), terminal, RetryableError("again"))) is terminal


def test_r02_a_cycle_of_causes_ends() -> None:
    first, second = Base(), Derived()
    chain(first, second, first)
    assert terminal_of(first) is None


def test_r02_a_group_needs_every_leaf() -> None:
    one, two = TerminalError("one"), TerminalError("two")
    assert terminal_of(ExceptionGroup("g", [one, two])) is one
    nested = ExceptionGroup("g", [ExceptionGroup("h", [chain(Base(), two)]), one])
    assert terminal_of(nested) is two
    assert terminal_of(ExceptionGroup("g", [one, Base()])) is None
    assert terminal_of(ExceptionGroup("g", [one, ExceptionGroup("h", [two, Base()])])) is None


def test_r02_a_group_with_a_terminal_cause_is_judged_by_its_leaves() -> None:
    group = ExceptionGroup("g", [Base()])
    group.__cause__ = TerminalError("x")
    assert terminal_of(group) is None


LINKS: list[Callable[[], Exception]] = [
    Base,
    ValueError,
    lambda: RetryableError("again"),
    lambda: TerminalError("x"),
    DisconnectedException,
]


@given(st.lists(st.sampled_from(LINKS), min_size=1, max_size=8))
def test_r02_the_first_that_decides_decides(made: list[Callable[[], Exception]]) -> None:
    links = [make() for make in made]
    decides = (TerminalError, RetryableError, DisconnectedException)
    first = next((link for link in links if isinstance(link, decides)), None)
    expected = first if isinstance(first, TerminalError) else None
    assert terminal_of(chain(*links)) is expected


# -- R3 ----------------------------------------------------------------------------------------


def test_r03_the_order() -> None:
    def says(who: str) -> Callable[[Exception], TerminalError | None]:
        return lambda exc: TerminalError(who) if isinstance(exc, Base) else None

    def silent(exc: Exception) -> TerminalError | None:
        return None

    def message(*mappers: Callable[[Exception], TerminalError | None] | None) -> str | None:
        found = terminal_of(Base("registry"), *mappers)
        return None if found is None else found.message

    assert message(silent, None) is None
    set_global_error_mapper(says("global"))
    assert message(silent, None) == "global"
    register_terminal_errors([Base])
    assert message(silent, silent) == "registry"
    assert message(None, says("workflow")) == "workflow"
    assert message(says("step"), says("workflow")) == "step"
    assert terminal_of(ValueError(), says("step"), says("workflow")) is None


@pytest.mark.parametrize("turn", [1, -1])
def test_r03_the_most_derived_class_wins(turn: int) -> None:
    codes = [(Exception, 500), (Base, 401), (Derived, 402)]
    register_terminal_errors(dict(codes[::turn]))
    assert getattr(terminal_of(MostDerived()), "status_code", None) == 402
    assert getattr(terminal_of(Base()), "status_code", None) == 401
    assert getattr(terminal_of(ValueError()), "status_code", None) == 500
    unregister_terminal_errors([Derived, KeyError])
    assert getattr(terminal_of(MostDerived()), "status_code", None) == 401
    clear_terminal_errors()
    assert terminal_of(MostDerived()) is None


def test_r03_a_registered_error_without_a_message_is_named_by_its_class() -> None:
    register_terminal_errors([Base])
    found = terminal_of(Derived())
    assert found is not None
    assert (found.message, found.status_code) == ("Derived", 500)


def test_r03_leaves_of_a_group_are_mapped_one_by_one() -> None:
    register_terminal_errors({Base: 404})
    found = terminal_of(ExceptionGroup("g", [Base("first"), TerminalError("second")]))
    assert found is not None
    assert (found.message, found.status_code) == ("first", 404)


@pytest.mark.usefixtures("eager")
def test_r03_compensations_are_not_mapped() -> None:
    assert terminal_of(Base(), everything, mapped=False) is None
    terminal = TerminalError("x")
    assert terminal_of(chain(Base(), terminal), everything, mapped=False) is terminal


def test_r03_the_global_mapper_can_be_asked_for() -> None:
    assert get_global_error_mapper() is None
    set_global_error_mapper(everything)
    assert get_global_error_mapper() is everything


@pytest.mark.parametrize(
    "cls",
    [
        RetryableError,
        DisconnectedException,
        MisuseError,
        ProviderError,
        ResagaError,
        BaseException,
        SystemExit,
        "Base",
        Base("an instance"),
    ],
)
def test_r03_what_cannot_be_registered_is_refused(cls: type[Exception]) -> None:
    with pytest.raises(MisuseError, match="register_terminal_errors"):
        register_terminal_errors([cls])
    with pytest.raises(MisuseError, match="register_terminal_errors"):
        register_terminal_errors({cls: 409})


@pytest.mark.parametrize("code", [0, 200, 399, 600, True, "409", None])
def test_r03_a_status_code_that_is_no_error_is_refused(code: int) -> None:
    with pytest.raises(MisuseError, match="status code"):
        register_terminal_errors({Base: code})
    assert terminal_of(Base()) is None


# -- R4 ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "exc",
    [
        RetryableError("again"),
        asyncio.CancelledError(),
        SuspendedException(),
        SdkInternalException(),
        DisconnectedException(),
        MisuseError("misuse"),
        ProviderError("provider"),
        KeyboardInterrupt(),
        SystemExit(1),
    ],
)
def test_r04_comes_before_every_mapper(exc: BaseException) -> None:
    assert terminal_of(exc, everything, everything) is None


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("exc", [CodecError("x"), StepTimeout("x")])
def test_r04_other_errors_of_resaga_may_be_mapped(exc: Exception) -> None:
    assert terminal_of(exc, everything) is not None


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "internal", [SuspendedException(), DisconnectedException(), asyncio.CancelledError()]
)
def test_r04_a_group_that_holds_the_end_of_the_attempt_is_that_end(internal: BaseException) -> None:
    group = BaseExceptionGroup(
        "outer", [TerminalError("x"), BaseExceptionGroup("inner", [Base(), internal])]
    )
    assert internal_of(group) is internal
    assert terminal_of(group, everything) is None
    with pytest.raises(type(internal)) as raised:
        raise_ordinary(group)
    assert raised.value is internal


def test_r04_an_ordinary_group_goes_on_as_it_is() -> None:
    group = ExceptionGroup("g", [Base(), TerminalError("x")])
    assert internal_of(group) is None
    with pytest.raises(ExceptionGroup) as raised:
        raise_ordinary(group)
    assert raised.value is group
