"""The benchmark: its accounting, its report, and that the programs it compares do the same."""

from __future__ import annotations

import importlib
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS, Folders, serve
from benchmarks.load import LoadFailed, Work, calls
from benchmarks.playback import SERVICE, WORKS, play, record
from benchmarks.proc import cpu_seconds, hop_us, resident_bytes, tree
from benchmarks.report import Report
from benchmarks.rounds import Case, Sample, Samples, entries, play_rounds
from resaga.server import RestateServer

PAIR = ("hand-granian", "resaga-granian")


def sample(*, rate: float = 100, worker_ms: float = 2, server_ms: float = 4) -> Sample:
    return Sample(rate=rate, worker_ms=worker_ms, server_ms=server_ms, p50=1, p90=2, p99=3)


def report(samples: Samples) -> Report:
    return Report(driver="wrk", hop=5.0, busy=0.1, rounds=3, seconds=1, clients=1, samples=samples)


def test_cpu_time_is_counted() -> None:
    me = os.getpid()
    before = cpu_seconds(me)
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert cpu_seconds(me) >= before + 0.05
    assert me in tree(os.getppid())
    assert resident_bytes(me) > 1_000_000


def test_a_hop_between_threads_costs_something() -> None:
    assert 0 < hop_us(100) < 10_000


def test_load_is_refused_where_sagas_did_not_end_as_they_had_to() -> None:
    Work(steps=1).check(10, 0)
    Work(steps=1, fails=True).check(10, 10)
    for work, sagas, errors in (
        (Work(steps=1), 10, 1),
        (Work(steps=1, fails=True), 10, 9),
        (Work(steps=1), 0, 0),
    ):
        with pytest.raises(LoadFailed, match="ended in an error"):
            work.check(sagas, errors)


def test_ratios_are_taken_round_by_round() -> None:
    samples = Samples()
    for mine, theirs in ((2, 2), (3, 2), (8, 4)):
        samples.add("5 steps", "resaga-granian", sample(worker_ms=mine))
        samples.add("5 steps", "hand-granian", sample(worker_ms=theirs))
    (ratio,) = report(samples).ratios()
    assert (ratio.least, ratio.median, ratio.most) == (1.0, 1.5, 2.0)
    assert not ratio.met
    assert "1.50 | 1.00 to 2.00 | ≤ 1.05 | missed" in report(samples).markdown()
    assert '"met": false' in report(samples).json()


def test_more_sagas_a_second_are_better() -> None:
    samples = Samples()
    samples.add("5 steps", "resaga-granian", sample(rate=200))
    samples.add("5 steps", "npm-node", sample(rate=100))
    met = {ratio.goal: ratio.met for ratio in report(samples).ratios()}
    assert met == {"≤ 1.0": True, "≥ 1.0": True}


def test_resaga_journals_as_much_as_hand_written_code(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(RestateServer())
        pair = [contender for contender in CONTENDERS if contender.name in PAIR]
        served = [stack.enter_context(serve(one, Folders(tmp_path))) for one in pair]
        for one in served:
            server.register(one.uri)
        for work in (Work(steps=5), Work(steps=5, fails=True)):
            hand, own = (entries(server, one, work) for one in served)
            assert hand == own
        for one in served:
            url = f"{server.ingress_url}/{one.contender.service}/run"
            assert calls(url, Work(steps=2, fails=True), clients=2, count=4).sagas == 4
        own_served = served[1]
        url = f"{server.ingress_url}/{own_served.contender.service}Gather/run"
        assert calls(url, Work(steps=3), clients=1, count=2).sagas == 2
        case = Case(name="short", work=Work(steps=1), contenders=PAIR)
        found = play_rounds(
            server, served, [case], rounds=1, seconds=1, clients=2, progress=lambda: None
        ).found["short"]
        assert set(found) == set(PAIR)
        assert all(kept[0].worker_ms > 0 and kept[0].server_ms > 0 for kept in found.values())


@pytest.mark.parametrize("program", ["handwritten", "own"])
async def test_what_is_played_back_goes_as_it_went(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESAGA_BENCH_SERVICE", SERVICE)
    monkeypatch.delitem(sys.modules, f"benchmarks.programs.{program}", raising=False)
    app = importlib.import_module(f"benchmarks.programs.{program}").app
    with RestateServer() as server:
        recordings = await record(app, WORKS, server.admin_url, server.ingress_url)
    assert len(recordings) == len(WORKS)
    for recording in recordings:
        assert [await play(app, recording) for _ in range(3)] == [recording.sent] * 3


def test_the_least_of_what_was_played_back_is_told() -> None:
    played = report(Samples())
    played.alone = {
        "resaga-granian": [[1.0, 2.0, 30.0, 4.0], [9.0, 9.0, 3.0, 9.0]],
        "hand-granian": [[5.0, 6.0, 7.0, 8.0]],
    }
    assert "| 5 steps: Python's share of the worker CPU, played back | 3 µs; by hand 7 µs |" in (
        played.markdown()
    )
    assert [row[0].partition(":")[0] for row in played.singles()] == [
        "1 step", "1 step, rollback", "5 steps", "5 steps, rollback",
    ]  # fmt: skip
