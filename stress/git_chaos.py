"""A run goes through what users, other gits and disks do to its repository: no commit is lost, no file of the user's changes.

Each mischief is done while sixteen agents work. Afterwards, with the mischief over, the run is gone on with and its dead
letters are tried again: then everything has to be there.
"""

import random
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from stress import _mischief as mischief
from stress._report import Report, scaled
from stress._worlds import World, made_world

KIND = "stress"
ITEMS = 16
LIMIT_S = 300
GOES_ON = 4
_CODE = re.compile(r"^error: ([a-z-]+)$", re.MULTILINE)
_CLOSED = "mode: mapreduce\nmap:\n  input: {list: [%s]}\n  max_parallel: 4\n  agent_template:\n"
_STEP = "    - shell: echo ${item} > f-${item}.txt; sleep 0.3\n"

DURING: dict[str, mischief.Mischief] = {
    "locks of index, config and packed refs": mischief.shared_locks,
    "locks of our branches": mischief.ref_locks,
    "agents' worktrees deleted": mischief.deleted_folders,
    "session worktree deleted": mischief.deleted_session,
    "session branch checked out by the user": mischief.branch_elsewhere,
    "commits to the target": mischief.commits_to_target,
    "gc, worktree prune, fetch, pack-refs, maintenance": mischief.housekeeping,
}


def main() -> int:
    """0 if nothing was lost and nothing of the user's was touched."""
    report = Report()
    for _ in range(scaled(1)):
        for name, act in DURING.items():
            with tempfile.TemporaryDirectory(prefix="stress-") as folder:
                check(report, name, made_world(Path(folder)), act)
        check_full_disk(report)
        check_full_repository(report)
        check_read_only(report)
        for detached in (True, False):
            check_moved_target(report, detached=detached)
    return report.code


def check(report: Report, name: str, world: World, act: mischief.Mischief) -> None:
    """One mischief, from the first agent to the end of the run."""
    before = world.checkout_digest()
    chance = random.Random(report.seed)
    first = attempt(world, ("run", workflow(world), "--no-merge"), lambda pause: act(world, pause, chance))
    judge(report, name, world, before, first)


def check_full_disk(report: Report) -> None:
    """The worktrees lie on a file system that has room for some of the agents."""
    name = "worktrees' disk full"
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        world = made_world(Path(folder))
        world.write("large.bin", "x" * 3_000_000)
        world.commit("large")
        with mischief.small_disk(world.home / "worktrees", "10m") as made:
            if not made:
                report.figure(f"skipped: {name}: nobody may mount here")
                return
            before = world.checkout_digest()
            first = attempt(world, ("run", workflow(world), "--no-merge"))
            nobody_charged(report, name, world)
            subprocess.run(["mount", "-o", "remount,size=100m", world.home / "worktrees"], check=True)
            judge(report, name, world, before, first)


def check_full_repository(report: Report) -> None:
    """`.git` lies on a file system whose last room somebody takes while agents commit and work is merged."""
    name = "repository's disk full"
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        world = made_world(Path(folder))
        with mischief.small_disk(world.folder / "disk", "16m") as made:
            if not made:
                report.figure(f"skipped: {name}: nobody may mount here")
                return
            mischief.git_elsewhere(world, world.folder / "disk/git")
            ballast, before = world.folder / "disk/ballast", world.checkout_digest()

            def fill(pause: mischief.Pause) -> None:
                while pause(0.05) and not list(world.home.glob("worktrees/*/.pool/*/slot-*/f-*")):
                    pass
                mischief.fill(ballast)

            first = attempt(world, ("run", workflow(world), "--no-merge"), fill)
            nobody_charged(report, name, world)
            ballast.unlink()
            judge(report, name, world, before, first)


def check_moved_target(report: Report, *, detached: bool) -> None:
    """Somebody pushes to the target in the very middle of the final merge: a hook of the merge does it, three times.

    The target is checked out by the user, or, if ``detached``, by nobody.
    """
    name = f"target moved in the final merge, {'checked out nowhere' if detached else 'in the checkout'}"
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        world = made_world(Path(folder))
        world.write("mine.txt", "old\n")
        world.commit("mine")
        done = world.prodigy("run", workflow(world), "--no-merge", timeout=LIMIT_S)
        if detached:
            world.git("checkout", "--quiet", "--detach")
        mischief.commit_to_target(world, "before")
        if not detached:
            world.git("reset", "--quiet", "--hard")
        world.write("mine.txt", "not committed\n")
        mischief.moving_hook(world, times=3)
        done = world.prodigy("worktree", "merge", "latest", "-y", timeout=LIMIT_S)
        report.law(f"{name}: it is merged", done.returncode and done.stderr[-1500:])
        there = world.git("ls-tree", "--name-only", "main").split()
        report.law(f"{name}: no work is missing", [n for n in range(ITEMS) if f"f-i{n}.txt" not in there])
        said = world.git("log", "--format=%s", "main").splitlines()
        report.law(
            f"{name}: no commit of the user's is lost", [n for n in (0, 1, 2) if f"theirs {n}" not in said]
        )
        dirty = world.git("status", "--porcelain")
        report.law(f"{name}: what was not committed is as it was", dirty if dirty != "M mine.txt" else None)


