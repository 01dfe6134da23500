"""The workspaces actor: the only owner of a run's worktrees and branches.

It makes the session worktree, leases slots to agents, rescues what would otherwise be lost, and cleans up after a
merge. Requests are served concurrently; what must be serial, the repository's shared metadata, is serial in
``git.worktrees``. Requests may be made twice: the service's next incarnation sees what was done already.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar, assert_never

import msgspec
import trio

from prodigy import events, ids
from prodigy.actors.asking import persistently
from prodigy.actors.keeping import Keeper
from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.actors.returning import Cut, Returning
from prodigy.actors.scratch import Scratch
from prodigy.actors.shared_state import Watch, Whose
from prodigy.actors.slots import Condition, Leased, Slots
from prodigy.actors.workspace_requests import (
    AttachSession,
    BeginMerge,
    ClearAgents,
    ClearSession,
    CloseScratch,
    CloseSession,
    CompareCheckout,
    ConcludeMerge,
    DetachSession,
    Ended,
    FindMerge,
    Forget,
    GoOn,
    Lease,
    LeaseNoMore,
    LeaveMerge,
    Message,
    OpenScratch,
    OpenSession,
    Reclaim,
    Release,
    Rescue,
    RestoreSession,
    SetupDone,
    SetupDue,
    TidyAgents,
    WantedMerge,
    WorkspacesRef,
)
from prodigy.errors import ProdigyError, RunError
from prodigy.git.checkout import Checkout
from prodigy.git.cli import Git
from prodigy.git.housekeeping import GcHold
from prodigy.git.included import copy_missing
from prodigy.git.readiness import is_ready, remember_ready, setup_key
from prodigy.git.repository import branch_tip
from prodigy.git.rescue import unmerged
from prodigy.git.resolution import Begun
from prodigy.git.reuse import Worktree
from prodigy.git.traces import Residue
from prodigy.git.worktrees import Worktrees, remove_empty
from prodigy.job.plan import RunPlan
from prodigy.job.standing import Standing
from prodigy.paths import Layout
from supervisors import Actor, Crashed, DynamicSupervisorRef, Mailbox, Reason, Reply

T = TypeVar("T")


class Site(msgspec.Struct, frozen=True):
    """The user's repository, as a run uses it."""

    git: Git
    """In it; used for administration only."""
    worktrees: Worktrees
    """Makes and removes them."""
    hold: GcHold
    """Keeps garbage from being collected meanwhile."""
    checkout: Checkout | None = None
    """How the main worktree stood when the run began, if somebody looked."""


