"""``map`` as an actor: selects the items once, then drives the window by what is recorded."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import trio

from prodigy import events, ids
from prodigy.actors.agent import AGENT_SHUTDOWN, AgentHandle
from prodigy.actors.dead_letters import bury
from prodigy.actors.merger import merge_agent
from prodigy.actors.phase import PhaseActor
from prodigy.actors.recorder import Note, subscribe
from prodigy.actors.resolver import resolving
from prodigy.actors.selection import choose, left_out
from prodigy.actors.workspace_requests import LeaseNoMore
from prodigy.actors.workspaces import attach_session, clear_session, detach_session, reclaim, reclaim_all
from prodigy.events import Failure, Record
from prodigy.job.budget import drained
from prodigy.job.policy import Rules, retry_rules, rules_of
from prodigy.job.retrying import all_failed, reprocessed, unfinished
from prodigy.job.state import RetryState
from prodigy.job.window import (
    Bury,
    CloseCircuit,
    Command,
    Drained,
    Halt,
    OpenCircuit,
    Resolve,
    Retry,
    Return,
    Settle,
    Skip,
    Start,
    Unbury,
    Window,
)
from prodigy.steps.protocol import INPUT, AgentEvent
from prodigy.workflow.deferred import count
from prodigy.workflow.model import MapInput, MapPhase, Shell, Step
from prodigy.workflow.select import input_kind
from prodigy.workflow.template import render_text
from supervisors import ActorRef, ChildSpec, Crashed, Restart

_OF_AGENTS = frozenset(get_args(AgentEvent))
"""What agents tell of their steps: no window decides anything by it."""


class MapActor(PhaseActor):
    """One agent per item."""

    async def body(self) -> Failure | None:
        """Select, run one agent per item, wait for the last merge."""
        self._map = self._tasks.map_phase()
        await self._begin(self._parallel())
        if not self._ledger.state.selected:
            failure = await self._select()
            if failure is not None:
                return failure
        elif self._cut is not None or self._retry is not None:
            await clear_session(self._services.workspaces)
        await detach_session(self._services.workspaces)
        await self._drive()
        await attach_session(self._services.workspaces)
        if self._retry is not None and self._retry.ended is None:
            await self._record(reprocessed(self._ledger.state, self._retry))
        return self._verdict()

    @property
    def _retry(self) -> RetryState | None:
        return self._ledger.state.retry

    def _parallel(self) -> int | None:
        """How many agents at a time, where the plan does not say it."""
        if self._retry is not None:
            return self._retry.started.max_parallel
        return None if self._plan.max_parallel is not None else count(self._map.max_parallel)

    def _rules(self) -> Rules:
        rules = rules_of(self._map, self._plan.on_conflict)
        if self._retry is None:
            return rules
        wanted = self._retry.started
        return retry_rules(rules, wanted.max_parallel, wanted.attempts, wanted.alike)

    def _verdict(self) -> Failure | None:
        """A map phase that gave up, or whose every item failed, has failed; a retry that gave up changes nothing."""
        state = self._ledger.state
        if self._retry is not None:
            return unfinished(state)
        if state.halted is not None:
            return state.halted
        return all_failed(state)

    # -- selection ---------------------------------------------------------------------------------------------------
    async def _select(self) -> Failure | None:
        """Choose the items and record each, then the closing record."""
        content = await self._content(self._map.input)
        if isinstance(content, Failure):
            return content
        chosen = choose(*self._tasks.without_secrets(self._map, *content), self._tasks.scope("map"))
        problems = {index: "; ".join(faults) for index, faults in chosen.faults.items()}
        if problems and self._map.validation is not None and self._map.validation.on_failure == "stop":
            first = min(problems)
            message = f"Item {chosen.ids[first]} is not valid: {problems[first]}"
            return Failure(error_class="invalid-item", message=message)
        for index, (item_id, item) in enumerate(zip(chosen.ids, chosen.items, strict=True)):
            told = events.ItemSelected(index=index, item_id=item_id, item=item, problem=problems.get(index))
            await self._services.recorder.tell(Note(told))
        number, skipped = len(chosen.items), left_out(chosen)
        await self._record(events.ItemsSelected(count=number, skipped_by=skipped, matched=chosen.matched))
        return None

    async def _content(self, source: MapInput) -> tuple[bytes | None, str] | Failure:
        """The input's bytes and its file name (empty for a command); no bytes for a list."""
        if source.source == "list":
            return None, ""
        if source.source == "command":
            return await self._command_output(source)
        name = render_text(source.text, self._tasks.scope("map"))
        path = self._tasks.session_worktree / Path(name).expanduser()
        if source.source == "auto" and input_kind(name, exists=path.is_file()) == "command":
            return await self._command_output(source)
        try:
            return await trio.Path(path).read_bytes(), path.name
        except OSError as error:
            return self._missing_input(name, error)

    def _missing_input(self, name: str, error: OSError) -> Failure:
        message = f"`map.input` {name!r} cannot be read in the session worktree: {error.strerror}"
        if (Path(self._plan.repository) / name).is_file():
            message += (
                "; it exists in your checkout but is not committed, and a run starts from the last commit"
            )
        missing = isinstance(error, FileNotFoundError)
        return Failure(error_class="input-not-found" if missing else "bad-input", message=message)

    async def _command_output(self, source: MapInput) -> tuple[bytes, str] | Failure:
        """Run the input command as a step of its own and read its whole output from its log."""
        step = Step(
            action=Shell(source.text), mark=source.mark, name="map.input", timeout=self._map.input_timeout
        )
        result = await self._run_steps((step,), prefix=INPUT)
        if result.error is not None:
            return result.error
        outcome = self._ledger.state.outcomes["map/input.1/1"]
        log = outcome.stdout.log
        assert log is not None
        return await trio.Path(log).read_bytes(), ""

    # -- the window --------------------------------------------------------------------------------------------------
    async def _drive(self) -> None:
        """Feed the window what is recorded, perform what it commands, until it settles."""
        stream = await subscribe(self._services.recorder, lambda told: type(told.event) not in _OF_AGENTS)
        window = Window(self._rules(), self._ledger.state)
        built = self._ledger.state.seq
        async with trio.open_nursery() as watchers:
            await self._take_up(watchers)
            settled = await self._perform(window.begin(self._time()), watchers)
            while not settled:
                try:
                    told = await self._next(stream, window)
                except trio.EndOfChannel:
                    await self._services.workspaces.tell(LeaseNoMore())
                    break  # recording has ended; whoever records next learns why
                if told is None:
                    settled = await self._perform(window.tick(self._time()), watchers)
                elif told.seq > built:
                    at = told.timestamp.timestamp()
                    settled = await self._perform(window.on(told.event, at), watchers)

    async def _next(self, stream: trio.MemoryReceiveChannel[Record], window: Window) -> Record | None:
        """The next record; ``None`` when it is time to look at the window without one."""
        wakes_at = window.wakes_at
        with trio.move_on_after(float("inf") if wakes_at is None else max(0.0, wakes_at - self._time())):
            return await stream.receive()
        return None

    def _time(self) -> float:
        return self._now().timestamp()

    async def _perform(self, commands: Sequence[Command], watchers: trio.Nursery) -> bool:
        """Carry out commands; whether the window has settled."""
        for command in commands:
            match command:
                case Start():
                    await self._start(command, watchers)
                case Resolve():
                    await self._resolve(command.item_id, watchers)
                case Return():
                    await self._record(self._returned(command.item_id))
                case Bury():
                    await bury(self._services.dead_letters, command.item_id)
                case Drained():
                    warned = next(iter(self._ledger.state.money.warned.values()))
                    await self._record(drained(warned))
                    await trio.sleep_forever()  # the run stops all phases
                case Settle():
                    return True
                case _:
                    await self._record(self._told(command))
        return False

    def _returned(self, item_id: str) -> events.AnyEvent:
        item = self._ledger.state.items[item_id]
        agent_id = str(ids.agent_id(item.index, item.attempts))
        return events.AgentReturned(item_id=item_id, agent_id=agent_id, attempt=item.attempts)

    def _told(self, command: Retry | Unbury | Skip | Halt | OpenCircuit | CloseCircuit) -> events.AnyEvent:
        """The record that carries out a command which is only a decision."""
        match command:
            case Retry(item_id, next_attempt, charged_to, delay):
                item = self._ledger.state.items[item_id]
                return events.AgentRetrying(
                    item_id=item_id,
                    agent_id=str(ids.agent_id(item.index, item.attempts)),
                    next_attempt=next_attempt,
                    charged_to=charged_to,
                    backoff_ms=round(delay * 1000),
                )
            case Unbury(item_id):
                return events.DlqItemRemoved(item_id=item_id, reason="retried")
            case Skip(item_id, reason):
                return events.ItemSkipped(item_id=item_id, reason=reason)
            case Halt(reason, message):
                return events.MapHalted(reason=reason, message=message)
            case OpenCircuit(failures, opening, pause):
                return events.CircuitOpened(failures=failures, opening=opening, pause_ms=round(pause * 1000))
            case CloseCircuit():
                return events.CircuitClosed()

    async def _take_up(self, watchers: trio.Nursery) -> None:
        """Go on with attempts and merges that were begun: by an earlier process, or by agents that live still.

        An agent that crashed when nobody watched has left its slot.
        """
        services = self._services
        await reclaim_all(services.workspaces, services.crew, self._ledger)
        living = {child.id for child in await services.crew.children()}
        for item in self._ledger.state.items.at_work():
            if item.agent_id is None:
                continue
            if item.status == "running":
                await self._start(Start(item.item_id, item.attempts), watchers)
            elif item.agent_id in living:
                continue
            elif item.status == "merging" and item.error is None and item.head is not None:
                agent = ids.AgentId(item.agent_id)
                watchers.start_soon(merge_agent, services.merger, item.item_id, agent, item.head)

    async def _start(self, start: Start, watchers: trio.Nursery) -> None:
        """Start the agent of an attempt, unless it lives since before this actor did, and see how it ends."""
        services = self._services
        spec = ChildSpec(
            id=str(ids.agent_id(self._ledger.state.items[start.item_id].index, start.attempt)),
            start=partial(AgentHandle, start, self._map, self._ledger, self._tasks, services),
            restart=Restart.TEMPORARY,
            shutdown=self._grace(self._map) + AGENT_SHUTDOWN,
        )
        living = await services.crew.find_child(spec.id)
        watchers.start_soon(self._watch, start, living or await services.crew.start_child(spec))

    async def _resolve(self, item_id: str, watchers: trio.Nursery) -> None:
        """Start the actor that resolves an item's conflict, unless it lives; it tells its end in a record."""
        services = self._services
        spec = resolving(item_id, self._setting)
        living = await services.crew.find_child(spec.id)
        watchers.start_soon(self._watch_resolver, item_id, living or await services.crew.start_child(spec))

    async def _watch_resolver(self, item_id: str, resolver: ActorRef[Any]) -> None:
        reason = (await resolver.wait_stopped()).reason
        if isinstance(reason, Crashed):
            message = f"The actor that was to resolve the conflict crashed: {reason.error!r}"
            await self._record(
                events.ConflictResolutionFailed(
                    what="agent",
                    target_branch=self._plan.branch,
                    item_id=item_id,
                    agent_id=self._ledger.state.items[item_id].agent_id,
                    error=Failure(error_class="merge-conflict", message=message),
                )
            )

    def _grace(self, phase: MapPhase) -> float:
        return max(self._plan.workflow.grace, phase.timeouts.grace or 0.0)

    async def _watch(self, start: Start, agent: ActorRef[Any]) -> None:
        """An agent's actor that crashes is our bug; neither its item nor who waits for its slot may wait for ever."""
        reason = (await agent.wait_stopped()).reason
        if isinstance(reason, Crashed):
            error = Failure(error_class="internal", message=f"The agent's actor crashed: {reason.error!r}")
            await self._record(
                events.AgentFailed(
                    item_id=start.item_id,
                    agent_id=agent.id,
                    attempt=start.attempt,
                    duration_ms=0,
                    error=error,
                    signature="internal",
                )
            )
            await reclaim(self._services.workspaces, frozenset({agent.id}))
