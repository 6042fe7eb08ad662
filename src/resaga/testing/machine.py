"""A state machine in memory: what stands for the server when a saga runs without one.

It stands where the SDK's own does, behind the SDK's own context, so that all above it is what
runs in production. Time jumps: a sleep is over as soon as nothing else can go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Never

from restate.vm import (
    DO_PROGRESS_ANY_COMPLETED,
    DO_PROGRESS_CANCEL_SIGNAL_RECEIVED,
    DO_PROGRESS_WAIT_EXTERNAL_PROGRESS,
    NOT_READY,
    SUSPENDED,
    AllCompletedUnresolvedFuture,
    DoProgressExecuteRun,
    DoProgressResult,
    Failure,
    NotificationType,
    Run,
    RunRetryConfig,
    SingleUnresolvedFuture,
    Suspended,
    UnresolvedFuture,
    VMWrapper,
)

from resaga.handles import handles
from resaga.testing.errors import SagaTestError
from resaga.testing.memory import Entry, MemoryJournal
from resaga.testing.retries import FACTOR, INITIAL_INTERVAL, Retries

__all__ = ["AttemptFailed", "MemoryVM"]


class AttemptFailed(Exception):
    """An action failed, and will be tried again by the next attempt."""


def _refused(name: str) -> Any:
    def refuse(*_: Any, **__: Any) -> Never:
        raise SagaTestError(
            f"A promise or an awakeable needs the real server ({name}): use saga_client."
        )

    return refuse


class MemoryVM(VMWrapper):
    """One attempt's view of a `MemoryJournal`; the SDK's context takes it for its own.

    Args:
        journal: What earlier attempts have left.
        replay: Whether each result is seen by the next attempt only.
    """

    def __init__(self, journal: MemoryJournal, *, replay: bool) -> None:
        self._journal = journal
        self._known = len(journal.entries)
        self._next = 0
        # Results come in when something waits, not before, as with the SDK's own.
        self._seen: set[int] = set()
        self._taken: set[int] = set()
        self._running: set[int] = set()
        self._begun: set[int] = set()
        self._read = 0
        self._failed: AttemptFailed | None = None
        self._readable = len(journal.news) if replay else None

    # -- progress ---------------------------------------------------------------------------

    def is_replaying(self) -> bool:
        """Whether the journal has more commands than this attempt has made."""
        return self._next < self._known

    def is_completed(self, handle: int) -> bool:
        """Whether a result has come in, and was not taken."""
        return handle in self._seen and handle not in self._taken

    def do_progress(
        self, unresolved_future: UnresolvedFuture
    ) -> DoProgressResult | Exception | Suspended:
        """Say what is to be done next for what is waited for."""
        if self._failed is not None:
            return self._failed
        while not self._is_there(unresolved_future):
            unread = self._journal.news[self._read : self._readable]
            if not unread:
                return self._go_on(unresolved_future)
            self._read += 1
            if unread[0] is None:
                return DO_PROGRESS_CANCEL_SIGNAL_RECEIVED
            self._seen.add(unread[0])
        return DO_PROGRESS_ANY_COMPLETED

    def _go_on(self, wanted: UnresolvedFuture) -> DoProgressResult | Exception | Suspended:
        leaves = list(handles(wanted))
        for handle in leaves:
            entry = self._journal.entries[handle]
            if entry.kind == "run" and not entry.done and handle not in self._begun:
                self._begun.add(handle)
                self._running.add(handle)
                return DoProgressExecuteRun(handle)
        if not self._running.isdisjoint(leaves):
            return DO_PROGRESS_WAIT_EXTERNAL_PROGRESS
        return self._wait_for_time(wanted, leaves)

    def _wait_for_time(
        self, wanted: UnresolvedFuture, leaves: list[int]
    ) -> DoProgressResult | Exception | Suspended:
        entries = self._journal.entries
        if any(entries[n].done for n in leaves):
            # Its result is for the next attempt.
            return SUSPENDED
        timers = [n for n in leaves if entries[n].kind == "sleep" and not entries[n].done]
        if not timers:
            names = ", ".join(f"{entries[n].kind} {entries[n].name!r}" for n in leaves)
            return SagaTestError(
                f"The saga waits for what nobody sends here: {names}. A promise, an awakeable or "
                "a signal needs the real server: use saga_client."
            )
        first = min(timers, key=lambda n: entries[n].at)
        self._journal.now = max(self._journal.now, entries[first].at)
        self._journal.complete(first, None)
        return SUSPENDED if self._readable is not None else self.do_progress(wanted)

    def take_notification(self, handle: int) -> NotificationType | Exception | Suspended:
        """Give a result that is there."""
        if not self.is_completed(handle):
            return NOT_READY
        self._taken.add(handle)
        return self._journal.entries[handle].result

    def _is_there(self, wanted: UnresolvedFuture) -> bool:
        if isinstance(wanted, SingleUnresolvedFuture):
            return wanted.handle in self._seen
        if isinstance(wanted, AllCompletedUnresolvedFuture):
            return all(map(self._is_there, wanted.children))
        return any(map(self._is_there, wanted.children))

    # -- commands ---------------------------------------------------------------------------

    def _command(self, kind: str, name: str) -> tuple[int, Entry]:
        """The next command: what the journal has there, or a new one."""
        handle = self._next
        self._next += 1
        entries = self._journal.entries
        if handle == len(entries):
            entries.append(Entry(kind=kind, name=name))
        entry = entries[handle]
        if (entry.kind, entry.name) != (kind, name):
            raise SagaTestError(
                f"The saga is not deterministic: its journal has {entry.kind} {entry.name!r}, and "
                f"this attempt makes {kind} {name!r} there."
            )
        return handle, entry

    def _result(self, kind: str, name: str, result: NotificationType) -> int:
        handle, _ = self._command(kind, name)
        self._journal.complete(handle, result)
        return handle

    def sys_run(self, name: str) -> Run:
        """Register an action."""
        handle, entry = self._command("run", name)
        return Run(replayed=entry.done, handle=handle)

    def sys_sleep(self, millis: int, name: str | None = None) -> int:
        """Begin to sleep."""
        handle, entry = self._command("sleep", name or "")
        entry.at = entry.at or self._journal.now + millis
        return handle

    def sys_call(self, service: str, handler: str, parameter: bytes, *_: Any, **__: Any) -> Any:
        """Call a handler: it is answered at once."""
        target = f"{service}/{handler}"
        identity = self._result("invocation", target, f"inv_{target}_{self._next}")
        result, entry = self._command("call", target)
        if not entry.done:
            self._journal.complete(result, self._journal.called(service, handler, parameter))
        return _Call(invocation_id_handle=identity, result_handle=result)

    def sys_send(self, service: str, handler: str, parameter: bytes, *_: Any, **__: Any) -> int:
        """Send to a handler: what it answers is there when somebody attaches to it."""
        call = self.sys_call(service, handler, parameter)
        return int(call.invocation_id_handle)

    def attach_invocation(self, invocation_id: str) -> int:
        """Attach to what was sent."""
        entries = self._journal.entries
        at = next(
            n for n, e in enumerate(entries) if e.kind == "invocation" and e.result == invocation_id
        )
        return self._result("attach", invocation_id, entries[at + 1].result)

    def sys_signal(self, signal_name: str) -> int:
        """Wait for a signal; nobody sends one here."""
        return self._command("signal", signal_name)[0]

    def sys_get_state(self, name: str, entry_name: str | None = None) -> int:
        """Read the state of the virtual object."""
        return self._result("get", name, self._journal.state.get(name))

    def sys_get_state_keys(self, entry_name: str | None = None) -> int:
        """The names in the state of the virtual object."""
        return self._result("keys", "", sorted(self._journal.state))

    def sys_set_state(self, name: str, value: bytes, entry_name: str | None = None) -> None:
        """Write the state of the virtual object."""
        self._set(name, value)

    def sys_clear_state(self, name: str, entry_name: str | None = None) -> None:
        """Clear one name of it."""
        self._set(name, None)

    def sys_clear_all_state(self, entry_name: str | None = None) -> None:
        """Clear all of it."""
        for name in sorted(self._journal.state):
            self._set(name, None)

    def _set(self, name: str, value: bytes | None) -> None:
        _, entry = self._command("set", name)  # It has no result that anybody waits for.
        if entry.done:
            return
        entry.done = True
        if value is None:
            self._journal.state.pop(name, None)
        else:
            self._journal.state[name] = value

    def sys_cancel(self, invocation_id: str) -> None:
        """Cancel another invocation; here it has ended already."""
        self._result("cancel", invocation_id, None)

    # -- what actions propose ---------------------------------------------------------------

    def propose_run_completion_success(self, handle: int, output: bytes) -> None:
        """An action has a result."""
        self._propose(handle, output)

    def propose_run_completion_failure(self, handle: int, output: Failure) -> None:
        """An action failed for good."""
        self._propose(handle, output)

    def propose_run_completion_transient(
        self, handle: int, failure: Failure, attempt_duration_ms: int, config: RunRetryConfig
    ) -> None:
        """An action failed, and is tried again if its policy says so."""
        self._again(
            handle,
            failure,
            Retries(
                initial=config.initial_interval or INITIAL_INTERVAL,
                factor=config.interval_factor or FACTOR,
                max_interval=config.max_interval,
                max_attempts=config.max_attempts,
                max_duration=config.max_duration,
            ),
        )

    def propose_run_completion_transient_with_delay_override(
        self,
        handle: int,
        failure: Failure,
        attempt_duration_ms: int,
        delay_override: timedelta | None,
        max_retry_attempts_override: int | None,
        max_retry_duration_override: timedelta | None,
    ) -> None:
        """An action failed, and said when it is to be tried again."""
        self._again(
            handle,
            failure,
            Retries(
                initial=_ms(delay_override) or INITIAL_INTERVAL,
                factor=1,
                max_attempts=max_retry_attempts_override,
                max_duration=_ms(max_retry_duration_override),
            ),
        )

    def _again(self, handle: int, failure: Failure, retries: Retries) -> None:
        interval = self._journal.entries[handle].tries.fail(retries)
        if interval is None:
            self._propose(handle, Failure(failure.code, failure.message))
            return
        self._journal.now += interval
        self._journal.error = failure.message
        self._running.discard(handle)
        self._failed = AttemptFailed(failure.message)

    def _propose(self, handle: int, result: bytes | Failure) -> None:
        self._running.discard(handle)
        self._journal.complete(handle, result)

    # -- the end ----------------------------------------------------------------------------

    def sys_write_output_success(self, output: bytes) -> None:
        """The saga has returned."""
        self._journal.output = output

    def sys_write_output_failure(self, output: Failure) -> None:
        """The saga has failed."""
        self._journal.failure = output

    def sys_end(self) -> None:
        """The attempt is over."""

    def notify_error(
        self, error: str, stacktrace: str, delay_override: timedelta | None = None
    ) -> None:
        """The attempt has failed, and is made again."""
        self._journal.error = error
        self._journal.now += _ms(delay_override) or INITIAL_INTERVAL

    def notify_input(self, input_buf: bytes) -> None:
        """Nothing comes from a server."""

    def notify_input_closed(self) -> None:
        """Nothing comes from a server."""

    def take_output(self) -> bytes:
        """Nothing goes to a server."""
        return b""

    # -- what only a server has --------------------------------------------------------------

    sys_awakeable: Any = _refused("sys_awakeable")
    sys_resolve_awakeable: Any = _refused("sys_resolve_awakeable")
    sys_reject_awakeable: Any = _refused("sys_reject_awakeable")
    sys_get_promise: Any = _refused("sys_get_promise")
    sys_peek_promise: Any = _refused("sys_peek_promise")
    sys_complete_promise_success: Any = _refused("sys_complete_promise_success")
    sys_complete_promise_failure: Any = _refused("sys_complete_promise_failure")
    sys_resolve_signal: Any = _refused("sys_resolve_signal")
    sys_reject_signal: Any = _refused("sys_reject_signal")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    invocation_id_handle: int
    result_handle: int


def _ms(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds() * 1000
