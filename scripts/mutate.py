"""Break each rule in the source, one mutation at a time, and show its test failing.

The tests prove nothing about a rule if they pass without it. This takes a copy of the repository
into a temporary folder, sees that the tests of the table (`mutations.py`) pass there, and then,
for each mutation, breaks the copy's source, runs the tests that shall notice, and mends it again.
The working tree is never touched. A test that hangs has noticed, too.

Exit status: 0 if each mutation was noticed; 1 if one survived, a passage to mutate was not found
exactly once, or a test could not be run.

    make mutate
    make mutate ARGS="--rule R8 --rule R9"
    make mutate ARGS=--list
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("pyproject.toml", "src", "tests")
FLAVOURS = ("normal", "replay", "serverless")
ONE_TEST = 60
"""Seconds after which pytest ends a test that hangs. Any other takes a tenth of it."""
HANG = 150.0
"""Seconds after which a mutation's tests are killed: what hangs may not let pytest end it."""
ALL_TESTS = 1800.0
"""The same for all tests of the table on sound code."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a run of pytest ended: its exit status, ``None`` if it was killed, and its output."""

    status: int | None
    output: str

    @property
    def failed(self) -> list[str]:
        """The tests that failed, by function and case."""
        return list(_reported(self.output, "FAILED"))

    @property
    def trouble(self) -> str:
        """What kept the tests from running."""
        errors = list(_reported(self.output, "ERROR"))
        tail = "\n".join(self.output.splitlines()[-20:])
        return f"pytest ended with {self.status}: {', '.join(errors)}\n{tail}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a mutation."""

    mutation: Mutation
    noticed: bool
    text: str


