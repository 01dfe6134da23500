"""A repository in which nothing can be written any more: the run rests, no item is charged, and it can be gone on with."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from worlds import World

SIZE = 32 * 1024 * 1024


def mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(world: World) -> Iterator[Path]:
    """A small file system that has the repository's `.git`."""
    folder = world.folder / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder))
    try:
        own = world.repository / ".git"
        shutil.copytree(own, folder / "git", symlinks=True)
        shutil.rmtree(own)
        own.write_text(f"gitdir: {folder}/git\n")
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


FLOW = """
mode: mapreduce
grace: 300ms
map:
  input: [a, b, c, d]
  max_parallel: {parallel}
  item_id: "${{item}}"
  agent_template:
    - shell: echo ${{item}} >> {log}; echo ${{item}} > ${{item}}.txt
    - shell: |
        {act}
    - shell: {then}
on_failure:
  - shell: echo failed >> {log}
"""


def flow(world: World, act: str, then: str = "echo ${item} > ${item}.2.txt", parallel: int = 2) -> str:
    return world.workflow(FLOW.format(log=world.folder / "log", act=act, then=then, parallel=parallel))


def rested(world: World, done: "subprocess.CompletedProcess[str]", reason: str) -> None:
    """The run ended with one clear error, and nobody was blamed."""
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error:") == 1
    assert "error: not-writable" in done.stderr
    assert reason in done.stderr
    assert "prodigy resume" in done.stderr
    [refused] = world.events("writing_refused")
    assert refused["reason"] == reason
    assert world.events("job_paused")[-1]["reason"] == "disk"
    for kind in ("agent_failed", "agent_retrying", "merge_failed", "dlq_item_added", "phase_failed"):
        assert world.events(kind) == []


def completes(world: World) -> None:
    """Every item is done, and no step that had succeeded was run again."""
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    for item in "abcd":
        assert world.git("show", f"main:{item}.txt") == item
        assert world.git("show", f"main:{item}.2.txt") == item
    assert Counter((world.folder / "log").read_text().split()) == Counter("abcd")
    assert world.events("agent_failed") == []
    assert world.leftovers() == []


def test_a_repository_that_turns_read_only(world: World, disk: Path) -> None:
    """The first of two agents does it once both are there; what they do next fails for that alone."""
    at = world.folder
    readonly = f"""
        touch {at}/at-${{item}}
        if mkdir {at}/once 2> /dev/null; then
          until test -e {at}/at-a && test -e {at}/at-b; do sleep 0.02; done
          until mount -o remount,ro {disk} 2> /dev/null; do sleep 0.02; done  # somebody may be writing
          touch {at}/done
        fi
        until test -e {at}/done; do sleep 0.02; done"""
    done = world.prodigy("run", flow(world, readonly), "--no-merge")
    rested(world, done, os.strerror(30))
    mount("-o", "remount,rw", str(disk))
    completes(world)


def test_a_disk_that_is_full_when_work_is_to_be_merged(world: World, disk: Path) -> None:
    """The second agent leaves no room behind; its own work is committed by then, and only its merge needs some."""
    for number in range(1000):
        world.write("".join(sha256(f"{number} {part}".encode()).hexdigest() for part in range(3)), "")
    world.commit("a folder whose tree takes more room than what is given back meanwhile")
    fill = f"test $PRODIGY_ITEM_INDEX != 1 || {{ cat /dev/zero > {disk}/ballast 2> /dev/null || true; }}"
    done = world.prodigy("run", flow(world, fill, then="true", parallel=1), "--no-merge")
    rested(world, done, os.strerror(28))
    assert len(world.events("agent_completed")) == 2
    assert len(world.events("worktree_merged")) == 1
    (disk / "ballast").unlink()
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    assert [world.git("show", f"main:{item}.txt") for item in "abcd"] == [*"abcd"]
    assert Counter((world.folder / "log").read_text().split()) == Counter("abcd")


def test_nothing_is_begun_in_a_repository_that_is_read_only(world: World, disk: Path) -> None:
    mount("-o", "remount,ro", str(disk))
    done = world.prodigy("run", flow(world, "true"), "--no-merge")
    mount("-o", "remount,rw", str(disk))
    assert done.returncode == 2
    assert "error: not-writable" in done.stderr
    assert world.journals() == []


def test_a_command_that_fails_with_such_words_fails_its_item(world: World) -> None:
    """What a command prints is its own affair."""
    words = os.strerror(28)
    done = world.prodigy(
        "run", flow(world, f"test ${{item}} != b || {{ echo '{words}' >&2; exit 1; }}"), "--no-merge"
    )
    assert done.returncode == 0, done.stderr
    assert [event["item_id"] for event in world.events("dlq_item_added")] == ["b"]
    assert world.events("writing_refused") == []
