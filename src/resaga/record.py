"""What a plain step leaves in the journal: its key, its output, its compensation data, its failure.

A record is JSON that an operator can read, and every later version too (R23)::

    {"key": "inv_1x9.3", "output": {"id": "h-1"}}
    {"key": "inv_1x9.3", "data": {"id": "h-1"}, "failure": {"message": "sold out", "code": 409}}
    {"key": "inv_1x9.4", "about": {"undo": false, "within": [["Payment", "3"]]}}

``output`` is left out when it is ``None``. ``data`` is left out when there is none, and when it is
the output, which then stands for both. ``about`` is for those who read the journal, `resaga show`
above all: no replay decides anything by it, and what is usual is left out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol, cast

import msgspec
from msgspec import UNSET, UnsetType

from resaga.errors import CodecError
from resaga.serde import Codec, Hooks, codec_for, unreadable, unwritable

__all__ = ["ABSENT", "About", "Absent", "Failure", "Record", "RecordCodec"]


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""A step has left no compensation data; ``None`` is data like any other."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a step failed for good, by its own word (R12).

    Attributes:
        message: What its terminal error says.
        code: The error's status code.
        metadata: The error's metadata, ``None`` if it has none.
    """

    message: str
    code: int
    metadata: Mapping[str, str] | None = None


