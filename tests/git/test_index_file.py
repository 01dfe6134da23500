"""Git's index as a file: what can be read here is read as git does, and the rest is git's."""

import os
from pathlib import Path

import pytest

from prodigy.git.index_file import (
    Layout,
    Layouts,
    differing,
    entry_at,
    is_as_seen,
    root_tree,
    with_files_seen,
)


def index(repo) -> bytes:
    return Path(repo.path, ".git/index").read_bytes()


@pytest.fixture
def files(repo) -> bytes:
    """The index of a commit with names that need care."""
    repo.commit(**{"a": "a\n", "a-b": "x\n", "d/x": "x\n", "d.txt": "x\n", "é/ü ": "x\n"})
    return index(repo)


def test_paths_and_folders_are_gits(repo, files):
    layout = Layout(files)
    assert [os.fsdecode(path) for path in layout.paths] == repo("ls-files", "-z").split("\0")[:-1]
    assert layout.folders[b"d"] == {b"x"}
    assert layout.folders[b""] >= {b".git", b"a", b"a-b", b"d", b"d.txt"}
    assert layout.start(b"none") is None


def test_the_tree_of_an_index_that_was_committed(repo, files):
    layout = Layout(files)
    assert root_tree(files, layout.end) == repo("rev-parse", "HEAD^{tree}")
    repo.write("a", "staged\n")
    repo("add", "a")
    assert root_tree(index(repo), layout.end) is None


def test_a_file_that_was_written_anew_is_known_again(repo, files):
    """What is brought up to date is what git itself would write."""
    start = Layout(files).start(b"d/x")
    file = repo.path / "d/x"
    file.unlink()
    file.write_text("x\n")
    os.utime(file, (1, 1))  # a clock may not have moved on
    assert not is_as_seen(entry_at(files, start), file.lstat())
    again = with_files_seen(files, {start: file.lstat()})
    assert is_as_seen(entry_at(again, start), file.lstat())
    Path(repo.path, ".git/index").write_bytes(again)
    assert repo("diff-files", "--name-only") == ""
    assert repo("fsck", "--strict") == ""


def test_what_another_index_says_of_some_paths(repo, files):
    layout = Layout(files)
    same = differing(files, layout, files, [b"a", b"new"])
    assert same is not None
    assert same.entries.keys() == {b"a"}
    repo.write("b", "new\n")
    repo("add", "b")
    repo("rm", "--quiet", "d/x")
    other = index(repo)
    found = differing(files, layout, other, [b"b", b"d/x", b"zz"])
    assert found is not None
    assert found.entries.keys() == {b"b"}
    assert found.end == Layout(other).end
    for few in ([b"b"], [b"d/x"], []):
        assert differing(files, layout, other, few) is None


@pytest.mark.parametrize("mark", ["--assume-unchanged", "--skip-worktree", "--chmod=+x"])
def test_marks_are_differences(repo, files, mark):
    repo("update-index", mark, "a")
    assert repo("ls-files", "-z").count("\0") == len(Layout(files).paths)
    with_mark = index(repo)
    try:
        assert differing(files, Layout(files), with_mark, [b"d/x"]) is None
    except ValueError:
        assert mark == "--skip-worktree", "it takes another version"


@pytest.mark.parametrize("version", ["3", "4"])
def test_other_versions_are_gits_to_read(repo, files, version):
    del files
    repo("update-index", "--index-version", version)
    repo("update-index", "--skip-worktree", "a")
    with pytest.raises(ValueError, match="version"):
        Layout(index(repo))


def test_an_index_in_parts_is_gits_to_read(repo, files):
    layout = Layout(files)
    repo("update-index", "--split-index")
    split = index(repo)
    with pytest.raises(ValueError, match="own file"):
        root_tree(split, Layout(split).end)
    assert differing(files, layout, split, []) is None


@pytest.mark.parametrize("content", [b"", b"DIRC", b"DIRC\0\0\0\x02\0\0\0\x05" + b"x" * 60])
def test_what_is_torn_is_no_index(content):
    with pytest.raises(ValueError, match=r"index|entry"):
        Layout(content)


def test_layouts_are_remembered_by_commit_as_long_as_they_fit(repo, files):
    layouts = Layouts()
    first = layouts.of("one", files)
    assert layouts.of("one", files) is first
    repo.commit(more="more\n")
    assert layouts.of("one", index(repo)).paths != first.paths
