"""A trip of a flight and a hotel, each a workflow of its own that can be booked alone, too."""

from __future__ import annotations

from dataclasses import dataclass

import restate

from examples.composed.steps import Item, book, hold, take
from resaga import Saga, saga_module, saga_workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A seat, and a meal on it."""

    number: str
    traveller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A room."""

    hotel: str
    traveller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """Both, and what they cost."""

    flight: Flight
    stay: Stay
    amount: int


@saga_workflow("FlightWorkflow")
async def book_flight(saga: Saga, flight: Flight) -> list[int]:
    seat = await book(saga, Item(what=f"seat on {flight.number}", traveller=flight.traveller))
    meal = await book(saga, Item(what=f"meal on {flight.number}", traveller=flight.traveller))
    return [seat, meal]


@saga_workflow("StayWorkflow")
async def book_stay(saga: Saga, stay: Stay) -> int:
    return await book(saga, Item(what=f"room at {stay.hotel}", traveller=stay.traveller))


@saga_module
async def pay(saga: Saga, amount: int) -> int:
    """A part of sagas that is no service of its own."""
    held = await hold(saga, amount)
    await take(saga, held)
    return held


@saga_workflow("TripWorkflow")
async def book_trip(saga: Saga, trip: Trip) -> int:
    # One invocation, one journal, one rollback: what the two undo joins this saga.
    seats, _room = await saga.gather(
        book_flight.run_as_step(saga, trip.flight),
        book_stay.run_as_step(saga, trip.stay),
    )
    await pay(saga, trip.amount)
    return len(seats)


app = restate.app([book_flight, book_stay, book_trip])
