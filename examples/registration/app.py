"""Registering a user: an account, a plan, a mail."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Literal

import restate
from msgspec import Meta
from restate import TerminalError
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from examples.registration.tables import Mail, User
from resaga import CompensationContext, Saga, StepContext, saga_step, saga_workflow
from resaga.ext.sql import barrier

sessions = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]))

Email = Annotated[str, Meta(pattern="^.+@.+$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What the form sends. What does not fit is answered with 400, and no step runs."""

    email: Email
    age: Annotated[int, Meta(ge=18)]
    plan: Literal["free", "gold"] = "free"


@saga_step("CreateAccount")
async def create_account(step: StepContext, registration: Registration) -> int:
    async with sessions.begin() as session:
        return await barrier(session, step, insert_user, registration)


@create_account.compensate
async def delete_account(step: CompensationContext, _: int | Registration) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, delete_user)


async def insert_user(session: AsyncSession, registration: Registration) -> int:
    """Add a user, unless there is one with that address: only the database can tell."""
    if await session.scalar(select(User).where(User.email == registration.email)):
        raise TerminalError("this address is registered already", 409)
    user = User(email=registration.email, plan="free")
    session.add(user)
    await session.flush()
    return user.id


async def delete_user(session: AsyncSession, user_id: int) -> None:
    """Remove a user; it is called only if there is one."""
    await session.execute(delete(User).where(User.id == user_id))


# Without a compensation: deleting the account takes the plan with it.
@saga_step("ChoosePlan")
async def choose_plan(step: StepContext, choice: tuple[int, str]) -> None:
    user_id, plan = choice
    if plan == "gold":
        raise TerminalError("gold is by invitation only", 403)
    async with sessions.begin() as session:
        await barrier(session, step, set_plan, user_id, plan)


async def set_plan(session: AsyncSession, user_id: int, plan: str) -> None:
    """Give a user a plan."""
    (await session.get_one(User, user_id)).plan = plan


# Without a compensation: a mail cannot be called back, so it goes out last, after the pivot.
@saga_step("SendWelcome")
async def send_welcome(step: StepContext, email: str) -> None:
    async with sessions.begin() as session:
        await barrier(session, step, send_mail, email)


async def send_mail(session: AsyncSession, email: str) -> None:
    """Stands for the mail server, which forgets what it sees twice with one key."""
    session.add(Mail(recipient=email))


@saga_workflow("RegistrationWorkflow")
async def register(saga: Saga, registration: Registration) -> int:
    user_id = await create_account(saga, registration)
    await choose_plan(saga, (user_id, registration.plan))
    saga.pivot()  # From here on the user has an account, whatever becomes of the mail.
    await send_welcome(saga, registration.email)
    return user_id


app = restate.app([register])
