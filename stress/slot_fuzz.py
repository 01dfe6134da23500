"""A worktree that agents have spoilt in every way is as a fresh one after each of 2,000 resets, or is made anew.

What comes before a reset is random and quick, so that files change within the second in which an index was written.
Mostly somebody looks first at what was left, as agents do at the end of a step; that is compared with what git says, and
the reset goes by it.
"""

import os
import random
import shutil
import subprocess
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import trio

from prodigy.git.cli import Git
from prodigy.git.evidence import snapshot
from prodigy.git.forge import open_forge
from prodigy.git.index_file import Layouts
from prodigy.git.local import TrioRunner
from prodigy.git.repository import discover
from prodigy.git.reuse import SlotDoubtful
from prodigy.git.traces import Basis, Residue, Tracker
from prodigy.git.worktrees import Worktrees
from stress._items import Ground
from stress._report import Report, scaled

KIND = "stress"
RESETS = 2_000
ELSEWHERE = 0.2
"""How often the next agent begins with another commit."""
UNSEEN = 0.2
"""How often nobody looks before a reset."""

FILES = ("a", "b", "d/x", "d/y", "d/e/z", "s p/ü", "run.sh", "lines.txt")
BESIDE = ("new", "x/y", "build/o", "z.log", "d", "link")
TEXTS = ("aaa\n", "bbb\n", "another\n")

Contents = dict[str, tuple[bytes, bool] | None]
"""What is in each file and whether it can be executed; nothing is said of folders, which end in a slash."""


