"""500 branches that are ready merge into one in a repository of 20,000 files for at most 6 seconds of CPU.

Each branch changes a file of its own; they are made before anything is measured. Counted is this process with all its
children.
"""

import resource
import subprocess
import tempfile
import time
from pathlib import Path

import trio

from prodigy.git.cli import Git
from prodigy.git.forge import open_forge
from prodigy.git.local import TrioRunner
from prodigy.git.merge import Merged, merge
from prodigy.git.repository import discover
from stress._items import FOLDERS, Ground
from stress._report import Report, scaled

KIND = "bench"
FILES, BRANCHES, MOST = 20_000, 500, 6.0


def main() -> int:
    """0 if merging is cheap."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="prodigy-merges-") as folder:
        ground = Ground(Path(folder), scaled(FILES))
        ground.make()
        branches = make_branches(ground, scaled(BRANCHES))
        trio.run(check, report, ground, branches)
    return report.code


async def check(report: Report, ground: Ground, branches: list[str]) -> None:
    git = Git(TrioRunner(), str(ground.repository), ground.environ)
    repository = await discover(git, str(ground.repository))
    forge = await open_forge(repository, git, ground.scratch / "lock", ground.scratch / "bench")
    cpu, wall = processor_time(), time.monotonic()
    for number, tip in enumerate(branches):
        assert isinstance(await merge(forge, "refs/heads/session", tip, f"Merge {number}\n"), Merged)
    cpu, wall = processor_time() - cpu, time.monotonic() - wall
    count = ground.git("rev-list", "--count", "--no-merges", "main..session")
    report.law("every branch is merged", holds=count == str(len(branches)))
    report.figure(
        f"{1000 * cpu / len(branches):.1f} ms CPU, {1000 * wall / len(branches):.1f} ms wall per branch"
    )
    most = MOST * len(branches) / BRANCHES
    report.law(f"{cpu:.1f} s of CPU in all (at most {most:g})", holds=cpu <= most)


def make_branches(ground: Ground, count: int) -> list[str]:
    """Commits on top of ``main``, each with a file of its own changed; and the branch to merge them into."""
    orders = [
        "reset refs/heads/session\nfrom refs/heads/main\n",
        *(
            f"commit refs/heads/ready-{number}\ncommitter Scale <scale@localhost> {number} +0000\n"
            f"data 4\nedit\nfrom refs/heads/main\n"
            f"M 100644 inline d{number % FOLDERS}/f{number}.txt\ndata 5\nready\n"
            for number in range(count)
        ),
    ]
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=ground.repository,
        env=ground.environ,
        input="".join(orders).encode(),
        check=True,
    )
    listed = ground.git("for-each-ref", "--format=%(objectname)", "refs/heads/ready-*")
    return listed.splitlines()


def processor_time() -> float:
    """Seconds of this process and of all its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
