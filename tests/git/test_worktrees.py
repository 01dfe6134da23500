"""Worktrees: made, reused beyond doubt, removed; and the user's checkout never notices."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from prodigy.errors import InternalError
from prodigy.git import evidence
from prodigy.git.cli import Git, GitFailed, GitResult
from prodigy.git.local import TrioRunner
from prodigy.git.private_folder import visited_branches
from prodigy.git.reuse import SlotDoubtful, Worktree
from prodigy.git.worktrees import Worktrees
from tests.git.test_merge import Counting


@pytest.fixture
def worktrees(repo, tmp_path: Path) -> Worktrees:
    return Worktrees(repo.git(), tmp_path / "locks/git.lock")


@pytest.fixture
def slot_path(tmp_path: Path) -> str:
    return str(tmp_path / "home/.prodigy/worktrees/repo/.pool/session/slot-00")


@pytest.fixture
def at(repo) -> Callable[[Worktree], object]:
    return lambda worktree: repo.other(worktree.path)


def there(path: str) -> bool:
    return Path(path).exists()


def names(path: str) -> list[str]:
    return sorted(entry.name for entry in Path(path).iterdir())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_a_session_worktree(repo, worktrees, slot_path, at):
    base = repo.head
    before = repo.fingerprint()
    made = await worktrees.add(slot_path, base, "prodigy-session-x")
    assert await evidence.snapshot(at(made).git(), ignored=True) == evidence.Snapshot(
        base, "prodigy-session-x", ()
    )
    assert repo.fingerprint() == before
    assert oct(mode(Path(slot_path).parent)) == "0o700"


async def test_a_detached_slot(repo, worktrees, slot_path, at):
    made = await worktrees.add(slot_path, repo.head)
    await worktrees.verify_clean(made, repo.head)
    assert at(made)("branch", "--show-current") == ""


async def test_the_users_settings_do_not_get_in_the_way(repo, worktrees, slot_path, configure):
    """No tracking, no hooks, no guessing, line ends as the user has them."""
    configure("worktree.guessRemote=true", "branch.autoSetupMerge=always", "core.autocrlf=true", "submodule.recurse=true", "checkout.guess=false")  # fmt: skip
    repo("config", "extensions.worktreeConfig", "true")
    repo.hook("post-checkout", 'touch "$(git rev-parse --show-toplevel)/hooked"; exit 1')
    repo.hook("reference-transaction", "exit 1")
    made = await worktrees.add(slot_path, repo.head, "one")
    await worktrees.verify_clean(made, repo.head, "one")
    await worktrees.reset(made, repo.head, "two")
    assert "hooked" not in names(slot_path)
    assert repo("config", "--local", "--get-regexp", "branch", ok=False) == ""


async def test_a_branch_that_exists_is_not_taken_over(repo, worktrees, slot_path):
    repo("branch", "taken")
    with pytest.raises(GitFailed, match="already exists"):
        await worktrees.add(slot_path, repo.head, "taken")
    assert not there(slot_path)


def dirty(slot) -> None:
    slot.write("a", "changed\n")
    slot.write("untracked/file")
    (slot.path / "b").unlink()


def staged(slot) -> None:
    dirty(slot)
    slot("add", "--all")


def ignored(slot) -> None:
    slot.write(".gitignore", "*\n")
    slot.write("build/out.o")
    (slot.path / "empty/folder").mkdir(parents=True)


def nested(slot) -> None:
    slot.other(slot.path)("init", "--quiet", "inner")
    slot.other(slot.path / "inner").commit(x="1")
    slot("init", "--quiet", "unborn")


def merging(slot) -> None:
    base = slot.head
    slot.commit(a="ours\n")
    slot("checkout", "--quiet", "--detach", base)
    slot.commit(a="theirs\n")
    slot("merge", "@{-1}", ok=False)
    assert "MERGE_HEAD" in {entry.name for entry in private(slot).iterdir()}


def rebasing(slot) -> None:
    base = slot.head
    slot.commit(a="ours\n")
    slot("checkout", "--quiet", "-b", "other", base)
    slot.commit(a="theirs\n")
    slot("rebase", "@{-1}", ok=False)
    assert (private(slot) / "rebase-merge").is_dir()


def picking(slot) -> None:
    base = slot.head
    slot.commit(a="ours\n")
    slot.commit(a="ours again\n")
    slot("checkout", "--quiet", "--detach", base)
    slot.commit(a="theirs\n")
    slot("cherry-pick", "@{-1}~1", "@{-1}", ok=False)
    assert (private(slot) / "sequencer").is_dir()


def bisecting(slot) -> None:
    slot("bisect", "start", "HEAD", "HEAD~2")
    assert "refs/bisect/bad" in slot("for-each-ref")


def locked(slot) -> None:
    slot.write("a", "changed\n")
    (private(slot) / "index.lock").touch()
    (private(slot) / "HEAD.lock").touch()


def hostile_files(slot) -> None:
    for number, name in enumerate(["-rf", "new\nline", "ü ☃", "--", ":(top)x"]):
        slot.write(name, str(number))
    slot.commit("hostile")
    slot.write("x\ny/z")


def away(slot) -> None:
    slot("checkout", "--quiet", "--orphan", "fresh")
    slot("rm", "-rfq", ".")


def damaged_index(slot) -> None:
    (private(slot) / "index").unlink()


def without_permissions(slot) -> None:
    slot.write("closed/file")
    (slot.path / "closed").chmod(0o000)


def private(slot) -> Path:
    return Path(slot("rev-parse", "--absolute-git-dir"))


LEFT_BEHIND = [dirty, staged, ignored, nested, merging, rebasing, picking, bisecting, locked, hostile_files, away, damaged_index]  # fmt: skip


@pytest.fixture(params=["the same commit", "another commit"])
def commit(request, repo) -> str:
    """What a slot that was made for HEAD is reset to: that again, or something else."""
    if request.param == "the same commit":
        return repo.head
    return repo("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "next")


@pytest.mark.parametrize("leave", LEFT_BEHIND, ids=lambda leave: leave.__name__)
async def test_a_used_slot_is_as_good_as_new(repo, worktrees, slot_path, leave, at, commit):
    before = repo.fingerprint()
    base = repo.head
    made = await worktrees.add(slot_path, base, "prodigy-1")
    leave(at(made))
    await worktrees.reset(made, commit, "prodigy-2")
    assert await evidence.snapshot(at(made).git(), ignored=True) == evidence.Snapshot(commit, "prodigy-2", ())
    assert names(slot_path) == [".git", "a", "b", "deep"]
    assert set(names(made.git_dir)) <= {
        "HEAD", "ORIG_HEAD", "commondir", "gitdir", "index", "index.pristine", "logs", "refs"
    }  # fmt: skip
    assert "refs/bisect" not in at(made)("for-each-ref")
    at(made).commit("usable", a="again\n")
    assert repo.fingerprint() == before


def flagged(slot) -> None:
    slot.write("a", "hidden change\n")
    slot("update-index", "--skip-worktree", "a")


def assumed(slot) -> None:
    slot("update-index", "--assume-unchanged", "a")


def sparse(slot) -> None:
    slot("sparse-checkout", "set", "deep")


def own_repository(slot) -> None:
    (slot.path / ".git").unlink()
    slot("init", "--quiet")


def no_link(slot) -> None:
    (slot.path / ".git").unlink()


def linked_link(slot) -> None:
    link = slot.path / ".git"
    link.rename(slot.path / "link")
    link.symlink_to("link")


def folder_gone(slot) -> None:
    shutil.rmtree(slot.path)


def registration_gone(slot) -> None:
    shutil.rmtree(private(slot))


def rogue_head(slot) -> None:
    (private(slot) / "HEAD").write_text("garbage\n")


def submodules(slot) -> None:
    (private(slot) / "modules/x").mkdir(parents=True)


def torn_index(slot) -> None:
    (private(slot) / "index").write_bytes(b"DIRC torn")


DOUBTFUL = [sparse, own_repository, no_link, linked_link, folder_gone, registration_gone, rogue_head, submodules]  # fmt: skip
IN_THE_INDEX = [flagged, assumed, torn_index]


@pytest.mark.parametrize("leave", [*DOUBTFUL, *IN_THE_INDEX], ids=lambda leave: leave.__name__)
async def test_a_slot_in_doubt_is_refused_and_made_anew(repo, worktrees, slot_path, leave, at, commit):
    base = repo.head
    made = await worktrees.add(slot_path, base, "prodigy-1")
    leave(at(made))
    if leave in IN_THE_INDEX and commit == base:
        pytest.skip("there is another index to go by")
    with pytest.raises(SlotDoubtful) as caught:
        await worktrees.reset(made, commit, "prodigy-2")
    assert (caught.value.code, caught.value.path) == ("worktree-error", slot_path)
    anew = await worktrees.renew(slot_path, base, "prodigy-3", ["prodigy-1", "prodigy-2"])
    await worktrees.verify_clean(anew, base, "prodigy-3")
    assert len(await worktrees.registered(slot_path)) == 1
    assert repo("branch", "--format=%(refname:short)") == "main\nprodigy-3"


@pytest.mark.parametrize("leave", IN_THE_INDEX, ids=lambda leave: leave.__name__)
async def test_what_steps_do_to_their_index_does_not_reach_the_next_agent(
    repo, worktrees, slot_path, leave, at
):
    slot = await worktrees.add(slot_path, repo.head, "prodigy-1")
    leave(at(slot))
    await worktrees.reset(slot, repo.head, "prodigy-2")
    await worktrees.verify_clean(slot, repo.head, "prodigy-2")


def same_size(slot) -> None:
    slot.write("a", "X\n")


def folder_for_file(slot) -> None:
    (slot.path / "a").unlink()
    slot.write("a/inside")


def file_for_folder(slot) -> None:
    shutil.rmtree(slot.path / "deep")
    slot.write("deep")


def link_for_folder(slot) -> None:
    (slot.path / "deep").rename(slot.path.parent / "elsewhere")
    (slot.path / "deep").symlink_to(slot.path.parent / "elsewhere")


def link_for_file(slot) -> None:
    (slot.path / "a").rename(slot.path.parent / "copy")
    (slot.path / "a").symlink_to(slot.path.parent / "copy")


def file_gone(slot) -> None:
    (slot.path / "deep/er/c").unlink()


CHANGED = [same_size, folder_for_file, file_for_folder, link_for_folder, link_for_file, file_gone]


@pytest.mark.parametrize("leave", CHANGED, ids=lambda leave: leave.__name__)
async def test_files_are_those_of_the_commit_again(repo, worktrees, slot_path, leave, at):
    """Again and again, by a short way that looks at files and nothing else; no process but one is needed."""
    runner = Counting()
    worktrees = Worktrees(Git(runner, str(repo.path), repo.env), Path(slot_path).parent / "lock")
    slot = await worktrees.add(slot_path, repo.head, "prodigy-0")
    for turn in range(1, 4):
        leave(at(slot))
        runner.verbs.clear()
        await worktrees.reset(slot, repo.head, f"prodigy-{turn}")
        assert runner.verbs == ["checkout-index"] if turn > 1 else "checkout-index" in runner.verbs
        await worktrees.verify_clean(slot, repo.head, f"prodigy-{turn}")
        found = {
            str(file.relative_to(slot_path)): file for file in Path(slot_path).rglob("*") if file.is_file()
        }
        contents = {"a": "2\n", "b": "b\n", "deep/er/c": "c\n"}
        assert {name: file.read_text() for name, file in found.items() if name != ".git"} == contents
        for stray in Path(slot_path).parent.iterdir():
            if stray.name in {"elsewhere", "copy"}:
                shutil.rmtree(stray) if stray.is_dir() else stray.unlink()


async def test_an_index_that_was_tampered_with_is_none_to_go_by(repo, worktrees, slot_path, at):
    slot = await worktrees.add(slot_path, repo.head, "prodigy-1")
    at(slot).write("a", "changed\n")
    at(slot)("add", "a")
    shutil.copy(Path(slot.git_dir, "index"), Path(slot.git_dir, "index.pristine"))
    await worktrees.reset(slot, repo.head, "prodigy-2")
    await worktrees.verify_clean(slot, repo.head, "prodigy-2")


async def test_a_disk_without_room_for_another_index(repo, worktrees, slot_path, at, monkeypatch):
    """A worktree is made and reset all the same, the longer way; one that cannot be brought back is in doubt."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    slot = await worktrees.add(slot_path, repo.head, "prodigy-1")
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(SlotDoubtful, match="No space"):
        await worktrees.reset(slot, repo.head, "prodigy-2")
    again = await worktrees.renew(slot_path, repo.head, "prodigy-3")
    at(again).write("a", "changed\n")
    await worktrees.reset(again, repo.head, "prodigy-4")
    await worktrees.verify_clean(again, repo.head, "prodigy-4")


