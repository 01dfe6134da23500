"""The slots of a map phase: pooled worktrees, one per running agent, verified clean before each lease.

At most as many exist as agents run at a time. A slot is reused after a reset; one in doubt is made anew; one that holds
what could not be rescued is never touched again and its place is taken by another. From the moment that a slot is begun
to be made for an agent until it is given back it is that agent's: it is given back once, whoever asks how often.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

import msgspec
import trio

from prodigy import events, ids
from prodigy.actors.recorder import Ledger, RecorderRef, all_recorded, record
from prodigy.errors import ProdigyError, RunError
from prodigy.git.included import copy_missing, holds_anything
from prodigy.git.reuse import SlotDoubtful, Worktree
from prodigy.git.traces import Basis, Residue
from prodigy.git.worktrees import Worktrees
from prodigy.ids import SessionId
from prodigy.job.leases import is_over
from prodigy.paths import Layout

OWN_FOLDER = ".prodigy"
"""What setup leaves here untracked reaches the agents, and is never committed."""
FORGET_BATCH = 32
"""Merged branches are deleted so many at a time."""
SEEN_FOR = 60.0
"""Seconds for which what was seen in an idle slot counts: somebody may look around in it."""


class Condition(Enum):
    """In what state a slot comes back."""

    GOOD = "good"
    """It may be reset."""
    DOUBTFUL = "doubtful"
    """It must be made anew."""
    KEEP = "keep"
    """It holds what could not be rescued: it is not touched again."""


class Leased(msgspec.Struct, frozen=True):
    """A slot in somebody's hands."""

    slot: int
    path: str
    item_id: str
    agent_id: ids.AgentId
    branch: str
    basis: Basis | None = None
    """What was kept of it before anybody worked in it; ``None`` if somebody has, or nothing was kept."""


class _Slot(msgspec.Struct):
    number: int
    path: str
    holder: ids.AgentId | None = None
    """Whose it is, or for whom it is being made; ``None`` from when it is given back."""
    worktree: Worktree | None = None
    """``None`` until it is made, and again when it is in doubt, or was not needed for long."""
    residue: Residue | None = None
    """How its last user left it, if that is known."""
    idle_since: float = 0.0
    """On the event loop's clock."""


