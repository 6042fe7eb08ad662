"""What those who ask and those who decide have to know of an approval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from resaga import Call, WorkflowContract

__all__ = ["Approval", "Expense"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expense:
    """What somebody wants to buy, and how long they can wait for a decision."""

    team: str
    amount: int
    patience: timedelta


class Approval(WorkflowContract, name="ApprovalWorkflow"):
    """One for each expense, whose number is its key."""

    run = Call(Expense, str)
    decide = Call(bool, None)
    is_open = Call(None, bool, name="isOpen")
