"""Items that edit and commit cost at most 1.5 times their commands alone at 2,000 files, 1.3 times at 20,000.

And an item costs no more where there are many: of 1,000 items at most 1.1 times what it costs of 100. Rounds of all
peers alternate, each in a fresh clone; a ratio is the median of the rounds' ratios. Judged is the CPU time of all
processes together, from the start of ``prodigy``, which has run before, to its end; the wall clock is told as well, but
says little on a machine that others use. ``TMPDIR`` chooses the disk.
"""

import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stress._item_peers import Cost, Peer, commands_alone, through_prodigy, worktree_each
from stress._items import Ground
from stress._report import Report, scaled

KIND = "bench"
ROUNDS = 3


class Shape(NamedTuple):
    """How many files and items there are, how many items run at a time, and what is promised."""

    files: int
    items: int
    parallel: int
    most: float


SHAPES = (Shape(2_000, 200, 8, 1.5), Shape(20_000, 48, 4, 1.3))
GROWTH = Shape(2_000, 1_000, 8, 1.1)
"""Against a tenth of the items."""
PEERS: Mapping[str, Peer] = {
    "commands alone": commands_alone,
    "prodigy": through_prodigy,
    "a worktree for each": worktree_each,
}


def main() -> int:
    """0 if both shapes keep to their promise."""
    report = Report()
    for shape in SHAPES:
        check(report, shape)
    check_growth(report, GROWTH)
    return report.code


def check(report: Report, shape: Shape) -> None:
    report.figure(f"{shape.files} files, {shape.items} items, {shape.parallel} at a time")
    with tempfile.TemporaryDirectory(prefix="prodigy-items-") as folder:
        ground = Ground(Path(folder), shape.files)
        warmed(ground)
        rounds = [play(ground, shape) for _ in range(scaled(ROUNDS))]
        begun = play_one(ground, through_prodigy, shape.parallel, shape.parallel)
    costs = {name: [each[name] for each in rounds] for name in PEERS}
    for name in PEERS:
        report.figure(describe(name, costs[name], costs["commands alone"], shape.items))
    report.figure(share(begun, costs, shape))
    ratio = statistics.median(ratios(costs["prodigy"], costs["commands alone"]))
    report.law(
        f"{ratio:.2f} times the CPU of the commands alone (at most {shape.most:g})", holds=ratio <= shape.most
    )


def check_growth(report: Report, shape: Shape) -> None:
    """The same for many items as for a tenth of them."""
    report.figure(f"{shape.files} files, {shape.items} items and a tenth of them, {shape.parallel} at a time")
    with tempfile.TemporaryDirectory(prefix="prodigy-items-") as folder:
        ground = Ground(Path(folder), shape.files)
        warmed(ground)
        few, many = (
            1000 * play_one(ground, through_prodigy, items, shape.parallel).cpu / items
            for items in (shape.items // 10, shape.items)
        )
    report.figure(f"{few:.1f} ms CPU per item of few, {many:.1f} of many")
    report.law(f"{many / few:.2f} times (at most {shape.most:g})", holds=many <= shape.most * few)


def warmed(ground: Ground) -> None:
    """Make the repository, and run once, so that later runs find bytecode and pages where installed programs do."""
    ground.make()
    play_one(ground, through_prodigy, 1, 1)


def play(ground: Ground, shape: Shape) -> dict[str, Cost]:
    """One round: each peer once."""
    return {name: play_one(ground, peer, shape.items, shape.parallel) for name, peer in PEERS.items()}


def play_one(ground: Ground, peer: Peer, items: int, parallel: int) -> Cost:
    """One peer, in a clone of its own."""
    copy = ground.copy("round")
    try:
        return peer(copy, items, parallel)
    finally:
        shutil.rmtree(copy.scratch)


def describe(name: str, costs: Sequence[Cost], floor: Sequence[Cost], items: int) -> str:
    """Per item, and against the floor."""
    wall, cpu = (1000 * statistics.median(part) / items for part in zip(*costs, strict=True))
    on_clock = statistics.median(one.wall / other.wall for one, other in zip(costs, floor, strict=True))
    return (
        f"{name:>20}: {cpu:6.1f} ms CPU, {wall:6.1f} ms wall per item; "
        f"{statistics.median(ratios(costs, floor)):.2f} and {on_clock:.2f} times the floor"
    )


def share(begun: Cost, costs: Mapping[str, Sequence[Cost]], shape: Shape) -> str:
    """What a run costs whose slots are used once each, and what every further item adds to that."""
    whole, floor = (
        statistics.median(cost.cpu for cost in costs[name]) for name in ("prodigy", "commands alone")
    )
    added, alone = (whole - begun.cpu) / (shape.items - shape.parallel), floor / shape.items
    return (
        f"{begun.cpu:.2f} s CPU for the run and its first {shape.parallel} items; {1000 * added:.1f} ms for each of the others, "
        f"{added / alone:.2f} times the floor"
    )


def ratios(costs: Sequence[Cost], floor: Sequence[Cost]) -> list[float]:
    """The CPU of each round against the floor of the same round."""
    return [one.cpu / other.cpu for one, other in zip(costs, floor, strict=True)]
