"""What the tests against a real server stand on: servers, a rig per test, a ledger of effects."""

from tests.support.client import Attachment, Entry, Invocation, RemoteError
from tests.support.gates import Gate
from tests.support.ledger import Effect, Ledger
from tests.support.rig import Rig
from tests.support.servers import FLAVOURS, Flavour, Servers
from tests.support.waiting import HANG, until

__all__ = [
    "FLAVOURS",
    "HANG",
    "Attachment",
    "Effect",
    "Entry",
    "Flavour",
    "Gate",
    "Invocation",
    "Ledger",
    "RemoteError",
    "Rig",
    "Servers",
    "until",
]