class Workspaces(Actor[Message]):
    """Owns the worktrees of one run.

    Args:
        plan: ids, branch and base commit.
        layout: where worktrees lie.
        site: the repository.
        ledger, recorder: what is known, and where it is written.
        idle_slots: seconds that a slot stays which nobody needs; ``None``: as long as the run.
    """

    def __init__(
        self,
        plan: RunPlan,
        layout: Layout,
        site: Site,
        ledger: Ledger,
        recorder: RecorderRef,
        idle_slots: float | None = None,
    ) -> None:
        self._idle_slots = idle_slots
        self._hold = site.hold
        self._plan = plan
        self._layout = layout
        self._git = git = site.git
        self._worktrees = worktrees = site.worktrees
        self._ledger = ledger
        self._recorder = recorder
        self._included = layout.included(plan.job_id)
        ignore = f"core.excludesFile={layout.excludes(plan.job_id)}"
        self._keeper = Keeper(git.having(ignore), plan.job_id, recorder)
        self._watch = Watch(git, self._keeper, recorder, site.checkout)
        self._slots = Slots(
            layout,
            plan.session_id,
            plan.workflow.worktree.keep,
            self._included,
            lambda: ledger.state.max_parallel + len(ledger.state.parked_agents),
            worktrees,
            ledger,
            recorder,
        )
        self._scratch = Scratch(str(layout.scratch(plan.session_id)), git, self._keeper, ledger)
        self._returning = Returning(git, ignore, worktrees, self._slots, self._keeper, ledger)

    async def started(self) -> None:
        """After a crash, find out which slots are whose, and how what is shared stands by now."""
        await self._hold.take()
        await self._slots.recover()
        if Path(self._path).exists():
            with suppress(ProdigyError):  # the next to look begins
                await self._watch.begin()

    async def stopped(self, reason: Reason) -> None:
        """Undo what nobody who runs counts on any more; after a crash, agents go on."""
        if not isinstance(reason, Crashed):
            with suppress(ProdigyError):  # where nothing can be recorded, nothing is undone
                await self._quiet()

    async def run(self, mailbox: Mailbox[Message]) -> None:
        """Serve each request in a task of its own; a refused one is its asker's error, not a crash."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hold.keep)
            if self._idle_slots is not None:
                nursery.start_soon(self._slots.thin_out, self._idle_slots)
            async for message in mailbox:
                nursery.start_soon(self._serve, message)
            nursery.cancel_scope.cancel()

    async def _serve(self, message: Message) -> None:
        match message:
            case OpenSession(reply):
                await _answer(reply, self._open)
            case DetachSession(reply):
                await _answer(reply, self._detach)
            case AttachSession(reply):
                await _answer(reply, self._attach)
            case RestoreSession(head, reason, reply):
                await _answer(reply, lambda: self._restore(head, reason))
            case ClearSession() | GoOn() | Reclaim():
                await self._serve_interrupted(message)
            case OpenScratch() | CloseScratch() | BeginMerge() | FindMerge() | ConcludeMerge() | LeaveMerge():
                await self._serve_scratch(message)
            case CloseSession() | ClearAgents() | TidyAgents():
                await self._serve_removal(message)
            case CompareCheckout(reply):
                await _answer(reply, lambda: self._watch.at_the_end(self._run))
            case _:
                await self._serve_agent(message)

    async def _serve_removal(self, message: CloseSession | ClearAgents | TidyAgents) -> None:
        match message:
            case CloseSession(forced, reply):
                await _answer(reply, lambda: self._close(forced=forced))
            case ClearAgents(reply):
                await _answer(reply, self._clear_agents)
            case TidyAgents(reply):
                await _answer(reply, self._tidy_agents)
            case _:
                assert_never(message)

    async def _serve_scratch(
        self, message: OpenScratch | CloseScratch | BeginMerge | FindMerge | ConcludeMerge | LeaveMerge
    ) -> None:
        match message:
            case OpenScratch(commit, reply):
                await _answer(reply, lambda: self._open_scratch(commit))
            case CloseScratch(reply):
                await _answer(reply, self._close_scratch)
            case _:
                await self._serve_merge(message)

    async def _serve_merge(self, message: BeginMerge | FindMerge | ConcludeMerge | LeaveMerge) -> None:
        match message:
            case BeginMerge(wanted, begun):
                await _answer(begun, lambda: self._begin_merge(wanted))
            case FindMerge(head, found):
                await _answer(found, lambda: self._scratch.standing(head))
            case ConcludeMerge(wanted, made, merged):
                await _answer(merged, lambda: self._scratch.conclude(wanted, made))
            case LeaveMerge(wanted, reason, kept):
                await _answer(kept, lambda: self._leave_merge(wanted, reason))
            case _:
                assert_never(message)

    async def _serve_interrupted(self, message: ClearSession | GoOn | Reclaim) -> None:
        match message:
            case ClearSession(reply):
                await _answer(reply, lambda: self._returning.clear(self._path, self._plan.branch))
            case GoOn(cut, reply):
                await _answer(reply, lambda: self._returning.stand(cut))
            case Reclaim(gone, reply):
                await _answer(reply, lambda: self._returning.reclaim(gone))
            case _:
                assert_never(message)

    async def _serve_agent(
        self, message: Lease | Rescue | Release | SetupDue | SetupDone | Ended | Forget | LeaseNoMore
    ) -> None:
        match message:
            case Lease(item_id, agent_id, branch, base, reply):
                await _answer(reply, lambda: self._lease(item_id, agent_id, branch, base))
            case Rescue(leased, attempt, base, reason, reply):
                await _answer(reply, lambda: self._rescue(leased, attempt, base, reason))
            case Release(leased, condition, residue, reply):
                await _answer(reply, lambda: self._release(leased, condition, residue))
            case SetupDue(path, reply):
                await _answer(reply, lambda: self._setup_due(path))
            case SetupDone(path, key, reply):
                await _answer(reply, lambda: self._setup_done(path, key))
            case Ended(whose, reply):
                await _answer(reply, lambda: self._ended(whose))
            case LeaseNoMore():
                await self._slots.refuse()
            case Forget(branch):
                await self._slots.forget(branch)
            case _:
                assert_never(message)

    async def _lease(self, item_id: str, agent_id: ids.AgentId, branch: str, base: str) -> Leased:
        await self._watch.expect(agent_id)
        return await self._slots.lease(item_id, agent_id, branch, base)

    async def _ended(self, whose: Whose) -> None:
        if whose.agent_id is not None:
            with suppress(ProdigyError):  # in the middle of a merge it stays on its branch
                await self._worktrees.leave_strange_branch(whose.path, whose.branch)
        others = len(self._ledger.state.leases) - (whose.agent_id is not None)
        await self._watch.ended(whose, alone=others <= 0)

    async def _quiet(self) -> None:
        await self._watch.quiet(self._run)

    @property
    def _run(self) -> Whose:
        return Whose(phase=self._ledger.state.phase or "map", path=self._path, branch=self._plan.branch)

    async def _release(self, leased: Leased, condition: Condition, residue: Residue | None) -> None:
        """Take a slot back; what was made in submodules is nowhere but there, even where all else is handed over."""
        if condition is Condition.GOOD:
            base = self._ledger.state.items[leased.item_id].base_commit or self._plan.base_commit
            try:
                await self._keeper.submodules(leased.path, base, "its worktree goes", leased.agent_id)
            except ProdigyError:
                condition = Condition.KEEP
        await self._slots.release(leased, condition, residue)

    async def _rescue(self, leased: Leased, attempt: int, base: str, reason: str) -> str | None:
        return await self._keeper.attempt(leased.path, leased.item_id, leased.agent_id, attempt, base, reason)

    # -- what fresh worktrees need ------------------------------------------------------------------------------------
    async def _setup_due(self, path: str) -> str | None:
        wanted = self._plan.workflow.worktree
        if not wanted.setup:
            return None
        git_dir = self._worktrees.open(path).git_dir
        key = await setup_key(self._git.inside(path), wanted.setup_key)
        ready = await trio.to_thread.run_sync(is_ready, path, git_dir, key)
        return None if ready else key

    async def _setup_done(self, path: str, key: str) -> None:
        await remember_ready(self._git.inside(path), self._worktrees.open(path).git_dir, key)

    async def _furnish(self, path: str) -> None:
        """Give a worktree the run's included files, where it lacks them."""
        await trio.to_thread.run_sync(copy_missing, self._included, Path(path))

    # -- the session worktree ------------------------------------------------------------------------------------------
    @property
    def _path(self) -> str:
        return str(self._layout.session_worktree(self._plan.session_id))

    async def _open(self) -> str:
        """Make the session worktree on its branch, unless it is there."""
        path, plan = self._path, self._plan
        await self._watch.begin()
        made = self._worktrees.stands(path) and not self._half_made(path)
        commit = self._ledger.state.tip or plan.base_commit
        if await branch_tip(self._git, plan.branch) is None:
            if made:  # the branch that it was for was removed
                await self._keeper.phase(path, self._ledger.state.seq, commit, "its branch was removed")
            renew = partial(self._worktrees.renew, path, commit, plan.branch)
            return await self._make(path, commit, plan.branch, renew)
        if made:
            await self._worktrees.mend(self._worktrees.open(path), plan.branch)
            await self._furnish(path)
            return path
        return await self._make(path, commit, plan.branch, self._make_again)

    async def _make_again(self) -> Worktree:
        """The session worktree on its branch, which is there already."""
        worktree = await self._worktrees.renew(self._path, self._plan.branch)
        await self._returning.overwrite(self._path, self._plan.branch)
        return worktree

    def _half_made(self, path: str) -> bool:
        """Whether making a worktree was cut off: nobody ever worked in it."""
        intents = self._ledger.state.git_intents.values()
        return any(isinstance(one, events.WorktreeCreateIntended) and one.path == path for one in intents)

    async def _make(
        self, path: str, commit: str, branch: str | None, make: Callable[[], Awaitable[Worktree]]
    ) -> str:
        """Make a worktree, with its intent and its outcome on record."""
        intended = events.WorktreeCreateIntended(path=path, branch=branch, base_commit=commit)
        intent = await record(self._recorder, intended)
        try:
            await make()
            await self._furnish(path)
        except ProdigyError as error:
            failed = events.WorktreeCreateFailed(intent=intent, path=path, message=str(error))
            await record(self._recorder, failed)
            raise
        await record(self._recorder, events.WorktreeCreated(intent=intent, path=path))
        return path

    async def _detach(self) -> None:
        await self._worktrees.detach(self._worktrees.open(self._path))

    async def _attach(self) -> None:
        await self._quiet()
        if not self._worktrees.stands(self._path):  # deleted meanwhile: what was merged is on the branch
            await self._open()
        await self._worktrees.sync(self._worktrees.open(self._path), self._plan.branch)

    async def _restore(self, head: str, reason: str) -> None:
        """Keep commits and changes that no record speaks of, then stand where the journal says."""
        await self._keeper.phase(self._path, self._ledger.state.seq, head, reason)
        await self._worktrees.move_branch(self._plan.branch, head)
        await self._returning.overwrite(self._path, self._plan.branch)

    async def _close(self, *, forced: bool) -> None:
        """Rescue what is not merged, then remove slots, session worktree and every branch of the run."""
        plan = self._plan
        slots = await self._slots.paths(idle_only=not forced)
        agents = await self._worktrees.branches(ids.agent_branches(plan.job_id))
        branches = (*agents, plan.branch)
        merged_into = self._ledger.state.merged_into or plan.target
        target = await branch_tip(self._git, merged_into) or plan.base_commit
        inhabited = [*self._slots.leased_paths(), self._scratch.path] if forced else []
        await self._keeper.everything((*inhabited, self._path), branches, target)
        removed = events.WorktreeRemoveIntended(path=self._path, branches=branches)
        intent = await record(self._recorder, removed)
        await self._remove((*slots, *self._scratches(), self._path))
        gone = await self._worktrees.delete_branches(branches)
        await record(self._recorder, events.WorktreeCleaned(intent=intent, path=self._path, branches=gone))

    async def _clear_agents(self) -> None:
        """Rescue what was cut off, then remove slots and scratch worktrees; session worktree and branches stay."""
        base = self._ledger.state.tip or self._plan.base_commit
        await self._keeper.everything((*self._slots.leased_paths(), self._scratch.path), (), base)
        folder = str(self._slots.folder)
        intent = await record(self._recorder, events.WorktreeRemoveIntended(path=folder))
        await self._remove((*await self._slots.paths(), *self._scratches()))
        await record(self._recorder, events.WorktreeCleaned(intent=intent, path=folder))

    async def _tidy_agents(self) -> None:
        """Remove what the end of a run leaves beside its session: slots that are in nobody's hands, and merged branches."""
        if self._ledger.state.detached:  # they may live in them
            return
        slots = [*await self._slots.paths(idle_only=True), *self._scratches()]
        agents = await self._worktrees.branches(ids.agent_branches(self._plan.job_id))
        kept = await unmerged(self._git, agents, self._ledger.state.tip or self._plan.base_commit)
        branches = tuple(branch for branch in agents if branch not in kept)
        if not slots and not branches:
            return
        folder = str(self._slots.folder)
        intent = await record(self._recorder, events.WorktreeRemoveIntended(path=folder, branches=branches))
        await self._remove(slots)
        gone = await self._worktrees.delete_branches(branches)
        await record(self._recorder, events.WorktreeCleaned(intent=intent, path=folder, branches=gone))

    def _scratches(self) -> list[str]:
        places = (self._scratch.path, str(self._layout.bench(self._plan.session_id)))
        return [path for path in places if Path(path).exists()]

    async def _remove(self, places: Sequence[str]) -> None:
        for path in places:
            await self._worktrees.remove(path)
        for folder in (self._slots.folder, Path(self._scratch.path).parent):
            await trio.to_thread.run_sync(remove_empty, folder, self._layout.worktrees)

    # -- the scratch worktree ------------------------------------------------------------------------------------------
    async def _open_scratch(self, commit: str) -> str:
        path = self._scratch.path
        return await self._make(path, commit, None, partial(self._worktrees.renew, path, commit))

    async def _begin_merge(self, wanted: WantedMerge) -> Begun:
        await self._scratch.rescue(wanted, "resolving a conflict was interrupted")
        await self._open_scratch(wanted.onto)
        return await self._scratch.begin(wanted)

    async def _leave_merge(self, wanted: WantedMerge, reason: str) -> str | None:
        kept = await self._scratch.rescue(wanted, reason)
        if Path(self._scratch.path).exists():
            await self._close_scratch()
        return kept

    async def _close_scratch(self) -> None:
        path = self._scratch.path
        intent = await record(self._recorder, events.WorktreeRemoveIntended(path=path))
        await self._worktrees.remove(path)
        await trio.to_thread.run_sync(remove_empty, Path(path).parent, self._layout.worktrees)
        await record(self._recorder, events.WorktreeCleaned(intent=intent, path=path))


