"""The server for tests: small, quick to try again, and gone with the test session."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from resaga.server import RestateServer

__all__ = ["quick_server"]

QUICK = {
    # Lost attempts are made again at once, and a small machine need not keep 24 partitions.
    "RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL": "20ms",
    "RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL": "200ms",
    "RESTATE_DEFAULT_NUM_PARTITIONS": "2",
}


def quick_server(
    *, binary: Path | None = None, data_dir: Path | None = None, replay: bool = False
) -> RestateServer:
    """A `RestateServer` with settings for tests; it is not started yet.

    Args:
        binary: The server's binary; ``None`` finds or fetches one.
        data_dir: Where its data is kept and stays; ``None``: in a folder that goes with it.
        replay: Let every wait suspend the saga, so that each await is replayed.
    """
    return RestateServer(
        binary=binary,
        data_dir=data_dir,
        env=QUICK,
        inactivity_timeout=timedelta(0) if replay else None,
    )
