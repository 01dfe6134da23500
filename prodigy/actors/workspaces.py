"""The workspaces actor: the only owner of a run's worktrees and branches.

It makes the session worktree, keeps a pool of slots for agents, rescues what would otherwise be lost, and cleans up
after a merge. At most as many slots exist as agents run at a time; each is reset and verified clean before a lease,
and thrown away when in doubt. Requests are served concurrently; what must be serial (the repository's shared
metadata) is serial in ``git.worktrees``.
"""

import shutil
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import trio

from prodigy import events, ids
from prodigy.actors.asking import persistently
from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.errors import ProdigyError
from prodigy.events import WorktreeRescued
from prodigy.git.cli import Git
from prodigy.git.evidence import is_ancestor
from prodigy.git.repository import branch_tip, ref_tip
from prodigy.git.rescue import keep_commit
from prodigy.git.rescue import rescue as rescue_work
from prodigy.git.worktrees import SlotDoubtful, Worktree, Worktrees
from prodigy.job.plan import RunPlan
from prodigy.paths import Layout
from supervisors import Actor, ActorRef, Mailbox, Reply


class Leased(msgspec.Struct, frozen=True):
    """A slot in somebody's hands."""

    slot: int
    path: str
    item_id: str
    agent_id: ids.AgentId
    branch: str


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
    """Remove every worktree and branch of the run; with ``rescue``, what is not merged is kept under refs first."""

    rescue: bool
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


class Condition(Enum):
    """In what state a slot comes back."""

    GOOD = "good"
    """It may be reset."""
    DOUBTFUL = "doubtful"
    """It must be made anew."""
    KEEP = "keep"
    """It holds what could not be rescued: it is not touched again."""


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

OWN_FOLDER = ".prodigy"
"""What setup leaves here untracked reaches the agents, and is never committed."""
FORGET_BATCH = 32
"""Merged branches are deleted so many at a time."""


