"""1,000 children that exit with 7, each amid orphans of its own and beside a storm, are all reported as 7.

A process that adopts orphans and waits for anybody reads other people's exit codes, or loses them.
"""

import random
from collections import Counter

import trio

from stress._inspection import Inspection, judged
from stress._process_tests import Family, shell
from stress._report import Report, scaled
from stress._rounds import repeat
from supervisors import SlotPool, open_slots

KIND = "stress"
CHILDREN, AT_A_TIME = 1000, 8


def main() -> int:
    """0 if each of them was reported as what it was."""
    return judged(check)


async def check(report: Report, inspection: Inspection) -> None:
    chance, codes = random.Random(report.seed), Counter[int | None]()
    left_over = 0

    async def once() -> float:
        nonlocal left_over
        async with slots.lease() as slot, slot.start(shell(script(chance))) as tree:
            end = await tree.wait()
        codes[end.code] += 1
        left_over += end.left_over
        return 0.0

    async with open_slots() as slots, trio.open_nursery() as nursery:
        nursery.start_soon(storm_on, slots)
        await repeat(scaled(CHILDREN) // 10, once, at_a_time=AT_A_TIME)
        inspection.mark()
        await repeat(scaled(CHILDREN) - scaled(CHILDREN) // 10, once, at_a_time=AT_A_TIME)
        nursery.cancel_scope.cancel()
    report.figure(f"{left_over} orphans outlived their leader and were killed")
    report.law(f"{scaled(CHILDREN)} children are reported as 7", holds=codes == {7: scaled(CHILDREN)})
    if set(codes) != {7}:
        report.figure(f"reported: {dict(codes)}")


def script(chance: random.Random) -> str:
    """Orphans that exit with other codes, before and after their leader does, and some that stay."""
    orphans = [f"(setsid sh -c 'exit {chance.randrange(1, 7)}' &)" for _ in range(chance.randrange(1, 7))]
    orphans += ["(setsid sleep 600 &)"] * chance.randrange(3)
    return "; ".join([*orphans, "exit 7"])


async def storm_on(slots: SlotPool) -> None:
    """A storm in a slot of its own; another when it has blown itself out."""
    while True:
        family = Family.new()
        async with (
            slots.lease() as slot,
            slot.start(shell(f"{family.kind('setsid storm')}\nsleep 15")) as tree,
        ):
            await tree.wait()
