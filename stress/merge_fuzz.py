"""5,000 hostile pairs of commits: our merge and ``git merge`` in a worktree agree on verdicts, trees and conflicting paths.

Each round is a repository with settings of its own, so that both ways to merge are taken: without files, and where
drivers or settings ask for it, with them.
"""

import os
import random
import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import trio

from prodigy.errors import ProdigyError
from prodigy.git.bench import trust_index
from prodigy.git.cli import Git, readable
from prodigy.git.forge import Forge, open_forge
from prodigy.git.local import TrioRunner
from prodigy.git.merge import Conflict, merge
from prodigy.git.repository import discover
from stress._inspection import MIB, inspected
from stress._merge_pairs import pair, stream
from stress._report import Report, scaled

KIND = "stress"
PAIRS = 5_000
ROUND = 50
"""Pairs in one repository."""
ROOMS = os.cpu_count() or 1
CONFLICTS = 0.2
"""Part of the pairs that has to conflict: agreeing about what is easy proves little."""

KEPT = 48 * MIB
"""Bytes that the allocator may keep of rounds, whose files of huge lines come and go."""

SETTINGS: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {"merge.renames": "false"},
    {"merge.directoryRenames": "true"},
    {"merge.directoryRenames": "false", "merge.conflictStyle": "diff3"},
    {"merge.renameLimit": "1", "diff.renames": "copies"},
    {"merge.conflictStyle": "zdiff3"},
    {"core.autocrlf": "input"},
    {"merge.renormalize": "true"},
    {"merge.union.driver": "false", "merge.ff": "only"},
)

UNWRITTEN = "conflict that git could not write out"
"""It found what conflicts, and then failed or crashed putting that into its index: there are no paths to compare."""
_CRASHED_OVER_CONFLICT = re.compile(rb"^BUG: merge-ort\.c:\d+: Conflicted ", re.MULTILINE)

Verdict = tuple[str, str, tuple[str, ...]]
"""How it ended, the tree, and the paths that conflict; ``failed`` is a pair on which git itself gives up."""


@dataclass
class Course:
    """What came out so far."""

    counts: Counter[str] = field(default_factory=Counter)
    strategies: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        """How many there were."""
        return self.counts.total()


def main() -> int:
    """0 if there was no difference."""
    report = Report()
    course = Course()
    with (
        inspected(report, growth=KEPT) as inspection,
        tempfile.TemporaryDirectory(prefix="prodigy-merge-fuzz-") as folder,
    ):
        trio.run(compare, Course(), report.seed, 2 * ROOMS, Path(folder))
        inspection.mark()
        trio.run(compare, course, report.seed, scaled(PAIRS, least=ROUND), Path(folder))
    judge(report, course)
    return report.code


def judge(report: Report, course: Course) -> None:
    """Say how it went."""
    report.figure(f"{course.pairs} pairs: {_shown(course.counts)}")
    report.figure(f"made by {_shown(course.strategies)}")
    report.law(f"{len(course.differences)} differences", "\n".join(course.differences[:20]))
    conflicts = course.counts["conflict"] / course.pairs
    report.law(f"{conflicts:.0%} of them conflict (at least {CONFLICTS:.0%})", holds=conflicts >= CONFLICTS)


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


async def compare(course: Course, seed: int, pairs: int, folder: Path, in_round: int = ROUND) -> None:
    """Merge so many pairs both ways, several rounds at a time."""
    limit = trio.CapacityLimiter(ROOMS)
    async with trio.open_nursery() as nursery:
        for number, first in enumerate(range(0, pairs, in_round)):
            count = min(in_round, pairs - first)
            nursery.start_soon(_round, course, seed, number, count, folder, limit)


async def _round(
    course: Course, seed: int, number: int, pairs: int, folder: Path, limit: trio.CapacityLimiter
) -> None:
    async with limit:
        place = folder / str(number)
        arena = await make_arena(place, SETTINGS[number % len(SETTINGS)])
        chances = [random.Random(f"{seed}-{number}-{one}") for one in range(pairs)]
        await arena.git.run("fast-import", "--quiet", stdin=stream([pair(chance) for chance in chances]))
        for one in range(pairs):
            await arena.try_pair(course, one, f"{seed}-{number}-{one}")
        await arena.close()


