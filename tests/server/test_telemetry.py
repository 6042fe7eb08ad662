"""`resaga.ext.opentelemetry` and `resaga.ext.logs` on a real server."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from restate import TerminalError

from resaga import (
    DurableStepContext,
    Saga,
    SagaWorkflow,
    StepContext,
    saga_step,
    saga_workflow,
    workflow_client,
)
from resaga.ext.logs import LoggingObserver
from resaga.ext.opentelemetry import OpenTelemetryObserver, trace_headers
from tests.support import Rig

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Moves:
    """An observer that stands for one of several workers' own; which, is up to the test."""

    def __init__(self, telemetry: Telemetry, workers: int) -> None:
        self.at = 0
        self._workers = [telemetry.observer() for _ in range(workers)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workers[self.at % len(self._workers)], name)


class Telemetry:
    """OpenTelemetry's SDK, kept in memory."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.provider = TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])

    def observer(self) -> OpenTelemetryObserver:
        """An observer, as another worker would have it."""
        return OpenTelemetryObserver(tracer_provider=self.provider, meter_provider=self.meters)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.spans if span.name == name]
        return span

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The data points of a metric: attributes, and value or count."""
        return [
            (dict(point.attributes or {}), getattr(point, "value", getattr(point, "count", None)))
            for point in self._points(name)
        ]

    def sums(self, name: str) -> list[float]:
        """The sums of a histogram's data points."""
        return [point.sum for point in self._points(name)]

    def _points(self, name: str) -> list[Any]:
        data: Any = self.reader.get_metrics_data()
        resources: list[Any] = [] if data is None else list(data.resource_metrics)
        return [
            point
            for resource in resources
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    own: int = span.context.span_id
    return own


async def test_spans_of_a_success_continue_the_callers_trace(rig: Rig) -> None:
    """Through a durable step into a remote saga, and into what an action itself traces."""
    telemetry = Telemetry()
    tracer = telemetry.provider.get_tracer("the user's own")

    @saga_step("Charge")
    async def charge(step: StepContext, amount: int) -> int:
        with tracer.start_as_current_span("POST /charges"):
            return amount

    @saga_step("Count")
    def count(step: StepContext, amount: int) -> int:
        with tracer.start_as_current_span("SELECT"):
            return amount

    @saga_workflow(rig.name("Child"), observers=[telemetry.observer()])
    async def child(saga: Saga, amount: int) -> int:
        return await charge(saga, amount)

    @saga_step("Ship", durable=True)
    async def ship(step: DurableStepContext, amount: int) -> int:
        return await workflow_client(step, child).run(amount, headers=trace_headers(step))

    hiccups: list[int] = []

    @saga_workflow(rig.name("Parent"), observers=[telemetry.observer()])
    async def parent(saga: Saga, amount: int) -> int:
        await saga.gather(count(saga, amount), count(saga, amount))
        shipped = await ship(saga, amount)
        if not hiccups:
            hiccups.append(1)
            raise ValueError("all of it is replayed")
        return shipped

    await rig.serve(parent, child)
    await rig.call(parent, 7, headers={"traceparent": CALLER})
    counted = Counter(span.name for span in telemetry.spans)
    assert counted == {
        parent.name: 1, child.name: 1, "Count": 2, "SELECT": 2, "Ship": 1, "Charge": 1,
        "POST /charges": 1,
    }, "nothing that the journal held is told again"  # fmt: skip
    assert {span.context.trace_id for span in telemetry.spans if span.context} == {
        0x0AF7651916CD43DD8448EB211C80319C
    }
    assert parent_of(telemetry.named(parent.name)) == 0xB7AD6B7169203331
    counts = [span for span in telemetry.spans if span.name == "Count"]
    selects = [span for span in telemetry.spans if span.name == "SELECT"]
    ship_span, root = telemetry.named("Ship"), id_of(telemetry.named(parent.name))
    assert {parent_of(span) for span in (*counts, ship_span)} == {root}
    assert {parent_of(span) for span in selects} == {id_of(span) for span in counts}
    assert len({id_of(span) for span in telemetry.spans}) == len(telemetry.spans)
    assert parent_of(telemetry.named(child.name)) == id_of(ship_span)
    assert parent_of(telemetry.named("Charge")) == id_of(telemetry.named(child.name))
    assert parent_of(telemetry.named("POST /charges")) == id_of(telemetry.named("Charge"))
    attributes = dict(telemetry.named("Charge").attributes or {})
    assert attributes.pop("resaga.saga.id")
    assert attributes == {
        "resaga.workflow": child.name, "resaga.step": "Charge", "resaga.path": "1",
        "resaga.outcome": "completed", "resaga.attempts": 1,
    }  # fmt: skip
    assert sorted(telemetry.points("resaga.sagas"), key=str) == sorted(
        [
            ({"resaga.workflow": name, "resaga.outcome": "completed"}, 1)
            for name in (parent.name, child.name)
        ],
        key=str,
    )
    assert all(value == 0 for _, value in telemetry.points("resaga.steps.in_flight"))


def failing(rig: Rig, telemetry: Telemetry, observers: list[Any]) -> SagaWorkflow[int, None]:
    a = rig.step("A", fails=lambda n: ValueError("secret") if n < 3 else None)
    b = rig.step(
        "B",
        fails=TerminalError("secret", 409),
        undo_fails=lambda n: KeyError() if n < 2 else TerminalError("secret", 502),
    )

    @saga_workflow(rig.name("Failing"), observers=observers)
    async def workflow(saga: Saga, order: int) -> None:
        await a(saga, order)
        await b(saga, order)

    return workflow


async def test_spans_and_metrics_of_a_rollback(rig: Rig) -> None:
    telemetry = Telemetry()
    workflow = failing(rig, telemetry, [telemetry.observer()])
    await rig.serve(workflow)
    await rig.fail(workflow, 1)
    assert Counter(span.name for span in telemetry.spans) == dict.fromkeys(
        [workflow.name, "A", "B", "compensate:B", "compensate:A"], 1
    )
    root = telemetry.named(workflow.name)
    assert parent_of(root) is None
    assert {parent_of(s) for s in telemetry.spans if s is not root} == {id_of(root)}
    told = {
        span.name: (attributes["resaga.outcome"], attributes.get("resaga.status_code"))
        for span in telemetry.spans
        if (attributes := span.attributes or {})
    }
    assert told == {
        "A": ("completed", None),
        "B": ("failed", 409),
        "compensate:B": ("failed", 502),
        "compensate:A": ("completed", None),
        workflow.name: ("incomplete", 409),
    }
    a = telemetry.named("A")
    assert dict(a.attributes or {})["resaga.attempts"] == 3
    assert [dict(e.attributes or {}) for e in a.events] == [{"error.type": "ValueError"}] * 2
    for span in telemetry.spans:
        assert "secret" not in span.to_json()
        assert span.start_time is not None
        assert root.start_time is not None
        assert root.start_time <= span.start_time
    ended = {"resaga.workflow": workflow.name, "resaga.outcome": "incomplete"}
    assert telemetry.points("resaga.sagas") == [(ended, 1)]
    assert telemetry.points("resaga.rollback.duration") == [(ended, 1)]
    failures = {
        attributes["resaga.retried"]: value
        for attributes, value in telemetry.points("resaga.compensation.failures")
    }
    assert failures == {True: 1, False: 1}


async def test_the_family_holds_when_each_attempt_is_on_another_worker(rig: Rig) -> None:
    """Each worker has an observer of its own; ids come from the events' alone."""
    telemetry = Telemetry()
    moves = Moves(telemetry, 8)

    def fails(attempt: int) -> Exception | None:
        moves.at += 1
        return ValueError("on another worker now") if attempt < 3 else None

    a, b = rig.step("A", fails=fails), rig.step("B", fails=fails, undo_fails=fails)

    @saga_workflow(rig.name("Moving"), observers=[moves])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        moves.at += 1
        await b(saga, 2)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    root = telemetry.named(workflow.name)
    assert {span.name for span in telemetry.spans} == {
        workflow.name, "A", "B", "compensate:B", "compensate:A",
    }  # fmt: skip
    assert {parent_of(s) for s in telemetry.spans if s is not root} == {id_of(root)}
    assert len({s.context.trace_id for s in telemetry.spans if s.context}) == 1


async def test_begins_are_right_also_on_a_worker_that_did_not_see_them(rig: Rig) -> None:
    """Of the saga, of a durable step, and of the rollback: all end on other workers."""
    telemetry = Telemetry()
    moves = Moves(telemetry, 4)
    began: dict[str, int] = {}

    def first_time(what: str) -> None:
        """Note when it was; the next attempt is another worker's."""
        if what not in began:
            began[what] = time.time_ns()
            moves.at += 1
            raise ValueError(what)

    @saga_step("Waits", durable=True)
    async def waits(step: DurableStepContext) -> None:
        await step.ctx.sleep(timedelta(milliseconds=1))
        first_time("durable step")

    def fails(_: int) -> None:
        first_time("rollback")

    a, b = rig.step("A", undo_fails=fails), rig.step("B")

    @saga_workflow(rig.name("Moving"), observers=[moves])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        began.setdefault("saga", time.time_ns())
        await waits(saga)
        await b(saga, 2)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    await rig.fail(workflow)
    root, waited = telemetry.named(workflow.name), telemetry.named("Waits")
    assert root.start_time is not None
    assert root.start_time <= min(span.start_time or 0 for span in telemetry.spans)
    assert root.start_time < began["saga"]
    assert waited.start_time is not None
    assert began["saga"] // 10**6 * 10**6 <= waited.start_time < began["durable step"]
    # B was undone before A's compensation failed, and the end was another worker's to tell.
    assert root.end_time is not None
    (lasted,) = telemetry.sums("resaga.rollback.duration")
    assert lasted * 10**9 >= root.end_time - began["rollback"] - 10**6


async def test_a_rolled_back_savepoint_is_no_rollback_of_the_saga(rig: Rig) -> None:
    telemetry = Telemetry()
    a, b = rig.step("A"), rig.step("B", fails=TerminalError("no", 409))

    @saga_workflow(rig.name("Savepoint"), observers=[telemetry.observer()])
    async def workflow(saga: Saga) -> None:
        with suppress(TerminalError):
            async with saga.savepoint():
                await a(saga, 1)
                await b(saga, 1)

    await rig.serve(workflow)
    await rig.call(workflow)
    assert "compensate:A" in [span.name for span in telemetry.spans]
    assert telemetry.points("resaga.rollback.duration") == []
    assert [value for _, value in telemetry.points("resaga.sagas")] == [1]


async def test_a_saga_that_is_not_sampled_has_no_spans_and_is_counted(rig: Rig) -> None:
    telemetry = Telemetry(sampler=ParentBased(ALWAYS_OFF))
    a = rig.step("A")

    @saga_workflow(rig.name("Unsampled"), observers=[telemetry.observer()])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    await rig.call(workflow)
    assert telemetry.spans == ()
    assert [value for _, value in telemetry.points("resaga.sagas")] == [1]


async def test_steps_in_flight(rig: Rig) -> None:
    telemetry = Telemetry()
    gate = rig.gate()
    a = rig.step("A", gate=gate)

    @saga_workflow(rig.name("InFlight"), observers=[telemetry.observer()])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    attributes = {"resaga.workflow": workflow.name, "resaga.step": "A"}
    assert telemetry.points("resaga.steps.in_flight") == [(attributes, 1)]
    gate.open()
    await invocation.result()
    assert [value for _, value in telemetry.points("resaga.steps.in_flight")] in ([], [0])


@contextmanager
def receiver() -> Generator[subprocess.Popen[str]]:
    program = Path(__file__).parents[1] / "support" / "otlp_receiver.py"
    process = subprocess.Popen(
        [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


@pytest.mark.parametrize("flavour", ["normal"])
async def test_over_otlp_to_a_receiver(rig: Rig) -> None:
    with receiver() as process:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{address}/traces")))
        meters = MeterProvider(
            [PeriodicExportingMetricReader(OTLPMetricExporter(f"{address}/metrics"), 1e9)]
        )
        observer = OpenTelemetryObserver(tracer_provider=tracers, meter_provider=meters)
        a = rig.step("A")

        @saga_workflow(rig.name("Exported"), observers=[observer])
        async def workflow(saga: Saga) -> None:
            await a(saga, 1)

        await rig.serve(workflow)
        await rig.call(workflow, headers={"traceparent": CALLER})
        meters.shutdown()
        tracers.shutdown()
        received, _ = process.communicate("", timeout=30)
    told = [json.loads(line) for line in received.splitlines()]
    spans = {name: ids for kind, name, *ids in told if kind == "span"}
    assert set(spans) == {workflow.name, "A"}
    assert spans[workflow.name][2] == "b7ad6b7169203331"
    assert spans["A"][2] == spans[workflow.name][1]
    assert ["metric", "resaga.sagas"] in told


async def test_logs_have_fields_and_are_silent_on_replay(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    workflow = failing(rig, Telemetry(), [LoggingObserver()])
    caplog.set_level(logging.DEBUG, "resaga.sagas")
    await rig.serve(workflow)
    error = await rig.fail(workflow, 1)
    records = [record for record in caplog.records if record.name == "resaga.sagas"]
    told = [
        (r.levelname, vars(r)["event"], vars(r).get("step"), vars(r).get("attempt"))
        for r in records
    ]
    assert told == [
        ("INFO", "saga_started", None, None),
        ("DEBUG", "step_started", "A", 1),
        ("WARNING", "step_failed", "A", 1),
        ("DEBUG", "step_started", "A", 2),
        ("WARNING", "step_failed", "A", 2),
        ("DEBUG", "step_started", "A", 3),
        ("DEBUG", "step_completed", "A", 3),
        ("DEBUG", "step_started", "B", 1),
        ("WARNING", "step_failed", "B", 1),
        ("DEBUG", "compensation_started", "B", 1),
        ("WARNING", "compensation_failed", "B", 1),
        ("DEBUG", "compensation_started", "B", 2),
        ("ERROR", "compensation_failed", "B", 2),
        ("DEBUG", "compensation_started", "A", 1),
        ("DEBUG", "compensation_completed", "A", 1),
        ("ERROR", "saga_failed", None, None),
    ]
    assert {vars(r)["saga_id"] for r in records} == {error.invocation_id}
    assert {vars(r)["workflow"] for r in records} == {workflow.name}
    assert vars(records[-1])["status_code"] == 409
    assert "rolled back, but for: B" in records[-1].getMessage()
    assert not any("secret" in r.getMessage() for r in records)
