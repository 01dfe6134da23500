"""What steps change outside their worktree, in what they share with the user: told, and undone where that is exact.

After every attempt and every phase: branches that an attempt made beside its own move to rescue refs; what it left on
the stash is kept under a ref and taken off; what is gone from the stash is put back. The configuration is put back as
soon as nobody runs who may count on it. Other refs are only told: the user moves them as well. So is, at the end of a
run, that HEAD, index or files of the user's checkout are not as they were at its beginning.
"""

from pathlib import Path
from typing import Literal

import trio
from msgspec import Struct, structs

from prodigy.actors.keeping import Keeper
from prodigy.actors.recorder import RecorderRef, record
from prodigy.events import Phase, SharedStateChanged
from prodigy.git.checkout import Checkout, changed, look
from prodigy.git.cli import Git, GitFailed
from prodigy.git.shared import Commons, Difference, Shared, Stashed, compare

What = Literal["config", "stash", "refs", "checkout"]
_MOST_NAMES = 200
_RUNS = ("WIP on prodigy-", "On prodigy-")


class Whose(Struct, frozen=True, kw_only=True):
    """Whose steps ended: an attempt's, or a phase's."""

    phase: Phase
    path: str
    """Their worktree."""
    branch: str
    """The one that they worked on."""
    agent_id: str | None = None


class Watch:
    """Compares, for one run.

    Args:
        git: in the user's repository, at the top of the main worktree if it has one.
        keeper: makes rescue refs.
        recorder: told of what changed.
        checkout: how the main worktree stood when the run began; without it, the first look is the beginning.
    """

    def __init__(
        self, git: Git, keeper: Keeper, recorder: RecorderRef, checkout: Checkout | None = None
    ) -> None:
        self._git = git
        self._commons = Commons(git)
        self._keeper = keeper
        self._recorder = recorder
        self._known: Shared | None = None
        self._checkout = checkout
        self._config = b""
        """As it was before any step."""
        self._branches: dict[str, frozenset[str]] = {}
        """Those that there were before an attempt began, by its agent's id."""
        self._turn = trio.Lock()

    async def begin(self) -> None:
        """Remember how everything stands, unless that was done before."""
        async with self._turn:
            if self._known is None:
                self._known = await self._commons.look()
                self._config = self._known.config
                if self._checkout is None and Path(self._git.cwd, ".git").exists():
                    self._checkout = await look(self._git)

    async def expect(self, agent_id: str) -> None:
        """Remember which branches there are before an attempt begins."""
        self._branches[agent_id] = (await self._commons.look()).branches

    async def ended(self, whose: Whose, *, alone: bool) -> None:
        """Look at what somebody's steps left behind.

        Args:
            whose: who they are.
            alone: whether nobody else's steps run.
        """
        await self.begin()
        async with self._turn:
            assert self._known is not None, "it has begun"
            acted = await self._strays(whose)
            found = await self._commons.look()
            difference = compare(self._known, found)
            if difference:
                acted = True
                await self._answer(whose, self._known, found, difference)
            self._known = found
            if alone:
                acted |= await self._restore(whose, found.config)
            left = await self._commons.look() if acted else found
            running = () if alone else tuple(entry for entry in left.stash if entry.message.startswith(_RUNS))
            self._known = structs.replace(
                left, stash=tuple(entry for entry in left.stash if entry not in running)
            )

    async def quiet(self, whose: Whose) -> None:
        """Undo what had to wait for the end of the last agent."""
        async with self._turn:
            if self._known is not None:
                await self._restore(whose, (await self._commons.look()).config)

    async def at_the_end(self, whose: Whose) -> None:
        """Tell what became of the user's checkout meanwhile; that may have been its user."""
        if self._checkout is not None:
            before, self._checkout = self._checkout, await look(self._git)
            names = changed(before, self._checkout)
            if names:
                await self._tell(whose, "checkout", names[:_MOST_NAMES])

    # -- parts ---------------------------------------------------------------------------------------------------------
    async def _strays(self, whose: Whose) -> bool:
        """Whether there were any."""
        if whose.agent_id is None:
            return False
        before = self._branches.pop(whose.agent_id, None)
        return before is not None and await self._keeper.strays(
            whose.path, before, whose.branch, whose.agent_id
        )

    async def _answer(self, whose: Whose, before: Shared, found: Shared, difference: Difference) -> None:
        """Tell what is different, and undo what is exact; the configuration has to wait."""
        if difference.config:
            await self._tell(whose, "config", await self._commons.changed_keys(before.config, found.config))
        if difference.refs and whose.phase != "merge":  # whose steps are there to move one
            await self._tell(whose, "refs", difference.refs)
        for entry in difference.pushed:
            await self._pushed(whose, entry)
        for entry in reversed(difference.popped):
            await self._popped(whose, entry)

    async def _pushed(self, whose: Whose, entry: Stashed) -> None:
        """An entry whose message names the branch of these steps is theirs; of no branch, it may be."""
        if entry.message.startswith((f"WIP on {whose.branch}:", f"On {whose.branch}:")):
            await self._keeper.stashed(entry.sha, whose.agent_id)
            await self._tell(whose, "stash", (entry.message,), undone=await self._commons.unstash(entry))
        elif entry.message.startswith(("WIP on (no branch):", "On (no branch):")):
            await self._tell(whose, "stash", (entry.message,))

    async def _popped(self, whose: Whose, entry: Stashed) -> None:
        try:
            await self._commons.stash_again(entry)
        except GitFailed:  # its commit is gone
            await self._tell(whose, "stash", (entry.message,))
        else:
            await self._tell(whose, "stash", (entry.message,), undone=True)

    async def _restore(self, whose: Whose, now: bytes) -> bool:
        """Whether the configuration was not as it had been, whatever came of putting it back."""
        if now == self._config:
            return False
        keys = await self._commons.changed_keys(self._config, now)
        if await self._commons.restore_config(self._config, now):
            await self._tell(whose, "config", keys, undone=True)
            assert self._known is not None
            self._known = structs.replace(self._known, config=self._config)
        return True

    async def _tell(self, whose: Whose, what: What, names: tuple[str, ...], *, undone: bool = False) -> None:
        told = SharedStateChanged(
            what=what, names=names, undone=undone, phase=whose.phase, agent_id=whose.agent_id
        )
        await record(self._recorder, told)
