"""RS104: compensations that undo nothing when it is not known whether the step has done anything.

The compensation's code is gone through twice, as if the step had left data, and as if its outcome
were ``unknown``: conditions on the context and on the data are decided, others may go either way.
"""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from resaga.cli.check.effects import acts
from resaga.cli.check.findings import Finding
from resaga.cli.check.flow import AnyStep
from resaga.cli.check.kinds import is_kind_of
from resaga.cli.check.names import Scope, scope_of
from resaga.cli.check.source import source_of
from resaga.cli.check.undoing import types_of
from resaga.step import step_parts

__all__ = ["leaves_unknown"]


def leaves_unknown(step: AnyStep) -> Iterator[Finding]:
    """Find it, if the step's compensation does.

    Of a durable step, what is in flight is waited for: without a result it has called nobody.
    """
    compensate = step_parts(step).compensate
    if compensate is None or step.options.strict or step.options.durable:
        return
    source = source_of(compensate.fn)
    types = types_of(step)
    if source is None or types is None or len(source.parameters) < 2:
        return
    data, taken = types
    if data in (None, type(None)):
        return
    scope, (context, name) = scope_of(source), source.parameters[:2]
    with_data = _Case(scope, context, name, has_data=True, outcome="completed", given=data)
    without = _Case(scope, context, name, has_data=False, outcome="unknown", given=taken)
    if without.acts(source.node.body) or not with_data.acts(source.node.body):
        return
    yield Finding(
        code="RS104",
        definition=f"step {step.name}",
        place=source.place,
        what=f"its compensation {source.node.name} does nothing where the step has left no data",
        why=(
            "the outcome may be unknown then: the step was interrupted, or its retries ran out, "
            "and what it did may have happened; it would stay done"
        ),
        mend=(
            f"undo by {context}.forward_idempotency_key and {context}.input where "
            f"{context}.outcome is 'unknown'; if no data does mean no effect, silence this"
        ),
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known of the arguments in one of the two."""

    scope: Scope
    context: str
    data: str
    has_data: bool
    outcome: str
    given: object

    def acts(self, body: Sequence[ast.stmt]) -> bool:
        """Whether some code may do something."""
        return self._run(body)[0]

    def _run(self, body: Iterable[ast.stmt]) -> tuple[bool, bool]:
        """Whether a block may do something, and whether it may go on after its end."""
        did = False
        for statement in body:
            done, on = self._statement(statement)
            did |= done
            if not on:
                return did, False
        return did, True

    def _statement(self, node: ast.stmt) -> tuple[bool, bool]:
        match node:
            case ast.Return() | ast.Raise():
                return acts(node, self.scope), False
            case ast.If(test=test, body=body, orelse=orelse):
                truth = self._truth(test)
                arms = [] if truth is False else [self._run(body)]
                arms += [] if truth is True else [self._run(orelse)]
                did = acts(test, self.scope) or any(done for done, _ in arms)
                return did, any(on for _, on in arms)
            case ast.Match(subject=subject, cases=cases) if self._is_data(subject):
                return self._match(cases)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                did, on = self._run([*body, *orelse, *final])
                handled = [self._run(handler.body) for handler in handlers]
                return did or any(done for done, _ in handled), on or bool(handlers)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                did, on = self._run(body)
                opened = ast.With(items=items, body=[ast.Pass()])
                return did or acts(opened, self.scope), on
            case _:
                return acts(node, self.scope), True

    def _match(self, cases: Sequence[ast.match_case]) -> tuple[bool, bool]:
        did, on = False, False
        for case in cases:
            fits = self._fits(case.pattern)
            if fits is False:
                continue
            done, goes_on = self._run(case.body)
            did, on = did | done, on | goes_on
            if fits is True and case.guard is None:
                return did, on
        return did, True

    def _fits(self, pattern: ast.pattern) -> bool | None:
        match pattern:
            case ast.MatchAs(pattern=None):
                return True
            case ast.MatchAs(pattern=ast.pattern() as inner):
                return self._fits(inner)
            case ast.MatchSingleton(value=None):
                return self.given in (None, type(None))
            case ast.MatchClass(cls=cls, patterns=inner, kwd_patterns=words):
                fits = self._is_instance(cls)
                return None if fits and (inner or words) else fits
            case ast.MatchOr(patterns=patterns):
                fit = [self._fits(each) for each in patterns]
                return True if True in fit else None if None in fit else False
            case _:
                return None

    def _truth(self, test: ast.expr) -> bool | None:
        """Whether a condition holds; ``None`` if that is not known."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                truth = self._truth(operand)
                return None if truth is None else not truth
            case ast.BoolOp(op=op, values=values):
                truths = [self._truth(each) for each in values]
                decides = isinstance(op, ast.Or)
                return decides if decides in truths else None if None in truths else not decides
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name == self.context:
                return {"has_data": self.has_data, "failed": not self.has_data}.get(attribute)
            case ast.Compare(left=left, ops=[op], comparators=[other]):
                return self._compare(left, op, other)
            case ast.Call(func=ast.Name(id="isinstance"), args=[first, kind]):
                return self._is_instance(kind) if self._is_data(first) else None
            case _ if self._is_data(test) and self.given in (None, type(None)):
                return False
            case _:
                return None

    def _compare(self, left: ast.expr, op: ast.cmpop, other: ast.expr) -> bool | None:
        if self._is_data(left) and isinstance(op, ast.Is | ast.IsNot):
            nothing = self.given in (None, type(None))
            is_none = isinstance(other, ast.Constant) and other.value is None
            return nothing is isinstance(op, ast.Is) if is_none else None
        match left, other:
            case (
                ast.Attribute(value=ast.Name(id=name), attr="outcome"),
                ast.Constant(value=str(value)),
            ) if name == self.context and isinstance(op, ast.Eq | ast.NotEq):
                return (value == self.outcome) is isinstance(op, ast.Eq)
            case _:
                return None

    def _is_instance(self, kind: ast.expr) -> bool | None:
        """Whether what is given is one of a class."""
        given = typing.get_origin(self.given) or self.given
        given = type(None) if given is None else given
        kinds = self.scope.items(kind) if isinstance(kind, ast.Tuple) else self.scope.resolve(kind)
        return is_kind_of(given, kinds) if kinds else None

    def _is_data(self, expr: ast.expr) -> bool:
        return isinstance(expr, ast.Name) and expr.id == self.data
