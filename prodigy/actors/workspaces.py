"""The workspaces actor: the only owner of a run's worktrees and branches.

It makes the session worktree, leases slots to agents, rescues what would otherwise be lost, and cleans up after a
merge. Requests are served concurrently; what must be serial, the repository's shared metadata, is serial in
``git.worktrees``. Requests may be made twice: the service's next incarnation sees what was done already.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar, assert_never

import msgspec
import trio

from prodigy import events, ids
from prodigy.actors.asking import persistently
from prodigy.actors.keeping import Keeper
from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.actors.slots import Condition, Leased, Slots
from prodigy.errors import ProdigyError
from prodigy.git.cli import Git
from prodigy.git.repository import branch_tip
from prodigy.git.worktrees import Worktrees
from prodigy.job.plan import RunPlan
from prodigy.paths import Layout
from supervisors import Actor, ActorRef, Mailbox, Reply


class OpenSession(msgspec.Struct, frozen=True):
    """Make the session worktree unless it is there; the answer is its path."""

    reply: Reply[str]


class DetachSession(msgspec.Struct, frozen=True):
    """Let go of the session branch, so that the merger can move it."""

    reply: Reply[None]


class AttachSession(msgspec.Struct, frozen=True):
    """Stand on the session branch again, with its files."""

    reply: Reply[None]


class RestoreSession(msgspec.Struct, frozen=True):
    """Keep what a lost worker left, then go back to ``head``."""

    head: str
    reason: str
    reply: Reply[None]


class CloseSession(msgspec.Struct, frozen=True):
    """Remove every worktree and branch of the run; what is not merged is kept under refs first.

    ``forced`` also removes slots that hold what could not be rescued.
    """

    forced: bool
    reply: Reply[None]


class Lease(msgspec.Struct, frozen=True):
    """Give an agent a clean worktree at ``base`` on a new branch."""

    item_id: str
    agent_id: ids.AgentId
    branch: str
    base: str
    reply: Reply[Leased]


class Rescue(msgspec.Struct, frozen=True):
    """Keep what an attempt made beyond ``base`` under a ref; the answer is the ref, if anything was there."""

    leased: Leased
    attempt: int
    base: str
    reason: str
    reply: Reply[str | None]


class Release(msgspec.Struct, frozen=True):
    """Take a slot back."""

    leased: Leased
    condition: Condition
    reply: Reply[None]


class Forget(msgspec.Struct, frozen=True):
    """A branch is merged: delete it when there is a moment."""

    branch: str


Message = (
    OpenSession
    | DetachSession
    | AttachSession
    | RestoreSession
    | CloseSession
    | Lease
    | Rescue
    | Release
    | Forget
)
WorkspacesRef = ActorRef[Message]
T = TypeVar("T")


class Workspaces(Actor[Message]):
    """Owns the worktrees of one run.

    Args:
        plan: ids, branch and base commit.
        layout: where worktrees lie.
        git: in the user's repository; used for administration only.
        worktrees: makes and removes them.
        ledger, recorder: what is known, and where it is written.
    """

    def __init__(
        self,
        plan: RunPlan,
        layout: Layout,
        git: Git,
        worktrees: Worktrees,
        ledger: Ledger,
        recorder: RecorderRef,
    ) -> None:
        self._plan = plan
        self._layout = layout
        self._git = git
        self._worktrees = worktrees
        self._ledger = ledger
        self._recorder = recorder
        self._keeper = Keeper(git, plan.job_id, recorder)
        self._slots = Slots(layout, plan.session_id, plan.max_parallel, worktrees, ledger, recorder)

    async def started(self) -> None:
        """After a crash, find out which slots are whose."""
        await self._slots.recover()

    async def run(self, mailbox: Mailbox[Message]) -> None:
        """Serve each request in a task of its own; a refused one is its asker's error, not a crash."""
        async with trio.open_nursery() as nursery:
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
            case CloseSession(forced, reply):
                await _answer(reply, lambda: self._close(forced=forced))
            case Lease(item_id, agent_id, branch, base, reply):
                await _answer(reply, lambda: self._slots.lease(item_id, agent_id, branch, base))
            case Rescue(leased, attempt, base, reason, reply):
                await _answer(reply, lambda: self._rescue(leased, attempt, base, reason))
            case Release(leased, condition, reply):
                await _answer(reply, lambda: self._slots.release(leased, condition))
            case Forget(branch):
                await self._slots.forget(branch)
            case _:
                assert_never(message)

    async def _rescue(self, leased: Leased, attempt: int, base: str, reason: str) -> str | None:
        return await self._keeper.attempt(leased.path, leased.item_id, leased.agent_id, attempt, base, reason)

    # -- the session worktree ------------------------------------------------------------------------------------------
    @property
    def _path(self) -> str:
        return str(self._layout.session_worktree(self._plan.session_id))

    async def _open(self) -> str:
        """Make the session worktree on its branch, unless it is there."""
        path, plan = self._path, self._plan
        if Path(path, ".git").exists():
            return path
        intended = events.WorktreeCreateIntended(path=path, branch=plan.branch, base_commit=plan.base_commit)
        intent = await record(self._recorder, intended)
        try:
            await self._worktrees.add(path, plan.base_commit, plan.branch)
        except ProdigyError as error:
            failed = events.WorktreeCreateFailed(intent=intent, path=path, message=str(error))
            await record(self._recorder, failed)
            raise
        await record(self._recorder, events.WorktreeCreated(intent=intent, path=path))
        return path

    async def _detach(self) -> None:
        await self._worktrees.detach(self._worktrees.open(self._path))

    async def _attach(self) -> None:
        await self._worktrees.sync(self._worktrees.open(self._path), self._plan.branch)

    async def _restore(self, head: str, reason: str) -> None:
        """Keep commits and changes that no record speaks of, then stand where the journal says."""
        await self._keeper.phase(self._path, self._ledger.state.seq, head, reason)
        await self._worktrees.move_branch(self._plan.branch, head)
        await self._worktrees.overwrite(self._worktrees.open(self._path), self._plan.branch)

    async def _close(self, *, forced: bool) -> None:
        """Rescue what is not merged, then remove slots, session worktree and every branch of the run."""
        plan = self._plan
        slots = await self._slots.paths(idle_only=not forced)
        agents = await self._worktrees.branches(f"prodigy-{ids.tail_of(plan.job_id)}-agent-")
        branches = (*agents, plan.branch)
        target = await branch_tip(self._git, plan.original_branch) or plan.base_commit
        inhabited = self._slots.leased_paths() if forced else []
        await self._keeper.everything((*inhabited, self._path), branches, target)
        removed = events.WorktreeRemoveIntended(path=self._path, branches=branches)
        intent = await record(self._recorder, removed)
        for path in (*slots, self._path):
            await self._worktrees.remove(path)
        gone = await self._worktrees.delete_branches(branches)
        await trio.to_thread.run_sync(_remove_empty, self._slots.folder, self._layout.worktrees)
        await record(self._recorder, events.WorktreeCleaned(intent=intent, path=self._path, branches=gone))


async def _answer(reply: Reply[T], act: Callable[[], Awaitable[T]]) -> None:
    """Send what ``act`` returns, or fail the asker with what it raises; only bugs go further."""
    try:
        value = await act()
    except ProdigyError as error:
        reply.fail(error)
    else:
        reply.send(value)


def _remove_empty(folder: Path, up_to: Path) -> None:
    """Remove ``folder`` and its parents below ``up_to``, as far as they are empty."""
    while folder != up_to:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


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


async def close_session(workspaces: WorkspacesRef, *, forced: bool = False) -> None:
    """Remove every worktree and branch of the run; what is not merged is kept under refs first."""
    await persistently(workspaces, partial(CloseSession, forced))


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


async def release(workspaces: WorkspacesRef, leased: Leased, condition: Condition) -> None:
    """Give a slot back."""
    await persistently(workspaces, partial(Release, leased, condition))
