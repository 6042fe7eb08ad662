"""What all clients have: how their calls travel, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from resaga.clients.targets import Target, Targets
from resaga.clients.transport import Delivery, Transport
from resaga.errors import MisuseError

__all__ = ["Reach"]


class Reach:
    """What all clients know: how their calls travel, and to whom."""

    def __init__(self, transport: Transport, targets: Targets, key: str | None) -> None:
        self._transport = transport
        self._targets = targets
        self._key = key

    def encoded(self, target: Target, given: tuple[object, ...]) -> bytes:
        """The argument of a call as bytes."""
        if not target.takes_input:
            if given not in ((), (None,)):
                raise MisuseError(
                    f"{target.service}.{target.handler} was given an argument, and takes none."
                )
            return b""
        if not given:
            raise MisuseError(
                f"{target.service}.{target.handler} was called without its argument. Give it; "
                "None, too, is one."
            )
        return target.encode(given[0])

    def delivery(
        self,
        idempotency_key: str | None,
        headers: Mapping[str, str] | None,
        delay: timedelta | None = None,
    ) -> Delivery:
        """What goes with a call."""
        if idempotency_key == "":
            raise MisuseError(
                f"A call of {self._targets.name} has the idempotency key ''. Give text, or leave "
                "it out."
            )
        if delay is not None and delay < timedelta():
            raise MisuseError(f"A call of {self._targets.name} has a delay below zero: {delay}.")
        return Delivery(
            key=self._key, idempotency_key=idempotency_key, headers=headers, delay=delay
        )

    def __repr__(self) -> str:
        at = "" if self._key is None else f" {self._key!r}"
        return f"<{type(self).__name__} of {self._targets.name}{at}>"
