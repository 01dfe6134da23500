"""Control groups: found where they are delegated, used to kill at one stroke, and never relied upon.

A folder with the right files stands in for the kernel's. It kills nobody, so what these tests see die has died the
usual way: that shows the fallback. The last tests need a delegated group and are skipped where there is none; get one
with ``systemd-run --user --scope -p Delegate=yes make test``.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from process_table import KINDS, Family, until

from supervisors import _reaper
from supervisors._proctree import Command, ProcessTree
from supervisors._reaper import Group, delegated_cgroup, own_cgroup, sweep_groups
from supervisors._slots import SlotPool, open_slots
from supervisors.process_errors import SlotLost

KERNEL = """
import importlib.util, pathlib, shutil, sys

spec = importlib.util.spec_from_file_location("_reaper", REAPER)
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)


def make_group(folder):
    pathlib.Path(folder).mkdir(exist_ok=True)
    for name in FILES:
        pathlib.Path(folder, name).touch()


program.make_group = make_group
program.remove_group = lambda folder: pathlib.Path(folder).rename(folder.replace("supervised", "removed"))
program.delegated_cgroup = lambda: HOME
program.main()
"""
FILES = ("cgroup.procs", "cgroup.kill")


def shell(script: str) -> Command:
    return Command(argv=("sh", "-c", script), cwd="/", env=dict(os.environ))


def make_fake(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in FILES:
        (folder / name).touch()
    return folder


def written(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_fake(tmp_path / "home")


@pytest.fixture
def proc(tmp_path: Path, home: Path) -> Path:
    """A ``/proc/self`` of a process in the group ``/home``."""
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "cgroup").write_text("4:memory:/elsewhere\n1:name=systemd:/else\n0::/home\n")
    (folder / "mountinfo").write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"41 31 0:38 / {tmp_path} rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    return folder


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch):
    """To whom what is writable is delegated."""
    monkeypatch.setattr(_reaper.os, "geteuid", lambda: 1000)


# Whether there is one


@pytest.mark.usefixtures("unprivileged")
def test_our_own_group_is_ours_to_divide(proc: Path, home: Path):
    assert delegated_cgroup(str(proc)) == str(home)


@pytest.mark.usefixtures("unprivileged")
@pytest.mark.parametrize("missing", FILES)
def test_a_group_that_cannot_be_killed_or_left_is_of_no_use(proc: Path, home: Path, missing: str):
    """The first group of a machine has no ``cgroup.kill``; old kernels have none at all."""
    (home / missing).unlink()
    assert delegated_cgroup(str(proc)) is None


@pytest.mark.usefixtures("unprivileged")
@pytest.mark.parametrize("text", ["", "4:memory:/home\n", "0::/../home\n", "0::/no/such/group\n"])
def test_no_group_that_we_can_see(proc: Path, text: str):
    (proc / "cgroup").write_text(text)
    assert delegated_cgroup(str(proc)) is None


@pytest.mark.usefixtures("unprivileged")
def test_no_file_system_of_groups(proc: Path):
    (proc / "mountinfo").write_text("22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n")
    assert delegated_cgroup(str(proc)) is None


@pytest.mark.parametrize(
    ("path", "root", "point", "folder"),
    [
        ("/", "/", "/sys/fs/cgroup", "/sys/fs/cgroup"),
        ("/a/b", "/", "/sys/fs/cgroup", "/sys/fs/cgroup/a/b"),
        ("/a/b", "/a", "/mnt", "/mnt/b"),
        ("/a", "/a", "/mnt", "/mnt"),
    ],
)
def test_a_mount_may_show_a_part(path: str, root: str, point: str, folder: str, proc: Path):
    (proc / "cgroup").write_text(f"0::{path}\n")
    (proc / "mountinfo").write_text(f"41 31 0:38 {root} {point} rw,relatime - cgroup2 cgroup2 rw\n")
    assert own_cgroup(str(proc)) == folder


def test_a_mount_of_another_part_shows_nothing(proc: Path):
    (proc / "cgroup").write_text("0::/ab\n")
    (proc / "mountinfo").write_text("41 31 0:38 /a /mnt rw,relatime - cgroup2 cgroup2 rw\n")
    with pytest.raises(ValueError, match="shows"):
        own_cgroup(str(proc))


@pytest.mark.parametrize("delegate", ["home", "above", None])
def test_root_needs_to_be_told(
    delegate: str | None, proc: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """To root everything is writable: only what systemd has marked, or what is below it, is ours."""
    make_fake(tmp_path)
    marked = {"home": str(home), "above": str(tmp_path), None: ""}[delegate]

    def getxattr(folder: str, name: str) -> bytes:
        if folder == marked and name == "user.delegate":
            return b"1"
        raise OSError

    monkeypatch.setattr(_reaper.os, "geteuid", lambda: 0)
    monkeypatch.setattr(_reaper.os, "getxattr", getxattr)
    assert delegated_cgroup(str(proc)) == (None if delegate is None else str(home))


# What is done with it


@pytest.fixture
def group(home: Path) -> Group:
    one = Group(str(home), 7, 8)
    make_fake(home / "supervised-7-8")
    return one


def test_a_group_is_entered_once(group: Group, home: Path):
    group.enter()
    assert group.inside
    assert written(Path(group.folder))["cgroup.procs"] == b"0"
    (Path(group.folder) / "cgroup.procs").write_bytes(b"")
    group.enter()
    assert written(Path(group.folder))["cgroup.procs"] == b""


def test_who_kills_a_group_leaves_it_first(group: Group, home: Path):
    group.enter()
    group.kill()
    assert not group.inside
    assert written(home) == {"cgroup.procs": b"0", "cgroup.kill": b""}
    assert written(Path(group.folder))["cgroup.kill"] == b"1"


def test_who_cannot_leave_a_group_does_not_kill_it(group: Group, home: Path):
    """He would die as well, and nobody would hear how the command ended."""
    group.enter()
    (home / "cgroup.procs").unlink()
    group.kill()
    assert group.inside
    assert written(Path(group.folder))["cgroup.kill"] == b""


def test_who_is_told_that_he_is_still_in_it_does_not_kill_it(group: Group, monkeypatch: pytest.MonkeyPatch):
    group.enter()
    monkeypatch.setattr(_reaper, "own_cgroup", lambda _: group.folder)
    group.kill()
    assert group.inside
    assert written(Path(group.folder))["cgroup.kill"] == b""


def test_who_was_never_in_it_kills_it_from_outside(group: Group, home: Path):
    """The zygote, after a reaper was killed."""
    group.kill()
    assert written(home) == {"cgroup.procs": b"", "cgroup.kill": b""}
    assert written(Path(group.folder))["cgroup.kill"] == b"1"


@pytest.mark.parametrize("missing", FILES)
def test_what_fails_means_nothing(missing: str, group: Group):
    (Path(group.folder) / missing).unlink()
    group.enter()
    assert group.inside == (missing == "cgroup.kill")
    group.kill()
    group.remove()


def test_a_group_is_removed_with_those_that_were_made_in_it(home: Path):
    group = Group(str(home), 7, 8)
    (home / "supervised-7-8" / "made" / "by a command").mkdir(parents=True)
    group.remove()
    assert not Path(group.folder).exists()


def test_groups_of_dead_zygotes_are_swept(home: Path):
    dead = 2**22 + 1
    for name in (
        f"supervised-{dead}-1",
        f"supervised-{os.getpid()}-1",
        "somebody-elses",
        f"supervise-{dead}-1",
    ):
        (home / name).mkdir()
    (home / f"supervised-{dead}-2" / "made").mkdir(parents=True)
    sweep_groups(str(home))
    left = {path.name for path in home.iterdir() if path.is_dir()}
    assert left == {f"supervised-{os.getpid()}-1", "somebody-elses", f"supervise-{dead}-1"}


# Zygotes and reapers in a hierarchy of plain files


@pytest.fixture
def pretended(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Zygotes started from now on take a folder of plain files for the kernel's."""
    program = tmp_path / "kernel.py"
    program.write_text(f"REAPER = {_reaper.__file__!r}\nHOME = {str(home)!r}\nFILES = {FILES!r}\n{KERNEL}")
    monkeypatch.setattr("supervisors._spawn.REAPER_PROGRAM", str(program))
    return home