async def test_filters_and_line_ends_are_gits(repo, worktrees, slot_path, at):
    """Files that are written anew are what a checkout writes."""
    repo("config", "filter.loud.smudge", "tr a-z A-Z")
    repo("config", "filter.loud.clean", "tr A-Z a-z")
    head = repo.commit(**{".gitattributes": "*.txt text eol=crlf\n*.loud filter=loud\n", "x.txt": "1\n2\n", "y.loud": "y\n"})  # fmt: skip
    slot = await worktrees.add(slot_path, head, "prodigy-1")
    for turn in range(2):
        for name in ("x.txt", "y.loud"):
            at(slot).write(name, "other\n")
        await worktrees.reset(slot, head, f"prodigy-again-{turn}")
        contents = [Path(slot_path, name).read_bytes() for name in ("x.txt", "y.loud")]
        assert contents == [b"1\r\n2\r\n", b"Y\n"]
        assert at(slot)("status", "--porcelain") == ""


async def test_a_lock_that_a_killed_process_left_on_a_branch_of_ours_is_in_nobodys_way(
    repo, worktrees, slot_path
):
    Path(repo.path, ".git/refs/heads/prodigy-1.lock").write_text("half")
    made = await worktrees.renew(slot_path, repo.head, "prodigy-1", ["prodigy-1"])
    await worktrees.verify_clean(made, repo.head, "prodigy-1")


