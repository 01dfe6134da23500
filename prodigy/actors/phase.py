"""The phases as actors: a list of steps in the session worktree, or one agent per item.

A phase records its own beginning and end; whoever started it reads the result from the ledger. Both kinds can be
taken up again where the journal stands.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from prodigy import events, ids
from prodigy.actors.agent import AgentHandle
from prodigy.actors.dead_letters import bury
from prodigy.actors.hosts import run_agent
from prodigy.actors.recorder import Ledger, Note, record, subscribe
from prodigy.actors.selection import choose, left_out
from prodigy.actors.services import Services
from prodigy.actors.task import Task
from prodigy.actors.tasks import TaskFactory
from prodigy.actors.workspaces import attach_session, detach_session, restore_session
from prodigy.errors import ProdigyError
from prodigy.events import Failure, Phase
from prodigy.job.plan import RunPlan
from prodigy.job.window import HOST_LOSSES, Bury, Command, Retry, Settle, Start, Window
from prodigy.steps.protocol import AgentResult
from prodigy.store.journal import StorageFailed
from prodigy.workflow.model import MapInput, MapPhase, Shell, Step
from prodigy.workflow.select import BadInput, input_kind
from prodigy.workflow.template import render_text
from prodigy.workflow.values import TemplateError
from supervisors import ChildSpec, Crashed, HostLost, Restart

AGENT_SHUTDOWN = 30.0
"""Seconds beyond the grace that an agent may take to end when it is asked to."""


class PhaseFactory:
    """Makes the child spec of a phase."""

    def __init__(self, plan: RunPlan, ledger: Ledger, tasks: TaskFactory, services: Services) -> None:
        self._plan = plan
        self._ledger = ledger
        self._tasks = tasks
        self._services = services

    def spec(self, phase: Phase) -> ChildSpec[Any]:
        """A phase that is started again if it crashes, and not when it has ended."""
        kind = MapActor if phase == "map" else StepsActor
        start = partial(kind, phase, self._plan, self._ledger, self._tasks, self._services)
        return ChildSpec(
            id=f"phase-{phase}",
            start=start,
            restart=Restart.TRANSIENT,
            shutdown=self._plan.workflow.grace + AGENT_SHUTDOWN,
        )


class PhaseActor(Task):
    """What both kinds of phase share: their beginning, their end, and running steps in the session worktree."""

    def __init__(
        self, phase: Phase, plan: RunPlan, ledger: Ledger, tasks: TaskFactory, services: Services
    ) -> None:
        self._phase: Phase = phase
        self._plan = plan
        self._ledger = ledger
        self._tasks = tasks
        self._services = services

    async def work(self) -> None:
        """Begin unless begun, run, record the end. Failures are recorded; only bugs raise."""
        began = trio.current_time()
        try:
            failure = await self._attempt()
            duration = round((trio.current_time() - began) * 1000)
            await self._record(self._end(failure, duration))
        except* StorageFailed:
            pass  # nothing can be recorded any more; the run says so

    def _end(self, failure: Failure | None, duration: int) -> events.AnyEvent:
        if failure is not None:
            return events.PhaseFailed(phase=self._phase, duration_ms=duration, error=failure)
        return events.PhaseCompleted(phase=self._phase, duration_ms=duration, head=self._ledger.state.tip)

    async def _attempt(self) -> Failure | None:
        try:
            return await self.body()
        except StorageFailed:
            raise
        except (BadInput, TemplateError) as error:
            return Failure(error_class="bad-input", message=error.message)
        except ProdigyError as error:
            return Failure(error_class="worktree-error", message=f"{error.code}: {error.message}")

    async def body(self) -> Failure | None:
        """The phase itself; why it failed, if it did."""
        raise NotImplementedError

    async def _record(self, event: events.AnyEvent) -> int:
        return await record(self._services.recorder, event)

    async def _begin(self) -> str:
        """Record the beginning once; the commit that the phase began with."""
        known = self._ledger.state.phases.get(self._phase)
        if known is None:
            await self._record(events.PhaseStarted(phase=self._phase, base_commit=self._head()))
            known = self._ledger.state.phases[self._phase]
        assert known.base_commit is not None
        return known.base_commit

    async def _run_steps(
        self, steps: tuple[Step, ...], *, timeout: float | None = None, prefix: str = ""
    ) -> AgentResult:
        """Run steps in the session worktree; when the worker is lost, go on at the first leaf without an outcome."""
        losses = 0
        while True:
            head = self._head()
            task = self._tasks.phase(
                self._phase,
                steps,
                str(self._tasks.session_worktree),
                head,
                timeout=timeout,
                prefix=prefix,
                outcomes=self._outcomes(),
            )
            try:
                return await run_agent(self._services.hosts, task, self._services.recorder)
            except HostLost as lost:
                losses += 1
                await restore_session(self._services.workspaces, self._head(), lost.reason)
                if losses > HOST_LOSSES:
                    message = f"The worker was lost {losses} times: {lost.reason}"
                    return AgentResult(
                        head=head, duration_ms=0, error=Failure(error_class="host-lost", message=message)
                    )

    def _head(self) -> str:
        """Where the session stands, by what is recorded."""
        return self._ledger.state.tip or self._plan.base_commit

    def _outcomes(self) -> dict[str, Any]:
        """The recorded leaf outcomes of this phase, as the interpreter looks them up."""
        mine = f"{self._phase}/"
        return {
            key.removeprefix(mine): outcome
            for key, outcome in self._ledger.state.outcomes.items()
            if key.startswith(mine)
        }


class StepsActor(PhaseActor):
    """``setup``, ``reduce``, or the steps of a plain workflow."""

    async def body(self) -> Failure | None:
        """Run the phase's list of steps as one agent."""
        await self._begin()
        body = self._plan.step_list(self._phase)
        result = await self._run_steps(body.steps, timeout=body.timeout)
        return result.error