class _Slot(msgspec.Struct):
    number: int
    path: str
    worktree: Worktree | None = None
    """``None`` until it is made, and again when it is in doubt."""


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
        self._idle: list[_Slot] = []
        self._leased: dict[int, _Slot] = {}
        self._made = 0
        self._merged: list[str] = []
        self._kept: set[str] = set()
        self._slot_freed = trio.Condition()

    async def started(self) -> None:
        """After a crash: slots that an agent holds stay its own; whatever else was being made is removed."""
        state = self._ledger.state
        self._leased = {number: self._slot(number) for number in state.leases}
        self._made = max(self._leased, default=0)
        if state.phase != "map" or state.status != "running":
            return
        held = {slot.path for slot in self._leased.values()}
        for path in await self._slot_paths():
            if path not in held:
                await self._worktrees.remove(path)

    async def _slot_paths(self) -> list[str]:
        """Every slot of this run that git has on its list."""
        pool = str(self._pool)
        return [entry.path for entry in await self._worktrees.registered(pool)]

    @property
    def _pool(self) -> Path:
        return self._layout.slot(self._plan.session_id, 1).parent

    def _slot(self, number: int) -> _Slot:
        return _Slot(number, str(self._layout.slot(self._plan.session_id, number)))

    async def run(self, mailbox: Mailbox[Message]) -> None:
        """Serve each request in a task of its own; a refused one is its asker's error, not a crash."""
        async with trio.open_nursery() as nursery:
            async for message in mailbox:
                nursery.start_soon(self._serve, message)
            nursery.cancel_scope.cancel()

    async def _serve(self, message: Message) -> None:
        match message:
            case OpenSession(reply):
                await _answer(reply, self._open_session)
            case DetachSession(reply):
                await _answer(reply, self._detach)
            case AttachSession(reply):
                await _answer(reply, self._attach)
            case RestoreSession(head, reason, reply):
                await _answer(reply, lambda: self._restore(head, reason))
            case CloseSession(rescue, reply):
                await _answer(reply, lambda: self._close_session(rescue=rescue))
            case Lease(reply=reply):
                await _answer(reply, lambda: self._lease(message))
            case Rescue(reply=reply):
                await _answer(reply, lambda: self._rescue(message))
            case Release(leased, condition, reply):
                await _answer(reply, lambda: self._release(leased, condition))
            case Forget(branch):
                await self._forget(branch)

    # -- the session worktree ------------------------------------------------------------------------------------------
    @property
    def _session_path(self) -> str:
        return str(self._layout.session_worktree(self._plan.session_id))

    async def _open_session(self) -> str:
        path = self._session_path
        if not Path(path, ".git").exists():
            intent = await record(
                self._recorder,
                events.WorktreeCreateIntended(
                    path=path, branch=self._plan.branch, base_commit=self._plan.base_commit
                ),
            )
            await self._make(intent, path, self._plan.base_commit, self._plan.branch)
        return path

    async def _make(self, intent: int, path: str, commit: str, branch: str | None) -> Worktree:
        """Make a worktree and record what came of it."""
        try:
            made = await self._worktrees.add(path, commit, branch)
        except ProdigyError as error:
            failed = events.WorktreeCreateFailed(intent=intent, path=path, message=str(error))
            await record(self._recorder, failed)
            raise
        await record(self._recorder, events.WorktreeCreated(intent=intent, path=path))
        return made

    async def _detach(self) -> None:
        await self._worktrees.detach(self._worktrees.open(self._session_path))

    async def _attach(self) -> None:
        await self._worktrees.sync(self._worktrees.open(self._session_path), self._plan.branch)

    async def _restore(self, head: str, reason: str) -> None:
        """Keep commits and changes that no record speaks of, then stand where the journal says."""
        worktree = self._worktrees.open(self._session_path)
        seq = self._ledger.state.seq
        ref = f"refs/prodigy/rescue/{self._plan.job_id}/-/{seq}"
        await self._keep(self._session_path, ref, head, reason)
        await self._worktrees.move_branch(self._plan.branch, head)
        await self._worktrees.overwrite(worktree, self._plan.branch)

    async def _close_session(self, *, rescue: bool) -> None:
        """Remove slots first, then the session worktree, then every branch of the run."""
        slots = [path for path in await self._slot_paths() if path not in self._kept]
        branches = await self._own_branches()
        if rescue:
            await self._rescue_all((*slots, self._session_path), branches)
        removed = events.WorktreeRemoveIntended(path=self._session_path, branches=branches)
        intent = await record(self._recorder, removed)
        for path in (*slots, self._session_path):
            await self._worktrees.remove(path)
        gone = await self._worktrees.delete_branches(branches)
        await trio.to_thread.run_sync(_remove_empty, self._pool, self._layout.worktrees)
        self._idle, self._leased = [], {}
        await record(
            self._recorder, events.WorktreeCleaned(intent=intent, path=self._session_path, branches=gone)
        )

    async def _own_branches(self) -> tuple[str, ...]:
        """The agents' branches that are left, then the session's."""
        agents = await self._worktrees.branches(f"prodigy-{ids.tail_of(self._plan.job_id)}-agent-")
        return (*agents, self._plan.branch)

    async def _rescue_all(self, paths: Sequence[str], branches: Sequence[str]) -> None:
        """Keep whatever the target branch does not contain: branches, then what else the worktrees hold."""
        target = await branch_tip(self._git, self._plan.original_branch) or self._plan.base_commit
        folder = f"refs/prodigy/rescue/{self._plan.job_id}/-"
        kept: set[str] = set()
        for branch in branches:
            tip = await branch_tip(self._git, branch)
            if tip is not None and not await is_ancestor(self._git, tip, target):
                kept.add(tip)
                ref = await keep_commit(self._git, f"{folder}/{branch}", tip)
                reason = "its branch was removed"
                await record(self._recorder, WorktreeRescued(ref=ref, sha=tip, reason=reason))
        for path in paths:
            if Path(path, ".git").exists():
                head = await ref_tip(self._git.inside(path), "HEAD")
                base = head if head in kept else target
                reason = "cleaned up before it was merged"
                await self._keep(path, f"{folder}/{Path(path).name}", base or target, reason)

    # -- slots -----------------------------------------------------------------------------------------------------------
    async def _lease(self, wanted: Lease) -> Leased:
        held = next((n for n, agent in self._ledger.state.leases.items() if agent == wanted.agent_id), None)
        if held is not None:  # it was leased and recorded before this actor was started again
            return self._leased_to(self._leased[held], wanted)
        slot = await self._take()
        try:
            await self._prepare(slot, wanted)
        except BaseException:
            slot.worktree = None
            await self._give_back(slot)
            raise
        await record(
            self._recorder,
            events.WorktreeLeased(
                slot=slot.number, item_id=wanted.item_id, agent_id=wanted.agent_id, base_commit=wanted.base
            ),
        )
        return self._leased_to(slot, wanted)

    @staticmethod
    def _leased_to(slot: _Slot, wanted: Lease) -> Leased:
        return Leased(slot.number, slot.path, wanted.item_id, wanted.agent_id, wanted.branch)

    async def _take(self) -> _Slot:
        async with self._slot_freed:
            while not self._idle and len(self._leased) >= self._plan.max_parallel:
                await self._slot_freed.wait()
            if self._idle:
                slot = self._idle.pop()
            else:
                self._made += 1
                slot = self._slot(self._made)
            self._leased[slot.number] = slot
            return slot

    async def _give_back(self, slot: _Slot) -> None:
        with trio.CancelScope(shield=True):
            async with self._slot_freed:
                self._leased.pop(slot.number, None)
                self._idle.append(slot)
                self._slot_freed.notify()

    async def _prepare(self, slot: _Slot, wanted: Lease) -> None:
        """Reset the slot, or make it, and hand on the session's own untracked ``.prodigy`` files."""
        await self._reset(slot, wanted)
        own = Path(self._session_path, OWN_FOLDER)
        if own.is_dir():
            await trio.to_thread.run_sync(_copy_missing, own, Path(slot.path, OWN_FOLDER))

    async def _reset(self, slot: _Slot, wanted: Lease) -> None:
        """Whatever of the attempt's branch an earlier crash left is dropped first."""
        await self._worktrees.delete_branches((wanted.branch,))
        if slot.worktree is not None:
            try:
                await self._worktrees.reset(slot.worktree, wanted.base, wanted.branch)
            except SlotDoubtful:
                slot.worktree = None
            else:
                return
        slot.worktree = await self._worktrees.renew(slot.path, wanted.base, wanted.branch)

    async def _rescue(self, wanted: Rescue) -> str | None:
        ref = ids.rescue_ref(self._plan.job_id, wanted.leased.item_id, wanted.attempt)
        return await self._keep(wanted.leased.path, ref, wanted.base, wanted.reason, wanted.leased)

    async def _keep(
        self, path: str, ref: str, base: str, reason: str, leased: Leased | None = None
    ) -> str | None:
        """Put everything beyond ``base`` under ``ref`` and record that, before anything can remove it."""
        kept = await rescue_work(self._git.inside(path), ref, base, reason)
        if kept is None:
            return None
        await record(
            self._recorder,
            WorktreeRescued(
                ref=kept.ref,
                sha=kept.sha,
                reason=reason,
                item_id=leased.item_id if leased else None,
                agent_id=leased.agent_id if leased else None,
            ),
        )
        return kept.ref

    async def _release(self, leased: Leased, condition: Condition) -> None:
        slot = self._leased[leased.slot]
        if condition is not Condition.GOOD:
            slot.worktree = None
        await record(
            self._recorder,
            events.WorktreeReleased(slot=leased.slot, item_id=leased.item_id, agent_id=leased.agent_id),
        )
        if condition is Condition.KEEP:
            self._kept.add(slot.path)
            self._made += 1
            slot = self._slot(self._made)
            self._leased.pop(leased.slot)
        await self._give_back(slot)

    async def _forget(self, branch: str) -> None:
        self._merged.append(branch)
        if len(self._merged) >= FORGET_BATCH:
            batch, self._merged = tuple(self._merged), []
            try:
                gone = await self._worktrees.delete_branches(batch)
            except ProdigyError:
                gone = ()  # they stay until the session is closed
            self._merged += [name for name in batch if name not in gone]


async def _answer(reply: Reply[T], act: Callable[[], Awaitable[T]]) -> None:
    """Send what ``act`` returns, or fail the asker with what it raises; only bugs go further."""
    try:
        value = await act()
    except ProdigyError as error:
        reply.fail(error)
    else:
        reply.send(value)


def _copy_missing(source: Path, target: Path) -> None:
    """Copy the files of a folder that the other one does not have: what git tracks is there already."""
    for file in source.rglob("*"):
        copy = target / file.relative_to(source)
        if file.is_file() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy, follow_symlinks=False)


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


async def close_session(workspaces: WorkspacesRef, *, rescue: bool = False) -> None:
    """Remove every worktree and branch of the run; with ``rescue``, keep what is not merged under refs first."""
    await persistently(workspaces, partial(CloseSession, rescue))


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