async def test_empty_folders_do_not_reach_the_next_agent(repo, worktrees, slot_path):
    """Git's status does not show them, and a plain ``mkdir`` trips over them."""
    slot = await worktrees.add(slot_path, repo.head, "prodigy-1")
    Path(slot_path, "out/deep").mkdir(parents=True)
    await worktrees.reset(slot, repo.head, "prodigy-2")
    assert not there(f"{slot_path}/out")


async def test_a_submodule_that_was_filled_is_doubtful(repo, worktrees, slot_path, at):
    gitlink = f"160000,{repo.head},sub"
    repo("update-index", "--add", "--cacheinfo", gitlink)
    repo("commit", "--quiet", "--message", "submodule")
    base = repo.head
    slot = await worktrees.add(slot_path, base, "prodigy-1")
    await worktrees.reset(slot, base, "prodigy-2")
    inner = at(slot).other(slot.path + "/sub")
    inner("init", "--quiet")
    inner("fetch", "--quiet", str(repo.path))
    inner("reset", "--quiet", "--hard", repo("rev-parse", "HEAD~1"))
    inner.write("file", "hidden\n")
    with pytest.raises(SlotDoubtful, match="sub"):
        await worktrees.reset(slot, base, "prodigy-3")


async def test_a_staged_change_is_noticed_whatever_the_files_say(repo, worktrees, slot_path, at):
    slot = await worktrees.add(slot_path, repo.head, "prodigy-1")
    at(slot).write("a", "changed\n")
    at(slot)("add", "a")
    at(slot).write("a", "2\n")
    with pytest.raises(SlotDoubtful, match="'a' is not as committed"):
        await worktrees.verify_clean(slot, repo.head, "prodigy-1")
    at(slot)("rm", "--cached", "--force", "--quiet", "a")
    with pytest.raises(SlotDoubtful):
        await worktrees.verify_clean(slot, repo.head, "prodigy-1")


