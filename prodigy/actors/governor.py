"""The governor: every launch of Claude asks it before it begins.

While the API turns launches away, agents that wait for it and do nothing else are parked: others get their places.
It decides by what is recorded, one launch after the other: an admission is on disk, and so counts, before the next one
is decided. What the job may spend is in ``job.budget``, what the API lets it do in ``job.quota``, by account and model.
What it was doing when it crashed is asked of it again; what it knows is in the ledger.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import msgspec
import trio
from msgspec import structs

from prodigy.actors.recorder import Ledger, RecorderRef, record, subscribe
from prodigy.actors.tuning import NO_TUNING, Tuning
from prodigy.errors import ProdigyError, RunError
from prodigy.events import (
    AgentParked,
    AgentReturned,
    BudgetExhausted,
    BudgetSet,
    Caps,
    ClaudeAnswered,
    ClaudeCutOff,
    ClaudeIntended,
    ClaudeParked,
    ParallelismChanged,
    QuotaBlocked,
    QuotaCleared,
    Record,
    StepCompleted,
    StepFailed,
)
from prodigy.job.budget import Grant, Wait, decide, next_look, out_of_time, warnings
from prodigy.job.money import conversation
from prodigy.job.policy import unit
from prodigy.job.quota import START_UP, Breaker
from prodigy.job.standing import alone
from prodigy.job.state import JobState, Lane
from prodigy.steps.protocol import Recorded
from prodigy.store.journal import StorageFailed
from supervisors import Actor, ActorRef, Mailbox, Reply

AFTERWARDS = frozenset({"on_success", "on_failure", "merge", "verify", "resolve"})
"""Phases after those that do the work."""


class Admit(msgspec.Struct, frozen=True):
    """May this launch begin? Answered when it may and that is recorded."""

    event: ClaudeIntended
    reply: Reply[Recorded]


Message = Admit
GovernorRef = ActorRef[Message]


class NotAdmitted(RunError):
    """This launch will not begin, and nobody waits for it."""


class Rules(msgspec.Struct, frozen=True):
    """What a run lets its launches do.

    ``caps`` is what the job may use by the workflow and the command line; ``most`` is how many launches there can be
    at a time, ``starts`` how many may start at the same time.
    """

    caps: Callable[[], Caps]
    most: int
    starts: int
    tuning: Tuning = NO_TUNING


class Governor(Actor[Message]):
    """Admits launches.

    Args:
        rules: of the run.
        recorder: where admissions are recorded.
        ledger: what is recorded by now.
        now: the clock of the records.
    """

    def __init__(
        self, rules: Rules, recorder: RecorderRef, ledger: Ledger, now: Callable[[], datetime]
    ) -> None:
        self._rules = rules
        self._of_plan = cache(rules.caps)
        self._recorder = recorder
        self._ledger = ledger
        self._now = now
        self._waiting: list[Admit] = []
        self._happened: list[Record] = []
        self._lanes: dict[Lane, Breaker] = {}
        self._of_launch: dict[int, Lane] = {}
        self._starting: dict[int, float] = {}
        """Launches that said nothing yet, and when they were admitted."""
        self._failed: ProdigyError | None = None
        self._changed = trio.Event()

    async def run(self, mailbox: Mailbox[Message]) -> None:
        """Decide again whenever somebody asks, a launch was answered or has ended, or time is up."""
        stream = await subscribe(self._recorder, concerns_launches)
        for launch, event in self._state.launches.items():  # of a governor before this one
            self._of_launch[launch] = lane = (event.account, event.model)
            self._lane(lane).began(launch)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear, stream)
            nursery.start_soon(self._govern)
            async for message in mailbox:
                self._waiting.append(message)
                self._changed.set()
            nursery.cancel_scope.cancel()

    async def _hear(self, stream: trio.MemoryReceiveChannel[Record]) -> None:
        async for told in stream:
            self._happened.append(told)
            self._changed.set()

    async def _govern(self) -> None:
        while True:
            self._changed = trio.Event()
            looked = self._now()
            try:
                await self._look()
            except StorageFailed as error:
                self._failed = error
            if self._failed is not None:
                self._refuse(self._failed)
            wait = self._patience(looked)
            with trio.move_on_after(float("inf") if wait is None else wait):
                await self._changed.wait()

    def _refuse(self, error: ProdigyError) -> None:
        """Nothing can be recorded any more, so nothing begins."""
        for asked in self._waiting:
            asked.reply.fail(error)
        self._waiting.clear()

    # -- what happened -----------------------------------------------------------------------------------------------
    async def _look(self) -> None:
        while self._happened:
            await self._note(self._happened.pop(0))
        state, caps = self._state, self._caps
        if self._is_over():
            self._refuse_afterwards()
            return
        if state.started is None or self._failed is not None:
            return
        if state.money.caps is None and (planned := self._of_plan()) != Caps():
            await record(self._recorder, BudgetSet(caps=planned))
        for warned in warnings(caps, state.money, self._wall()):
            await record(self._recorder, warned)
        over = out_of_time(caps, self._wall())
        if over is not None:
            await record(self._recorder, over)
            return
        for asked in tuple(self._waiting):
            if await self._answer(asked, caps):
                self._waiting.remove(asked)
            else:
                await self._park(asked.event)
        if self._is_over() or state.given_up is not None:
            self._refuse_afterwards()

    def _is_over(self) -> bool:
        """Whether this process launches nothing more."""
        return self._state.money.exhausted is not None or self._state.turned_down is not None

    def _refuse_afterwards(self) -> None:
        """What comes after the phases is stopped by nobody: it fails, and the run ends as it does without it."""
        resume = f"`prodigy resume {self._state.short_name} --budget …`"
        message = f"The budget leaves nothing for another launch of Claude; {resume} gives more"
        error = NotAdmitted("budget-exhausted", message)
        if self._state.turned_down is not None:
            error = NotAdmitted("claude-refused", f"Claude does not work: {self._state.turned_down.message}")
        elif self._state.given_up is not None:
            error = NotAdmitted("quota-blocked", "The API has turned Claude away for too long")
        for asked in [
            one for one in self._waiting if one.event.phase in AFTERWARDS and not one.event.item_id
        ]:
            asked.reply.fail(error)
            self._waiting.remove(asked)

    async def _note(self, told: Record) -> None:
        event = told.event
        launch = getattr(event, "intent", 0)
        lane = self._of_launch.get(launch)
        if lane is None:
            return
        self._starting.pop(launch, None)
        breaker, width = self._lane(lane), self._lane(lane).width
        at = told.timestamp.timestamp()
        match event:
            case ClaudeAnswered() | StepCompleted():
                if breaker.answered(launch):
                    account, model = lane
                    cleared = QuotaCleared(account=account, model=model, parked=len(self._state.parked))
                    await record(self._recorder, cleared)
            case ClaudeParked(reason="quota"):
                await self._turned_away(event, lane, at)
            case _:
                pass
        if not isinstance(event, ClaudeAnswered):
            breaker.ended(launch)
            del self._of_launch[launch]
        await self._tell_width(lane, width)

    async def _turned_away(self, event: ClaudeParked, lane: Lane, at: float) -> None:
        until = None if event.until is None else event.until.timestamp()
        block = self._lane(lane).turned_away(
            event.intent, at, until, unit(event.claude.session_id, event.intent)
        )
        if block is None:
            return
        account, model = lane
        known = self._state.quota(lane)
        since = at if known is None or known.since is None else known.since.timestamp()
        longest = self._rules.tuning.quota_wait_max
        blocked = QuotaBlocked(
            account=account,
            model=model,
            until=datetime.fromtimestamp(block.until, UTC),
            parked=len(self._state.parked),
            row=block.row,
            known=event.until is not None,
            given_up=longest is not None and block.until - since > longest,
        )
        await record(self._recorder, blocked)

    async def _tell_width(self, lane: Lane, before: int) -> None:
        """Record that more or fewer launches may be under way: every fall, and every time that it has doubled."""
        width, told = self._lane(lane).width, self._told_width(lane)
        if width == before or (told < width < 2 * told and width < self._rules.most):
            return
        account, model = lane
        reason = "quota" if width < told else "answered"
        changed = ParallelismChanged(from_=told, to=width, reason=reason, account=account, model=model)
        await record(self._recorder, changed)

    def _told_width(self, lane: Lane) -> int:
        quota = self._state.quota(lane)
        return self._rules.most if quota is None or quota.width is None else quota.width

    # -- what may begin ----------------------------------------------------------------------------------------------
    async def _answer(self, asked: Admit, caps: Caps) -> bool:
        """Decide about one launch; whether it was admitted."""
        event = asked.event
        lane = (event.account, event.model)
        now = self._now().timestamp()
        if self._starts(now) >= self._rules.starts or not self._lane(lane).admits(now):
            return False
        if self._is_over() or self._is_parked(event):
            return False
        paid = conversation(self._state, event)
        spent = paid.cost_usd if paid is not None and event.resumes else 0.0
        decision = decide(caps, self._state.money, event.wanted_usd, spent)
        match decision:
            case Grant(reserved):
                admitted = structs.replace(event, reserved_usd=reserved)
                seq = await record(self._recorder, admitted)
                self._lane(lane).began(event.intent)
                self._of_launch[event.intent] = lane
                self._starting[event.intent] = now
                asked.reply.send(Recorded(seq, reserved))
                return True
            case BudgetExhausted():
                await record(self._recorder, decision)
            case Wait():
                pass
        return False

    async def _park(self, event: ClaudeIntended) -> None:
        """An agent that has nothing to do but to wait for the API gives up its place, until the window returns it."""
        state, lane = self._state, (event.account, event.model)
        item = state.items.get(event.item_id or "")
        if event.phase != "map" or item is None or self._is_parked(event) or self._lane(lane).until is None:
            return
        leaf = state.intents.get(event.intent)
        beside = tuple(one for one in state.intents.values() if one.item_id == item.item_id)
        if leaf is None or item.agent_id is None or not alone(beside, leaf):
            return
        parked = AgentParked(
            item_id=item.item_id,
            agent_id=item.agent_id,
            attempt=item.attempts,
            account=event.account,
            model=event.model,
        )
        await record(self._recorder, parked)

    def _is_parked(self, event: ClaudeIntended) -> bool:
        return event.phase == "map" and event.item_id in self._state.parked_agents

    def _starts(self, now: float) -> int:
        """How many launches are starting."""
        return sum(now - begun < START_UP for begun in self._starting.values())

    def _lane(self, lane: Lane) -> Breaker:
        if lane not in self._lanes:
            quota = self._state.quota(lane)
            until = None if quota is None or quota.until is None else quota.until.timestamp()
            width = None if quota is None else quota.width
            row = 0 if quota is None else quota.row
            tuning = self._rules.tuning
            least = tuning.least_parallel if tuning.adaptive else self._rules.most
            self._lanes[lane] = Breaker(self._rules.most, until, row, width, least=least)
        return self._lanes[lane]

    @property
    def _state(self) -> JobState:
        return self._ledger.state

    @property
    def _caps(self) -> Caps:
        return self._state.money.caps or self._of_plan()

    def _wall(self) -> float:
        """Seconds that the job has run."""
        return self._state.money.active(self._now())

    def _patience(self, looked: datetime) -> float | None:
        """Seconds until time alone changes something since it was last looked; none, if it did meanwhile."""
        if self._is_over() or self._failed is not None:
            return None
        then = looked.timestamp()
        waits = [next_look(self._caps, self._state.money.active(looked))]
        if self._waiting:
            waits += [breaker.until - then for breaker in self._lanes.values() if breaker.until is not None]
            waits += [begun + START_UP - then for begun in self._starting.values()]
        wait = min((wait for wait in waits if wait is not None and wait > 0), default=None)
        return None if wait is None else max(0.0, wait - (self._now().timestamp() - then))


def concerns_launches(told: Record) -> bool:
    """Whether a record may change what can be admitted."""
    match told.event:
        case StepCompleted(claude=use) | StepFailed(claude=use):
            return use is not None
        case ClaudeAnswered() | ClaudeParked() | ClaudeCutOff() | AgentReturned():
            return True
        case _:
            return False


async def admit(governor: GovernorRef, event: ClaudeIntended) -> Recorded:
    """Wait until a launch may begin and is recorded; what was reserved for it."""
    return await governor.ask(lambda reply: Admit(event, reply), timeout=None)
