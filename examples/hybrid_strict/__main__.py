"""Three kinds of trouble, each with a hybrid and with a strict step: what is undone?"""

from __future__ import annotations

from sqlalchemy.orm import Session

from examples._run import running
from examples.hybrid_strict.tables import Base, Charge, Undo

ROW = "{:15} {:7} {:10} {:9} {}"
TROUBLES = ("card declined", "no answer", "sold out later")


def main() -> None:
    with running("examples.hybrid_strict.app:app", Base.metadata) as here:
        print(ROW.format("trouble", "step", "outcome", "found", "still charged"))
        for trouble in TROUBLES:
            for kind in ("hybrid", "strict"):
                order = f"{trouble}, {kind}"
                payment = {"order": order, "amount": 50, "kind": kind, "trouble": trouble}
                here.post("PaymentWorkflow/run", payment)
                with Session(here.engine) as session:
                    undo = session.query(Undo).filter_by(order=order).one_or_none()
                    charged = session.query(Charge).filter_by(order=order).one_or_none()
                    outcome, found = (undo.outcome, undo.found) if undo else ("not undone", "")
                    left = charged.amount if charged else 0
                    print(ROW.format(trouble, kind, outcome, found, left))


if __name__ == "__main__":
    main()
