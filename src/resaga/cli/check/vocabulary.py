"""Words by which calls that ask or compute are told from calls that do something."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ASKING",
    "CHANGING_BUILTINS",
    "COMPUTES",
    "COMPUTING_MODULES",
    "DOING",
    "FILLS",
    "LOGGERS",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ASKING: Final = _words(
    """
    are ask calculate can check compare compute contains convert count decode describe diff encode
    estimate exists fetch filter find first format get has hash head inspect is iter join keys list
    load lookup map match measure next now one parse peek preview price query quote raise random
    read render scalar scalars search select serialize should sort split stat strip today utcnow
    uuid validate values verify view
    """
)
"""The first words of names of what asks or computes."""

DOING: Final = _words(
    """
    add and block book buy cancel charge claim commit create delete drop enqueue hold insert lock
    mark or out pay place pop post publish put register release remove reserve save send set ship
    start store submit take update upsert write
    """
)
"""Words that tell, further on in a name, that it does something all the same."""

COMPUTES: Final = _words(
    """
    capitalize copy date dict difference dumps endswith fromisoformat hexdigest intersection
    isoformat items json loads lower lstrip model_copy model_dump model_dump_json model_validate
    quantize replace rstrip startswith strftime text time title total_seconds union upper
    weekday zfill
    """
)
"""Further methods that change nothing outside of the action: of texts, numbers, times, models."""

FILLS: Final = _words(
    "add append appendleft clear discard extend insert pop popitem popleft remove setdefault update"
)
"""Methods of containers that change them."""

CHANGING_BUILTINS: Final = _words("delattr eval exec input open setattr")
"""Python's own functions that may change something."""

COMPUTING_MODULES: Final = _words(
    """
    base64 collections copy dataclasses datetime decimal enum fractions functools hashlib hmac
    itertools json math msgspec operator pydantic random re secrets statistics string
    textwrap time typing unicodedata uuid zoneinfo
    """
)
"""Modules whose functions change nothing outside."""

LOGGERS: Final = _words("log logger logging")
"""Names of what is logged to."""
