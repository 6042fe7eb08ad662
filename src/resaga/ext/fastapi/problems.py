"""What an application answers: errors as problems (RFC 9457), and the status of sagas (R24)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal, cast

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from restate import HttpError, TerminalError

__all__ = [
    "Problem",
    "SagaStatus",
    "answer_refused",
    "answer_terminal",
    "problem_for",
    "problem_of",
    "problem_response",
]

_ROLLBACK = "resaga.rollback"


class Problem(BaseModel):
    """The body of an error, as RFC 9457 has it: ``application/problem+json``."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    rollback: Literal["incomplete"] | None = Field(default=None, alias="resaga.rollback")


class SagaStatus(BaseModel):
    """How far a saga is that was answered with 202.

    Attributes:
        id: Its invocation id.
        status: ``running``, also while it is retried or rolls back; ``completed`` or ``failed``.
        result: What it returned.
        error: What it failed with.
    """

    id: str
    status: Literal["running", "completed", "failed"]
    result: Any = None
    error: Problem | None = None


def problem_of(status: int, detail: str) -> dict[str, Any]:
    """The problem of a status."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    problem = Problem(title=title, status=status, detail=detail)
    return problem.model_dump(exclude_none=True, by_alias=True)


def problem_for(error: TerminalError) -> dict[str, Any]:
    """Message and code, and whether the rollback is incomplete; nothing else (R24)."""
    code = error.status_code
    problem = problem_of(code if 400 <= code <= 599 else 500, error.message)
    if (error.metadata or {}).get(_ROLLBACK) == "incomplete":
        problem[_ROLLBACK] = "incomplete"
    return problem


def problem_response(problem: Mapping[str, Any]) -> JSONResponse:
    """Answer with a problem."""
    return JSONResponse(
        problem, status_code=problem["status"], media_type="application/problem+json"
    )


def answer_terminal(_: Request, error: Exception) -> Response:
    """What a saga failed with, which an endpoint let pass."""
    return problem_response(problem_for(cast("TerminalError", error)))


def answer_refused(_: Request, error: Exception) -> Response:
    """What Restate's ingress itself answers is no fault of the caller."""
    status = cast("HttpError", error).status_code
    return problem_response(
        problem_of(HTTPStatus.BAD_GATEWAY, f"Restate did not take the call ({status}).")
    )
