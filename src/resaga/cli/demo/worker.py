"""What the workers of the demo serve: the checkout saga, watched, over the shop of their demo."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import restate
from restate.server_types import RestateAppT

from resaga.cli.demo import shop
from resaga.cli.demo.app import checkout_workflow
from resaga.cli.demo.events import LogTeller, Teller, WatchingObserver
from resaga.cli.demo.folder import VARIABLE, DemoFolder
from resaga.cli.demo.trap import Trap, TrappedShop

folder: DemoFolder = DemoFolder(Path(os.environ[VARIABLE]))
teller: Teller = Teller(folder.pipe)
shop.logger.setLevel(logging.INFO)
shop.logger.addHandler(LogTeller(teller))

app: RestateAppT = restate.app(
    [
        checkout_workflow(
            TrappedShop(folder.engine(), Trap(folder.trap), teller),
            observers=[WatchingObserver(teller)],
        )
    ]
)
