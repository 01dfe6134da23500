"""Merging in the object database: git's verdicts, compare-and-swap, and no file touched."""

import pytest
import trio
from msgspec import structs

from prodigy.errors import RunError
from prodigy.git import merge as engine
from prodigy.git.cli import Git, GitResult
from prodigy.git.forge import Forge
from prodigy.git.local import TrioRunner
from prodigy.git.merge import Conflict, Merged, foretell, merge
from prodigy.git.objects import CommandLineObjects
from prodigy.git.tips import Tips

TARGET = "refs/heads/session"


async def forge_of(repo, which: str, git: Git | None = None) -> Forge:
    forge = await repo.forge(git)
    if which == "library":
        return forge
    return structs.replace(forge, objects=CommandLineObjects(forge.git))


@pytest.fixture(params=["command-line", "library"])
def which(request) -> str:
    return str(request.param)


def side(repo, base: str, **files: str) -> str:
    """A commit on ``base``, made on a detached HEAD; HEAD goes back to ``main``."""
    repo("checkout", "--quiet", "--detach", base)
    made = repo.commit(f"side {sorted(files)}", **files)
    repo("checkout", "--quiet", "main")
    return made


async def test_fast_forward(repo, which):
    base = repo.head
    source = side(repo, base, a="x\n")
    repo("update-ref", TARGET, base)
    assert await merge(await forge_of(repo, which), TARGET, source, "m") == Merged(base, source, "fast-forward")  # fmt: skip
    assert repo("rev-parse", TARGET) == source


async def test_contained_already(repo, which):
    tip = repo.head
    repo("update-ref", TARGET, tip)
    forge = await forge_of(repo, which)
    for source in (tip, repo("rev-parse", "HEAD~1")):
        assert await merge(forge, TARGET, source, "m") == Merged(tip, tip, "nothing")


async def test_a_true_merge_has_both_parents_the_branch_first(repo, which):
    base = repo.head
    ours, theirs = side(repo, base, a="ours\n"), side(repo, base, b="theirs\n", new="n\n")
    repo("update-ref", TARGET, ours)
    before = repo.fingerprint()
    message = "Merge ünï\n\nProdigy-Item: 7"
    done = await merge(await forge_of(repo, which), TARGET, theirs, message)
    assert done == Merged(ours, repo("rev-parse", TARGET), "merge-tree")
    assert repo("log", "-1", "--format=%P%n%B%an <%ae>", TARGET).splitlines() == [
        f"{ours} {theirs}",
        *message.splitlines(),
        "Tester <tester@example.org>",
    ]
    assert repo("show", f"{TARGET}:a") == "ours"
    assert repo("show", f"{TARGET}:b") == "theirs"
    assert repo.fingerprint() == before
    repo("fsck", "--strict")


async def test_a_conflict_names_its_paths_and_moves_nothing(repo, which, hostile):
    base = repo.commit_file(hostile, "base\n")
    ours = side(repo, base, **{hostile: "ours\n", "a": "ours\n", "b": "ours\n"})
    theirs = side(repo, base, **{hostile: "theirs\n", "a": "theirs\n", "deep/er/c": "theirs\n"})
    repo("update-ref", TARGET, ours)
    before = repo.fingerprint()
    done = await merge(await forge_of(repo, which), TARGET, theirs, "m")
    assert isinstance(done, Conflict)
    assert sorted(done.paths) == sorted([hostile, "a"])
    assert repo("rev-parse", TARGET) == ours
    assert repo.fingerprint() == before


async def test_foretelling_moves_nothing(repo):
    base = repo.head
    ours, theirs = side(repo, base, a="ours\n"), side(repo, base, b="theirs\n")
    tree = await foretell(await repo.forge(), ours, theirs)
    assert repo("ls-tree", "-r", "--name-only", str(tree)).splitlines() == ["a", "b", "deep/er/c"]
    assert await foretell(await repo.forge(), ours, side(repo, base, a="theirs\n")) == Conflict(("a",))


async def test_unrelated_histories_and_missing_branches_are_errors(repo, which):
    repo("checkout", "--quiet", "--orphan", "fresh")
    source = repo.commit("unrelated")
    repo("checkout", "--quiet", "main")
    repo("update-ref", TARGET, repo.head)
    forge = await forge_of(repo, which)
    for target in (TARGET, "refs/heads/none"):
        with pytest.raises(RunError) as caught:
            await merge(forge, target, source, "m")
        assert caught.value.code == "merge-failed"


class Meddler(Tips):
    """Somebody moves the branch just before each of our first moves."""

    def __init__(self, forge: Forge, repo, commits: list[str]) -> None:
        super().__init__(forge.git, forge.customs.common_dir, forge.customs)
        self.repo = repo
        self.commits = commits

    async def swap(self, ref: str, old: str, new: str, reason: str) -> bool:
        if self.commits:
            self.repo("update-ref", TARGET, self.commits.pop(0))
        return await super().swap(ref, old, new, reason)


async def meddled(repo, commits: list[str]) -> Forge:
    forge = await repo.forge()
    return structs.replace(forge, tips=Meddler(forge, repo, commits))


