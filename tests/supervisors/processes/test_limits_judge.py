"""The judge: a tree is held to its limits, and nothing is held against it that it did not use."""

import math
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisors._judge import CpuAccount, Judge
from supervisors._process_table import ProcessSample
from supervisors.limits import Breach, Limits

seconds = st.integers(0, 1000).map(float)


def of(pid: int, *, cpu: float = 0, buried: float = 0, memory: int = 0) -> ProcessSample:
    return ProcessSample(pid=pid, cpu_time=cpu, buried=buried, memory=memory)


# Readings


@given(sizes=st.lists(st.integers(0, 100), max_size=8), limit=st.integers(1, 400))
def test_memory_is_that_of_the_whole_tree(sizes: list[int], limit: int):
    judge = Judge(Limits(memory=limit), 0.0)
    breach = judge.weigh(0.0, [of(pid, memory=size) for pid, size in enumerate(sizes)])
    assert breach == (Breach("memory", sum(sizes), limit) if sum(sizes) > limit else None)


@given(count=st.integers(0, 20), limit=st.integers(1, 20))
def test_processes_are_counted(count: int, limit: int):
    breach = Judge(Limits(processes=limit), 0.0).weigh(0.0, [of(pid) for pid in range(count)])
    assert breach == (Breach("processes", count, limit) if count > limit else None)


def test_a_limit_that_is_not_set_does_not_hold():
    judge = Judge(Limits(), 0.0)
    assert not judge.needs_readings
    assert judge.deadline == math.inf
    assert judge.weigh(1e9, [of(1, cpu=1e9, memory=2**60)]) is None
    assert judge.hear(2**60, 1e9) is None
    assert judge.wait(1e9) is None


@pytest.mark.parametrize("name", ["memory", "cpu_time", "processes"])
def test_some_limits_need_readings(name: str):
    assert Judge(Limits(**{name: 1}), 0.0).needs_readings


@pytest.mark.parametrize("name", ["wall", "idle", "output", "open_files"])
def test_the_others_do_not(name: str):
    assert not Judge(Limits(**{name: 1}), 0.0).needs_readings


class Family(RuleBasedStateMachine):
    """Processes that spend, have children, die, are waited for or not: the account never says too much.

    It says exactly what was spent as long as everybody is waited for, however short his life.
    """

    def __init__(self) -> None:
        super().__init__()
        self.account = CpuAccount(100.0)
        self.buried = 100.0  # by the root, in earlier lives of the slot
        self.spent = 0.0
        self.living: dict[int, ProcessSample] = {1: of(1)}
        self.parents = {1: 0}
        self.unseen = 0.0
        self.lost = False

    def pick(self, choice: int) -> int:
        return sorted(self.living)[choice % len(self.living)]

    @precondition(lambda self: self.living)
    @rule(choice=st.integers(0, 99))
    def fork(self, choice: int) -> None:
        pid = len(self.parents) + 1
        self.parents[pid] = self.pick(choice)
        self.living[pid] = of(pid)

    @precondition(lambda self: self.living)
    @rule(choice=st.integers(0, 99), amount=seconds)
    def spend(self, choice: int, amount: float) -> None:
        process = self.living[pid := self.pick(choice)]
        self.living[pid] = msgspec.structs.replace(process, cpu_time=process.cpu_time + amount)
        self.spent += amount
        self.unseen += amount

    @precondition(lambda self: self.living)
    @rule(choice=st.integers(0, 99), waited_for=st.booleans())
    def die(self, choice: int, waited_for: bool) -> None:
        pid = self.pick(choice)
        children = [child for child in self.living if self.parents[child] == pid]
        process = self.living.pop(pid)
        for child in children:
            self.parents[child] = 0
        parent = self.living.get(self.parents[pid])
        if not waited_for and parent is not None:
            self.lost = True
        elif parent is None:
            self.buried += process.cpu_time + process.buried
        else:
            total = parent.buried + process.cpu_time + process.buried
            self.living[parent.pid] = msgspec.structs.replace(parent, buried=total)

    @rule()
    def read(self) -> None:
        counted = self.account.add(self.buried, list(self.living.values()))
        self.unseen = 0.0
        assert counted <= self.spent
        if not self.lost:
            assert counted == self.spent

    @invariant()
    def reads_twice_alike(self) -> None:
        """A close look right after a scan changes nothing."""
        processes = list(self.living.values())
        if not self.unseen:
            assert self.account.add(self.buried, processes) == self.account.add(self.buried, processes)


TestFamily = Family.TestCase


def test_a_child_that_nobody_waited_for_counts_once_it_was_seen():
    account = CpuAccount(0.0)
    account.add(0.0, [of(1, cpu=1.0), of(2, cpu=5.0)])
    assert account.add(0.0, [of(1, cpu=2.0)]) == 7.0


def test_a_child_that_was_waited_for_counts_though_it_was_never_seen():
    account = CpuAccount(3.0)
    assert account.add(3.0, [of(1, cpu=1.0, buried=5.0)]) == 6.0
    assert account.add(10.0, []) == 7.0


# Time


@given(start=seconds, wall=seconds, now=seconds)
def test_wall_time_counts_from_the_start(start: float, wall: float, now: float):
    assume(wall > 0)
    judge = Judge(Limits(wall=wall), start)
    assert judge.deadline == start + wall
    assert judge.wait(now) == (Breach("wall", now - start, wall) if now >= start + wall else None)


@given(idle=seconds, moments=st.lists(seconds, max_size=5), now=seconds)
def test_idle_time_counts_from_the_last_output(idle: float, moments: Sequence[float], now: float):
    assume(idle > 0)
    judge = Judge(Limits(idle=idle), 0.0)
    for moment in sorted(moments):
        judge.hear(1, moment)
    last = max(moments, default=0.0)
    assert judge.deadline == last + idle
    assert judge.wait(now) == (Breach("idle", now - last, idle) if now >= last + idle else None)


@given(wall=seconds, idle=seconds, now=seconds)
def test_the_deadline_is_the_first_moment_of_a_breach(wall: float, idle: float, now: float):
    assume(wall > 0 and idle > 0)
    judge = Judge(Limits(wall=wall, idle=idle), 0.0)
    assert (judge.wait(now) is not None) == (now >= judge.deadline)


# Output


@given(sizes=st.lists(st.integers(0, 100), min_size=1), limit=st.integers(1, 300))
def test_the_first_byte_too_many_is_a_breach(sizes: list[int], limit: int):
    judge = Judge(Limits(output=limit), 0.0)
    for number, size in enumerate(sizes, 1):
        total = sum(sizes[:number])
        assert judge.hear(size, 0.0) == (Breach("output", total, limit) if total > limit else None)