async def test_a_reset_forgets_where_its_last_user_went(repo, worktrees, slot_path):
    slot = await worktrees.add(slot_path, repo.head, "prodigy-1")
    repo.other(slot_path)("checkout", "--quiet", "-b", "aside")
    assert visited_branches(slot.git_dir) == {"aside"}
    await worktrees.reset(slot, repo.head, "prodigy-2")
    assert visited_branches(slot.git_dir) == set()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda slot: slot.write("new"),
        lambda slot: slot.write("a", "x\n"),
        lambda slot: slot.commit(),
        lambda slot: slot("checkout", "-q", "--detach"),
        lambda slot: slot("checkout", "-q", "-b", "else"),
        flagged,
        own_repository,
    ],
)
async def test_verify_clean_notices(repo, worktrees, slot_path, at, spoil):
    made = await worktrees.add(slot_path, repo.head, "prodigy-1")
    await worktrees.verify_clean(made, repo.head, "prodigy-1")
    spoil(at(made))
    with pytest.raises(SlotDoubtful):
        await worktrees.verify_clean(made, repo.head, "prodigy-1")


async def test_ignored_files_are_noticed(repo, worktrees, slot_path, at):
    head = repo.commit_file(".gitignore", "*.log\n")
    made = await worktrees.add(slot_path, head)
    at(made).write("x.log")
    with pytest.raises(SlotDoubtful, match=r"x\.log"):
        await worktrees.verify_clean(made, head)