async def _answer(reply: Reply[T], act: Callable[[], Awaitable[T]]) -> None:
    """Send what ``act`` returns, or fail the asker with what it raises; only bugs go further.

    Files that somebody takes away meanwhile are no bugs.
    """
    try:
        value = await act()
    except ProdigyError as error:
        reply.fail(error)
    except OSError as problem:
        reply.fail(RunError("worktree-error", str(problem)))
    else:
        reply.send(value)


# -- what others say to it -----------------------------------------------------------------------------------------------
async def open_session(workspaces: WorkspacesRef) -> str:
    """Make the session worktree unless it is there; its path."""
    return await persistently(workspaces, OpenSession)


async def detach_session(workspaces: WorkspacesRef) -> None:
    """Let go of the session branch, so that the merger can move it."""
    await persistently(workspaces, DetachSession)


async def attach_session(workspaces: WorkspacesRef) -> None:
    """Stand on the session branch again, with its files."""
    await persistently(workspaces, AttachSession)


async def restore_session(workspaces: WorkspacesRef, head: str, reason: str) -> None:
    """Rescue what a lost worker left in the session worktree, then go back to ``head``."""
    await persistently(workspaces, partial(RestoreSession, head, reason))


async def clear_session(workspaces: WorkspacesRef) -> None:
    """Let the session worktree stand off its branch, with nothing that an interruption left; that is rescued."""
    await persistently(workspaces, ClearSession)


