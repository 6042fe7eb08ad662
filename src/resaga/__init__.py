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
from resaga.clients.calling import Client, KeyedWorkflowClient, WorkflowClient
from resaga.clients.functions import (
    Via,
    object_client,
    object_send_client,
    service_client,
    service_send_client,
    workflow_client,
    workflow_send_client,
)
from resaga.clients.sending import SendClient, Sent, WorkflowSendClient
from resaga.contexts import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    StepContext,
)
from resaga.contracts import Call, Contract, ObjectContract, WorkflowContract
from resaga.decorators import saga_step, saga_step_strict
from resaga.definitions.factory import SagaFactory
from resaga.definitions.handlers import Handler
from resaga.definitions.restate_workflow import (
    SagaRestateWorkflow,
    create_saga_restate_workflow,
    saga_restate_workflow,
)
from resaga.definitions.virtual_object import SagaVirtualObject, create_saga_virtual_object
from resaga.definitions.workflow import SagaWorkflow, create_saga_workflow, saga_workflow
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
from resaga.nested import create_saga_module, run_nested_saga, saga_module
from resaga.observe import Outcome, SagaEvent, SagaObserver, StepEvent
from resaga.policy import Retry
from resaga.response import StepResponse
from resaga.saga import Saga
from resaga.services import SagaRequest, StepScopes, StepServices
from resaga.state import SagaState
from resaga.step import DurableSagaStep, SagaStep
from resaga.steps import create_saga_step, create_saga_step_strict

__all__ = [
    "ActionExit",
    "BranchAbandoned",
    "Call",
    "Client",
    "CodecError",
    "CompensationContext",
    "CompensationFailure",
    "Contract",
    "DeadlineExceeded",
    "DurableCompensationContext",
    "DurableSagaStep",
    "DurableStepContext",
    "ErrorMapper",
    "Handler",
    "Interruption",
    "KeyedWorkflowClient",
    "MisuseError",
    "ObjectContract",
    "Outcome",
    "ProviderError",
    "ResagaError",
    "Retry",
    "RollbackIncomplete",
    "Saga",
    "SagaCancelled",
    "SagaEvent",
    "SagaFactory",
    "SagaObserver",
    "SagaRequest",
    "SagaRestateWorkflow",
    "SagaState",
    "SagaStep",
    "SagaVirtualObject",
    "SagaWorkflow",
    "SendClient",
    "Sent",
    "StepContext",
    "StepEvent",
    "StepResponse",
    "StepScopes",
    "StepServices",
    "StepTimeout",
    "UnsupportedTypeError",
    "Via",
    "WorkflowClient",
    "WorkflowContract",
    "WorkflowSendClient",
    "__version__",
    "clear_terminal_errors",
    "create_saga_module",
    "create_saga_restate_workflow",
    "create_saga_step",
    "create_saga_step_strict",
    "create_saga_virtual_object",
    "create_saga_workflow",
    "get_global_error_mapper",
    "object_client",
    "object_send_client",
    "register_terminal_errors",
    "run_nested_saga",
    "saga_module",
    "saga_restate_workflow",
    "saga_step",
    "saga_step_strict",
    "saga_workflow",
    "service_client",
    "service_send_client",
    "set_global_error_mapper",
    "unregister_terminal_errors",
    "workflow_client",
    "workflow_send_client",
]