@dataclass
class Arena:
    """A repository, and a worktree in which git merges."""

    git: Git
    forge: Forge
    place: Path
    settings: dict[str, str]

    async def try_pair(self, course: Course, number: int, name: str) -> None:
        """Merge one pair both ways."""
        git = self.git
        ours = (await git.run("rev-parse", f"refs/heads/ours-{number}")).text
        theirs = (await git.run("rev-parse", f"refs/heads/theirs-{number}")).text
        expected = await self._reference(ours, theirs)
        if expected[0] in {
            "failed",
            UNWRITTEN,
        }:  # over what it saw through a link, perhaps: let links be files
            expected = await self._reference(ours, theirs, "core.symlinks=false")
        found, strategy = await self._ours(number, ours, theirs)
        course.counts[expected[0]] += 1
        course.strategies[strategy] += 1
        if expected[0] == UNWRITTEN:  # where git itself merges for us, it gives up on us too
            unwritten = {"conflict", "failed"} if await self._git_merges(ours, theirs) else {"conflict"}
            found = (UNWRITTEN if found[0] in unwritten else found[0], found[1], ())
        if found != expected:
            course.differences.append(f"{name} {self.settings}: git {expected}, we {found}")

    async def _reference(self, ours: str, theirs: str, *settings: str) -> Verdict:
        """What ``git merge`` does, among the files of our side."""
        here = self.git.inside(str(self.place / "worktree")).having(*settings)
        await trio.to_thread.run_sync(_empty, self.place / "worktree")
        index = Path((await here.run("rev-parse", "--git-path", "index")).path)
        for file in (index, index.with_name("index.lock")):  # git crashes on some pairs, and leaves its lock
            file.unlink(missing_ok=True)
        await here.run("checkout", "--quiet", "--force", "--detach", ours, "--")
        await trust_index(here)
        done = await here.run("merge", "--no-ff", "-m", "m", theirs, ok=None)
        if done.code == 0:
            return "merged", (await here.run("rev-parse", "HEAD^{tree}")).text, ()
        unmerged = await here.run("ls-files", "--unmerged", "-z")
        if unmerged.fields:
            paths = {readable(entry.partition(b"\t")[2]) for entry in unmerged.fields}
            return "conflict", "", tuple(sorted(paths))
        unwritten = b"CONFLICT (" in done.stdout or _CRASHED_OVER_CONFLICT.search(done.stderr)
        return (UNWRITTEN if unwritten else "failed"), "", ()

    async def _ours(self, number: int, ours: str, theirs: str) -> tuple[Verdict, str]:
        try:
            done = await merge(self.forge, f"refs/heads/ours-{number}", theirs, "m")
        except ProdigyError:
            return ("failed", "", ()), "nothing"
        if isinstance(done, Conflict):
            # A file that gives way to a folder is named after its side, which without files has no name.
            paths = {path.replace(f"~{ours}", "~HEAD") for path in done.paths}
            return ("conflict", "", tuple(sorted(paths))), "nothing"
        return ("merged", (await self.git.run("rev-parse", f"{done.new}^{{tree}}")).text, ()), done.strategy

    async def _git_merges(self, ours: str, theirs: str) -> bool:
        """Whether our merge is git's own, in a worktree."""
        customs = await self.forge.customs.of(await self.forge.attributes.at(ours))
        return bool(customs) or not await self.forge.objects.one_base(ours, theirs)

    async def close(self) -> None:
        """Leave the disk as it was."""
        await self.forge.bench.close()
        await trio.to_thread.run_sync(shutil.rmtree, self.place)


def _empty(worktree: Path) -> None:
    """Remove all files, also those that no index knows."""
    for entry in worktree.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".git":
            entry.unlink()


async def make_arena(place: Path, settings: dict[str, str]) -> Arena:
    """A repository out of reach of anybody's configuration."""
    repository = place / "repository"
    repository.mkdir(parents=True)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "GIT_CONFIG_NOSYSTEM": "1",
        "TMPDIR": str(place),
    }
    git = Git(TrioRunner(), str(repository), environ)
    await git.run("init", "--quiet", "--initial-branch=main")
    for key, value in (
        {"user.name": "F", "user.email": "f@example.org", "core.fsync": "none"} | settings
    ).items():
        await git.run("config", key, value)
    await git.run("commit", "--quiet", "--allow-empty", "-m", "first")
    await git.run("worktree", "add", "--quiet", "--detach", str(place / "worktree"))
    found = await discover(git, str(repository))
    return Arena(git, await open_forge(found, git, place / "git.lock", place / "bench"), place, settings)
