"""`resaga.ext.encryption` without a server: the format, the keys, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from resaga import MisuseError
from resaga.ext.encryption import JournalEncryption, NotDecryptedError

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


async def test_values_come_back_and_are_unreadable() -> None:
    codec = JournalEncryption({"a": OLD}, primary="a")
    stored = codec.encode(b'{"card":"4242"}')
    assert b"4242" not in stored
    assert await codec.decode(stored) == b'{"card":"4242"}'
    assert codec.encode(b'{"card":"4242"}') != stored, "equal values are not seen to be equal"
    assert codec.encode(b"") == b"" == await codec.decode(b"")


async def test_keys_are_rotated() -> None:
    before = JournalEncryption({"a": OLD}, primary="a")
    both = JournalEncryption({"a": OLD, "b": NEW}, primary="b")
    after = JournalEncryption({"b": NEW}, primary="b")
    old = before.encode(b"1")
    assert await both.decode(old) == b"1"
    assert await after.decode(both.encode(b"2")) == b"2"
    with pytest.raises(NotDecryptedError, match=r"key 'a', which is not among 'b'"):
        await after.decode(old)


async def test_another_key_under_the_same_id_is_noticed() -> None:
    stored = JournalEncryption({"a": OLD}, primary="a").encode(b"secret")
    with pytest.raises(NotDecryptedError, match="does not decrypt with key 'a'") as caught:
        await JournalEncryption({"a": NEW}, primary="a").decode(stored)
    assert "secret" not in str(caught.value)


async def test_every_changed_byte_and_every_cut_is_noticed() -> None:
    codec = JournalEncryption({"a": OLD, "c": OLD}, primary="a")
    stored = codec.encode(b"12")
    for at in range(len(stored)):
        changed = stored[:at] + bytes([stored[at] ^ 2]) + stored[at + 1 :]
        with pytest.raises(NotDecryptedError):
            await codec.decode(changed)
        if at:
            with pytest.raises(NotDecryptedError):
                await codec.decode(stored[:at])


async def test_plaintext_is_refused_unless_it_is_accepted() -> None:
    with pytest.raises(NotDecryptedError, match="accept_plaintext=True"):
        await JournalEncryption({"a": OLD}, primary="a").decode(b"1")
    lenient = JournalEncryption({"a": OLD}, primary="a", accept_plaintext=True)
    assert await lenient.decode(b"1") == b"1"
    assert await lenient.decode(lenient.encode(b"1")) == b"1"


@pytest.mark.parametrize(
    ("keys", "primary", "said"),
    [
        ({"a": OLD}, "b", "no key 'b' to encrypt with among 'a'"),
        ({}, "a", "among none"),
        ({"a": OLD[:16]}, "a", "key 'a' is 16 bytes, and has to be 32"),
        ({"a": "k" * 32}, "a", "key 'a' is str"),
        ({"": OLD}, "", "1 to 64 bytes"),
        ({"é" * 33: OLD}, "a", "1 to 64 bytes"),
    ],
)
def test_keys_that_cannot_be_any_are_refused(keys: Any, primary: str, said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        JournalEncryption(keys, primary=primary)


def test_no_key_is_shown() -> None:
    codec = JournalEncryption({"a": b"k" * 32}, primary="a")
    assert repr(codec) == "<JournalEncryption with keys 'a'>"