async def go_on(workspaces: WorkspacesRef, cut: Cut) -> Standing:
    """Make a worktree fit for interrupted steps to go on, rescuing what would be lost; where they do.

    Raises:
        ProdigyError: there is no worktree any more, or it could not be rescued or changed.
    """
    return await persistently(workspaces, partial(GoOn, cut))


async def reclaim(workspaces: WorkspacesRef, gone: frozenset[str]) -> None:
    """Free the slots of agents whose actors are gone and that will not go on."""
    await persistently(workspaces, partial(Reclaim, gone))


async def reclaim_all(workspaces: WorkspacesRef, crew: DynamicSupervisorRef, ledger: Ledger) -> None:
    """Free every slot whose agent is gone and will not go on."""
    holders = frozenset(
        ledger.state.leases.values()
    )  # before the living are counted: others may begin meanwhile
    living = {child.id for child in await crew.children()}
    await reclaim(workspaces, holders - living)


async def open_scratch(workspaces: WorkspacesRef, commit: str) -> str:
    """A worktree beside the session's, detached at ``commit``; its path."""
    return await persistently(workspaces, partial(OpenScratch, commit))


async def close_scratch(workspaces: WorkspacesRef) -> None:
    """Remove that worktree."""
    await persistently(workspaces, CloseScratch)


