"""Ways to run the same items, and what each costs: the commands alone, Prodigy, and a naive sequence of git commands.

Rules: each runs in a repository of its own that nobody used before. Only child processes are counted, of which all are
waited for; what comes before the first item and after the last merge belongs to Prodigy's share, not to the others'.
"""

import json
import resource
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from stress._items import Ground


class Cost(NamedTuple):
    """Seconds on the clock, and seconds of all processors together."""

    wall: float
    cpu: float


Peer = Callable[[Ground, int, int], Cost]
"""Runs so many items in a repository, so many at a time."""


class Meter:
    """Seconds since it was made, of this process's children."""

    def __init__(self) -> None:
        self._began = time.monotonic(), _children()

    def read(self) -> Cost:
        """What was spent until now."""
        wall, cpu = self._began
        return Cost(time.monotonic() - wall, _children() - cpu)


def commands_alone(ground: Ground, items: int, parallel: int) -> Cost:
    """The floor: the items' own commands, in as many fixed worktrees; nothing is isolated, merged or recorded."""
    trees = [ground.scratch / f"tree{number}" for number in range(parallel)]
    for tree in trees:
        ground.git("worktree", "add", "--quiet", "--detach", str(tree))
    meter = Meter()
    _share(items, parallel, lambda slot, item: _act(ground, items, item, trees[slot]))
    return meter.read()


def through_prodigy(ground: Ground, items: int, parallel: int) -> Cost:
    """``prodigy run``, whole: from the start of the program to its end."""
    flow = ground.flow(items, parallel)
    meter = Meter()
    run = ground.prodigy("run", str(flow), "--no-merge", "--json")
    cost = meter.read()
    assert run.returncode == 0, run.stderr
    done = json.loads(run.stdout)["items"]["done"]
    assert done == items, f"{done} of {items} items are done"
    return cost


def worktree_each(ground: Ground, items: int, parallel: int) -> Cost:
    """The ancestor's sequence: a worktree and a branch per item, merged in a checked-out worktree, all state rewritten.

    Git's metadata is changed under one lock; without it some of these commands fail.
    """
    session = ground.scratch / "session"
    ground.git("worktree", "add", "--quiet", "-b", "session", str(session))
    lock, state = threading.Lock(), [{"item": item, "status": "pending"} for item in range(items)]
    meter = Meter()

    def work(_slot: int, item: int) -> None:
        tree = ground.scratch / f"agent{item}"
        with lock:
            ground.git("worktree", "add", "--quiet", "-b", f"agent{item}", str(tree), "session")
        _act(ground, items, item, tree)
        ground.git("status", "--porcelain", cwd=tree)
        ground.git("rev-list", "main..HEAD", cwd=tree)
        ground.git("diff", "--name-only", "main..HEAD", cwd=tree)
        with lock:
            ground.git("status", "--porcelain", cwd=session)
            ground.git("merge", "--no-ff", "--no-edit", "--quiet", f"agent{item}", cwd=session)
            ground.git("worktree", "remove", "--force", str(tree))
            ground.git("branch", "-D", f"agent{item}")
            state[item - 1]["status"] = "completed"
            (ground.scratch / "state.json").write_text(json.dumps(state))

    _share(items, parallel, work)
    cost = meter.read()
    merged = int(ground.git("rev-list", "--count", "--no-merges", "main..session"))
    assert merged == items, f"{merged} of {items} items are merged"
    return cost


def _act(ground: Ground, items: int, item: int, tree: Path) -> None:
    environ = {**ground.environ, "N": str(item)}
    subprocess.run(["sh", "-c", ground.script(items)], cwd=tree, env=environ, check=True)


def _share(items: int, parallel: int, work: Callable[[int, int], None]) -> None:
    """Every item once, each slot one after the other."""

    def slot(number: int) -> None:
        for item in range(number + 1, items + 1, parallel):
            work(number, item)

    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(slot, range(parallel)))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
