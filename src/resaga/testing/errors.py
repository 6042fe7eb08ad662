"""What goes wrong with a test, as told from what goes wrong in the saga that it tests."""

from __future__ import annotations

__all__ = ["CaseTimeout", "NotServed", "SagaTestError", "UnknownStep", "Violations"]


class SagaTestError(Exception):
    """Base of the errors of `resaga.testing`."""


class NotServed(SagaTestError):
    """A definition was called that nobody serves."""


class UnknownStep(SagaTestError):
    """A fault names a step, or a call of one, that the saga has not come to."""


class CaseTimeout(SagaTestError):
    """A saga did not end within its time limit; the message says where it stood."""


class Violations(SagaTestError, AssertionError):
    """The explorer found runs in which a rule was broken."""
