"""What we remember: call records and trunk events, in SQLite or PostgreSQL; no crash loses a call that has ended.

`Store` writes for a running bridge, `Reader` answers questions whether a bridge runs or not, `Forgetful` keeps the last
calls in memory for those who want no file.
"""

from bridge.store.address import Address
from bridge.store.entries import Claim, Keeper
from bridge.store.memory import Forgetful
from bridge.store.queries import CallFilter, EventFilter, Spent
from bridge.store.reader import Reader
from bridge.store.store import Store

__all__ = ["Address", "CallFilter", "Claim", "EventFilter", "Forgetful", "Keeper", "Reader", "Spent", "Store"]