def groups(home: Path, kind: str = "supervised") -> list[Path]:
    return [path for path in home.iterdir() if path.name.startswith(f"{kind}-")]


@asynccontextmanager
async def tree_of(slots: SlotPool, family: Family, kind: str) -> AsyncIterator[ProcessTree]:
    async with (
        slots.lease() as slot,
        slot.start(shell(f"{family.kind(kind)}\nwhile :; do sleep 1; done")) as tree,
    ):
        await family.until_up(kind)
        yield tree


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reaper_uses_its_group_and_does_not_rely_on_it(kind: str, pretended: Path, family: Family):
    async with open_slots() as slots:
        async with tree_of(slots, family, kind) as tree:
            (group,) = groups(pretended)
            assert group.name == f"supervised-{slots._reapers.zygote.process.pid}-{tree.reaper}"
            assert written(group) == {"cgroup.procs": b"0", "cgroup.kill": b""}
            await tree.kill()
            assert not family.alive()
        assert written(group)["cgroup.kill"] == b"1"
        assert written(pretended) == {"cgroup.procs": b"0", "cgroup.kill": b""}
    assert not groups(pretended)


async def test_a_command_that_leaves_nothing_costs_no_kill(pretended: Path):
    """Leaving and entering a group takes the kernel long, so it is not done for nothing."""
    async with open_slots() as slots, slots.lease() as slot:
        for _ in range(3):
            async with slot.start(shell("exit 3")) as tree:
                assert (await tree.wait()).code == 3
        (group,) = groups(pretended)
        assert written(group) == {"cgroup.procs": b"0", "cgroup.kill": b""}