async def test_the_users_sparse_checkout_is_kept(repo, worktrees, slot_path):
    """A slot is sparse where its user's checkout is, and can be reused all the same."""
    repo("sparse-checkout", "set", "deep/er")
    repo("sparse-checkout", "reapply")
    made = await worktrees.add(slot_path, repo.head, "one")
    await worktrees.reset(made, repo.head, "two")
    assert "info/sparse-checkout" in made.ties


async def test_removing_is_idempotent(repo, worktrees, slot_path):
    await worktrees.add(slot_path, repo.head, "prodigy-1")
    for _ in range(2):
        assert await worktrees.remove(slot_path, ["prodigy-1", "never-was"]) == ("prodigy-1", "never-was")
    assert not there(slot_path)
    assert repo("worktree", "list", "--porcelain").count("worktree ") == 1
    assert repo("branch", "--format=%(refname:short)") == "main"


async def test_removing_what_a_step_closed_off_or_locked(repo, worktrees, slot_path, at):
    made = await worktrees.add(slot_path, repo.head)
    without_permissions(at(made))
    repo("worktree", "lock", slot_path)
    await worktrees.remove(slot_path)
    assert not there(slot_path)
    assert await worktrees.registered(slot_path) == []


async def test_removing_a_link_leaves_what_it_points_at(worktrees, tmp_path):
    target = tmp_path / "precious"
    target.mkdir()
    (target / "file").touch()
    (tmp_path / "link").symlink_to(target)
    await worktrees.remove(str(tmp_path / "link"))
    assert (target / "file").exists()
    assert not (tmp_path / "link").is_symlink()


async def test_the_repository_is_never_removed(repo, worktrees, tmp_path):
    for path in (repo.path, tmp_path, repo.path / ".." / "repo"):
        with pytest.raises(InternalError):
            await worktrees.remove(str(path))
    assert repo.head


async def test_a_branch_that_somebody_has_checked_out_stays(repo, worktrees, slot_path):
    await worktrees.add(slot_path, repo.head, "held")
    repo("branch", "free")
    assert await worktrees.delete_branches(["held", "free", "main", "never"]) == ("free", "never")
    assert repo("branch", "--format=%(refname:short)") == "held\nmain"


async def test_many_slots_at_once_from_several_processes_worth_of_owners(repo, tmp_path):
    """Owners that share nothing but the lock file make, reset and remove without ever colliding."""
    owners = [Worktrees(repo.git(), tmp_path / "git.lock") for _ in range(3)]
    base = repo.head

    async def live(owner: Worktrees, number: int) -> None:
        path = str(tmp_path / f"pool/{number}")
        made = await owner.add(path, base, f"prodigy-{number}-0")
        for turn in range(1, 4):
            repo.other(path).write("a", f"turn {turn}\n")
            assert await evidence.auto_commit(repo.other(path).git(), "work")
            await owner.reset(made, base, f"prodigy-{number}-{turn}")
            await owner.delete_branches([f"prodigy-{number}-{turn - 1}"])
        await owner.remove(path, [f"prodigy-{number}-3"])

    async with trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(live, owners[number % 3], number)
    assert repo("branch", "--format=%(refname:short)") == "main"
    assert repo("worktree", "list", "--porcelain").count("worktree ") == 1
    repo("fsck", "--strict")


