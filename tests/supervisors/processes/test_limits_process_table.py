"""Readings of the process table: who belongs to which tree, in which order, and what Linux tells."""

import mmap
import os
import sys
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from process_table import Family, read, until

from supervisors import _procfs
from supervisors._process_table import ProcessSample, parents_first, trees
from supervisors._procfs import ProcFs
from supervisors._proctree import Command
from supervisors._slots import open_slots


def forest(parents: dict[int, int]) -> dict[int, ProcessSample]:
    """A table in which everybody is as old as his pid says."""
    return {pid: ProcessSample(pid=pid, parent=parent, start_time=pid) for pid, parent in parents.items()}


forests = st.lists(st.integers(0, 30), max_size=30).map(
    lambda choices: {pid: choice % pid for pid, choice in enumerate(choices, 1)}
)
"""Parents by pid, each older than its child; 0 is nobody."""


def ancestors(parents: dict[int, int], pid: int) -> list[int]:
    found = []
    while (pid := parents.get(pid, 0)) != 0:
        found.append(pid)
    return found


@given(parents=forests, roots=st.sets(st.integers(1, 30), max_size=4))
def test_everybody_belongs_to_the_nearest_root_above_him(parents: dict[int, int], roots: set[int]):
    found = trees(forest(parents), roots)
    for pid in parents:
        nearest = next((above for above in ancestors(parents, pid) if above in roots), None)
        owners = [root for root, members in found.items() if pid in {member.pid for member in members}]
        assert owners == ([] if nearest is None else [nearest])


@given(parents=st.dictionaries(st.integers(1, 12), st.integers(1, 12)), same_age=st.booleans())
def test_a_stale_reading_can_be_a_circle_and_harms_nobody(parents: dict[int, int], same_age: bool):
    """Pids are used again: a table read while they were may name anybody as anybody's parent."""
    table = {
        pid: ProcessSample(pid=pid, parent=parent, start_time=0 if same_age else pid)
        for pid, parent in parents.items()
    }
    found = trees(table, {1})[1]
    assert len({process.pid for process in found}) == len(found)
    assert sorted(parents_first(table.values()), key=lambda process: process.pid) == sorted(
        table.values(), key=lambda process: process.pid
    )


def test_a_parent_that_is_younger_is_somebody_else():
    """The parent died and its number went to a process of the tree."""
    table = forest({1: 0, 7: 1, 5: 7})
    assert [process.pid for process in trees(table, {1})[1]] == [7]


def test_once_of_a_tree_always_of_a_tree():
    """Whose parent ended between two reads is known by what it was before."""
    table = forest({1: 0, 9: 8, 10: 9})
    assert trees(table, {1})[1] == []
    known = {(9, 9): 1, (10, 999): 1}
    assert {process.pid for process in trees(table, {1}, known)[1]} == {9, 10}
    assert trees(table, {1}, {(9, 999): 1})[1] == [], "the number alone means nothing"


@given(parents=forests, order=st.randoms())
def test_parents_come_first(parents: dict[int, int], order):
    processes = list(forest(parents).values())
    order.shuffle(processes)
    ordered = [process.pid for process in parents_first(processes)]
    assert sorted(ordered) == sorted(parents)
    for pid, parent in parents.items():
        assert parent == 0 or ordered.index(parent) < ordered.index(pid)


async def read_exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    said = b""
    while len(said) < size:
        said += await stream.receive_some(size - len(said))
    return said


# Linux


async def test_a_scan_finds_us_and_our_children(family: Family):
    children = [await trio.lowlevel.open_process(["sleep", family.tag]) for _ in range(3)]
    try:
        table = await ProcFs().scan()
        found = trees(table, {os.getpid()})[os.getpid()]
        assert {child.pid for child in children} <= {process.pid for process in found}
        for below, above in pairwise([children[0].pid, os.getpid(), os.getppid()]):
            assert table[below].parent == above
    finally:
        for child in children:
            child.kill()
            await child.wait()
    after = await ProcFs().look([table[child.pid] for child in children], shared=False)
    assert after == [], "they are gone"


async def test_figures_are_those_of_the_kernel():
    """CPU time of ours and of children that we waited for, and memory that was touched."""
    touched = mmap.mmap(-1, 64 * 1024 * 1024)
    touched.write(b"x" * len(touched))
    await trio.run_process([sys.executable, "-c", "sum(range(5_000_000))"])
    before = os.times()
    us = (await ProcFs().scan())[os.getpid()]
    after = os.times()
    slack = 0.05
    assert before.user + before.system - slack <= us.cpu_time <= after.user + after.system + slack
    assert before.children_user + before.children_system - slack <= us.buried
    assert us.buried <= after.children_user + after.children_system + slack
    assert ProcFs().buried(os.getpid()) >= us.buried
    assert us.memory >= len(touched)


async def test_a_close_look_counts_shared_pages_once():
    """Two processes that share 100 MB have 100 MB together, not 200."""
    size = 100 * 1024 * 1024
    script = f"""
import mmap, os, sys, time
shared = mmap.mmap(-1, {size})
shared.write(b"x" * {size})
child = os.fork()
if child == 0:
    shared[::4096]
sys.stdout.write("up\\n"); sys.stdout.flush()
time.sleep(600)
"""
    command = Command(argv=(sys.executable, "-I", "-S", "-c", script), cwd="/", env={})
    async with open_slots() as slots, slots.lease() as slot, slot.start(command) as tree:
        assert await read_exactly(tree.stdout, 6) == b"up\nup\n"
        table = await ProcFs().scan()
        pair = trees(table, {tree.reaper})[tree.reaper]
        assert len(pair) == 2
        close = await ProcFs().look(pair, shared=True)
    assert sum(process.memory for process in pair) >= 2 * size
    assert size <= sum(process.memory for process in close) < 1.5 * size


async def test_a_close_look_knows_a_number_that_was_given_again():
    us = (await ProcFs().scan())[os.getpid()]
    stranger = ProcessSample(pid=us.pid, start_time=us.start_time - 1)
    assert await ProcFs().look([stranger], shared=False) == []
    assert [process.key for process in await ProcFs().look([us], shared=True)] == [us.key]


async def test_a_process_that_nobody_waited_for_is_dead(family: Family):
    child = await trio.lowlevel.open_process(["true"])
    await until(lambda: b") Z " in read(f"/proc/{child.pid}/stat"))
    process = (await ProcFs().scan())[child.pid]
    assert (process.dead, process.memory) == (True, 0)
    await child.wait()


def test_a_name_may_hold_anything():
    fields = b" ".join(str(number).encode() for number in range(4, 60))
    process = _procfs.parse_stat(7, b"7 (a) b (c) S " + fields)
    assert process is not None
    assert (process.parent, process.start_time, process.dead) == (4, 22, False)
    assert process.memory == 24 * _procfs.PAGE


@pytest.mark.parametrize("content", [b"", b"7 (sh) R 1 2"])
def test_half_a_line_is_no_process(content: bytes):
    assert _procfs.parse_stat(7, content) is None