async def test_the_next_command_is_born_in_the_group_again(pretended: Path, family: Family):
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell("sleep 600")) as tree:
            await tree.kill()
        (group,) = groups(pretended)
        (group / "cgroup.procs").write_bytes(b"")
        async with slot.start(shell("exit 3")) as tree:
            assert (await tree.wait()).code == 3
        assert written(group)["cgroup.procs"] == b"0"


async def test_the_group_of_a_killed_reaper_is_killed_by_the_zygote(pretended: Path, family: Family):
    async with open_slots() as slots:
        async with tree_of(slots, family, "setsid storm") as tree:
            os.kill(tree.reaper, 9)
            with pytest.raises(SlotLost):
                await tree.wait()
            assert not family.alive()
        (group,) = groups(pretended, "removed")
        assert written(group)["cgroup.kill"] == b"1"


async def test_a_hierarchy_that_refuses_everything_changes_nothing(pretended: Path, family: Family):
    for name in FILES:
        (pretended / name).unlink()
    async with open_slots() as slots, tree_of(slots, family, "setsid storm") as tree:
        assert (await tree.kill()).left_over >= 1
        assert not family.alive()


# The real ones

delegated = pytest.mark.skipif(delegated_cgroup() is None, reason="no control group is delegated to us here")


def group_of(pid: int) -> str:
    return own_cgroup(f"/proc/{pid}")


@delegated
@pytest.mark.parametrize("kind", KINDS)
async def test_the_kernel_kills_a_group(kind: str, family: Family):
    home = own_cgroup("/proc/self")
    async with open_slots() as slots:
        async with tree_of(slots, family, kind) as tree:
            group = group_of(tree.pid)
            assert group == group_of(tree.reaper) != home
            assert {group_of(pid) for pid in family.sleepers()} <= {group}
            end = await tree.kill()
            assert not family.alive()
            assert end.left_over >= 1
            assert group_of(tree.reaper) == home
        async with slots.lease() as slot, slot.start(shell("exec sleep 600")) as again:
            assert group_of(again.pid) == group
    assert not Path(group).exists()


@delegated
async def test_the_kernel_kills_the_group_of_a_killed_reaper(family: Family):
    async with open_slots() as slots:
        async with tree_of(slots, family, "setsid storm") as tree:
            group = group_of(tree.reaper)
            os.kill(tree.reaper, 9)
            with pytest.raises(SlotLost):
                await tree.wait()
            assert not family.alive()
        await until(lambda: not Path(group).exists())


def test_detection_is_silent_where_there_is_none():
    """Whatever this machine has, the answer is a folder that can be used, or none."""
    folder = delegated_cgroup()
    assert folder is None or (Path(folder) / "cgroup.kill").exists()