class Slots:
    """The pool of one run.

    Args:
        layout, session_id: where the slots lie.
        keep: ignore patterns of what survives a reset.
        included: folder of the files that every slot gets.
        limit: how many may be leased at a time, as far as it is known now.
        worktrees: makes, resets and removes them.
        ledger, recorder: what is known, and where it is written.
    """

    def __init__(
        self,
        layout: Layout,
        session_id: SessionId,
        keep: Sequence[str],
        included: Path,
        limit: Callable[[], int],
        worktrees: Worktrees,
        ledger: Ledger,
        recorder: RecorderRef,
    ) -> None:
        self._layout = layout
        self._session_id = session_id
        self._keep = keep
        self._included = included
        self._own = layout.session_worktree(session_id) / OWN_FOLDER
        self._limit = limit
        self._worktrees = worktrees
        self._ledger = ledger
        self._recorder = recorder
        self._idle: list[_Slot] = []
        self._leased: dict[int, _Slot] = {}
        self._aside: set[int] = set()
        """Of those leased, the ones that nobody works in any more: others take their places."""
        self._made = 0
        self._merged: list[str] = []
        self._freed = trio.Condition()
        self._refused = False

    @property
    def folder(self) -> Path:
        """Where the slots of this run lie."""
        return self._layout.slot(self._session_id, 1).parent

    def path(self, number: int) -> str:
        """Where a slot lies."""
        return self._slot(number).path

    async def recover(self) -> None:
        """After a crash in mid-phase: what is recorded as leased stays so; whatever else there is is removed.

        What was told before the crash is recorded first: a lease may be among it.
        """
        await all_recorded(self._recorder)
        state = self._ledger.state
        for number, agent in state.leases.items():
            slot = self._leased[number] = self._slot(number)
            slot.holder = ids.AgentId(agent)
            if is_over(state, agent):
                self._aside.add(number)
        self._made = max(self._leased, default=0)
        if state.phase == "map" and state.status == "running":
            for path in await self.paths(idle_only=True):
                await self._worktrees.remove(path)

    async def paths(self, *, idle_only: bool = False) -> list[str]:
        """Every slot that git has on its list, or that was never made to its end; not, ``idle_only``, those recorded as leased."""
        held = self.leased_paths() if idle_only else []
        listed = await self._worktrees.registered(str(self.folder))
        every = {*(entry.path for entry in listed), *map(str, self.folder.glob("slot-*"))}
        return sorted(every - {*held})

    def leased_paths(self) -> list[str]:
        """The slots recorded as leased: only they can hold what was not rescued yet."""
        return [self._slot(number).path for number in self._ledger.state.leases]

    async def lease(self, item_id: str, agent_id: ids.AgentId, branch: str, base: str) -> Leased:
        """A clean worktree at ``base`` on a new branch; waits while all are leased."""
        number, kept = self._number_of(agent_id), None
        if number is None:
            slot = await self._take(agent_id)
            try:
                await self._prepare(slot, branch, base)
            except BaseException:
                slot.worktree = None
                await self._give_back(slot)
                raise
            number = slot.number
            assert slot.worktree is not None, "it was made"
            kept = self._worktrees.basis(slot.worktree, base)
            leased = events.WorktreeLeased(slot=number, item_id=item_id, agent_id=agent_id, base_commit=base)
            await record(self._recorder, leased)
        return Leased(number, self._slot(number).path, item_id, agent_id, branch, kept)

    async def release(self, leased: Leased, condition: Condition, residue: Residue | None = None) -> None:
        """Take a slot back; one that is kept stays leased for good, as far as the journal knows.

        Nothing happens where it has been given back already: it may be another's by now.
        """
        slot = self._leased.get(leased.slot)
        if slot is None or slot.holder != leased.agent_id:
            return
        if condition is Condition.KEEP:
            await self._set_aside(slot)
            return
        slot.holder = None
        released = events.WorktreeReleased(slot=leased.slot, item_id=leased.item_id, agent_id=leased.agent_id)
        await record(self._recorder, released)
        slot.residue = residue
        if condition is Condition.DOUBTFUL:
            slot.worktree = None
        await self._give_back(slot)

    async def thin_out(self, limit: float) -> None:
        """Remove every slot that nobody needed for ``limit`` seconds; its place is there for another. For ever."""
        while True:
            due = [slot.idle_since + limit for slot in self._idle if slot.worktree is not None]
            await trio.sleep_until(min(due, default=trio.current_time() + limit))
            while (slot := self._unneeded(limit)) is not None:
                self._idle.remove(slot)
                try:
                    with suppress(ProdigyError):  # it is made anew when it is needed
                        await self._worktrees.remove(slot.path)
                finally:
                    slot.worktree = None
                    self._idle.insert(0, slot)

    def _unneeded(self, limit: float) -> _Slot | None:
        before = trio.current_time() - limit
        return next(
            (slot for slot in self._idle if slot.worktree is not None and slot.idle_since <= before), None
        )

    async def refuse(self) -> None:
        """Give out no slot from now on, and let nobody wait for one."""
        self._refused = True
        async with self._freed:
            self._freed.notify_all()

    async def forget(self, branch: str) -> None:
        """A branch is merged: delete it, with others, when there are enough of them."""
        self._merged.append(branch)
        if len(self._merged) >= FORGET_BATCH:
            batch, self._merged = tuple(self._merged), []
            try:
                gone = await self._worktrees.delete_branches(batch)
            except ProdigyError:
                gone = ()  # they stay until the session is closed
            self._merged += [name for name in batch if name not in gone]

    def _slot(self, number: int) -> _Slot:
        return _Slot(number, str(self._layout.slot(self._session_id, number)))

    def _number_of(self, agent_id: ids.AgentId) -> int | None:
        """The slot that an agent holds already: leased and recorded before this actor was started again."""
        leases = self._ledger.state.leases
        return next((number for number, holder in leases.items() if holder == agent_id), None)

    async def _take(self, agent_id: ids.AgentId) -> _Slot:
        async with self._freed:
            while not (self._refused or self._idle) and self._at_work >= self._limit():
                await self._freed.wait()
            if self._refused:
                raise RunError(
                    "worktree-error", "No worktree is given out any more: the run is being stopped"
                )
            if not self._idle:
                self._made += 1
                self._idle.append(self._slot(self._made))
            slot = self._idle.pop()
            slot.holder = agent_id
            self._leased[slot.number] = slot
            return slot

    @property
    def _at_work(self) -> int:
        return len(self._leased) - len(self._aside)

    async def _set_aside(self, slot: _Slot) -> None:
        async with self._freed:
            self._aside.add(slot.number)
            self._freed.notify()

    async def _give_back(self, slot: _Slot) -> None:
        with trio.CancelScope(shield=True):
            async with self._freed:
                del self._leased[slot.number]
                self._aside.discard(slot.number)
                slot.holder = None
                slot.idle_since = trio.current_time()
                self._idle.append(slot)
                self._freed.notify()

    async def _prepare(self, slot: _Slot, branch: str, base: str) -> None:
        """Make the slot clean, and give it the run's included files and the session's own untracked ``.prodigy``."""
        await self._make_clean(slot, branch, base)
        for source, target in ((self._included, slot.path), (self._own, f"{slot.path}/{OWN_FOLDER}")):
            if holds_anything(source):
                await trio.to_thread.run_sync(copy_missing, source, Path(target))

    async def _make_clean(self, slot: _Slot, branch: str, base: str) -> None:
        # What outlives its agent may write into any slot at any time.
        outlived = any(one.until != "agent" for one in self._ledger.state.detached)
        stale = trio.current_time() - slot.idle_since > SEEN_FOR
        residue, slot.residue = None if outlived or stale else slot.residue, None
        if slot.worktree is not None:
            try:
                await self._worktrees.reset(slot.worktree, base, branch, self._keep, residue)
            except SlotDoubtful:
                slot.worktree = None
            else:
                return
        # An earlier crash may have left the branch behind: it is as obsolete as the worktree.
        slot.worktree = await self._worktrees.renew(slot.path, base, branch, obsolete=(branch,))
