"""What a caller has to know of wallets."""

from __future__ import annotations

from dataclasses import dataclass

from resaga import Call, ObjectContract

__all__ = ["Deposit", "Statement", "Transfer", "Wallet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Money that comes in; by its ``id`` it can be taken back."""

    id: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money for somebody else, in cents."""

    to: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is in a wallet, and how many transfers were tried, the failed ones included."""

    balance: int
    tried: int


class Wallet(ObjectContract, name="Wallet"):
    """One for each owner, who is its key."""

    deposit = Call(Deposit, int)
    take_back = Call(str, None)
    transfer = Call(Transfer, int)
    close = Call(None, None)
    statement = Call(None, Statement)
