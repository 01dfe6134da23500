"""The governor: every launch of Claude asks it before it begins.

It decides by what is recorded, one launch after the other: an admission is on disk, and so counts, before the next one
is decided. What it was doing when it crashed is asked of it again; what it knows is in the ledger.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import cache

import msgspec
import trio
from msgspec import structs

from prodigy.actors.recorder import Ledger, RecorderRef, record, subscribe
from prodigy.events import (
    BudgetExhausted,
    Caps,
    ClaudeCutOff,
    ClaudeIntended,
    ClaudeParked,
    Record,
    StepCompleted,
    StepFailed,
)
from prodigy.job.budget import Grant, Wait, decide, next_look, out_of_time, warnings
from prodigy.job.money import conversation
from prodigy.job.state import JobState
from prodigy.steps.protocol import Recorded
from prodigy.store.journal import StorageFailed
from supervisors import Actor, ActorRef, Mailbox, Reply


class Admit(msgspec.Struct, frozen=True):
    """May this launch begin? Answered when it may and that is recorded."""

    event: ClaudeIntended
    reply: Reply[Recorded]


Message = Admit
GovernorRef = ActorRef[Message]


class Governor(Actor[Message]):
    """Admits launches.

    Args:
        caps: what the job may use, by the workflow and the command line.
        recorder: where admissions are recorded.
        ledger: what is recorded by now.
        now: the clock of the records.
    """

    def __init__(
        self, caps: Callable[[], Caps], recorder: RecorderRef, ledger: Ledger, now: Callable[[], datetime]
    ) -> None:
        self._of_plan = cache(caps)
        self._recorder = recorder
        self._ledger = ledger
        self._now = now
        self._waiting: deque[Admit] = deque()
        self._changed = trio.Event()

    async def run(self, mailbox: Mailbox[Message]) -> None:
        """Decide again whenever somebody asks, a launch has ended, or time is up."""
        stream = await subscribe(self._recorder)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear, stream)
            nursery.start_soon(self._govern)
            async for message in mailbox:
                self._waiting.append(message)
                self._changed.set()
            nursery.cancel_scope.cancel()

    async def _hear(self, stream: trio.MemoryReceiveChannel[Record]) -> None:
        async for told in stream:
            if ends_launch(told):
                self._changed.set()

    async def _govern(self) -> None:
        while True:
            self._changed = trio.Event()
            try:
                await self._look()
            except StorageFailed:
                return  # nothing can be recorded any more; whoever waits is told by the recorder
            wait = self._patience()
            with trio.move_on_after(float("inf") if wait is None else wait):
                await self._changed.wait()

    async def _look(self) -> None:
        state, caps = self._state, self._caps
        if state.money.exhausted is not None or state.started is None:
            return
        for warned in warnings(caps, state.money, self._wall()):
            await record(self._recorder, warned)
        over = out_of_time(caps, self._wall())
        if over is not None:
            await record(self._recorder, over)
            return
        while self._waiting and await self._answer(self._waiting[0], caps):
            self._waiting.popleft()

    async def _answer(self, asked: Admit, caps: Caps) -> bool:
        """Decide about the launch that has waited longest; whether it was admitted."""
        event = asked.event
        paid = conversation(self._state, event)
        spent = paid.cost_usd if paid is not None and event.resumes else 0.0
        decision = decide(caps, self._state.money, event.wanted_usd, spent)
        match decision:
            case Grant(reserved):
                admitted = structs.replace(event, reserved_usd=reserved)
                asked.reply.send(Recorded(await record(self._recorder, admitted), reserved))
                return True
            case BudgetExhausted():
                await record(self._recorder, decision)
            case Wait():
                pass
        return False

    @property
    def _state(self) -> JobState:
        return self._ledger.state

    @property
    def _caps(self) -> Caps:
        return self._state.money.caps or self._of_plan()

    def _wall(self) -> float:
        """Seconds that the job has run."""
        money = self._state.money
        awake = 0.0 if money.awake_since is None else (self._now() - money.awake_since).total_seconds()
        return money.wall + max(0.0, awake)

    def _patience(self) -> float | None:
        return None if self._state.money.exhausted is not None else next_look(self._caps, self._wall())


def ends_launch(told: Record) -> bool:
    """Whether a record may change what can be admitted."""
    match told.event:
        case StepCompleted(claude=use) | StepFailed(claude=use):
            return use is not None
        case ClaudeParked() | ClaudeCutOff():
            return True
        case _:
            return False


async def admit(governor: GovernorRef, event: ClaudeIntended) -> Recorded:
    """Wait until a launch may begin and is recorded; what was reserved for it."""
    return await governor.ask(lambda reply: Admit(event, reply), timeout=None)
