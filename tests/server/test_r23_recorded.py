"""R23: journals that released versions have written are replayed by this one."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from tests.support.extra_recording import (
    END,
    JOURNALS,
    OUTPUT,
    RECORDED,
    Recording,
    messages,
    recordings,
    replay,
)

FORMATS = sorted(path.name for path in JOURNALS.glob("*.json"))
RECORDINGS = {
    f"{name}-{recording.service}": (recording, RECORDED[name.removesuffix(".json")])
    for name in FORMATS
    for recording in recordings(name)
}

KEPT = {"format_1.json": 4, "format_1_about.json": 2}
"""The formats that were released. None of them is ever taken away or recorded again."""


def test_r23_the_journals_of_all_released_formats_are_kept() -> None:
    assert set(KEPT) <= set(FORMATS)
    for name, count in KEPT.items():
        assert len(recordings(name)) == count
        for recording in recordings(name):
            journal = base64.b64decode(recording.request)
            assert [run for run in recording.runs if run.encode() not in journal] == []


@pytest.mark.parametrize("name", RECORDINGS)
async def test_r23_a_recorded_journal_is_replayed_to_its_end(name: str) -> None:
    """No action runs, no entry is added, and the saga ends as it ended."""
    recording, sagas = RECORDINGS[name]
    ran: list[str] = []
    (first, output), (last, _) = messages(await replay(sagas(ran), recording))
    assert (first, last) == (OUTPUT, END)
    assert ran == []
    for told in _told(recording):
        assert told.encode() in output


def _told(recording: Recording) -> list[str]:
    if recording.error is None:
        return [f'"{recording.output}"']
    _, message, metadata = recording.error
    return [message, *metadata, *metadata.values()]


@pytest.mark.parametrize("name", RECORDINGS)
async def test_r23_a_journal_that_was_changed_is_not_replayed(name: str) -> None:
    """So that the test above can fail: it is the journal that is read."""
    recording, sagas = RECORDINGS[name]
    body = base64.b64decode(recording.request).replace(b'{"key":', b'{"kez":')
    changed = replace(recording, request=base64.b64encode(body).decode())
    sent = messages(await replay(sagas([]), changed))
    assert OUTPUT not in [kind for kind, _ in sent]
