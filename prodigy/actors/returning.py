"""After an interruption: worktrees are brought to where their steps go on, and slots that nobody works in are freed.

What a worktree holds that no record speaks of is kept under a rescue ref before it is changed. Everything here can be
done twice: who is interrupted over it does it again.
"""

from collections.abc import Collection, Mapping

import trio
from msgspec import Struct

from prodigy import ids
from prodigy.actors.keeping import Keeper
from prodigy.actors.recorder import Ledger
from prodigy.actors.slots import Condition, Leased, Slots
from prodigy.errors import ProdigyError
from prodigy.events import StepCompleted, StepFailed, StepIntended
from prodigy.git.cli import Git
from prodigy.git.evidence import snapshot
from prodigy.git.repository import branch_tip
from prodigy.git.worktrees import Worktrees
from prodigy.job.leases import goes_on, item_of
from prodigy.job.standing import Seen, Standing, left_at, stand
from prodigy.job.state import ItemState

_REASON = "it was interrupted"


class Cut(Struct, frozen=True, kw_only=True):
    """Steps that were interrupted: where they ran, and what is recorded of them."""

    path: str
    branch: str
    base: str
    """The commit that they began with."""
    outcomes: Mapping[str, StepCompleted | StepFailed]
    """In the order of the records."""
    cut_off: tuple[StepIntended, ...]
    """Intents without an outcome."""
    finished: bool = False
    """Whether what they did is the work of a launch of Claude that had come to its end."""
    reason: str = _REASON
    leased: Leased | None = None
    """The slot, if they are an agent's."""
    attempt: int = 1


class Returning:
    """Brings back the worktrees of one run.

    Args:
        git: in the user's repository.
        ignore: the setting that makes git ignore what the run's steps ignore.
        worktrees: changes them.
        slots: the pool of the map phase.
        keeper: makes rescue refs.
        ledger: what is recorded by now.
    """

    def __init__(
        self,
        git: Git,
        ignore: str,
        worktrees: Worktrees,
        slots: Slots,
        keeper: Keeper,
        ledger: Ledger,
    ) -> None:
        self._git = git.having(ignore)
        self._ignore = ignore
        self._worktrees = worktrees
        self._slots = slots
        self._keeper = keeper
        self._ledger = ledger
        self._reclaiming = trio.Lock()
        """Several may ask for the same slot, and it is rescued and freed once."""

    async def stand(self, cut: Cut) -> Standing:
        """Make a worktree fit for its steps to go on, and say where they do.

        Raises:
            SlotDoubtful: it is not a worktree any more.
            ProdigyError: it could not be looked at, rescued or changed.
        """
        worktree = self._worktrees.open(cut.path)
        if await branch_tip(self._git, cut.branch) is None:
            await self._worktrees.move_branch(cut.branch, left_at(cut.outcomes, cut.base))
        await self._worktrees.mend(worktree, cut.branch)
        found = await snapshot(self._git.inside(cut.path))
        seen = Seen(head=found.head, dirty=bool(found.dirty), at_home=found.branch == cut.branch)
        standing = stand(cut.outcomes, cut.cut_off, cut.base, seen, finished=cut.finished)
        if standing.restore:
            await self._keep(cut, standing.head)
            await self._worktrees.move_branch(cut.branch, standing.head)
            await self.overwrite(cut.path, cut.branch)
        return standing

    async def _keep(self, cut: Cut, head: str) -> None:
        if cut.leased is None:
            await self._keeper.phase(cut.path, self._ledger.state.seq, head, cut.reason)
        else:
            whose = cut.leased
            await self._keeper.attempt(cut.path, whose.item_id, whose.agent_id, cut.attempt, head, cut.reason)

    async def overwrite(self, path: str, branch: str | None) -> None:
        """Give a worktree the files of a branch, or of its HEAD and no branch; ignored files stay."""
        await self._worktrees.overwrite(self._worktrees.open(path), branch, self._ignore)

    async def clear(self, path: str, branch: str) -> None:
        """Let a worktree stand off its branch with nothing uncommitted, whatever was cut off in it."""
        worktree = self._worktrees.open(path)
        await self._worktrees.mend(worktree, branch)
        found = await snapshot(self._git.inside(path))
        if found.dirty:
            await self._keeper.phase(path, self._ledger.state.seq, found.head or "HEAD", _REASON)
            await self.overwrite(path, None)

    async def reclaim(self, gone: Collection[str]) -> None:
        """Free the slots that are leased to agents which are gone and will not go on.

        One whose work cannot be rescued is left alone, and another takes its place.
        """
        async with self._reclaiming:
            for number, agent in list(self._ledger.state.leases.items()):
                if agent in gone and self._ledger.state.leases.get(number) == agent:
                    await self._free(number, ids.AgentId(agent))

    async def _free(self, number: int, agent: ids.AgentId) -> None:
        state = self._ledger.state
        item = item_of(state, agent)
        if item is None or goes_on(state, agent):
            return
        leased = Leased(number, self._slots.path(number), item.item_id, agent, "")
        try:
            await self._rescue(leased, item)
        except ProdigyError:
            await self._slots.release(leased, Condition.KEEP)
        else:
            await self._slots.release(leased, Condition.DOUBTFUL)

    async def _rescue(self, leased: Leased, item: ItemState) -> None:
        _, attempt = ids.place_of(leased.agent_id)
        finished = item.head if item.agent_id == leased.agent_id else None
        phase = self._ledger.state.phases.get("map")  # none yet where a retry begins
        start = self._ledger.state.tip if phase is None else phase.base_commit
        base = finished or item.base_commit or start
        assert base is not None, "the run has begun"
        await self._keeper.attempt(leased.path, leased.item_id, leased.agent_id, attempt, base, _REASON)