async def test_a_tip_that_moved_meanwhile_is_merged_with(repo):
    base = repo.head
    source = side(repo, base, b="agent\n")
    first = side(repo, base, a="user\n")
    second = side(repo, first, a="user again\n")
    repo("update-ref", TARGET, base)
    done = await merge(await meddled(repo, [first, second]), TARGET, source, "m")
    assert done == Merged(second, repo("rev-parse", TARGET), "merge-tree")
    assert repo("show", f"{TARGET}:a") == "user again"
    assert repo("show", f"{TARGET}:b") == "agent"


async def test_a_tip_that_never_stands_still_is_given_up(repo):
    base = repo.head
    source = side(repo, base, b="agent\n")
    repo("update-ref", TARGET, base)
    moves = [base]
    for number in range(2 * engine._MAX_RACES):
        moves.append(repo("commit-tree", "HEAD^{tree}", "-p", moves[-1], "-m", str(number)))
    with pytest.raises(RunError, match="moved by somebody else"):
        await merge(await meddled(repo, moves[1:]), TARGET, source, "m")


async def test_with_several_ancestors_git_itself_merges(repo, which):
    """Two histories that merged each other: what git makes of their ancestors can stand in the result."""
    base = repo.head
    one, other = side(repo, base, shared="one\n"), side(repo, base, shared="other\n")
    crossed = []
    for first, second in ((one, other), (other, one)):
        tree = side(repo, first, shared="both\n")
        crossed.append(repo("commit-tree", f"{tree}^{{tree}}", "-p", first, "-p", second, "-m", "crossed"))
    ours, theirs = side(repo, crossed[0], a="ours\n"), side(repo, crossed[1], b="theirs\n")
    repo("update-ref", TARGET, ours)
    done = await merge(await forge_of(repo, which), TARGET, theirs, "m")
    assert isinstance(done, Merged)
    assert done.strategy == "git"
    assert repo("show", f"{TARGET}:a", f"{TARGET}:b", f"{TARGET}:shared") == "ours\ntheirs\nboth"


async def test_merges_of_whole_files_start_no_process(repo):
    """After the first, which finds out what holds for all; and they are what git makes of them."""
    base = repo.head
    sources = [
        side(repo, base, **{f"made/{number}": "x\n", "a" if number else "b": "x\n"}) for number in range(2)
    ]
    repo("update-ref", TARGET, base)
    runner = Counting()
    forge = await repo.forge(Git(runner, str(repo.path), repo.env))
    await merge(forge, TARGET, side(repo, base, new="n\n"), "m")
    for source in sources:
        tip = repo("rev-parse", TARGET)
        expected = repo("merge-tree", "--write-tree", tip, source)
        await merge(forge, TARGET, source, "m")
        before, runner.verbs = runner.verbs, []
        assert repo("rev-parse", f"{TARGET}^{{tree}}", f"{TARGET}^1", f"{TARGET}^2").splitlines() == [expected, tip, source]  # fmt: skip
    assert before == []
    assert repo("fsck", "--strict") == ""


class Counting(TrioRunner):
    """Remembers which commands it ran."""

    def __init__(self) -> None:
        self.verbs: list[str] = []

    async def run(self, argv, *, cwd, env, stdin=b"") -> GitResult:
        self.verbs.append(next(word for word in argv if word != "-c" and "=" not in word))
        return await super().run(argv, cwd=cwd, env=env, stdin=stdin)


async def test_many_mergers_lose_no_commit(repo, which):
    base = repo.head
    sources = [side(repo, base, **{f"file-{number}": "x\n"}) for number in range(8)]
    repo("update-ref", TARGET, base)
    forge = await forge_of(repo, which)
    async with trio.open_nursery() as nursery:
        for source in sources:
            nursery.start_soon(merge, forge, TARGET, source, "m")
    for source in sources:
        repo("merge-base", "--is-ancestor", source, TARGET)
    names = repo("ls-tree", "--name-only", TARGET).splitlines()
    assert [name for name in names if name.startswith("file-")] == [f"file-{number}" for number in range(8)]


async def test_a_lock_left_on_the_ref_is_waited_for_then_reported(repo, monkeypatch):
    from prodigy.git import patience
    from prodigy.git.cli import GitFailed

    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0))
    base = repo.head
    source = side(repo, base, b="agent\n")
    repo("update-ref", TARGET, base)
    (repo.path / f".git/{TARGET}.lock").touch()
    with pytest.raises(GitFailed, match="lock"):
        await merge(await repo.forge(), TARGET, source, "m")
    assert repo("rev-parse", TARGET) == base


async def test_without_an_identity(repo, nameless, which):
    base = repo.head
    ours, theirs = side(repo, base, a="ours\n"), side(repo, base, b="theirs\n")
    repo("update-ref", TARGET, ours)
    repo.env = nameless
    done = await merge(await forge_of(repo, which), TARGET, theirs, "m")
    assert isinstance(done, Merged)
    assert repo("log", "-1", "--format=%an %cn %ce", TARGET) == "Prodigy Prodigy prodigy@localhost"


async def test_sha256(repo, tmp_path):
    other = repo.other(tmp_path / "sha256")
    other.path.mkdir()
    other("init", "--quiet", "--object-format=sha256")
    base = other.commit(a="1\n", b="1\n")
    ours, theirs = side(other, base, a="2\n"), side(other, base, b="2\n")
    other("update-ref", TARGET, ours)
    done = await merge(await other.forge(), TARGET, theirs, "m")
    assert isinstance(done, Merged)
    assert len(done.new) == 64
