"""What a step's ``run`` may return instead of its bare output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Never, cast, overload

from typing_extensions import TypeVar

from resaga.record import ABSENT, Failure

__all__ = ["StepResponse", "response_of"]

Out_co = TypeVar("Out_co", covariant=True)
Data_co = TypeVar("Data_co", covariant=True, default=Out_co)
_Out = TypeVar("_Out")
_Data = TypeVar("_Data")


@dataclass(frozen=True, slots=True, init=False)
class StepResponse(Generic[Out_co, Data_co]):
    """A step's output together with the data that its compensation gets.

    The data defaults to the output. It is *absent* when the output is ``None`` and no data is
    given: the compensation then gets the step's input. Data given as ``None`` is ``None`` (R12).
    Both are journaled, once if they are the same object.

    Args:
        output: What the caller of the step gets.
        compensation_data: What the compensation gets.

    Example:
        >>> StepResponse("hold-1").compensation_data
        'hold-1'
        >>> StepResponse("paid", {"charge": 7}).compensation_data
        {'charge': 7}
    """

    output: Out_co
    compensation_data: Data_co
    failure: Failure | None

    @overload
    def __new__(cls, output: _Out) -> StepResponse[_Out, _Out]: ...
    @overload
    def __new__(cls, output: _Out, compensation_data: _Data) -> StepResponse[_Out, _Data]: ...
    def __new__(
        cls, output: object, compensation_data: object = ABSENT
    ) -> StepResponse[object, object]:
        """Take the output; it is the data, too, unless that is given or it is ``None``."""
        if compensation_data is ABSENT and output is not None:
            compensation_data = output
        return cls._make(output, compensation_data, None)

    @classmethod
    def _make(
        cls, output: object, compensation_data: object, failure: Failure | None
    ) -> StepResponse[object, object]:
        self = cast("StepResponse[object, object]", object.__new__(cls))
        object.__setattr__(self, "output", output)
        object.__setattr__(self, "compensation_data", compensation_data)
        object.__setattr__(self, "failure", failure)
        return self

    @overload
    @staticmethod
    def permanent_failure(
        message: str, *, status_code: int = 500
    ) -> StepResponse[Never, Never]: ...
    @overload
    @staticmethod
    def permanent_failure(
        message: str, compensation_data: _Data, *, status_code: int = 500
    ) -> StepResponse[Never, _Data]: ...
    @staticmethod
    def permanent_failure(
        message: str, compensation_data: object = ABSENT, *, status_code: int = 500
    ) -> StepResponse[object, object]:
        """End the step, and the saga, as failed, and hand data to the step's compensation.

        Return it from a step that did part of its work and knows what is to be undone. In a
        strict step, whose compensation would never run, data given here is refused.

        Args:
            message: The message of the terminal error that the saga ends with.
            compensation_data: What the compensation gets; absent, it gets the step's input.
            status_code: The terminal error's HTTP status.

        Example:
            >>> StepResponse.permanent_failure("card declined", status_code=402).failure.code
            402
        """
        failure = Failure(message=message, code=status_code, metadata=None)
        return StepResponse._make(None, compensation_data, failure)


def response_of(returned: object) -> StepResponse[object, object]:
    """What a step returned, as a `StepResponse`."""
    if isinstance(returned, StepResponse):
        return cast("StepResponse[object, object]", returned)
    return StepResponse(returned)