class MapActor(PhaseActor):
    """``map``: selects the items once, then drives the window by what is recorded."""

    async def body(self) -> Failure | None:
        """Select, run one agent per item, wait for the last merge."""
        await self._begin()
        if not self._ledger.state.selected:
            failure = await self._select()
            if failure is not None:
                return failure
        await detach_session(self._services.workspaces)
        await self._drive()
        await attach_session(self._services.workspaces)
        return self._verdict()

    def _verdict(self) -> Failure | None:
        """A map phase whose every item failed has failed."""
        state = self._ledger.state
        if state.total and state.counts["failed"] == state.total:
            message = f"All {state.total} items failed" if state.total > 1 else "The only item failed"
            return Failure(error_class="command-failed", message=message)
        return None

    # -- selection ---------------------------------------------------------------------------------------------------
    @property
    def _map(self) -> MapPhase:
        assert self._plan.workflow.map is not None
        return self._plan.workflow.map

    async def _select(self) -> Failure | None:
        """Choose the items and record each, then the closing record."""
        content = await self._content(self._map.input)
        if isinstance(content, Failure):
            return content
        chosen = choose(self._map, *content, self._tasks.scope())
        for index, (item_id, item) in enumerate(zip(chosen.ids, chosen.items, strict=True)):
            await self._services.recorder.tell(
                Note(events.ItemSelected(index=index, item_id=item_id, item=item))
            )
        count, skipped = len(chosen.items), left_out(chosen)
        await self._record(events.ItemsSelected(count=count, skipped_by=skipped, matched=chosen.matched))
        return None

    async def _content(self, source: MapInput) -> tuple[bytes | None, str] | Failure:
        """The input's bytes and its file name (empty for a command); no bytes for a list."""
        if source.source == "list":
            return None, ""
        if source.source == "command":
            return await self._command_output(source)
        name = render_text(source.text, self._tasks.scope())
        path = self._tasks.session_worktree / Path(name).expanduser()
        if source.source == "auto" and input_kind(name, exists=path.is_file()) == "command":
            return await self._command_output(source)
        try:
            return await trio.Path(path).read_bytes(), path.name
        except OSError as error:
            return self._missing_input(source, error)

    def _missing_input(self, source: MapInput, error: OSError) -> Failure:
        message = f"`map.input` {source.text!r} cannot be read in the session worktree: {error.strerror}"
        if (Path(self._plan.repository) / source.text).is_file():
            message += (
                "; it exists in your checkout but is not committed, and a run starts from the last commit"
            )
        return Failure(error_class="bad-input", message=message)

    async def _command_output(self, source: MapInput) -> tuple[bytes, str] | Failure:
        """Run the input command as a step of its own and read its whole output from its log."""
        step = Step(
            action=Shell(source.text), mark=source.mark, name="map.input", timeout=self._map.input_timeout
        )
        result = await self._run_steps((step,), prefix="input.")
        if result.error is not None:
            return result.error
        outcome = self._ledger.state.outcomes["map/input.1/1"]
        log = outcome.stdout.log
        assert log is not None
        return await trio.Path(log).read_bytes(), ""

    # -- the window --------------------------------------------------------------------------------------------------
    async def _drive(self) -> None:
        """Feed the window what is recorded, perform what it commands, until it settles."""
        stream = await subscribe(self._services.recorder)
        window = Window.of(self._ledger.state, self._plan.max_parallel)
        built = self._ledger.state.seq
        async with trio.open_nursery() as watchers:
            settled = await self._perform(window.begin(), watchers)
            while not settled:
                try:
                    told = await stream.receive()
                except trio.EndOfChannel:
                    break  # recording has ended; whoever records next learns why
                if told.seq > built:
                    settled = await self._perform(window.on(told.event), watchers)

    async def _perform(self, commands: Sequence[Command], watchers: trio.Nursery) -> bool:
        """Carry out commands; whether the window has settled."""
        for command in commands:
            match command:
                case Start():
                    await self._start(command, watchers)
                case Retry():
                    await self._retry(command)
                case Bury():
                    await bury(self._services.dead_letters, command.item_id)
                case Settle():
                    return True
        return False

    async def _start(self, start: Start, watchers: trio.Nursery) -> None:
        services = self._services
        spec = ChildSpec(
            id=str(ids.agent_id(self._ledger.state.items[start.item_id].index, start.attempt)),
            start=partial(
                AgentHandle,
                start,
                self._ledger,
                self._tasks,
                services,
            ),
            restart=Restart.TEMPORARY,
            shutdown=self._plan.workflow.grace + AGENT_SHUTDOWN,
        )
        await services.crew.start_child(spec)
        watchers.start_soon(self._watch, start, spec)

    async def _watch(self, start: Start, spec: ChildSpec[Any]) -> None:
        """An agent's actor that crashes is our bug; its item must not wait for ever."""
        reason = (await spec.ref.wait_stopped()).reason
        if isinstance(reason, Crashed):
            await self._record(
                events.AgentFailed(
                    item_id=start.item_id,
                    agent_id=spec.id,
                    attempt=start.attempt,
                    duration_ms=0,
                    error=Failure(
                        error_class="internal", message=f"The agent's actor crashed: {reason.error!r}"
                    ),
                    signature="internal",
                )
            )

    async def _retry(self, retry: Retry) -> None:
        item = self._ledger.state.items[retry.item_id]
        await self._record(
            events.AgentRetrying(
                item_id=retry.item_id,
                agent_id=str(ids.agent_id(item.index, item.attempts)),
                next_attempt=retry.next_attempt,
                charged_to=retry.charged_to,
            )
        )
