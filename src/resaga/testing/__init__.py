"""Test sagas: run them on a real Restate server, break them at every point, see what is undone.

Needs the extra ``resaga[testing]``. The pytest plugin brings the fixtures ``restate_server``,
``saga_app`` and ``saga_client``; docs/guide/testing.md tells how to use them.
"""

from resaga.testing.app import SagaApp, SagaClient
from resaga.testing.errors import CaseTimeout, NotServed, SagaTestError, UnknownStep, Violations
from resaga.testing.explore import explore
from resaga.testing.faults import (
    Fault,
    cancel,
    error,
    fail,
    hang,
    lose_worker,
    permanent_failure,
    slow,
    unserialisable,
)
from resaga.testing.local import run_saga
from resaga.testing.report import CaseResult, Report
from resaga.testing.rules import Finding
from resaga.testing.running import RunningSaga, SagaRun
from resaga.testing.server import quick_server
from resaga.testing.trace import Event, Trace

__all__ = [
    "CaseResult",
    "CaseTimeout",
    "Event",
    "Fault",
    "Finding",
    "NotServed",
    "Report",
    "RunningSaga",
    "SagaApp",
    "SagaClient",
    "SagaRun",
    "SagaTestError",
    "Trace",
    "UnknownStep",
    "Violations",
    "cancel",
    "error",
    "explore",
    "fail",
    "hang",
    "lose_worker",
    "permanent_failure",
    "quick_server",
    "run_saga",
    "slow",
    "unserialisable",
]
