"""What a user, other programs and the machine do to a repository in which a run works; each is undone by its end."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stress._worlds import World

HELD_S = 0.3
Pause = Callable[[float], bool]
"""Wait so many seconds; false once the run has ended."""
Mischief = Callable[[World, Pause, random.Random], None]


# -- done while the run works --------------------------------------------------------------------------------------
def shared_locks(world: World, pause: Pause, chance: random.Random) -> None:
    """Locks that other gits take: of the index, the configuration, packed refs."""
    while pause(chance.random() * HELD_S):
        _hold(
            world.repository / ".git" / chance.choice(("index.lock", "config.lock", "packed-refs.lock")),
            pause,
        )


def ref_locks(world: World, pause: Pause, chance: random.Random) -> None:
    """Locks of the run's own branches."""
    heads = world.repository / ".git/refs/heads"
    while pause(chance.random() * HELD_S):
        ours = [ref for ref in heads.glob("prodigy-*") if ref.suffix != ".lock"]
        if ours:
            ref = chance.choice(ours)
            _hold(ref.with_name(f"{ref.name}.lock"), pause)


def _hold(lock: Path, pause: Pause) -> None:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:  # somebody has it
        return
    pause(HELD_S)
    lock.unlink(missing_ok=True)


def deleted_folders(world: World, pause: Pause, chance: random.Random) -> None:
    """Worktrees are deleted under their agents."""
    while pause(0.4):
        slots = sorted(world.home.glob("worktrees/*/.pool/*/slot-*"))
        if slots:
            shutil.rmtree(chance.choice(slots), ignore_errors=True)


def deleted_session(world: World, pause: Pause, _: random.Random) -> None:
    """The session worktree is deleted, once."""
    while pause(0.1):
        for folder in world.home.glob("worktrees/*/session-*"):
            if any(world.home.glob("worktrees/*/.pool/*/slot-*")):
                shutil.rmtree(folder, ignore_errors=True)
                return


def branch_elsewhere(world: World, pause: Pause, _: random.Random) -> None:
    """The user checks the session branch out in a worktree of their own, while agents' work is merged into it."""
    mine = world.folder / "mine"
    while pause(0.1):
        branches = world.git("branch", "--list", "prodigy-session-*", "--format=%(refname:short)").split()
        if branches and any(world.home.glob("worktrees/*/.pool/*/slot-*")):
            _quiet(world, "worktree", "add", "--force", str(mine), branches[0])
            while pause(HELD_S):
                pass
            _quiet(world, "worktree", "remove", "--force", str(mine))


def commits_to_target(world: World, pause: Pause, _: random.Random) -> None:
    """The user goes on working on the branch that the run is for, from another clone that pushes here."""
    number = 0
    while pause(0.2):
        number += 1
        commit_to_target(world, f"mine {number}")


_MOVES = """#!/bin/sh
number=$(cat "{count}" 2> /dev/null | wc -l)
[ "$number" -lt {times} ] || exit 0
echo moved >> "{count}"
unset GIT_INDEX_FILE GIT_DIR
cd "{repository}"
git update-ref refs/heads/main "$(git commit-tree -p main -m "theirs $number" 'main^{{tree}}')"
"""


def moving_hook(world: World, times: int) -> None:
    """A hook of merges that moves the target, so many times."""
    hook = world.repository / ".git/hooks/pre-merge-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_MOVES.format(count=world.folder / "moves", times=times, repository=world.repository))
    hook.chmod(0o755)


def commit_to_target(world: World, message: str) -> None:
    """A commit to the branch that the run is for, as a push makes it."""
    made = world.git("commit-tree", "main^{tree}", "-p", "main", "-m", message)
    world.git("update-ref", "refs/heads/main", made)


def housekeeping(world: World, pause: Pause, chance: random.Random) -> None:
    """`git gc --prune=now`, `git maintenance`, `git worktree prune`, `git fetch`, `git pack-refs`."""
    chores = (
        ("gc", "--quiet", "--prune=now"),
        ("gc", "--quiet", "--prune=now"),
        ("maintenance", "run", "--quiet", "--task=gc", "--task=loose-objects", "--task=incremental-repack"),
        ("worktree", "prune"),
        ("fetch", "--quiet", "."),
        ("pack-refs", "--all"),
        ("reflog", "expire", "--expire=now", "--all"),
    )
    while pause(0.1):
        _quiet(world, *chance.choice(chores))


def _quiet(world: World, *words: str) -> None:
    subprocess.run(["git", *words], cwd=world.repository, env=world.environ, capture_output=True, check=False)


# -- of the machine ------------------------------------------------------------------------------------------------
@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of so many bytes at a folder; false where nobody may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "--lazy", folder], check=False)


def fill(ballast: Path) -> None:
    """Take all the room that a disk has left."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def git_elsewhere(world: World, folder: Path) -> None:
    """Let the repository's `.git` lie in another folder, on whatever disk that is."""
    own = world.repository / ".git"
    shutil.copytree(own, folder, symlinks=True)
    shutil.rmtree(own)
    own.write_text(f"gitdir: {folder}\n")


@contextmanager
def mounted_on_itself(folder: Path) -> Iterator[bool]:
    """A folder that can be made read-only; false where nobody may mount."""
    made = _mount("--bind", str(folder), str(folder))
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "--lazy", folder], check=False)


def writable(folder: Path, *, yes: bool) -> None:
    """Let a folder that is mounted on itself be writable, or not."""
    options = f"remount,bind,{'rw' if yes else 'ro'}"
    subprocess.run(["mount", "-o", options, folder], check=True)


def _mount(*words: str) -> bool:
    with suppress(OSError):
        return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0
    return False
