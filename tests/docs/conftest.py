"""What tests of the documents share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.guide import Guide, serving_pages


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    """The guide's pages on a server."""
    with serving_pages(tmp_path_factory.mktemp("guide")) as guide:
        yield guide
