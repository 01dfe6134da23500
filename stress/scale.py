"""200 agents, each editing and committing in a repository of 2,000 files: everything merged, nothing left.

Prints seconds, and the ratio to a floor measured in the same run: the agents' own commands, in as many fixed
worktrees, without Prodigy.
"""

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

from stress._item_peers import commands_alone
from stress._items import Ground

KIND = "stress"
FILES, ITEMS, PARALLEL = 2000, 200, 8


def main() -> int:
    """0 if 200 commits are merged and nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="prodigy-scale-") as folder:
        ground = Ground(Path(folder), FILES)
        ground.make()
        floor = commands_alone(ground.copy("floor"), ITEMS, PARALLEL).wall
        before = digest(ground.repository)
        began = time.monotonic()
        run = ground.prodigy("run", str(ground.flow(ITEMS, PARALLEL)), "--no-merge", "--json")
        took = time.monotonic() - began
        report = json.loads(run.stdout)
        untouched = digest(ground.repository) == before
        merged = ground.prodigy("worktree", "merge", "latest", "-y")
        checks = {
            "run ended with 0": run.returncode == 0,
            f"{ITEMS} items done": report["items"]["done"] == ITEMS,
            "checkout byte-identical until the merge": untouched,
            "merged": merged.returncode == 0,
            f"{ITEMS} commits by agents on main": commits(ground) == ITEMS,
            "fsck clean": ground.git("fsck", "--strict") == "",
            "status clean": ground.git("status", "--porcelain") == "",
            "no branch left": ground.git("branch", "--list", "prodigy-*") == "",
            "no worktree left": ground.git("worktree", "list").count("\n") == 0,
            "no process left": not leftovers(folder),
        }
        for name, ok in checks.items():
            print(f"   {'ok  ' if ok else 'FAIL'} {name}")
        print(
            f"   {took:.1f} s, {1000 * took / ITEMS:.0f} ms per item; "
            f"floor {floor:.1f} s; {took / floor:.2f} times the floor"
        )
        return 0 if all(checks.values()) else 1


def commits(ground: Ground) -> int:
    """How many of the agents' commits are on the branch."""
    subjects = ground.git("log", "--no-merges", "--format=%s", "main")
    return len({subject for subject in subjects.splitlines() if subject.startswith("edit ")})


def digest(repository: Path) -> str:
    """All files of the checkout and git's index, with mode and mtime."""
    total = hashlib.sha256()
    for path in sorted(repository.rglob("*")):
        relative = path.relative_to(repository)
        if path.is_file() and (relative.parts[0] != ".git" or relative == Path(".git/index")):
            stat = path.stat()
            total.update(f"{relative} {stat.st_mode} {stat.st_mtime_ns}\n".encode() + path.read_bytes())
    return total.hexdigest()


def leftovers(word: str) -> list[int]:
    """Processes whose command line, environment or folder is about the scratch folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                about = (entry / "cmdline").read_bytes() + str((entry / "cwd").readlink()).encode()
            except OSError:
                continue
            if word.encode() in about:
                found.append(int(entry.name))
    return found
