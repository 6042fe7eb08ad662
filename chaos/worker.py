"""What the workers serve: the sagas, over the bank that the environment tells of."""

from __future__ import annotations

import os
import time
from typing import cast

import restate

from chaos.guarded import Guard, bank_of
from chaos.sagas import sagas_of
from chaos.worker_env import DATABASE, GUARD

# The same process id may come again after a kill; with the time it does not.
process = f"{os.getpid()}-{time.monotonic_ns()}"
bank = bank_of(cast("Guard", os.environ[GUARD]), os.environ[DATABASE], process=process)
app = restate.app(sagas_of(bank))
