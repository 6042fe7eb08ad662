"""Encryption at rest: what Restate's server stores is unreadable without the key.

A codec for `restate.app(..., journal_value_codec=...)` and `restate.create_client(...)`, over
AES-256-GCM of the ``cryptography`` package (extra ``resaga[encryption]``). It covers inputs and
outputs, what steps leave in the journal (their output, their compensation data and how they
failed), state, promises, and what calls carry. It does not cover what Restate has to read:
names, keys of objects, idempotency keys, headers, and the errors that invocations end or are
retried with.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from restate.entry_codec import JournalValueCodec
from restate.exceptions import SdkInternalException
from restate.extensions import current_context
from restate.server_context import ServerInvocationContext

from resaga.action import inside_action
from resaga.errors import MisuseError

__all__ = ["JournalEncryption", "NotDecryptedError"]

logger: logging.Logger = logging.getLogger("resaga")

_MAGIC = b"\x00resaga1"
"""What encrypted values begin with; no JSON begins with a zero byte."""

_KEY_SIZE = 32
_NONCE_SIZE = 12
_MAX_ID_SIZE = 64


class NotDecryptedError(MisuseError):
    """A value of the journal cannot be read with the keys at hand.

    Inside an invocation it ends the attempt, and Restate tries again (R4): nothing is rolled
    back or lost, and the saga goes on once a worker has the key. The message names the key's id
    and the mend, never the value (R24).
    """


class JournalEncryption(JournalValueCodec):
    """Encrypts what goes into Restate's journal, and decrypts what comes out of it.

    Each value is encrypted by itself, with AES-256-GCM under a random nonce, and carries the id
    of its key. So keys are rotated without touching what is stored: give the new one beside the
    old ones to all workers and clients, then make it ``primary``, and take an old one away when
    nothing is retained any more that was written with it.

    A key that is missing or wrong ends the attempt before anything happens in it, and Restate
    tries again as the definition's policy says, then pauses the saga; what was done stays on the
    stack, and the saga goes on, forward or in its rollback, when a worker has the key again.

    Args:
        keys: The keys by id, each of 32 random bytes. An id is readable in the journal, and
            names the same key for ever.
        primary: The id of the key that values are encrypted with; all are decrypted with.
        accept_plaintext: Read values that are not encrypted, too; for the time in which workers
            with and without encryption, or sagas begun before it, are there side by side.
            Without it such a value is refused: one that starts an invocation with status 400,
            any other like a value whose key is missing. Default: refused.

    Raises:
        MisuseError: There is no such key, or a key or an id that cannot be one.

    Example:
        >>> encryption = JournalEncryption({"2026-01": bytes(32)}, primary="2026-01")
        >>> stored = encryption.encode(b'{"card":"4242"}')
        >>> b"4242" in stored
        False

        The same to the worker and to those who call it from outside:
        ``restate.app([checkout], journal_value_codec=encryption)`` and
        ``restate.create_client(ingress, journal_value_codec=encryption)``.
    """

    def __init__(
        self, keys: Mapping[str, bytes], *, primary: str, accept_plaintext: bool = False
    ) -> None:
        for key_id, key in keys.items():
            _check_key(key_id, key)
        if primary not in keys:
            raise MisuseError(
                f"JournalEncryption: there is no key {primary!r} to encrypt with among "
                f"{_listed(keys)}. Give it in keys=, or name another one as primary=."
            )
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._header = _header(primary)
        self._primary = self._ciphers[primary]
        self._accept_plaintext = accept_plaintext

    def __repr__(self) -> str:
        return f"<JournalEncryption with keys {_listed(self._ciphers)}>"

    def encode(self, buf: bytes) -> bytes:
        """Encrypt a value. An empty one stays empty: Restate looks whether there is one."""
        if not buf:
            return b""
        nonce = os.urandom(_NONCE_SIZE)
        # The header is bound to the value: a key's id that was exchanged is noticed.
        return self._header + nonce + self._primary.encrypt(nonce, bytes(buf), self._header)

    async def decode(self, buf: bytes) -> bytes:
        """Decrypt a value.

        Raises:
            NotDecryptedError: The key is missing or wrong, or the value was changed; outside of
                an invocation, as in a client. Inside one, it is reported to Restate, and the
                attempt ends with the SDK's own exception for that, which code cannot mistake
                for a failure of a step.
        """
        if not buf:
            return b""
        try:
            return self._decrypted(bytes(buf))
        except NotDecryptedError as error:
            _end_attempt(error, buf)

    def _decrypted(self, buf: bytes) -> bytes:
        if not buf.startswith(_MAGIC):
            if self._accept_plaintext:
                return buf
            raise _PlaintextError(
                "A value in the journal is not encrypted, and JournalEncryption refuses such "
                "ones. Give the caller the same journal_value_codec as the worker; if the value "
                "is from before encryption, serve with accept_plaintext=True until it is gone."
            )
        start = len(_MAGIC) + 1
        body = start + (buf[start - 1] if len(buf) >= start else 0)
        key_id = buf[start:body].decode("utf-8", "replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise NotDecryptedError(
                f"A value in the journal is encrypted with key {key_id!r}, which is not among "
                f"{_listed(self._ciphers)}. Give the worker that key in JournalEncryption(keys=); "
                "Restate tries again, and nothing is rolled back for it."
            )
        try:
            return cipher.decrypt(
                buf[body : body + _NONCE_SIZE], buf[body + _NONCE_SIZE :], buf[:body]
            )
        except (InvalidTag, ValueError):
            raise NotDecryptedError(
                f"A value in the journal does not decrypt with key {key_id!r}: the key under "
                "that id is another one than it was written with, or what is stored was "
                "changed. Give the key that belongs to the id; Restate tries again, and nothing "
                "is rolled back for it."
            ) from None


class _PlaintextError(NotDecryptedError):
    """The value is not encrypted at all."""


def _end_attempt(error: NotDecryptedError, buf: bytes) -> NoReturn:
    """End the attempt of the invocation that wants the value; elsewhere raise the error.

    The SDK makes any `Exception` from decoding an input a terminal one, on later attempts, too:
    a saga with steps to undo would end without its rollback. And a body that catches exceptions
    would take one from decoding a result for the step's own failure. So the error is reported
    as the SDK reports those of actions, and its exception for that is raised.
    """
    try:
        context = current_context()
    except LookupError:
        context = None
    if not isinstance(context, ServerInvocationContext) or inside_action() is not None:
        # A client's, which may be used in an action as well.
        raise error
    is_input = buf is context.invocation.input_buffer
    if is_input and isinstance(error, _PlaintextError) and not context.vm.is_replaying():
        raise error  # From a caller who does not encrypt; nothing has happened yet (R22).
    logger.error("%s: %s", context.invocation.invocation_id, error)
    context.vm.notify_error(f"{type(error).__name__}: {error}", "")
    raise SdkInternalException from error


def _check_key(key_id: object, key: object) -> None:
    if not isinstance(key_id, str) or not 0 < len(_utf8(key_id)) <= _MAX_ID_SIZE:
        raise MisuseError(
            f"JournalEncryption: an id of a key is not a text of 1 to {_MAX_ID_SIZE} bytes. Name "
            "keys by when they were made, say: '2026-01'."
        )
    if not isinstance(key, bytes) or len(key) != _KEY_SIZE:
        what = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise MisuseError(
            f"JournalEncryption: key {key_id!r} is {what}, and has to be {_KEY_SIZE} bytes. Make "
            f"one with os.urandom({_KEY_SIZE}), and decode it from how your vault keeps it."
        )


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _header(key_id: str) -> bytes:
    name = _utf8(key_id)
    return _MAGIC + bytes([len(name)]) + name


def _listed(keys: Mapping[str, object]) -> str:
    return ", ".join(repr(key_id) for key_id in keys) or "none"
