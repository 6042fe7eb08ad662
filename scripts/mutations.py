"""The mutations of `make mutate` as data: for each rule, ways to break it, and who shall notice.

A mutation replaces one passage of the source by another. The passage has to stand there exactly
once, so a change of the source that moves it makes `mutate.py` fail until the table is mended.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MUTATIONS", "Mutation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One way to break a rule.

    Attributes:
        rule: The rule, ``"R8"``.
        what: What the mutated code does wrong.
        file: The module, relative to ``src/resaga``.
        old: The passage that is replaced, to be found exactly once.
        new: What stands there instead.
        tests: Who shall notice: ``file::test``, relative to ``tests/server``.
        cases: Narrows the cases of a parametrized test, as pytest's ``-k``.
        flavour: The flavour of server that the tests run against; those that need none run, too.
    """

    rule: str
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    cases: str = ""
    flavour: str = "normal"


MUTATIONS: tuple[Mutation, ...] = (
    # -- when to roll back -----------------------------------------------------------------
    Mutation(
        rule="R1",
        what="a terminal error rolls nothing back",
        file="rollback.py",
        old="    failures = attempt.left_undone + await unwind(attempt, frame)\n",
        new="    failures = attempt.left_undone\n",
        tests=("test_r01_when.py::test_r01_terminal_error_of_the_body_rolls_back",),
    ),
    Mutation(
        rule="R1",
        what="an ordinary error rolls back, too",
        file="rollback.py",
        old="        if terminal is None:\n            raise\n        error =",
        new="        if isinstance(exc, ValueError):\n"
        "            terminal = TerminalError(str(exc))\n"
        "        if terminal is None:\n            raise\n        error =",
        tests=("test_r01_when.py::test_r01_ordinary_error_of_the_body_is_retried",),
    ),
    Mutation(
        rule="R2",
        what="the cause chain is not followed",
        file="classify.py",
        old="        cause = cause.__cause__\n",
        new="        cause = None\n",
        tests=("test_r02_terminal.py::test_r02_terminal_in_the_body",),
    ),
    Mutation(
        rule="R2",
        what="one terminal leaf makes a group terminal",
        file="classify.py",
        old="        if terminal is None:\n            return None\n        first = ",
        new="        if terminal is None:\n            continue\n        first = ",
        tests=("test_r02_terminal.py::test_r02_ordinary_in_the_body",),
    ),
    Mutation(
        rule="R2",
        what="the chain is followed past a RetryableError",
        file="classify.py",
        old="        if isinstance(cause, RetryableError):\n            break\n",
        new="",
        tests=("test_r02_terminal.py::test_r02_ordinary_in_the_body",),
    ),
    Mutation(
        rule="R3",
        what="the workflow's mapper is asked before the step's",
        file="classify.py",
        old="    for mapper in mappers:\n",
        new="    for mapper in reversed(mappers):\n",
        tests=("test_r03_mapped.py::test_r03_order_in_a_step",),
    ),
    Mutation(
        rule="R3",
        what="the least derived registered class wins",
        file="classify.py",
        old="        for cls in type(exc).__mro__:\n",
        new="        for cls in reversed(type(exc).__mro__):\n",
        tests=("test_r03_mapped.py::test_r03_the_most_derived_class_wins",),
    ),
    Mutation(
        rule="R3",
        what="errors of compensations are mapped",
        file="compensation.py",
        old="        except Exception as exc:\n"
        "            terminal = terminal_of(exc, mapped=False)\n",
        new="        except Exception as exc:\n            terminal = terminal_of(exc)\n",
        tests=("test_r03_mapped.py::test_r03_errors_of_compensations_are_never_mapped",),
    ),
    Mutation(
        rule="R4",
        what="a broken connection is an error like any other",
        file="classify.py",
        old="    SdkInternalBaseException,\n    DisconnectedException,\n",
        new="    SdkInternalBaseException,\n",
        tests=("test_r04_passes.py::test_r04_a_broken_connection_is_never_mapped",),
    ),
    Mutation(
        rule="R4",
        what="misuse and RetryableError are mapped",
        file="classify.py",
        old="    if not mapped or isinstance(exc, (RetryableError, MisuseError, ProviderError)):\n",
        new="    if not mapped:\n",
        tests=(
            "test_r04_passes.py::test_r04_misuse_is_retried_whatever_the_mappers_say",
            "test_r04_passes.py::test_r04_retryable_error_is_retried_whatever_the_mappers_say",
        ),
    ),
    Mutation(
        rule="R4",
        what="the attempt's end is not looked for in a group",
        file="classify.py",
        old="    if isinstance(exc, BaseExceptionGroup):\n",
        new="    if isinstance(exc, BaseExceptionGroup) and not exc:\n",
        tests=(
            "test_gaps.py::test_r04_what_leaves_the_saga_is_the_attempts_end_and_not_its_group",
        ),
        flavour="replay",
    ),
    Mutation(
        rule="R5",
        what="a body that returns after a cancel is not rolled back",
        file="rollback.py",
        old="        _check_nothing_left(attempt, line)\n        attempt.journal.check()\n",
        new="        _check_nothing_left(attempt, line)\n",
        tests=("test_r05_caught.py::test_r05_a_cancel_sticks_and_a_normal_return_is_rolled_back",),
    ),
    Mutation(
        rule="R5",
        what="a cancel is raised once, and does not stick",
        file="journal.py",
        old="        if interruption is not None and current_shield.get() is None:\n"
        "            raise interruption\n",
        new="        if interruption is not None and current_shield.get() is None:\n"
        "            self.interrupt = None\n            raise interruption\n",
        tests=("test_r05_caught.py::test_r05_a_cancel_sticks_and_a_normal_return_is_rolled_back",),
    ),
    Mutation(
        rule="R5",
        what="a step that failed is forgotten when its error is caught",
        file="step.py",
        old="        if not self.options.strict:\n            self._register(line, entry)\n",
        new="",
        tests=("test_r05_caught.py::test_r05_what_was_caught_is_undone_if_the_saga_fails_later",),
    ),
    # -- what rollback does ----------------------------------------------------------------
    Mutation(
        rule="R6",
        what="a rollback does not wait for actions that still run",
        file="rollback.py",
        old="    await attempt.journal.drain()\n",
        new="",
        tests=(
            "test_r06_drain.py::test_r06_a_thread_left_over_from_a_failed_attempt_is_waited_for",
        ),
    ),
    Mutation(
        rule="R6",
        what="a cancel does not wait for the action in flight",
        file="journal.py",
        old="        runs = self.runs_under_way(wanted)\n",
        new="        runs = list[int]()\n",
        tests=("test_r06_drain.py::test_r06_cancel_waits_for_the_action_in_flight",),
    ),
    Mutation(
        rule="R6",
        what="a cancel does not wait for a call that nobody awaits",
        file="journal.py",
        old="            if unanswered:\n",
        new="            if unanswered and not self._cancelled:\n",
        tests=(
            "test_r06_drain.py::test_r06_a_call_that_nobody_awaits_is_waited_for_after_a_cancel",
        ),
    ),
    Mutation(
        rule="R7",
        what="draining begins an action that has not begun",
        file="journal.py",
        old="        runs = self.runs_under_way(wanted)\n",
        new="        runs = [h for h in handles(wanted) if h in self._runs]\n",
        tests=(
            "test_r07_completed.py::test_r07_an_action_is_not_begun_again_while_cancelled",
            "test_r07_completed.py::test_r07_a_paused_action_is_not_begun_again_by_a_cancel",
        ),
    ),
    Mutation(
        rule="R7",
        what="a strict step that completed while cancelled is not undone",
        file="step.py",
        old="        if self.options.strict:\n            self._register(line, entry)\n",
        new="        if self.options.strict:\n            attempt.journal.check()\n"
        "            self._register(line, entry)\n",
        tests=("test_r07_completed.py::test_r07_completed_while_cancelled_is_undone",),
        cases="strict",
    ),
    Mutation(
        rule="R8",
        what="a second cancel reaches into the rollback",
        file="journal.py",
        old="        token = current_shield.set(Shield(key))\n",
        new="        token = current_shield.set(None)\n",
        tests=(
            "test_r08_shield.py::test_r08_a_durable_compensation_that_sleeps_does_not_see_a_second_cancel",
        ),
    ),
    Mutation(
        rule="R8",
        what="what a durable compensation calls is cancelled with the saga",
        file="journal.py",
        old="        if shield is None:\n            self.check()\n",
        new="        if shield is not None and shield.key:\n            return None\n"
        "        if shield is None:\n            self.check()\n",
        tests=("test_r08_shield.py::test_r08_what_a_durable_compensation_calls_is_not_cancelled",),
    ),
    Mutation(
        rule="R8",
        what="a rollback that waits after a cancel spins",
        file="journal.py",
        old="            await asyncio.sleep(HOLD_BACK.total_seconds())\n",
        new="            await asyncio.sleep(0)\n",
        tests=("test_r08_shield.py::test_r08_a_durable_compensation_that_sleeps_does_not_spin",),
        flavour="serverless",
    ),
    Mutation(
        rule="R9",
        what="the oldest compensation runs first",
        file="stack.py",
        old="            yield self._items.pop()\n",
        new="            yield self._items.pop(floor)\n",
        tests=("test_r09_order.py::test_r09_newest_first",),
    ),
    Mutation(
        rule="R9",
        what="one that fails for good stops the others",
        file="compensation.py",
        old="            failures.append(failure)\n",
        new="            failures.append(failure)\n            break\n",
        tests=("test_r09_order.py::test_r09_one_that_fails_for_good_does_not_stop_the_others",),
    ),
    Mutation(
        rule="R10",
        what="the caller does not hear of what is left undone",
        file="rollback.py",
        old="    error = RollbackIncomplete(terminal, failures) if failures else terminal\n",
        new="    error = terminal\n",
        tests=("test_r10_errors.py::test_r10_rollback_incomplete",),
    ),
    Mutation(
        rule="R10",
        what="metadata of a step's error are lost",
        file="execution.py",
        old="    raise TerminalError(failure.message, failure.code, metadata or None)\n",
        new="    raise TerminalError(failure.message, failure.code)\n",
        tests=("test_r10_errors.py::test_r10_the_original_error_with_message_code_and_metadata",),
    ),
    Mutation(
        rule="R11",
        what="an ordinary error of a compensation ends it for good",
        file="compensation.py",
        old="            if terminal is None:\n                raise\n",
        new="            if terminal is None:\n"
        "                terminal = TerminalError(str(exc))\n",
        tests=("test_r11_survives.py::test_r11_an_ordinary_error_of_a_compensation_is_retried",),
    ),
    Mutation(
        rule="R11",
        what="compensation_retry is not applied",
        file="compensation.py",
        old=", action, retry=entry.retry)\n",
        new=", action)\n",
        tests=("test_r11_survives.py::test_r11_a_bounded_compensation_fails_for_good",),
    ),
    Mutation(
        rule="R11",
        what="a compensation inherits the step's retry",
        file="step.py",
        old="            retry=self.options.compensation_retry,\n",
        new="            retry=self.options.compensation_retry or self.options.retry,\n",
        tests=("test_r11_survives.py::test_r11_a_compensation_does_not_inherit_the_steps_retry",),
    ),
    Mutation(
        rule="R12",
        what="the input is handed over as if it were data",
        file="compensation.py",
        old="    return (False, entry.input) if data is ABSENT",
        new="    return (True, entry.input) if data is ABSENT",
        tests=("test_r12_outcome.py::test_r12_hybrid",),
    ),
    Mutation(
        rule="R12",
        what="exhausted retries count as failed",
        file="compensation.py",
        old='    outcome: Outcome = "unknown"\n',
        new='    outcome: Outcome = "failed"\n',
        tests=("test_r12_outcome.py::test_r12_exhausted_retries_are_unknown",),
    ),
    Mutation(
        rule="R12",
        what="a compensation gets the object that the body has changed",
        file="execution.py",
        old='    entry.outcome = "completed"\n    entry.data = lambda: codec.decode_data(raw)\n',
        new='    entry.outcome = "completed"\n    entry.data = lambda: record.data\n',
        tests=("test_r12_outcome.py::test_r12_the_body_cannot_change_what_the_compensation_gets",),
    ),
    # -- steps -----------------------------------------------------------------------------
    Mutation(
        rule="R13",
        what="a compensation has the key of its action",
        file="step.py",
        old='            undo_key=f"{key}.undo",\n',
        new="            undo_key=key,\n",
        tests=(
            "test_r13_keys.py::test_r13_keys_are_unique_and_differ_from_those_of_compensations",
        ),
    ),
    Mutation(
        rule="R13",
        what="a compensation does not get the key kept with the result",
        file="execution.py",
        old="    entry.forward_key = record.key\n",
        new="",
        tests=(
            "test_r13_keys.py::test_r13_a_copy_of_the_invocation_undoes_with_the_key_the_action_had",
        ),
    ),
    Mutation(
        rule="R13",
        what="the key of a durable step is not kept",
        file="compensation.py",
        old="    return msgspec.json.decode(await attempt.journal.run(name, action), type=Kept)\n",
        new="    await attempt.journal.run(name, action)\n    return Kept(key=key)\n",
        tests=("test_r13_keys.py::test_r13_a_copy_replays_the_calls_of_durable_code",),
    ),
    Mutation(
        rule="R14",
        what="saga.ctx is there inside an action",
        file="saga.py",
        old='        forbid_in_action("saga.ctx")\n',
        new="",
        tests=("test_r14_context.py::test_r14_an_action_cannot_use_restate",),
    ),
    Mutation(
        rule="R14",
        what="a context that an action has captured works",
        file="seam.py",
        old='            forbid_in_action("The Restate context")\n',
        new="            pass\n",
        tests=("test_r14_context.py::test_r14_an_action_cannot_use_restate",),
    ),
    Mutation(
        rule="R15",
        what="a result that cannot be journaled is an ordinary error: its effect is repeated",
        file="execution.py",
        old='            return self._lost(f"its result cannot be journaled: {exc}")\n',
        new="            raise\n",
        tests=("test_r15_results.py::test_r15_what_cannot_be_journaled_fails_the_step_once",),
    ),
    Mutation(
        rule="R15",
        what="a result of any size is journaled",
        file="execution.py",
        old="        if len(raw) > attempt.max_result_size:\n            return self._lost(\n",
        new="        if not raw:\n            return self._lost(\n",
        tests=("test_r15_results.py::test_r15_what_cannot_be_journaled_fails_the_step_once",),
    ),
    Mutation(
        rule="R15",
        what="what reads back as something else is journaled",
        file="record.py",
        old="                fault = self._output.fault(output, record.output)\n",
        new="                fault = None\n",
        tests=("test_gaps.py::test_r15_what_reads_back_as_something_else_fails_the_step_once",),
    ),
    Mutation(
        rule="R16",
        what="a model within a value comes back as a dict",
        file="serde.py",
        old="return value if engine is None else engine.decode(msgspec.json.encode(value))\n",
        new="return value\n",
        tests=("test_r16_values.py::test_r16_a_value_comes_back_as_it_was",),
    ),
    Mutation(
        rule="R16",
        what="a type that cannot come back is accepted",
        file="serde.py",
        old="            if not models.can_carry(declared):\n                raise\n",
        new="            if not models.can_carry(declared):\n                declared = Any\n"
        "                shape = shape_of(declared, models)\n"
        "                return Codec(declared, _NativeEngine(declared, {}), shape, leaves={})\n",
        tests=("test_r16_values.py::test_r16_a_type_that_cannot_come_back_is_refused",),
    ),
    # -- composition -----------------------------------------------------------------------
    Mutation(
        rule="R17",
        what="when a branch fails, the others go on",
        file="branches.py",
        old="            if branch.group.failed and branch.group.abandons:\n",
        new="            if branch.group.failed and not branch.group.abandons:\n",
        tests=(
            "test_r17_gather.py::test_r17_when_one_fails_the_others_finish_their_step_and_start_no_other",
        ),
    ),
    Mutation(
        rule="R17",
        what="a cancel is taken while a running action is waited for that nobody wants any more",
        file="branches.py",
        old="            await self._journal.end_of_actions(runs)\n",
        new="",
        tests=(
            (
                "test_r17_abandoned_replay.py::"
                "test_r17_a_cancel_beside_an_abandoned_action_that_is_cut_off_replays_alike"
            ),
        ),
    ),
    Mutation(
        rule="R17",
        what="values do not come back in the order of the arguments",
        file="branches.py",
        old="        return [branch.result for branch in group.branches]\n",
        new="        return [branch.result for branch in reversed(group.branches)]\n",
        tests=("test_r17_gather.py::test_r17_values_come_back_in_the_order_of_the_arguments",),
    ),
    Mutation(
        rule="R17",
        what="a flaky sibling makes the others start over",
        file="journal.py",
        old="                    await self._in_flight.hold_failure(handle)\n",
        new="                    pass\n",
        tests=("test_r17_gather.py::test_r17_siblings_do_not_start_over_because_one_is_flaky",),
    ),
    Mutation(
        rule="R18",
        what="a savepoint rolls back what came before it",
        file="saga.py",
        old="            failures = await unwind(attempt, line.frame, mark)\n",
        new="            failures = await unwind(attempt, line.frame)\n",
        tests=("test_r18_savepoint.py::test_r18_only_its_own_is_rolled_back",),
    ),
    Mutation(
        rule="R18",
        what="what a savepoint could not undo is forgotten",
        file="saga.py",
        old="            attempt.left_undone.extend(failures)\n",
        new="",
        tests=("test_r18_savepoint.py::test_r18_what_a_savepoint_could_not_undo_is_not_forgotten",),
    ),
    Mutation(
        rule="R19",
        what="a pivot drops nothing",
        file="stack.py",
        old="        self._items.clear()\n",
        new="",
        tests=("test_r18_savepoint.py::test_r19_a_pivot_drops_what_was_registered_before",),
    ),
    Mutation(
        rule="R19",
        what="a savepoint with a pivot in it undoes nothing that came later",
        file="stack.py",
        old="        self._epoch += 1\n",
        new="",
        tests=("test_gaps.py::test_r19_a_savepoint_with_a_pivot_in_it_undoes_what_came_later",),
    ),
    Mutation(
        rule="R19",
        what="a pivot is taken in a branch",
        file="saga.py",
        old="        if line is not self._root:\n",
        new="        if line is None:\n",
        tests=("test_r18_savepoint.py::test_r19_a_pivot_is_refused_in_a_branch",),
    ),
    Mutation(
        rule="R20",
        what="the deadline cuts a compensation short",
        file="journal.py",
        old="            while not await self._progress(wanted, shielded=True):\n"
        "                pass\n            return\n",
        new="            if not await self._progress(wanted, shielded=False):\n"
        "                raise self.interrupt or TimeoutError\n            return\n",
        tests=("test_r20_deadline.py::test_r20_it_does_not_matter_during_a_rollback",),
    ),
    Mutation(
        rule="R20",
        what="what was called is not cancelled when the deadline passes",
        file="journal.py",
        old="            await self._calls.cancel()\n",
        new="            pass\n",
        tests=("test_r20_deadline.py::test_r20_a_called_saga_is_cancelled_and_waited_for",),
    ),
    Mutation(
        rule="R21",
        what="two steps may be in flight beside each other",
        file="line.py",
        old="        if self._in_flight is not None:\n",
        new="        if not name:\n",
        tests=("test_r21_misuse.py::test_r21_steps_beside_each_other_are_refused",),
    ),
    Mutation(
        rule="R21",
        what="Restate may kill a saga whose attempts run out",
        file="policy.py",
        old='        return InvocationRetryPolicy(on_max_attempts="pause")\n',
        new='        return InvocationRetryPolicy(on_max_attempts="kill")\n',
        tests=("test_r21_misuse.py::test_r21_a_saga_is_paused_and_never_killed",),
    ),
    Mutation(
        rule="R21",
        what="a deadline of zero is accepted",
        file="policy.py",
        old="    if duration <= timedelta():\n",
        new="    if duration < timedelta():\n",
        tests=("test_r21_misuse.py::test_r21_misuse_is_refused_when_things_are_defined",),
    ),
    # -- at the edges ----------------------------------------------------------------------
    Mutation(
        rule="R22",
        what="input that does not fit is retried",
        file="definitions/handlers.py",
        old='            raise TerminalError(f"{body.where}: {exc}", 400) from None\n',
        new='            raise CodecError(f"{body.where}: {exc}") from None\n',
        tests=("test_bad_input.py::test_r22_bad_input_is_refused_before_any_step",),
    ),
    Mutation(
        rule="R22",
        what="the message does not say where the fault is",
        file="definitions/handlers.py",
        old='            raise TerminalError(f"{body.where}: {exc}", 400) from None\n',
        new='            raise TerminalError(f"{body.where}: bad input", 400) from None\n',
        tests=("test_bad_input.py::test_r22_bad_input_is_refused_before_any_step",),
    ),
    Mutation(
        rule="R22",
        what="discovery has no schema of the input",
        file="definitions/handlers.py",
        old="generate_json_schema=body.input.schema)\n",
        new="generate_json_schema=dict)\n",
        tests=("test_r22_input.py::test_r22_discovery_carries_schemas",),
    ),
    Mutation(
        rule="R23",
        what="the entry of a compensation does not say what it is",
        file="compensation.py",
        old='        kept = await attempt.journal.run(f"compensate:{entry.name}", action,',
        new="        kept = await attempt.journal.run(entry.name, action,",
        tests=("test_r23_journal.py::test_r23_entries_bear_the_names_of_steps",),
    ),
    Mutation(
        rule="R23",
        what="a record of a later version cannot be read",
        file="record.py",
        old="            ],\n            frozen=True,\n",
        new="            ],\n            frozen=True,\n            forbid_unknown_fields=True,\n",
        tests=("test_r23_journal.py::test_r23_a_record_of_format_1_means_what_it_meant",),
    ),
    Mutation(
        rule="R23",
        what="an output that was journaled once does not stand for the data",
        file="record.py",
        old="            no_data = output = self._output.unpack",
        new="            no_data, output = ABSENT, self._output.unpack",
        tests=("test_r23_journal.py::test_r23_a_record_of_format_1_means_what_it_meant",),
    ),
    Mutation(
        rule="R24",
        what="a registered validation error quotes the value",
        file="classify.py",
        old="        return TerminalError(describe(exc) or str(exc) or type(exc).__name__, code)\n",
        new="        return TerminalError(str(exc) or type(exc).__name__, code)\n",
        tests=("test_r24_secrets.py::test_r24_a_registered_validation_error_quotes_no_value",),
    ),
    Mutation(
        rule="R24",
        what="an observer's error is logged with its text",
        file="observe.py",
        old="                type(exc).__name__,\n                event.event_id,\n",
        new="                exc,\n                event.event_id,\n",
        tests=("test_r24_secrets.py::test_r24_nothing_is_logged",),
    ),
    Mutation(
        rule="R25",
        what="an observer that raises breaks the saga",
        file="observe.py",
        old="        except BaseException as exc:\n",
        new="        except KeyError as exc:\n",
        tests=("test_r25_observers.py::test_r25_an_observer_that_raises_breaks_nothing",),
    ),
    Mutation(
        rule="R25",
        what="two events share an id",
        file="attempt.py",
        old='                event_id=f"{saga_id}/{path}/{method}" +',
        new='                event_id=f"{saga_id}/{path}" +',
        tests=("test_r25_observers.py::test_r25_event_ids_tell_repeats",),
    ),
    Mutation(
        rule="R25",
        what="what the journal already held is told again",
        file="execution.py",
        old="    record = action.record_of(raw)\n",
        new="    record = action.record_of(raw)\n"
        '    _tell(attempt, entry, "on_step_completed", outcome="completed")\n',
        tests=("test_r25_observers.py::test_r25_a_success",),
    ),
    Mutation(
        rule="R26",
        what="a saga whose actions have ended stays in the registry of running ones",
        file="action.py",
        old="            running.remove(prefix)\n",
        new="",
        tests=("test_r26_nothing_left.py::test_r26_nothing_is_left",),
    ),
    Mutation(
        rule="R26",
        what="branches are left behind when their attempt ends",
        file="branches.py",
        old="            task.cancel()\n        await asyncio.gather(*tasks,",
        new="            task.done()\n        await asyncio.gather(*tasks[:0],",
        tests=("test_gaps.py::test_r26_branches_end_with_their_attempt",),
    ),
    Mutation(
        rule="R27",
        what="a name with a lone surrogate is accepted",
        file="saga.py",
        old="        name.encode()\n",
        new='        name.encode("utf-8", "surrogatepass")\n',
        tests=("test_r27_names.py::test_r27_a_lone_surrogate_is_refused",),
    ),
    Mutation(
        rule="R27",
        what="only names of ASCII are accepted",
        file="saga.py",
        old="        name.encode()\n",
        new='        name.encode("ascii")\n',
        tests=("test_r27_names.py::test_r27_a_name_may_be_any_text",),
    ),
    Mutation(
        rule="R28",
        what="a terminal error of the provider ends a saga that has begun",
        file="services.py",
        old="        if fresh or internal_of(exc) is not None:\n",
        new="        if fresh or isinstance(exc, Exception):\n",
        tests=("test_gaps.py::test_r28_what_is_told_of_a_provider_that_fails_later_names_it",),
    ),
    Mutation(
        rule="R28",
        what="a terminal error of closing ends the saga",
        file="services.py",
        old="        if terminal_of(exc, mapped=False) is None:\n            raise\n",
        new="        if isinstance(exc, Exception):\n            raise\n",
        tests=("test_r28_services.py::test_r28_a_terminal_error_of_closing_is_made_ordinary",),
    ),
    Mutation(
        rule="R28",
        what="a scope's exit suppresses the error of the body",
        file="services.py",
        old="        await _close(scope, leaving, where)\n        raise\n",
        new="        await _close(scope, leaving, where)\n",
        tests=("test_r28_services.py::test_r28_a_scope_cannot_suppress_the_end",),
    ),
    Mutation(
        rule="R29",
        what="a saga has an entry of its own before its first step",
        file="rollback.py",
        old='    if attempt.journal.fresh:\n        attempt.tell_saga("on_saga_started")\n',
        new='    if attempt.journal.fresh:\n        attempt.tell_saga("on_saga_started")\n\n'
        '    async def begin() -> bytes:\n        return b""\n\n'
        '    await attempt.journal.run("begin", begin)\n',
        tests=("test_r29_r30_entries.py::test_r29_a_saga_of_no_steps_adds_no_entry",),
    ),
    Mutation(
        rule="R30",
        what="a plain compensation costs two entries",
        file="compensation.py",
        old='    try:\n        kept = await attempt.journal.run(f"compensate:',
        new="    await keep_key(attempt, entry.name, entry.undo_key, on_begin=lambda: None)\n"
        '    try:\n        kept = await attempt.journal.run(f"compensate:',
        tests=(
            "test_r29_r30_entries.py::test_r30_a_plain_step_costs_one_entry_and_its_compensation_another",
        ),
    ),
    Mutation(
        rule="R30",
        what="a plain step costs two entries",
        file="execution.py",
        old="    action = _Action(attempt, spec, codec, entry)\n",
        new="    action = _Action(attempt, spec, codec, entry)\n"
        "    await keep_key(attempt, spec.name, entry.forward_key, on_begin=lambda: None)\n",
        tests=(
            "test_r29_r30_entries.py::test_r30_a_plain_step_costs_one_entry_and_its_compensation_another",
        ),
    ),
    Mutation(
        rule="R4",
        what="an attempt that is over rolls back all the same",
        file="journal.py",
        old="            self._over = exc\n            if isinstance",
        new="            if isinstance",
        tests=("test_r04_dead_attempt.py::test_r04_what_ends_an_attempt_cannot_be_swallowed",),
        cases="raise",
    ),
    Mutation(
        rule="R6",
        what="durable code makes calls after the cancel, and nobody waits for them",
        file="journal.py",
        old="            self.check()\n            return None\n        return self._calls",
        new="            return None\n        return self._calls",
        tests=(
            (
                "test_r06_late_calls.py::"
                "test_r06_no_call_begins_in_a_durable_step_once_the_saga_is_cancelled"
            ),
        ),
    ),
    Mutation(
        rule="R6",
        what="a call that was awaited after the cancel is not waited for",
        file="calls.py",
        old="            for handle, (line, _) in self._open.items()\n"
        "            if line.startswith(prefix) and not self._ctx.vm.is_completed(handle)\n",
        new="            for handle, (line, call) in self._open.items()\n"
        "            if line.startswith(prefix) and not call.is_completed()\n",
        tests=(
            (
                "test_r06_late_calls.py::"
                "test_r06_a_call_that_was_awaited_after_the_cancel_is_waited_for_too"
            ),
        ),
    ),
    Mutation(
        rule="R18",
        what="a savepoint leaves the state as its block has set it",
        file="state.py",
        old="        line.frame.push(\n            _Restore(",
        new="        type(line.frame)().push(\n            _Restore(",
        tests=("test_virtual_object.py::test_a_savepoint_restores_its_own_changes_only",),
    ),
    Mutation(
        rule="R22",
        what="a signal takes input of any shape",
        file="definitions/handlers.py",
        old="value = _decode(raw, body, fresh=is_fresh(ctx)) if body.takes_input",
        new='value = __import__("json").loads(raw) if body.takes_input',
        tests=(
            (
                "test_restate_workflow.py::"
                "test_input_of_signals_is_validated_and_their_errors_are_mapped"
            ),
        ),
    ),
    Mutation(
        rule="R10",
        what="a client raises an incomplete rollback as any terminal error",
        file="clients/transport.py",
        old="        known = received(error)\n",
        new="        known = error\n",
        tests=("test_clients.py::test_r10_an_incomplete_rollback_is_one_here",),
        cases="saga",
    ),
)
