"""What the core promises, one small saga for each rule that a caller or an effect can tell of.

Each runs on a real server and without one, and has to do the same. What only a server keeps or
knows (R11's restarts, R22, R29, R30), and what does not end (R21), has its tests in `tests/server`.
"""

from tests.testing.scenarios import actions, composed, edges, rollback
from tests.testing.scenarios.table import (
    SCENARIOS,
    WORLD_HEADER,
    WORLDS,
    OutOfStock,
    Scenario,
    refused_only,
)

__all__ = [
    "SCENARIOS",
    "WORLDS",
    "WORLD_HEADER",
    "OutOfStock",
    "Scenario",
    "actions",
    "composed",
    "edges",
    "refused_only",
    "rollback",
]
