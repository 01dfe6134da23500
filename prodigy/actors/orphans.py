"""Worktrees and branches of ours that no journal lays claim to any more: finding them, keeping their work, removing them.

Each run's lock is held while something of its name is removed, so nobody can take the run up meanwhile. There is no
journal to write into, or one that is closed: what is kept is told by its refs.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path

import trio
from msgspec import Struct

from prodigy import ids
from prodigy.actors import launch
from prodigy.git.cli import Git
from prodigy.git.orphans import Branch, Place, holds_work, is_kept, keep_folder, lookalikes
from prodigy.git.rescue import keep_commit
from prodigy.git.worktrees import Worktrees, remove_empty
from prodigy.paths import PROJECT_FOLDER, Layout, Storage
from prodigy.store.claims import Claims, claims
from prodigy.store.locks import JobLock

ELSEWHERE = "a worktree that is not ours has it checked out"


class Orphan(Struct, frozen=True, kw_only=True):
    """Something that nobody claims; ``precious`` if it holds work that is nowhere else."""

    thing: Place | Branch
    precious: bool

    @property
    def name(self) -> str:
        """A path, or the name of a branch."""
        return self.thing.path if isinstance(self.thing, Place) else self.thing.name

    @property
    def tail(self) -> str:
        """Of the run's name that it bears."""
        return self.thing.tail


class Found(Struct, frozen=True):
    """What nobody claims, and what looks like it and has to stay, with the reason."""

    orphans: list[Orphan]
    spared: list[tuple[str, str]]


class Orphanage:
    """The orphans of one repository.

    Args:
        layout: where its worktrees lie.
        git: in the repository.
        storages: wherever runs of it may be kept.
    """

    def __init__(self, layout: Layout, git: Git, storages: Sequence[Storage]) -> None:
        self._layout = layout
        self._storages = storages
        self._git = git
        self._worktrees = Worktrees(git, layout.git_lock)
        self._claims = Claims({})
        self._branches: list[str] = []

    async def find(self, tail: str | None = None) -> Found:
        """What nobody claims; with ``tail`` only what bears that name."""
        seen = await lookalikes(self._git, self._layout.worktrees)
        self._claims = await trio.to_thread.run_sync(
            claims, self._storages, self._layout.repo
        )  # after the look: see there
        places = [place for place in seen.places if not self._claimed(place)]
        loose = {place.path for place in places}
        unclaimed = [one for one in seen.branches if not self._claims.holds_branch(one.tail)]
        free = [one for one in unclaimed if one.held_by is None or one.held_by in loose]
        self._branches = [one.name for one in free]
        things: list[Place | Branch] = [*places, *free]
        orphans = [Orphan(thing=one, precious=await self._is_precious(one)) for one in things]
        return Found(
            [orphan for orphan in orphans if tail in {None, orphan.tail}],
            [(one.name, ELSEWHERE) for one in unclaimed if one not in free and tail in {None, one.tail}],
        )

    async def remove(self, orphans: Sequence[Orphan], now: datetime, argv: Sequence[str]) -> dict[str, str]:
        """Remove them; the refs that keep what was precious, by the names of the things.

        Raises:
            RunError: ``already-running``: somebody took the run up; what was not removed yet stays.
        """
        refs: dict[str, str] = {}
        for tail in sorted({orphan.tail for orphan in orphans}):
            with self._lock(tail, now, argv):
                await self._remove([orphan for orphan in orphans if orphan.tail == tail], refs)
        return refs

    def _claimed(self, place: Place) -> bool:
        return self._claims.holds_folder(place.tail, place.path, slot=place.slot)

    async def _is_precious(self, thing: Place | Branch) -> bool:
        if isinstance(thing, Branch):
            return not await is_kept(self._git, thing.tip, self._branches)
        return thing.there and await holds_work(self._git, thing.path, self._branches)

    def _lock(self, tail: str, now: datetime, argv: Sequence[str]) -> AbstractContextManager[object]:
        run = self._claims.run_of(tail)
        if run is None:
            return nullcontext()
        return JobLock.acquire(run.layout.job_lock(run.job_id), since=now, argv=argv)

    async def _remove(self, orphans: Sequence[Orphan], refs: dict[str, str]) -> None:
        """Keep first: branches, then what else the folders hold; then remove folders, and the branches they had."""
        branches = [orphan.thing for orphan in orphans if isinstance(orphan.thing, Branch)]
        places = [orphan.thing for orphan in orphans if isinstance(orphan.thing, Place)]
        for branch in branches:
            if not await is_kept(self._git, branch.tip, self._branches):
                refs[branch.name] = await keep_commit(
                    self._git, self._ref(branch.tail, branch.name), branch.tip
                )
        for place in places:
            if place.there:
                ref = self._ref(place.tail, Path(place.path).name)
                kept = await keep_folder(self._git, place.path, ref, self._branches)
                refs |= {place.path: kept} if kept is not None else {}
            await self._worktrees.remove(place.path)
            parent = Path(place.path).parent
            await trio.to_thread.run_sync(remove_empty, parent, self._layout.worktrees)
        await self._worktrees.delete_branches([branch.name for branch in branches])

    def _ref(self, tail: str, name: str) -> str:
        run = self._claims.run_of(tail)
        return f"{ids.rescue_folder(run.job_id if run is not None else f'orphaned-{tail}')}/-/{name}"


async def orphanage(place: Path, home: Path, environ: Mapping[str, str], now: datetime) -> Orphanage:
    """The orphans of the repository around ``place``.

    Raises:
        MachineError: as ``launch.survey``.
    """
    ground = await launch.survey(place, environ)
    under_home = Storage(home)
    layout = launch.layout_for(under_home, ground, now)
    in_project = Storage(home, Path(ground.repository.root, PROJECT_FOLDER), layout.repo)
    return Orphanage(layout, ground.git, (under_home, in_project))


def tail_of(name: str) -> str:
    """The tail of a run's name, of a journal that need not be there any more."""
    try:
        return ids.tail_of(name)
    except ValueError:
        return name