def main() -> int:
    """Run the command line."""
    options = _options()
    chosen = [m for m in MUTATIONS if not options.rule or m.rule in options.rule]
    if not chosen:
        print(f"The table has no mutation of {', '.join(options.rule)}.", file=sys.stderr)
        return 1
    if options.list:
        for mutation in chosen:
            print(f"{mutation.rule:<4} {mutation.file:<16} {mutation.what}")
        return 0
    misplaced = list(_misplaced(chosen))
    if misplaced:
        print("\n".join(misplaced), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copies = [_copy(Path(folder, str(number))) for number in range(options.jobs)]
        return _mutate(copies, chosen, unsound=_unsound(copies[0], chosen))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Break each rule, and show its test failing.")
    parser.add_argument(
        "--rule", action="append", default=[], type=str.upper, metavar="R8",
        help="mutate this rule only; may be given several times",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the mutations, run nothing")
    parser.add_argument(
        "--jobs", type=_one_or_more, default=max(1, (os.cpu_count() or 1) // 2), metavar="N",
        help="mutations tried side by side (default: one for two cores)",
    )  # fmt: skip
    return parser.parse_args()


def _one_or_more(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _misplaced(mutations: Iterable[Mutation]) -> Iterator[str]:
    for mutation in mutations:
        path = ROOT / "src/resaga" / mutation.file
        found = path.read_text(encoding="utf-8").count(mutation.old) if path.exists() else 0
        if found != 1:
            yield (
                f"{mutation.rule}, {mutation.what}: the passage to mutate stands {found} times in "
                f"src/resaga/{mutation.file}, not once. Mend it in scripts/mutations.py:\n"
                f"{mutation.old}"
            )


def _copy(target: Path) -> Path:
    """Copy what the tests need, and see that Python takes the copy."""
    target.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy(source, target / name)
    where = subprocess.run(
        [sys.executable, "-c", "import resaga; print(resaga.__file__)"],
        cwd=target, env=_environment(target), check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    if not Path(where).is_relative_to(target):
        raise SystemExit(f"Python imports resaga from {where}, not from the copy in {target}.")
    return target


def _environment(copy: Path) -> dict[str, str]:
    # No bytecode: a mutation may leave a file's size and its time in seconds as they were, and
    # then Python would run the code from before it.
    return {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def _unsound(copy: Path, mutations: Sequence[Mutation]) -> frozenset[str]:
    """The tests that fail although nothing is broken: they can show nothing."""
    unsound: set[str] = set()
    for flavour in FLAVOURS:
        tests = sorted({test for m in mutations if m.flavour == flavour for test in m.tests})
        if not tests:
            continue
        print(f"{len(tests)} tests ({flavour}) on sound code ...", flush=True)
        run = _pytest(copy, tests, flavour=flavour, limit=ALL_TESTS)
        if run.status not in (0, 1) or (run.status == 1 and not run.failed):
            raise SystemExit(run.trouble)
        failed = {name.partition("[")[0] for name in run.failed}
        unsound.update(test for test in tests if test.rpartition("::")[2] in failed)
    return frozenset(unsound)


def _mutate(
    copies: Sequence[Path], mutations: Sequence[Mutation], *, unsound: frozenset[str]
) -> int:
    idle: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        idle.put(copy)

    def attempt(mutation: Mutation) -> Verdict:
        failing = unsound.intersection(mutation.tests)
        if failing:
            return Verdict(mutation, False, f"NOT TRIED: fails on sound code: {', '.join(failing)}")
        copy = idle.get()
        try:
            return _try(copy, mutation)
        finally:
            idle.put(copy)

    began = time.monotonic()
    verdicts: list[Verdict] = []
    width = max(len(mutation.what) for mutation in mutations)
    with ThreadPoolExecutor(len(copies)) as pool, _giving_up(pool):
        for future in as_completed([pool.submit(attempt, mutation) for mutation in mutations]):
            verdict = future.result()
            verdicts.append(verdict)
            print(
                f"{len(verdicts):>3}/{len(mutations)}  {verdict.mutation.rule:<3}  "
                f"{verdict.mutation.what:<{width}}  {verdict.text}",
                flush=True,
            )
    unnoticed = sum(not verdict.noticed for verdict in verdicts)
    rules = len({mutation.rule for mutation in mutations})
    print(
        f"{len(verdicts)} mutations of {rules} rules in {time.monotonic() - began:.0f} s: "
        f"{len(verdicts) - unnoticed} caught, {unnoticed} not"
    )
    return 1 if unnoticed else 0


@contextmanager
def _giving_up(pool: ThreadPoolExecutor) -> Generator[None]:
    """When interrupted, begin no further mutation."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _try(copy: Path, mutation: Mutation) -> Verdict:
    with _broken(copy, mutation):
        run = _pytest(
            copy,
            mutation.tests,
            flavour=mutation.flavour,
            cases=mutation.cases,
            limit=HANG,
            first_failure=True,
        )
    if run.status is None:
        return Verdict(mutation, True, f"caught: {mutation.tests[0]} hangs")
    if run.status == 0:
        return Verdict(mutation, False, "SURVIVED")
    if run.status == 1 and run.failed:
        return Verdict(mutation, True, f"caught by {run.failed[0]}")
    return Verdict(mutation, False, f"NOT TRIED: {run.trouble}")


@contextmanager
def _broken(copy: Path, mutation: Mutation) -> Generator[None]:
    path = copy / "src/resaga" / mutation.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(sound.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(sound, encoding="utf-8")


def _pytest(
    copy: Path,
    tests: Iterable[str],
    *,
    flavour: str,
    limit: float,
    cases: str = "",
    first_failure: bool = False,
) -> Run:
    # By what it is not: a test that needs no server has no flavour.
    selected = " and ".join(f"not [{other}" for other in FLAVOURS if other != flavour)
    command = [
        sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "--tb=no",
        f"--timeout={ONE_TEST}", *(["-x"] if first_failure else []),
        "-k", f"{selected} and ({cases})" if cases else selected,
        *(f"tests/server/{test}" for test in tests),
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        cwd=copy,
        env=_environment(copy),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        return Run(None, "")
    finally:
        # pytest and what it has started, also where it went down or this is interrupted.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return Run(process.returncode, output)


def _reported(output: str, kind: str) -> Iterator[str]:
    """The tests that pytest's summary reports as ``kind``."""
    for line in output.splitlines():
        if line.startswith(f"{kind} "):
            yield line.removeprefix(f"{kind} ").split(" - ")[0].rpartition("::")[2]


if __name__ == "__main__":
    sys.exit(main())
