"""What whole files decide is what git decides; all else is left to it."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodigy.git.objects import LibraryObjects, open_objects
from prodigy.git.repository import discover
from prodigy.git.trees import Trees


async def decided(repo, ours: str, theirs: str) -> str | None:
    """The tree of a merge, as far as it is decided without git."""
    objects = open_objects(await discover(repo.git(), str(repo.path)), repo.git())
    assert isinstance(objects, LibraryObjects)
    assert await objects.merge_base(ours, theirs) is not None
    return await objects.merged_tree(ours, theirs)


def change(repo, base: str, *deeds: str) -> str:
    """A commit on top of ``base``: ``path`` is written, ``-path`` removed, ``a>b`` moved, ``+path`` made executable."""
    repo("checkout", "--quiet", "--detach", base)
    for deed in deeds:
        if deed.startswith("-"):
            repo("rm", "-rq", deed[1:])
        elif deed.startswith("+"):
            (repo.path / deed[1:]).chmod(0o755)
        elif ">" in deed:
            old, new = deed.split(">")
            (repo.path / new).parent.mkdir(parents=True, exist_ok=True)
            repo("mv", old, new)
        else:
            repo.write(deed, f"{os.urandom(4).hex()}\n")
    return repo.commit(os.urandom(4).hex())


@pytest.fixture
def base(repo) -> str:
    return repo.commit(
        **{name: f"{name}\n" * 9 for name in ("d/one", "d/two", "d/e/x", "d/e/y", "s/u/b", "top")}
    )


DECIDED = [
    (["d/one"], ["d/two"]),
    (["d/e/x", "top"], ["d/e/y", "s/u/b"]),
    (["d/new", "z/deep/new"], ["d/newer", "d.x"]),
    (["-d/one", "-s/u/b"], ["d/two", "-top"]),
    (["+d/one"], ["d/e/x"]),
    (["d/one>d/moved"], ["d/two"]),
    (["-d/e"], ["d/one"]),
    (["d-x", "d.y", "d0"], ["d/one"]),
    (["made/by/one", "made/a"], ["made/by/other", "made/z/b"]),
]


@pytest.mark.parametrize(("ours", "theirs"), DECIDED, ids=str)
async def test_sides_that_do_not_meet(repo, base, ours, theirs):
    """Both ways round, and the tree is git's, byte for byte."""
    one, other = change(repo, base, *ours), change(repo, base, *theirs)
    for left, right in ((one, other), (other, one)):
        assert await decided(repo, left, right) == repo("merge-tree", "--write-tree", left, right)


LEFT_TO_GIT = [
    (["d/one"], ["d/one"]),
    (["-d/one"], ["d/one"]),
    (["-d/one"], ["-d/one"]),
    (["d/new"], ["d/new"]),
    (["made/new"], ["made/new"]),
    (["made/new"], ["made"]),
    (["d/one>d/moved"], ["d/one"]),
    (["d/one>f/one", "d/two>f/two", "d/e>f/e"], ["d/new"]),
    (["-d/one", "d/new"], ["s/new"]),
    (["-d/one", "d/one/below"], ["d/two"]),
    (["-d", "d"], ["top"]),
    (["-d/e"], ["d/e/x"]),
]


@pytest.mark.parametrize(("ours", "theirs"), LEFT_TO_GIT, ids=str)
async def test_sides_that_may_meet(repo, base, ours, theirs):
    one, other = change(repo, base, *ours), change(repo, base, *theirs)
    assert await decided(repo, one, other) is None
    assert await decided(repo, other, one) is None


async def test_links_and_submodules_are_left_to_git(repo, base):
    other = change(repo, base, "d/two")
    repo("checkout", "--quiet", "--detach", base)
    (repo.path / "top").unlink()
    (repo.path / "top").symlink_to("d/one")
    assert await decided(repo, repo.commit(), other) is None
    repo("checkout", "--quiet", "--force", "--detach", base)
    repo("update-index", "--add", "--cacheinfo", f"160000,{base},sub")
    repo("commit", "--quiet", "-m", "sub")
    assert await decided(repo, repo.head, other) is None


async def test_the_tip_moves_on_while_others_are_merged(repo, base):
    """Each merge begins where the last one ended, with what is remembered of it."""
    objects = open_objects(await discover(repo.git(), str(repo.path)), repo.git())
    tip = change(repo, base, "d/one")
    for number in range(4):
        theirs = change(
            repo, base, f"d/e/new{number}", "s/u/b" if number == 2 else "top" if number else "d/two"
        )
        assert await objects.merge_base(tip, theirs) == base
        tree = await objects.merged_tree(tip, theirs)
        if number == 3:  # `top` was changed before
            assert tree is None
            break
        assert tree == repo("merge-tree", "--write-tree", tip, theirs)
        tip = await objects.commit(str(tree), (tip, theirs), "m", {})
    repo("fsck", "--strict")


class Memory:
    """Trees in a dictionary, by their number."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    def read_tree(self, sha: bytes) -> bytes:
        return self.contents[int(sha)]

    def write_tree(self, content: bytes) -> bytes:
        if content not in self.contents:
            self.contents.append(content)
        return b"%020d" % self.contents.index(content)

    def tree(self, files: dict[str, int]) -> bytes:
        """A tree of paths and what is in them, in git's order."""
        entries: dict[bytes, tuple[bytes, bytes]] = {}
        for path, content in files.items():
            folder, slash, rest = path.partition("/")
            if not slash:
                entries[path.encode()] = b"100644", b"b%019d" % content
            elif folder.encode() not in entries:
                below = {
                    other[len(folder) + 1 :]: it
                    for other, it in files.items()
                    if other.startswith(f"{folder}/")
                }
                entries[folder.encode()] = b"40000", self.tree(below)
            del rest
        ordered = sorted(
            entries.items(), key=lambda entry: entry[0] + (b"/" if entry[1][0] == b"40000" else b"")
        )
        return self.write_tree(b"".join(b"%b %b\0%b" % (mode, name, sha) for name, (mode, sha) in ordered))


PATHS = ["a", "a.b", "d/x", "d/y", "d/e/x", "d/e/z", "d-", "d0/q", "z"]
files = st.dictionaries(st.sampled_from(PATHS), st.integers(0, 2))


@given(files, files, files)
@settings(max_examples=400)
def test_what_is_decided_has_every_change_of_either_side(before, ours, theirs) -> None:
    memory = Memory()
    trees = Trees(memory)
    found = trees.merged(*(memory.tree(side) for side in (before, ours, theirs)))
    touched = [{path for path in PATHS if side.get(path) != before.get(path)} for side in (ours, theirs)]
    if found is None:
        return
    expected = {path: (theirs if path in touched[1] else ours).get(path) for path in PATHS}
    assert found == memory.tree({path: it for path, it in expected.items() if it is not None})
    if ours not in (before, theirs) and theirs != before:
        assert not touched[0] & touched[1]
