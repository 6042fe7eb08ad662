"""What a client calls: a handler of a definition or contract, its codecs and its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import restate
from restate.handler import Handler as SdkHandler
from restate.handler import handler_from_callable

from resaga.contracts import Call, KeyedContract, WorkflowContract, is_call, is_contract
from resaga.errors import MisuseError

__all__ = ["Target", "Targets", "targets_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One handler, as a client calls it.

    Attributes:
        service: Name of the definition.
        handler: Name of the handler on the wire.
        takes_input: Whether it takes one; if not, nothing is sent.
        encode: Writes its input.
        decode: Reads its output.
    """

    service: str
    handler: str
    takes_input: bool
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The handlers of one definition or contract.

    Attributes:
        name: Name of the definition.
        keyed: Whether calls need a key.
        workflow: Whether it is a Restate workflow.
        by_name: Its handlers, by their names on the wire.
    """

    name: str
    keyed: bool
    workflow: bool
    by_name: Mapping[str, Callable[[], Target]]

    def named(self, handler: str) -> Target:
        """The handler of this name on the wire.

        Raises:
            AttributeError: There is none; the message lists those that are there.
        """
        make = self.by_name.get(handler)
        if make is None:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise AttributeError(f"{self.name} has no handler {handler!r}. It has: {known}.")
        return make()

    def of(self, handler: object) -> Target:
        """The handler that the user gave: a definition's, or a contract's call.

        Raises:
            MisuseError: It is none, or another definition's.
        """
        if is_call(handler):
            service, made = handler.contract, _of_call(handler)
        else:
            try:
                sdk: SdkHandler[Any, Any] = handler_from_callable(cast("Any", handler))
            except (TypeError, ValueError):
                raise MisuseError(
                    f"{handler!r} is no handler. Give one of {self.name}, as its decorator "
                    "returned it, or a contract's call."
                ) from None
            service, made = sdk.service_tag.name, _of_handler(sdk)
        if service != self.name:
            raise MisuseError(
                f"{service}.{made.handler} is no handler of {self.name}, which this client is of. "
                "Make a client of the definition that it belongs to."
            )
        return made


def targets_of(definition: object) -> Targets:
    """The handlers of what the user gave to a client.

    Raises:
        MisuseError: It is neither a definition nor a contract.
    """
    if is_contract(definition):
        contract = definition
        return Targets(
            name=contract.name,
            keyed=False,
            workflow=False,
            by_name={"run": lambda: _of_call(contract.run)},
        )
    if isinstance(definition, type) and issubclass(definition, KeyedContract):
        if not hasattr(definition, "contract_calls"):
            raise MisuseError(f"{definition.__name__} is the base of contracts. Give one of yours.")
        calls = definition.contract_calls
        return Targets(
            name=definition.contract_name,
            keyed=True,
            workflow=issubclass(definition, WorkflowContract),
            by_name={
                name: _later(_of_call, call)
                for attribute, call in calls.items()
                for name in (attribute, call.name)
            },
        )
    if isinstance(definition, (restate.Service, restate.VirtualObject, restate.Workflow)):
        handlers: Mapping[str, SdkHandler[Any, Any]] = vars(definition)["handlers"]
        return Targets(
            name=definition.name,
            keyed=not isinstance(definition, restate.Service),
            workflow=isinstance(definition, restate.Workflow),
            by_name={name: _later(_of_handler, handler) for name, handler in handlers.items()},
        )
    raise MisuseError(
        f"{definition!r} is no definition that could be called. Give a workflow, a virtual object, "
        "a definition of the SDK's, or a contract."
    )


def _later(make: Callable[[Any], Target], of: object) -> Callable[[], Target]:
    return lambda: make(of)


def _of_call(call: Call[Any, Any]) -> Target:
    return Target(
        service=call.contract,
        handler=call.name,
        takes_input=call.takes_input,
        encode=call.input_codec().encode,
        decode=call.output_codec().decode,
    )


def _of_handler(handler: SdkHandler[Any, Any]) -> Target:
    io = handler.handler_io
    return Target(
        service=handler.service_tag.name,
        handler=handler.name,
        takes_input=handler.arity > 1,
        encode=io.input_serde.serialize,
        decode=io.output_serde.deserialize,
    )
