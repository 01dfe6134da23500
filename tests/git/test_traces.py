"""One look tells what is uncommitted, as git would, and what is not as it was, for whoever makes it so again."""

import os
from pathlib import Path

import pytest
import trio
from msgspec import structs

from prodigy.git import evidence
from prodigy.git.cli import Git, GitResult
from prodigy.git.index_file import Layouts
from prodigy.git.reuse import SlotDoubtful, Worktree
from prodigy.git.traces import Moment, Residue, Traces, Tracker
from prodigy.git.worktrees import Worktrees
from tests.git.conftest import Scratch
from tests.git.test_merge import Counting

SHELL = "run.sh"
LONG = 10_000_000_000


class Listening(Counting):
    """Remembers what the last command was about."""

    async def run(self, argv, *, cwd, env, stdin=b"") -> GitResult:
        self.about = argv[argv.index("--") + 1 :] if "--" in argv else ()
        return await super().run(argv, cwd=cwd, env=env, stdin=stdin)


class Slot:
    """A worktree that somebody works in, and whoever looks at it and resets it."""

    def __init__(
        self, made: Worktree, scratch: Scratch, worktrees: Worktrees, base: str, runner: Listening
    ) -> None:
        self.made = made
        self.work = scratch
        self.path = scratch.path
        self.worktrees = worktrees
        self.base = base
        self.runner = runner

    async def look(self, since: Moment | None = None) -> Traces | None:
        self.runner.verbs.clear()
        basis = self.worktrees.basis(self.made, self.base)
        assert basis is not None
        basis = basis if since is None else structs.replace(basis, since=since)
        git = Git(self.runner, self.made.path, self.work.env).inside(self.made.path)
        tree = self.work("rev-parse", "HEAD^{tree}")
        head = self.work.head
        return await Tracker(git, basis, Layouts(), {head: tree}.get).look()

    async def reset(self, residue: Residue | None) -> None:
        self.runner.verbs.clear()
        await self.worktrees.reset(self.made, self.base, f"prodigy-{os.urandom(4).hex()}", residue=residue)


@pytest.fixture
def slot(repo, tmp_path: Path) -> Slot:
    """Of a commit with files in two folders; it was used once."""
    return trio.run(made, repo, tmp_path)


async def made(repo: Scratch, tmp_path: Path) -> Slot:
    base = repo.commit(**{"a": "a\n", "d/b": "b\n", "d/e/c": "c\n", ".gitignore": "*.log\n"})
    repo.write(SHELL, "true\n").chmod(0o755)
    base = repo.commit("executable")
    runner = Listening()
    git = Git(runner, str(repo.path), repo.env)
    forge = await repo.forge(git)
    worktrees = Worktrees(git, tmp_path / "locks/git.lock", forge.restorer)
    worktree = await worktrees.add(str(tmp_path / "slots/slot-1"), base, "prodigy-1")
    used = Slot(worktree, repo.other(worktree.path), worktrees, base, runner)
    await used.reset(None)
    return used


def edited(slot: Slot) -> None:
    slot.work.write("d/b", "other\n")


def same_size(slot: Slot) -> None:
    (slot.path / "a").write_text("x\n")


def gone(slot: Slot) -> None:
    (slot.path / "d/e/c").unlink()


def executable(slot: Slot) -> None:
    (slot.path / "a").chmod(0o755)


def link_for_file(slot: Slot) -> None:
    (slot.path / "a").unlink()
    (slot.path / "a").symlink_to("d/b")


def folder_for_file(slot: Slot) -> None:
    (slot.path / "a").unlink()
    slot.work.write("a/x")


def untracked(slot: Slot) -> None:
    slot.work.write("new/deep/file")
    slot.work.write("-odd name*")


def ignored(slot: Slot) -> None:
    slot.work.write("noise.log")
    (slot.path / "empty/deep").mkdir(parents=True)


def staged(slot: Slot) -> None:
    edited(slot)
    slot.work("add", "--all")


def staged_and_undone(slot: Slot) -> None:
    staged(slot)
    slot.work.write("d/b", "b\n")


def out_of_the_index(slot: Slot) -> None:
    slot.work("rm", "--quiet", "--cached", "a")


def committed(slot: Slot) -> None:
    edited(slot)
    gone(slot)
    slot.work.commit(**{"new/file": "new\n"})


def committed_and_edited(slot: Slot) -> None:
    committed(slot)
    slot.work.write("a", "more\n")


def committed_and_taken_back(slot: Slot) -> None:
    """The file is as it was at first, but no longer as committed."""
    committed(slot)
    slot.work.write("d/b", "b\n")


def committed_and_unstaged(slot: Slot) -> None:
    committed(slot)
    slot.work("rm", "--quiet", "--cached", "a")


def assumed(slot: Slot) -> None:
    slot.work("update-index", "--assume-unchanged", "a")
    slot.work.write("a", "hidden\n")


def attributes(slot: Slot) -> None:
    slot.work.write(".gitattributes", "* text eol=crlf\n")


def own_repository(slot: Slot) -> None:
    slot.work.write("inner/file")
    slot.work.other(slot.path / "inner")("init", "--quiet")


def repository_over_files(slot: Slot) -> None:
    slot.work.other(slot.path / "d")("init", "--quiet")


def elsewhere(slot: Slot) -> None:
    slot.work("checkout", "--quiet", "-b", "own", "HEAD~1")


def conflict(slot: Slot) -> None:
    edited(slot)
    slot.work("stash", "--quiet")
    slot.work.write("d/b", "third\n")
    slot.work("commit", "--quiet", "--all", "--message", "third")
    slot.work("stash", "pop", "--quiet", ok=False)