class Holder(TrioRunner):
    """Another git that lets go of a lock once it has stood in our way."""

    def __init__(self, lock: Path) -> None:
        self.lock = lock
        self.stood_in_the_way = 0

    async def run(self, argv, *, cwd, env, stdin=b"") -> GitResult:
        done = await super().run(argv, cwd=cwd, env=env, stdin=stdin)
        if done.lock_held:
            self.stood_in_the_way += 1
            self.lock.unlink()
        return done


async def test_another_gits_lock_is_waited_for(repo, tmp_path):
    """`packed-refs.lock` held by a fetch or gc is a moment's wait, not a failure."""
    repo("config", "core.packedRefsTimeout", "0")
    repo("branch", "prodigy-1")
    repo("pack-refs", "--all")
    runner = Holder(repo.path / ".git/packed-refs.lock")
    runner.lock.touch()
    worktrees = Worktrees(Git(runner, str(repo.path), repo.env), tmp_path / "git.lock")
    assert await worktrees.delete_branches(["prodigy-1"]) == ("prodigy-1",)
    assert runner.stood_in_the_way == 1
    assert repo("branch", "--format=%(refname:short)") == "main"


async def test_detached_while_the_branch_moves_then_in_sync(repo, worktrees, slot_path, at):
    session = await worktrees.add(slot_path, repo.head, "session")
    at(session).write(".prodigy/items.json", "[]")
    repo.commit_file(".git/info/exclude", ".prodigy\n")
    await worktrees.detach(session)
    merged = repo.commit(a="merged\n", new="n\n")
    await worktrees.move_branch("session", merged)
    assert at(session)("status", "--porcelain") == ""
    await worktrees.sync(session, "session")
    assert await evidence.snapshot(at(session).git()) == evidence.Snapshot(merged, "session", ())
    assert at(session).path.joinpath("a").read_text() == "merged\n"
    assert at(session).path.joinpath(".prodigy/items.json").read_text() == "[]"


async def test_letting_go_of_a_branch_takes_no_process(repo, slot_path, tmp_path, at):
    """Nor does it touch files, index or branch; what is in progress is git's, and a branch that nobody can read."""
    runner = Counting()
    worktrees = Worktrees(Git(runner, str(repo.path), repo.env), tmp_path / "git.lock")
    session = await worktrees.add(slot_path, repo.head, "session")
    at(session).write("a", "changed\n")
    at(session)("add", "a")
    runner.verbs.clear()
    for _ in range(2):
        await worktrees.detach(session)
        assert at(session)("branch", "--show-current") == ""
    assert at(session)("status", "--porcelain") == "M  a"
    assert runner.verbs == []
    at(session)("checkout", "--quiet", "session")
    repo("pack-refs", "--all")
    await worktrees.detach(session)
    at(session)("reset", "--quiet", "--hard")
    at(session)("checkout", "--quiet", "session")
    at(session)("merge", "--quiet", "--no-commit", "--no-ff", repo.commit(other="other\n"))
    await worktrees.detach(session)
    assert runner.verbs == ["checkout", "checkout"]


async def test_sync_never_overwrites_changes_and_overwrite_does(repo, worktrees, slot_path, at):
    session = await worktrees.add(slot_path, repo.head, "session")
    await worktrees.detach(session)
    await worktrees.move_branch("session", repo.commit(a="merged\n"))
    at(session).write("a", "local\n")
    at(session).write("untracked")
    at(session).write("kept")
    ours = Path(session.git_dir, "info", "ours")
    ours.parent.mkdir(exist_ok=True)
    ours.write_text("kept\n")
    (Path(session.git_dir) / "index.lock").touch()
    with pytest.raises(GitFailed):
        await worktrees.sync(session, "session")
    await worktrees.overwrite(session, "session", f"core.excludesFile={ours}")
    assert at(session).path.joinpath("a").read_text() == "merged\n"
    assert at(session)("status", "--porcelain") == "?? kept"


async def test_branches_by_prefix(repo, worktrees):
    for name in ("prodigy-k7-agent-1-1", "prodigy-k7-agent-2-1", "prodigy-other", "x-prodigy-k7-agent-1"):
        repo("branch", name)
    assert await worktrees.branches("prodigy-k7-agent-") == ("prodigy-k7-agent-1-1", "prodigy-k7-agent-2-1")