def check_read_only(report: Report) -> None:
    """`.git` turns read-only while agents work."""
    name = "repository read-only"
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        world = made_world(Path(folder))
        git = world.repository / ".git"
        with mischief.mounted_on_itself(git) as made:
            if not made:
                report.figure(f"skipped: {name}: nobody may mount here")
                return
            before = world.checkout_digest()

            def turn(pause: mischief.Pause) -> None:
                while pause(0.05) and not list(world.home.glob("worktrees/*/.pool/*/slot-*/f-*")):
                    pass
                mischief.writable(git, yes=False)

            first = attempt(world, ("run", workflow(world), "--no-merge"), turn)
            nobody_charged(report, name, world)
            mischief.writable(git, yes=True)
            judge(report, name, world, before, first)


def workflow(world: World) -> str:
    """Sixteen agents, each with a file of its own."""
    return world.workflow(_CLOSED % ", ".join(f"i{number}" for number in range(ITEMS)) + _STEP)


def attempt(
    world: World, words: tuple[str, ...], act: Callable[[mischief.Pause], None] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command with mischief beside it, until the command ends."""
    running, over = world.start(*words), threading.Event()
    beside = threading.Thread(target=act or (lambda _: None), args=(lambda seconds: not over.wait(seconds),))
    beside.start()
    try:
        out, err = running.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        running.kill()
        out, err = running.communicate()
    over.set()
    beside.join()
    return subprocess.CompletedProcess(words, running.returncode, out, err)


def nobody_charged(report: Report, name: str, world: World) -> None:
    """The disk was to blame, and that is what the run says before it is gone on with."""
    kinds = ("agent_failed", "merge_failed", "dlq_item_added")
    report.law(f"{name}: no item is charged", [event for kind in kinds for event in world.events(kind)])
    report.law(f"{name}: it says why", None if world.events("writing_refused") else world.events())


def judge(
    report: Report,
    name: str,
    world: World,
    before: dict[str, str],
    first: "subprocess.CompletedProcess[str]",
) -> None:
    """The laws, once the mischief is over."""
    codes = _CODE.findall(first.stderr)
    report.figure(f"{name}: exit {first.returncode} {' '.join(codes)}")
    wrong = first.returncode not in {0, 1, 2} or (first.returncode and not codes)
    report.law(f"{name}: it ends by itself, with a code", first.stderr[-1500:] if wrong else None)
    report.law(f"{name}: the user's files are as they were", different(before, world.checkout_digest()))
    said = go_on(world)
    report.law(f"{name}: nothing is left to resume", world.json("status")["resumable"] and said)
    report.law(f"{name}: it can be gone on with to the end", missing(world) and [missing(world), said])
    report.law(f"{name}: no commit is lost", lost(world))
    report.law(
        f"{name}: the user's files are as they were in the end", different(before, world.checkout_digest())
    )


def go_on(world: World) -> str:
    """Try dead letters again and resume, until nothing is left to do; what the last command said."""
    said = ""
    for _ in range(GOES_ON):
        status = world.json("status")
        unfinished = [*status["resumable"], *status["waiting"]]
        if not unfinished:
            break
        verb = ("dlq", "retry") if unfinished[0]["dlq_count"] else ("resume",)
        said = world.prodigy(*verb, "latest", "--no-merge", timeout=LIMIT_S).stderr[-1500:]
    return said


def missing(world: World) -> list[str]:
    """Items whose file is not on the session branch."""
    [session] = world.json("worktree", "ls")["sessions"]
    there = world.git("ls-tree", "--name-only", session["branch_name"]).split()
    return [f"i{number}" for number in range(ITEMS) if f"f-i{number}.txt" not in there]


def lost(world: World) -> list[str]:
    """Commits that agents handed over, and that no ref contains."""
    heads = {event["head"] for event in world.events("agent_completed") if event.get("commits")}
    return [head for head in sorted(heads) if not contained(world, head)]


def contained(world: World, commit: str) -> bool:
    """Whether any ref contains it."""
    asked = subprocess.run(
        ["git", "for-each-ref", "--count=1", f"--contains={commit}"],
        cwd=world.repository,
        env=world.environ,
        capture_output=True,
        check=False,
    )
    return asked.returncode == 0 and bool(asked.stdout)


def different(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Files that changed, came or went."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
