"""Contracts: what a caller has to know of a workflow or object, without its code (R22)."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Never,
    Protocol,
    Self,
    TypeGuard,
    cast,
    overload,
)

from typing_extensions import TypeForm, TypeVar

from resaga.errors import MisuseError
from resaga.serde import Codec, codec_for

__all__ = [
    "BoundCall",
    "Call",
    "Calling",
    "Contract",
    "KeyedContract",
    "ObjectContract",
    "WorkflowContract",
    "as_class",
    "contract_type",
    "is_call",
    "is_contract",
]

In_contra = TypeVar("In_contra", contravariant=True, default=Never)
Out_co = TypeVar("Out_co", covariant=True, default=object)
In = TypeVar("In")
Out = TypeVar("Out")


def contract_type(codec: Codec[Any]) -> TypeForm[Any]:
    """The declared type of a codec, as contracts are written with it."""
    declared = codec.declared
    return cast("TypeForm[Any]", None if declared is type(None) else declared)


class Call(Generic[In_contra, Out_co]):
    """One handler in an `ObjectContract` or `WorkflowContract`.

    Attributes:
        input: The type of its input; ``None`` where it takes none.
        output: The type of its output; ``None`` where it gives none.
        name: Its name on the wire; by default the name it has in the contract.
    """

    def __init__(
        self,
        input: TypeForm[In_contra],
        output: TypeForm[Out_co],
        *,
        name: str | None = None,
    ) -> None:
        self.input: object = input
        self.output: object = output
        self.name: str = name or ""
        self.contract: str = ""

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.name = self.name or name

    @overload
    def __get__(self, instance: None, owner: type[object], /) -> Self: ...
    @overload
    def __get__(
        self, instance: KeyedContract, owner: type[object], /
    ) -> BoundCall[In_contra, Out_co]: ...
    def __get__(self, instance: KeyedContract | None, owner: type[object], /) -> object:
        """The call itself on the contract; on a client made from it, what makes the call."""
        return self if instance is None else BoundCall(instance.calling, self)

    @property
    def takes_input(self) -> bool:
        """Whether it takes one."""
        return as_class(self.input) is not type(None)

    def input_codec(self) -> Codec[Any]:
        """How its input is written."""
        return codec_for(self.input, where=f"the input of {self}")

    def output_codec(self) -> Codec[Any]:
        """How its output is read."""
        return codec_for(self.output, where=f"the result of {self}")

    def input_schema(self) -> dict[str, Any] | None:
        """The JSON schema of its input, as the implementation's discovery carries it (R22)."""
        return self.input_codec().schema() if self.takes_input else None

    def output_schema(self) -> dict[str, Any] | None:
        """The JSON schema of its output, as the implementation's discovery carries it (R22)."""
        nothing = as_class(self.output) is type(None)
        return None if nothing else self.output_codec().schema()

    def __eq__(self, other: object) -> bool:
        return is_call(other) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.contract, self.name))

    def _key(self) -> tuple[object, ...]:
        return (self.contract, self.name, as_class(self.input), as_class(self.output))

    def __str__(self) -> str:
        return f"{self.contract}.{self.name}" if self.contract else self.name

    def __repr__(self) -> str:
        return f"<Call {self}>"


class Contract(Generic[In_contra, Out_co]):
    """A workflow's name and types: all that a caller needs, in a package without its code.

    Give it to `workflow_client` in the place of the workflow. It equals ``checkout.contract`` of
    the workflow that keeps it, which a test of the implementation can assert.

    Attributes:
        name: Name of the workflow.
        run: Its handler.

    Args:
        name: Name of the workflow.
        input: The type of its input; ``None`` where it takes none.
        output: The type of its output; ``None`` where it gives none.

    Raises:
        MisuseError: There is no name.
        UnsupportedTypeError: JSON cannot carry one of the types there and back (R16).

    Example::

        Checkout = Contract("CheckoutWorkflow", Order, Receipt)

        receipt = await workflow_client(client, Checkout).run(order)
    """

    def __init__(self, name: str, input: TypeForm[In_contra], output: TypeForm[Out_co]) -> None:
        _check_name(name, "Contract")
        self.name: str = name
        self.run: Call[In_contra, Out_co] = Call(input, output, name="run")
        self.run.contract = name
        _check_types(self.run)

    @property
    def input(self) -> object:
        """The type of its input."""
        return self.run.input

    @property
    def output(self) -> object:
        """The type of its output."""
        return self.run.output

    def input_schema(self) -> dict[str, Any] | None:
        """The JSON schema of its input, as the workflow's discovery carries it (R22)."""
        return self.run.input_schema()

    def output_schema(self) -> dict[str, Any] | None:
        """The JSON schema of its output, as the workflow's discovery carries it (R22)."""
        return self.run.output_schema()

    def __eq__(self, other: object) -> bool:
        return is_contract(other) and self.run == other.run

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<Contract {self.name}>"


