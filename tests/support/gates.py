"""Gates: hold a step in flight until the test opens it."""

from __future__ import annotations

import threading

from tests.support.waiting import HANG, until


class Gate:
    """Holds whoever comes to it, in the event loop or in a thread, until it is opened.

    A test waits for `reached` before it cancels or kills, so that the step is in flight for sure.
    """

    def __init__(self) -> None:
        self._open = threading.Event()
        self._lock = threading.Lock()
        self.entered = 0
        self.left = 0

    @property
    def held(self) -> int:
        """How many are held right now."""
        return self.entered - self.left

    def open(self) -> None:
        """Let all go on, those that come later too."""
        self._open.set()

    def shut(self) -> None:
        """Hold again those that come from now on."""
        self._open.clear()

    async def hold(self) -> None:
        """Wait in the event loop until the gate is open."""
        self._enter()
        try:
            await until(self._open.is_set, "somebody opens the gate", limit=2 * HANG, every=0.005)
        finally:
            self._leave()

    def hold_thread(self) -> None:
        """Wait in a thread until the gate is open."""
        self._enter()
        try:
            assert self._open.wait(2 * HANG), "nobody opened the gate"
        finally:
            self._leave()

    async def reached(self, times: int = 1) -> None:
        """Wait until somebody has come to the gate, for the ``times``-th time."""
        await until(lambda: self.entered >= times, f"a gate is reached {times} times")

    def _enter(self) -> None:
        with self._lock:
            self.entered += 1

    def _leave(self) -> None:
        with self._lock:
            self.left += 1