async def test_in_a_bare_repository_and_without_a_home(repo, tmp_path, nameless):
    bare = repo.other(tmp_path / "bare.git")
    repo("clone", "--quiet", "--bare", str(repo.path), str(bare.path))
    bare.env = nameless
    worktrees = Worktrees(bare.git(), tmp_path / "git.lock")
    made = await worktrees.add(str(tmp_path / "w"), repo.head, "one")
    await worktrees.reset(made, repo.head, "two")
    await worktrees.remove(made.path, ["one", "two"])
    assert bare("branch", "--format=%(refname:short)") == "main"


async def test_opening_what_is_no_worktree(worktrees, tmp_path, repo):
    for path in (tmp_path, repo.path):
        with pytest.raises(SlotDoubtful):
            worktrees.open(str(path))


async def test_kept_is_what_is_ignored_and_named(repo, worktrees, slot_path, at, hostile):
    repo.write(".gitignore", "cache/\n*.o\n")
    base = repo.commit()
    slot = await worktrees.add(slot_path, base, "prodigy-1")
    inside = at(slot)
    for name in ("cache/x", f"deep/cache/{hostile}", "main.o", "other.o", "loose", "a"):
        inside.write(name, "left\n")
    await worktrees.reset(slot, base, "prodigy-2", ["cache", "main.o", "loose"])
    assert names(slot_path) == [".git", ".gitignore", "a", "b", "cache", "deep", "main.o"]
    assert there(f"{slot_path}/deep/cache/{hostile}")
    assert Path(slot_path, "a").read_text() == "2\n"
    with pytest.raises(SlotDoubtful, match="not as committed"):
        await worktrees.verify_clean(slot, base, "prodigy-2")
    inside.write("other.o")
    with pytest.raises(SlotDoubtful, match=r"other\.o"):
        await worktrees.verify_clean(slot, base, "prodigy-2", ["cache", "main.o"])


async def test_what_is_kept_is_doubtful_when_git_ignores_it_no_more(repo, worktrees, slot_path, at):
    repo.write(".gitignore", "cache/\n")
    slot = await worktrees.add(slot_path, repo.commit(), "prodigy-1")
    at(slot).write("cache/x")
    base = repo.commit_file(".gitignore", "\n")
    await worktrees.reset(slot, base, "prodigy-2", ["cache"])
    assert not there(f"{slot_path}/cache"), "the next agent would commit it"


class Counter(TrioRunner):
    """Notes what is asked of git."""

    def __init__(self) -> None:
        self.verbs: list[str] = []

    async def run(self, argv, *, cwd, env, stdin=b"") -> GitResult:
        self.verbs.append(next(word for word in argv if word[0] != "-" and "=" not in word))
        return await super().run(argv, cwd=cwd, env=env, stdin=stdin)


async def test_a_reset_takes_one_command_or_two(repo, slot_path, tmp_path):
    """Back to where it was: one that looks at everything. Elsewhere: one before it that touches only what differs."""
    runner = Counter()
    worktrees = Worktrees(Git(runner, str(repo.path), repo.env), tmp_path / "git.lock")
    bases = [repo.head, repo.commit(b="elsewhere\n")]
    slot = await worktrees.add(slot_path, bases[0], "prodigy-0")

    async def reset(commit: str, number: int) -> list[str]:
        repo.other(slot_path).commit(a=f"work {number}\n", new="file\n")
        repo.other(slot_path).write("left", "x" * number)
        runner.verbs.clear()
        await worktrees.reset(slot, commit, f"prodigy-{number}")
        return [verb for verb in runner.verbs if verb != "ls-tree"]

    assert [await reset(bases[0], number) for number in (1, 2)] == [["checkout-index"]] * 2
    assert await reset(bases[1], 3) == ["read-tree", "ls-files", "clean", "ls-files"]
    assert await reset(bases[1], 4) == ["checkout-index"]
    repo.other(slot_path)("stash", "--include-untracked", "--quiet", ok=False)
    runner.verbs.clear()
    await worktrees.reset(slot, bases[0], "prodigy-5")
    assert runner.verbs == ["read-tree", "ls-files"]