async def begin_merge(workspaces: WorkspacesRef, wanted: WantedMerge) -> Begun:
    """Begin a merge in the scratch worktree.

    Raises:
        ProdigyError: the worktree could not be made, or git could not begin.
    """
    return await persistently(workspaces, partial(BeginMerge, wanted))


async def find_merge(workspaces: WorkspacesRef, head: str) -> str | None:
    """The scratch worktree, if it stands at ``head`` with nothing uncommitted."""
    return await persistently(workspaces, partial(FindMerge, head))


async def conclude_merge(workspaces: WorkspacesRef, wanted: WantedMerge, begun: Begun) -> str:
    """The commit that the resolved merge is, after it was checked.

    Raises:
        RunError: ``resolution-refused``.
    """
    return await persistently(workspaces, partial(ConcludeMerge, wanted, begun))


async def leave_merge(workspaces: WorkspacesRef, wanted: WantedMerge, reason: str) -> str | None:
    """Give up a merge in the scratch worktree; the ref that keeps what was made of it, if anything was."""
    return await persistently(workspaces, partial(LeaveMerge, wanted, reason))


async def close_session(workspaces: WorkspacesRef, *, forced: bool = False) -> None:
    """Remove every worktree and branch of the run; what is not merged is kept under refs first."""
    await persistently(workspaces, partial(CloseSession, forced))