def main() -> int:
    """0 if no agent found what another had left."""
    report = Report()
    ways: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="prodigy-slots-") as folder:
        for plain in (False, True):
            ground = make_ground(Path(folder, "plain" if plain else "turned"), plain=plain)
            trio.run(reset_often, ground, random.Random(report.seed), scaled(RESETS // 2), ways)
    report.figure(", ".join(f"{count} {name}" for name, count in ways.most_common()))
    report.law("every reset gave a fresh worktree", holds=not ways["wrong"])
    report.law("every look saw what git sees", holds=not ways["mistaken"])
    report.law(
        "the short way was taken most of the time", holds=ways["short"] > ways["long"] + ways["made anew"]
    )
    report.law("a look was enough most of the time", holds=ways["seen"] > ways["left to git"])
    return report.code


def make_ground(folder: Path, *, plain: bool) -> Ground:
    """A repository with two commits, in which nearly everything is that a worktree can hold.

    A plain one turns no line ends, so its files can be written without git.
    """
    ground = Ground(folder, 0)
    for name in FILES:
        file = ground.repository / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}\n")
    (ground.repository / "run.sh").chmod(0o755)
    (ground.repository / "link").symlink_to("d/x")
    (ground.repository / ".gitignore").write_text("*.log\nbuild/\n")
    (ground.repository / ".gitattributes").write_text(f"lines.txt text eol={'lf' if plain else 'crlf'}\n")
    ground.git("init", "--quiet", "--initial-branch=main")
    for key, value in (("user.name", "Slots"), ("user.email", "slots@localhost")):
        ground.git("config", key, value)
    for text in TEXTS[:2]:
        (ground.repository / "a").write_text(text)
        ground.git("add", "--all")
        ground.git("commit", "--quiet", "-m", text)
    return ground


async def reset_often(ground: Ground, chance: random.Random, times: int, ways: Counter[str]) -> None:
    """Spoil and reset one slot so many times."""
    git = Git(TrioRunner(), str(ground.repository), ground.environ)
    lock, place = ground.scratch / "lock", ground.scratch / "slot"
    forge = await open_forge(await discover(git, str(ground.repository)), git, lock, ground.scratch / "bench")
    worktrees = Worktrees(git, lock, forge.restorer)
    commits = (ground.git("rev-parse", "main"), ground.git("rev-parse", "main~1"))
    fresh = {commit: await fresh_contents(ground, worktrees, commit) for commit in commits}
    commit = commits[0]
    slot = await worktrees.add(str(place), commit, "slot")
    for number in range(times):
        for _ in range(chance.randrange(1, 6)):
            spoil(ground, chance, place, commits)
        residue = None
        if chance.random() > UNSEEN:
            residue = await look(git.inside(str(place)), worktrees.basis(slot, commit), ways)
        before, commit = commit, chance.choice(commits) if chance.random() < ELSEWHERE else commit
        try:
            await worktrees.reset(slot, commit, f"slot-{number}", residue=residue)
            ways["short" if commit == before else "long"] += 1
        except SlotDoubtful:
            slot = await worktrees.renew(str(place), commit, f"slot-anew-{number}")
            ways["made anew"] += 1
        ways["wrong"] += contents(place) != fresh[commit] or not is_clean(ground, place, commit)


async def look(git: Git, basis: Basis | None, ways: Counter[str]) -> Residue | None:
    """What is not as it was; it must be what git says of it, in full."""
    tree = (await git.run("rev-parse", "HEAD^{tree}", ok=None)).text
    traces = basis and await Tracker(git, basis, Layouts(), lambda _: tree or None).look()
    if not traces:
        ways["left to git"] += basis is not None
        return None
    ways["seen"] += 1
    found, said = await snapshot(git), traces.snapshot
    ways["mistaken"] += found != said
    return traces.residue


async def fresh_contents(ground: Ground, worktrees: Worktrees, commit: str) -> Contents:
    path = ground.scratch / f"fresh-{commit}"
    await worktrees.add(str(path), commit)
    return contents(path)


def spoil(ground: Ground, chance: random.Random, slot: Path, commits: tuple[str, ...]) -> None:
    """Do one thing that an agent might do; it may fail."""
    file, other = (slot / chance.choice((*FILES, *BESIDE)) for _ in range(2))
    commands = (
        ("add", "--all"),
        ("commit", "--quiet", "--all", "-m", "work"),
        ("update-index", chance.choice(("--assume-unchanged", "--skip-worktree")), "a"),
        ("rm", "--quiet", "--cached", "d/x"),
        ("checkout", "--quiet", chance.choice(commits)),
        ("stash", "--quiet", "--include-untracked"),
        ("sparse-checkout", "set", "d"),
    )
    deeds = (
        lambda: file.write_text(chance.choice(TEXTS)),
        lambda: (file.parent.mkdir(parents=True, exist_ok=True), file.write_text(chance.choice(TEXTS))),
        file.unlink,
        lambda: shutil.rmtree(file),
        lambda: file.chmod(chance.choice((0o644, 0o755))),
        lambda: file.rename(other),
        lambda: file.symlink_to(chance.choice(("a", "d", ".."))),
        lambda: file.mkdir(parents=True),
        lambda: ground.git(*chance.choice(commands), cwd=slot),
    )
    with suppress(OSError, ValueError, subprocess.CalledProcessError):
        chance.choice(deeds)()


def contents(root: Path) -> Contents:
    """All that lies below a folder, but for what ties it to its repository."""
    found: Contents = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            file = Path(folder, name)
            path = str(file.relative_to(root))
            if file.is_symlink():
                found[path] = os.fsencode(file.readlink()), False
            elif file.is_dir():
                found[f"{path}/"] = None
            elif path != ".git":
                found[path] = file.read_bytes(), os.access(file, os.X_OK)
    return found


def is_clean(ground: Ground, slot: Path, commit: str) -> bool:
    """Whether git has nothing to say of it, and no flag keeps it from seeing."""
    flags = {line[0] for line in ground.git("ls-files", "-v", cwd=slot).splitlines()}
    changed = ground.git("status", "--porcelain", "--ignored", cwd=slot)
    return (ground.git("rev-parse", "HEAD", cwd=slot), changed, flags) == (commit, "", {"H"})
