"""Anna books a trip, Bob cannot pay for his, and Cleo wants a flight only."""

from __future__ import annotations

from examples._run import Running, running
from examples.composed.tables import Base


def trip(traveller: str, amount: int) -> dict[str, object]:
    return {
        "flight": {"number": "RS 42", "traveller": traveller},
        "stay": {"hotel": "Sea View", "traveller": traveller},
        "amount": amount,
    }


def show(here: Running) -> None:
    here.show("SELECT traveller, what FROM bookings ORDER BY traveller, what")
    here.show("SELECT 'taken', amount FROM holds WHERE taken")


def main() -> None:
    with running("examples.composed.app:app", Base.metadata) as here:
        print("Anna:", here.post("TripWorkflow/run", trip("Anna", 900)).split()[0])
        show(here)
        print("Bob:", here.post("TripWorkflow/run", trip("Bob", 9000)))
        show(here)
        flight = {"number": "RS 42", "traveller": "Cleo"}
        print("Cleo:", here.post("FlightWorkflow/run", flight).split()[0])
        show(here)


if __name__ == "__main__":
    main()