async def tidy_agents(workspaces: WorkspacesRef) -> None:
    """Remove slots that are in nobody's hands, and the branches of agents whose work is merged."""
    await persistently(workspaces, TidyAgents)


async def clear_agents(workspaces: WorkspacesRef) -> None:
    """Remove the agents' slots and the scratch worktrees; what was cut off in them is kept under refs first."""
    await persistently(workspaces, ClearAgents)


async def lease(
    workspaces: WorkspacesRef, item_id: str, agent_id: ids.AgentId, branch: str, base: str
) -> Leased:
    """A clean worktree at ``base`` on a new branch; waits while all slots are leased."""
    return await persistently(workspaces, partial(Lease, item_id, agent_id, branch, base))


async def rescue(
    workspaces: WorkspacesRef, leased: Leased, attempt: int, base: str, reason: str
) -> str | None:
    """Keep what an attempt made beyond ``base``; the ref, if anything was there."""
    return await persistently(workspaces, partial(Rescue, leased, attempt, base, reason))


async def release(
    workspaces: WorkspacesRef,
    leased: Leased,
    condition: Condition,
    residue: Residue | None = None,
) -> None:
    """Give a slot back."""
    await persistently(workspaces, partial(Release, leased, condition, residue))


async def setup_due(workspaces: WorkspacesRef, path: str) -> str | None:
    """For which files a worktree has to be set up; ``None``: it need not be."""
    return await persistently(workspaces, partial(SetupDue, path))


async def setup_done(workspaces: WorkspacesRef, path: str, key: str) -> None:
    """A worktree was set up for these files."""
    await persistently(workspaces, partial(SetupDone, path, key))


async def compare_checkout(workspaces: WorkspacesRef) -> None:
    """Look what became of the user's checkout since the run began; it is told in records, and failing is no matter."""
    with suppress(ProdigyError):
        await persistently(workspaces, CompareCheckout)


async def steps_ended(workspaces: WorkspacesRef, whose: Whose) -> None:
    """Look at what somebody's steps changed beside their worktree; it is told in records, and failing is no matter."""
    with suppress(ProdigyError):  # to look is worth nothing that an agent's work should fail for
        await persistently(workspaces, partial(Ended, whose))