class About(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the journal tells of a step beside its result.

    Attributes:
        undo: Whether there is a compensation that undoes it.
        durable: Whether it is durable code, which the entry says the begin of.
        within: The workflows and modules that it runs inside, the outermost first: the name of
            each, and the path of its first step.
        pivot: The last call of a step in the body before the last point of no return (R19).
        added: The compensations that were added without a step before it, oldest first: path and
            name of each.
        began: When durable code, or a rollback, began, in milliseconds since 1970; written where
            there are observers, who hear of its end perhaps on another worker.
        saga_began: The same of the saga.
    """

    undo: bool = True
    durable: bool = False
    within: tuple[tuple[str, str], ...] = ()
    pivot: int = 0
    added: tuple[tuple[str, str], ...] = ()
    began: int = 0
    saga_began: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What a plain step has left in the journal.

    Attributes:
        key: The forward idempotency key with which its action ran.
        output: Its output; ``None`` also if it failed.
        data: Its compensation data; the very output where that stands for both; `ABSENT` if none.
        failure: Set if the step failed for good.
        about: What else is told of it; ``None`` if there is nothing unusual.
    """

    key: str
    output: object
    data: object
    failure: Failure | None = None
    about: About | None = None


class _Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `Failure` as it is written."""

    message: str
    code: int
    metadata: dict[str, str] | None = None


class _Fields(Protocol):
    """What the structs made for each codec have in common."""

    key: str
    output: object
    data: object
    failure: _Failure | UnsetType
    about: About | UnsetType


_NAMES: Final = frozenset(
    ("key", "output", "data", "failure", "message", "code", "metadata", "about")
).union(About.__struct_fields__)


class RecordCodec:
    """Writes and reads the records of one step.

    Example::

        codec = RecordCodec(Reserved, Reserved, where="step 'ReserveInventory'")
        raw = codec.encode("inv_1x9.1", reserved, reserved)
        record = codec.decode(raw)

    Args:
        output: The type of the step's output; ``Any`` or ``inspect.Parameter.empty`` for plain
            JSON.
        data: The type of its compensation data; the same.
        where: The step, for errors.

    Raises:
        UnsupportedTypeError: Values of one of the types would not come back as they are.
    """

    __slots__ = ("_data", "_decode", "_encode", "_make", "_names", "_output")

    def __init__(self, output: object, data: object, *, where: str) -> None:
        self._output: Codec[Any] = codec_for(output, where=f"{where}, output")
        self._data: Codec[Any] = codec_for(data, where=f"{where}, compensation data")
        kind = msgspec.defstruct(
            "StepRecord",
            [
                ("key", str),
                ("output", self._output.field_type, UNSET),
                ("data", self._data.field_type, UNSET),
                ("failure", _Failure, UNSET),
                ("about", About, UNSET),
            ],
            frozen=True,
        )
        hooks = Hooks({**self._output.leaves, **self._data.leaves})
        self._make = cast("Callable[..., _Fields]", kind)
        self._encode = msgspec.json.Encoder(enc_hook=hooks.encode).encode
        self._decode = msgspec.json.Decoder(
            cast("type[_Fields]", kind), dec_hook=hooks.decode
        ).decode
        self._names = self._output.names | self._data.names | _NAMES

    def encode(self, key: str, output: object, data: object, about: About | None = None) -> bytes:
        """Write the record of a step that completed.

        Args:
            key: The step's forward idempotency key.
            output: Its output.
            data: Its compensation data. The same object as the output is written once, for both;
                so is `ABSENT` beside an output that is not ``None``, since the output stands for
                data that is not given.
            about: What else to tell of it.

        Returns:
            Bytes from which `decode` gives an equal record.

        Raises:
            CodecError: Output or data do not fit their types, or would come back as something
                else; the message says which, and the path in it, but no value (R15, R24).
        """
        return self.seal(key, output, data, about)[0]

    def seal(
        self, key: str, output: object, data: object, about: About | None = None
    ) -> tuple[bytes, Record]:
        """`encode`, together with what `decode` would give for the bytes, at no further cost."""
        if data is output and output is not None:
            data = ABSENT
        return self._sealed(key, output, data, UNSET, about)

    def encode_failure(
        self, key: str, failure: Failure, data: object, about: About | None = None
    ) -> bytes:
        """Write the record of a step that failed for good.

        Args:
            key: The step's forward idempotency key.
            failure: How it failed. Lone surrogates in it, which no journal takes, are escaped.
            data: Its compensation data, `ABSENT` if it left none.
            about: What else to tell of it.

        Raises:
            CodecError: The data do not fit their type, as with `encode`.
        """
        metadata = failure.metadata
        written = _Failure(
            _text(failure.message),
            failure.code,
            None if metadata is None else {_text(k): _text(v) for k, v in metadata.items()},
        )
        return self._sealed(key, None, data, written, about)[0]

    def decode(self, raw: bytes) -> Record:
        """Read a record.

        Fields that it does not know are passed over: a later version may have written them.

        Raises:
            CodecError: It is no record, or its output or data no longer fit their types.
        """
        try:
            return self._record(self._decode(raw))
        except Exception as exc:
            fault = unreadable(exc, self._names)
        raise CodecError(f"journal entry: {fault}")

    def decode_data(self, raw: bytes) -> object:
        """Read the compensation data afresh: no change made to an earlier reading is in it.

        Returns:
            The data, or `ABSENT`.

        Raises:
            CodecError: As with `decode`.
        """
        return self.decode(raw).data

    def _sealed(
        self,
        key: str,
        output: object,
        data: object,
        failure: _Failure | UnsetType,
        about: About | None,
    ) -> tuple[bytes, Record]:
        unfit = output is None and failure is UNSET and not self._output.nullable
        try:
            raw = self._encode(
                self._make(
                    key,
                    self._output.pack(output) if output is not None else UNSET,
                    self._data.pack(data) if data is not ABSENT else UNSET,
                    failure,
                    UNSET if about is None else about,
                )
            )
        except Exception as exc:
            fault: str | None = unwritable(exc)
        else:
            try:
                record = self._record(self._decode(raw))
            except Exception as exc:
                fault = unreadable(exc, self._names)
            else:
                fault = self._output.fault(output, record.output)
                if fault is None and data is not ABSENT:
                    fault = self._data.fault(data, record.data)
                if fault is None and not unfit:
                    return raw, record
        # Which of the two it is, and where in it, the codec of each tells best.
        if output is not None or unfit:
            self._output.check(output, "output")
        if data is not ABSENT:
            self._data.check(data, "compensation data")
        raise CodecError(f"journal entry: {fault}")

    def _record(self, fields: _Fields) -> Record:
        output, data, failure = fields.output, fields.data, fields.failure
        if output is UNSET:
            output = None
            no_data: object = ABSENT
        else:
            no_data = output = self._output.unpack(output) if self._output.whole else output
        if data is UNSET:
            data = no_data
        elif self._data.whole:
            data = self._data.unpack(data)
        about = None if fields.about is UNSET else fields.about
        if failure is UNSET:
            return Record(fields.key, output, data, None, about)
        return Record(
            fields.key,
            output,
            data,
            Failure(failure.message, failure.code, failure.metadata),
            about,
        )


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
