"""What the workers serve: the sagas, over the bank in the database that the environment names."""

from __future__ import annotations

import os
import time

import restate

from chaos.bank import Bank
from chaos.sagas import sagas_of
from chaos.worker_env import DATABASE

# The same process id may come again after a kill; with the time it does not.
app = restate.app(
    sagas_of(Bank(os.environ[DATABASE], process=f"{os.getpid()}-{time.monotonic_ns()}"))
)
