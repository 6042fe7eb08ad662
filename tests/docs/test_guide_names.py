"""The guide's tables are complete: errors, the TypeScript package's names, the reference."""

from __future__ import annotations

import re
from collections import Counter
from types import ModuleType

import pytest

import resaga
import resaga.server
import resaga.testing
from resaga.ext import dishka, encryption, fastapi, logs, opentelemetry, sql
from scripts.error_texts import CLASSES, messages, rewritten
from tests.support.guide import DOCS, PAGES, Guide, blocks

ERRORS = PAGES["errors"].read_text("utf-8")
TYPESCRIPT = PAGES["from_typescript"].read_text("utf-8")
REFERENCE = "".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))


def test_every_error_has_a_section() -> None:
    sections = set(re.findall(r"^### (\w+)$", ERRORS, re.MULTILINE))
    assert set(CLASSES) - {"Interruption"} <= sections
    assert "`Interruption`" in ERRORS


def test_messages_are_those_of_the_source() -> None:
    assert rewritten(ERRORS) == ERRORS, "run: python scripts/error_texts.py"
    listed = set(re.findall(r"<!-- messages of (\w+) -->", ERRORS))
    for name, texts in messages().items():
        # A class with few messages has them in its section, as they come back.
        for text in () if name in listed else texts:
            pieces = [re.escape(piece) for piece in text.split("…")]
            assert re.search(".+".join(pieces), ERRORS), text


def test_errors_come_back_as_printed(guide: Guide) -> None:
    for path, value in [
        ("ErrorsLeft/run", "stock"),
        ("ErrorsLate/run", 60),
        ("ErrorsLate/run", "five"),
        ("ErrorsMeasure/run", "inf"),
        ("ErrorsAsk/run", "wait"),
        ("ErrorsAsk/run", "exit"),
    ]:
        told = re.sub(r"inv_\w+", "inv_…", guide.told(path, value))
        assert f"{told}\n" in blocks(PAGES["errors"], "text"), path
    for name in ("misuse", "unsupported"):
        assert f"{guide.look(f'errors.{name}')}\n" in blocks(PAGES["errors"], "text")


def test_a_cancel_is_told_as_printed() -> None:
    cancelled = resaga.SagaCancelled()
    told = f"{cancelled.status_code} {cancelled.message}\n"
    assert told in blocks(PAGES["errors"], "text")


# What `@kowalski21/restate-saga` 0.3.0 exports, and the names of its options and methods.
THEIRS = re.findall(
    r"\w+",
    """
AnyContainerSagaContext AnySagaContext ContainerRestateWorkflowService ContainerSagaContext
ContainerStepConfig ContainerWorkflowContext ContainerWorkflowService Duration ErrorClass
ErrorMapper InferContainerCradle InferContainerInput InferContainerName InferContainerOutput
InferContainerServiceType InferContainerWorkflow InferFactory InferFactoryCradle InferFactoryInput
InferFactoryName InferFactoryOutput InferFactoryServiceType InferFactoryWorkflow InferObjectType
InferServiceType SagaContext SagaFactory SagaFactoryConfig SagaObjectContext SagaObjectHandler
SagaRestateWorkflowOptions SagaRestateWorkflowService SagaStep SagaStepOptions
SagaVirtualObjectOptions SagaWorkflowContext SagaWorkflowOptions SagaWorkflowService
ScopeDisposalStrategy StepResponse StepRetryPolicy WorkflowInput WorkflowOutput WorkflowRetryPolicy
asTerminalError clearTerminalErrors createContainerRestateWorkflow createContainerStep
createContainerStepStrict createContainerWorkflow createRestateWorkflow createSagaModule
createSagaRestateWorkflow createSagaStep createSagaStepStrict createSagaVirtualObject
createSagaWorkflow createScope createStep createStepStrict createWorkflow
defineContainerRestateWorkflow defineContainerWorkflow defineSagaFactory disposeScope
extractContext getGlobalErrorMapper initialRetryInterval maxRetryAttempts maxRetryDuration
maxRetryInterval objectClient objectSendClient permanentFailure registerTerminalErrors
resolveTerminalError retryIntervalFactor runAsStep runNestedSaga serviceClient serviceSendClient
setGlobalErrorMapper unregisterTerminalErrors workflowClient workflowSendClient
""",
)

# Names on our side that are not resaga's own: keywords, methods, the SDK's, Python's.
NOT_EXPORTED = {
    *("Exception", "InvocationRetryPolicy", "ObjectContext", "WorkflowContext", "None", "True"),
    *("In", "Out", "Services"),
}

ROWS = re.findall(r"^\| (?!there \||---)(.+) \| (.+) \|$", TYPESCRIPT, re.MULTILINE)


def test_every_name_of_theirs_has_a_row() -> None:
    said = " ".join(theirs for theirs, _ in ROWS)
    missing = [name for name in THEIRS if not re.search(rf"\b{name}\b", said)]
    assert not missing


def test_what_stands_beside_it_is_there() -> None:
    ours = " ".join(re.findall(r"`([^`]+)`", " ".join(ours for _, ours in ROWS)))
    calls = set(re.findall(r"(?<![.\w@])([a-z]+(?:_[a-z]+)+)(?=\()", ours))
    classes = set(re.findall(r"\b([A-Z][a-z]+(?:[A-Z]?[a-z]+)*)\b", ours))
    assert calls
    assert classes
    assert calls | classes <= {*resaga.__all__, *NOT_EXPORTED}, ours


PACKAGES: dict[str, ModuleType] = {
    each.__name__: each
    for each in (
        resaga,
        resaga.server,
        resaga.testing,
        dishka,
        encryption,
        fastapi,
        logs,
        opentelemetry,
        sql,
    )
}


NO_CODE_OF_OURS = {"__version__", "FromDishka"}


@pytest.mark.parametrize("name", PACKAGES)
def test_reference_has_every_public_name_once(name: str) -> None:
    package = PACKAGES[name]
    shown = Counter(re.findall(rf"^::: {re.escape(name)}\.(\w+)$", REFERENCE, re.MULTILINE))
    assert {name for name, times in shown.items() if times > 1} == set()
    assert {*package.__all__} - NO_CODE_OF_OURS == set(shown)


def test_errors_of_the_parts_around_have_a_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", ERRORS, re.MULTILINE))
    for package in (each for each in PACKAGES.values() if each is not resaga):
        errors = {
            name
            for name in package.__all__
            if isinstance(given := getattr(package, name), type) and issubclass(given, Exception)
        }
        assert errors - {"SagaTestError"} <= rows
    assert f"`{sql.StepAbandoned('Pay')}`" in ERRORS
