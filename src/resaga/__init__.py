"""Sagas for Restate services in Python: steps with compensations that always run to the end."""

from resaga._version import __version__
from resaga.classify import (
    ErrorMapper,
    clear_terminal_errors,
    get_global_error_mapper,
    register_terminal_errors,
    set_global_error_mapper,
    unregister_terminal_errors,
)
from resaga.contexts import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    StepContext,
)
from resaga.decorators import saga_step, saga_step_strict
from resaga.definitions import SagaWorkflow, create_saga_workflow, saga_workflow
from resaga.errors import (
    ActionExit,
    BranchAbandoned,
    CodecError,
    CompensationFailure,
    DeadlineExceeded,
    Interruption,
    MisuseError,
    ProviderError,
    ResagaError,
    RollbackIncomplete,
    SagaCancelled,
    StepTimeout,
    UnsupportedTypeError,
)
from resaga.handlers import Handler
from resaga.observe import Outcome, SagaEvent, SagaObserver, StepEvent
from resaga.policy import Retry
from resaga.response import StepResponse
from resaga.saga import Saga
from resaga.services import SagaRequest
from resaga.step import DurableSagaStep, SagaStep
from resaga.steps import create_saga_step, create_saga_step_strict

__all__ = [
    "ActionExit",
    "BranchAbandoned",
    "CodecError",
    "CompensationContext",
    "CompensationFailure",
    "DeadlineExceeded",
    "DurableCompensationContext",
    "DurableSagaStep",
    "DurableStepContext",
    "ErrorMapper",
    "Handler",
    "Interruption",
    "MisuseError",
    "Outcome",
    "ProviderError",
    "ResagaError",
    "Retry",
    "RollbackIncomplete",
    "Saga",
    "SagaCancelled",
    "SagaEvent",
    "SagaObserver",
    "SagaRequest",
    "SagaStep",
    "SagaWorkflow",
    "StepContext",
    "StepEvent",
    "StepResponse",
    "StepTimeout",
    "UnsupportedTypeError",
    "__version__",
    "clear_terminal_errors",
    "create_saga_step",
    "create_saga_step_strict",
    "create_saga_workflow",
    "get_global_error_mapper",
    "register_terminal_errors",
    "saga_step",
    "saga_step_strict",
    "saga_workflow",
    "set_global_error_mapper",
    "unregister_terminal_errors",
]