def nothing(slot: Slot) -> None:
    del slot


SIMPLE = (edited, same_size, gone, executable, link_for_file, untracked, ignored, staged, staged_and_undone, out_of_the_index)  # fmt: skip
COMMITTED = (committed, committed_and_edited, committed_and_taken_back, committed_and_unstaged)
IN_THE_INDEX = (staged_and_undone, out_of_the_index, committed_and_taken_back, committed_and_unstaged)
"""What is uncommitted though the file is as it was."""
UNUSUAL = (folder_for_file, assumed, attributes, own_repository, repository_over_files, elsewhere, conflict)


@pytest.mark.parametrize("leave", [nothing, *SIMPLE, *COMMITTED, *UNUSUAL], ids=lambda leave: leave.__name__)
async def test_a_look_sees_what_git_sees_and_the_next_agent_sees_nothing(slot, leave):
    leave(slot)
    seen = await slot.look()
    assert seen is None or seen.snapshot == await evidence.snapshot(slot.work.git())
    await slot.reset(None if seen is None else seen.residue)
    await slot.worktrees.verify_clean(slot.made, slot.base, slot.work("branch", "--show-current"))
    assert os.access(slot.path / SHELL, os.X_OK)
    assert slot.work("status", "--porcelain", "--ignored") == ""


@pytest.mark.parametrize("leave", [nothing, *SIMPLE, *COMMITTED], ids=lambda leave: leave.__name__)
async def test_the_usual_is_seen_with_one_look_at_all_files(slot, leave):
    """Beside it git is asked about single paths, and only if they are not as committed."""
    leave(slot)
    seen = await slot.look()
    assert seen is not None
    asked = slot.runner.verbs[1:]
    assert slot.runner.verbs[0] == "diff-files"
    assert asked == (["status"] if seen.snapshot.dirty or leave is ignored else [])
    if asked and leave not in IN_THE_INDEX:
        assert slot.runner.about, "about everything"


@pytest.mark.parametrize(
    "leave", [nothing, edited, same_size, gone, committed], ids=lambda leave: leave.__name__
)
async def test_files_that_were_seen_to_be_touched_are_written_without_a_process(slot, leave):
    for _ in range(2):
        leave(slot)
        seen = await slot.look()
        await slot.reset(seen.residue)
    assert slot.runner.verbs == []
    slot.work("update-index", "--refresh")
    assert (await slot.look()).residue == Residue((), ())


@pytest.mark.parametrize(
    "attributes",
    ["* text eol=crlf", "zz eol=crlf", "zz ident", "zz filter=x", "zz working-tree-encoding=UTF-16"],
)
async def test_what_a_checkout_turns_is_gits_to_write(slot, attributes):
    """So is what the user's own attributes turn, and settings of line ends."""
    info = Path(slot.made.git_dir, "../../info/attributes")
    info.parent.mkdir(exist_ok=True)
    info.write_text(f"{attributes}\n")
    edited(slot)
    seen = await slot.look()
    await slot.reset(seen.residue)
    assert slot.runner.verbs[-1] == "checkout-index"


async def test_settings_of_line_ends_are_gits_to_heed(slot):
    slot.work("config", "core.autocrlf", "true")
    slot.work.write("d/b", "other\n")
    seen = await slot.look()
    await slot.reset(seen.residue)
    assert slot.runner.verbs[-1] == "checkout-index"
    assert (slot.path / "d/b").read_bytes() == b"b\r\n"


async def test_line_ends_that_stay_are_no_reason(slot):
    base = slot.work.commit(**{".gitattributes": "* text=auto eol=lf\n*.bin -text diff\n"})
    await slot.worktrees.reset(slot.made, base, "prodigy-again")
    slot.base = base
    for _ in range(2):
        edited(slot)
        seen = await slot.look()
        await slot.reset(seen.residue)
    assert slot.runner.verbs == []


async def test_a_kept_index_that_was_tampered_with_proves_nothing(slot):
    same_size(slot)
    kept = Path(slot.made.git_dir, "index.pristine")
    slot.work("update-index", "--assume-unchanged", "a")
    kept.write_bytes(Path(slot.made.git_dir, "index").read_bytes())
    assert slot.worktrees.basis(slot.made, slot.base) is None
    with pytest.raises(SlotDoubtful, match="assume-unchanged"):
        await slot.reset(Residue((), ()))


async def test_folders_that_nobody_has_changed_since_are_not_listed(slot):
    """As if all of it had been there for long: only then a new file can be overlooked."""
    (slot.path / "noise.log").touch()
    now = Moment.now()
    assert (await slot.look(now)).residue.added == (b"noise.log",)
    later = Moment(now.real + LONG, now.steady + LONG)
    assert (await slot.look(later)).residue.added == ()


async def test_a_clock_that_was_set_dates_nothing(slot):
    (slot.path / "noise.log").touch()
    now = Moment.now()
    for real in (now.real + LONG, now.real - LONG):
        assert (await slot.look(Moment(real, now.steady))).residue.added == (b"noise.log",)


@pytest.mark.parametrize("branch", ["prodigy-own", None])
async def test_a_commit_is_read_where_git_has_just_written_it(slot, branch):
    slot.work("checkout", "--quiet", *(["-b", branch] if branch else ["--detach"]))
    edited(slot)
    slot.runner.verbs.clear()
    made = await evidence.auto_commit(Git(slot.runner, slot.made.path, slot.work.env), "edited")
    assert slot.runner.verbs == ["add", "commit"]
    assert made == slot.work.head