class Calling(Protocol):
    """What a client made from a contract calls with."""

    def by_contract(
        self,
        call: Call[Any, Any],
        argument: object,
        *,
        idempotency_key: str | None,
        headers: Mapping[str, str] | None,
    ) -> Coroutine[object, Never, Any]:
        """Call, and give what comes back."""
        ...


class BoundCall(Generic[In_contra, Out_co]):
    """A handler of a contract, at one object: ``await client.transfer(x)``."""

    def __init__(self, calling: Calling, call: Call[In_contra, Out_co]) -> None:
        self._calling = calling
        self._call = call

    @overload
    def __call__(
        self: BoundCall[None, Out],
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out]: ...
    @overload
    def __call__(
        self,
        argument: In_contra,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, Out_co]: ...
    def __call__(
        self,
        argument: object = None,
        /,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[object, Never, object]:
        """Call it, and give what comes back.

        Args:
            argument: Its input.
            idempotency_key: Two calls with the same one are one call.
            headers: Sent along; a `SagaRequest` has them.
        """
        return self._calling.by_contract(
            self._call, argument, idempotency_key=idempotency_key, headers=headers
        )


class KeyedContract:
    """What `ObjectContract` and `WorkflowContract` have in common.

    Attributes:
        contract_name: Name of the definition.
        contract_calls: Its handlers, by their names in the contract.
    """

    contract_name: ClassVar[str]
    contract_calls: ClassVar[Mapping[str, Call[Any, Any]]]

    def __init__(self, calling: Calling) -> None:
        self.calling: Calling = calling

    if not TYPE_CHECKING:  # The checkers report an unknown name by themselves.

        def __getattr__(self, name: str) -> Never:
            if name.startswith("_") or name == "calling":
                raise AttributeError(name)
            known = ", ".join(sorted(self.contract_calls)) or "none"
            raise AttributeError(f"{type(self).__name__} has no handler {name!r}. It has: {known}.")

    def __init_subclass__(cls, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name is None:
            if KeyedContract in cls.__bases__:
                return
            raise MisuseError(
                f"The contract {cls.__name__} names no definition. Say which one it is of: "
                f'class {cls.__name__}({cls.__bases__[0].__name__}, name="...").'
            )
        _check_name(name, cls.__name__)
        calls: dict[str, Call[Any, Any]] = {}
        for attribute, call in vars(cls).items():
            if not is_call(call):
                continue
            if attribute in ("calling", "contract_name", "contract_calls"):
                raise MisuseError(
                    f"The contract {cls.__name__} has a handler {attribute!r}, which is a name of "
                    "every contract. Call it otherwise, and give its name on the wire: "
                    f'Call(..., name="{attribute}").'
                )
            call.contract = name
            if call.name in {known.name for known in calls.values()}:
                raise MisuseError(f"The contract {cls.__name__} has two handlers {call.name!r}.")
            calls[attribute] = call
            _check_types(call)
        cls.contract_name = name
        cls.contract_calls = calls


class ObjectContract(KeyedContract):
    """The contract of a virtual object: a class whose attributes are its handlers.

    Give the class to `object_client`; what you get is typed by it. ``@wallet.handler(
    Wallet.transfer)`` checks an implementation against it.

    Raises:
        MisuseError: When the class is made: it names no object, or a handler's name cannot be.
        UnsupportedTypeError: JSON cannot carry one of the types there and back (R16).

    Example::

        class Wallet(ObjectContract, name="Wallet"):
            transfer = Call(Transfer, TransferResult)
            get_balance = Call(None, int, name="getBalance")


        balance = await object_client(saga, Wallet, "anna").get_balance()
    """


class WorkflowContract(KeyedContract):
    """The contract of a Restate workflow: its ``run``, its signals and its queries.

    Give the class to `workflow_client`, with a key; what you get is typed by it.

    Raises:
        MisuseError: When the class is made: it names no workflow, or a handler's name cannot be.
        UnsupportedTypeError: JSON cannot carry one of the types there and back (R16).

    Example::

        class Approval(WorkflowContract, name="ApprovalWorkflow"):
            run = Call(Request, Decision)
            approve = Call(bool, None)


        await workflow_client(client, Approval, "order-7").approve(True)
    """


def is_call(value: object) -> TypeGuard[Call[Any, Any]]:
    """Whether it is a `Call`."""
    return isinstance(value, Call)


def is_contract(value: object) -> TypeGuard[Contract[Any, Any]]:
    """Whether it is a `Contract`."""
    return isinstance(value, Contract)


def _check_types(call: Call[Any, Any]) -> None:
    call.input_codec()
    call.output_codec()


def _check_name(name: object, what: str) -> None:
    if not isinstance(name, str) or not name:
        raise MisuseError(f"{what} has the name {name!r}. Give the definition's.")


def as_class(declared: object) -> object:
    """A declared type, with ``None`` as the class that it stands for."""
    return type(None) if declared is None else declared
