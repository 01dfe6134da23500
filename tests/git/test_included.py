"""Untracked files are found by ignore patterns, taken once, and copied without touching what is there."""

import os
from pathlib import Path

import pytest

from prodigy.errors import MachineError, RunError
from prodigy.git.included import copy_missing, find_included, holds_anything, included_in, keep_included


async def test_only_untracked_files_that_a_pattern_names(repo, hostile):
    repo.write(".gitignore", "ignored/\n*.env\n")
    repo.commit()
    for name in ("x.env", "deep/er/y.env", "ignored/z.env", "ignored/other", "plain"):
        repo.write(name)
    repo.write("a", "changed, but tracked\n")
    found = await find_included(repo.git(), ["*.env", "/plain", "a"])
    assert sorted(found) == ["deep/er/y.env", "ignored/z.env", "plain", "x.env"]
    assert await find_included(repo.git(), []) == ()


async def test_the_include_file_adds_to_the_globs(repo, hostile):
    repo.write("dir/" + hostile)
    repo.write("dir/not")
    repo.write("one")
    repo.write(".worktreeinclude", "# comment\ndir/*\n!dir/not\n")
    assert sorted(await find_included(repo.git(), ["one"])) == sorted([f"dir/{hostile}", "one"])


async def test_repositories_inside_the_checkout_are_left_out(repo):
    repo("init", "--quiet", "inner")
    repo.other(repo.path / "inner").commit(x="1")
    repo.write("inner-file")
    assert await find_included(repo.git(), ["inner*"]) == ("inner-file",)


def test_what_was_taken_does_not_change(tmp_path: Path) -> None:
    checkout, folder = tmp_path / "checkout", tmp_path / "state" / "included"
    (checkout / "deep").mkdir(parents=True)
    (checkout / "deep/tool").write_text("one")
    (checkout / "deep/tool").chmod(0o755)
    (checkout / "link").symlink_to("/nowhere")
    (tmp_path / "state/included.partial").mkdir(parents=True)
    (tmp_path / "state/included.partial/torn").write_text("left by a crash")
    keep_included(checkout, ["deep/tool", "link"], folder)
    assert included_in(folder) == ("deep/tool", "link")
    assert os.access(folder / "deep/tool", os.X_OK)
    assert (folder / "link").readlink() == Path("/nowhere")
    assert folder.stat().st_mode & 0o777 == 0o700
    (checkout / "deep/tool").write_text("two")
    keep_included(checkout, ["deep/tool"], folder)
    assert (folder / "deep/tool").read_text() == "one"


def test_a_file_that_is_gone_meanwhile_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot be copied") as caught:
        keep_included(tmp_path, ["gone"], tmp_path / "included")
    assert caught.value.code == "include-failed"
    assert included_in(tmp_path / "included") == ()


def test_nothing_is_replaced_and_no_link_is_followed(tmp_path: Path) -> None:
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    for folder in (source / "linked", target, outside):
        folder.mkdir(parents=True)
    (target / "linked").symlink_to(outside)
    (source / "linked/file").write_text("x")
    (source / "there").write_text("from the source")
    (source / "dangling").write_text("from the source")
    (source / "new/deep").mkdir(parents=True)
    (source / "new/deep/file").write_text("x")
    (target / "there").write_text("its own")
    (target / "dangling").symlink_to(outside / "nothing")
    copy_missing(source, target)
    assert list(outside.iterdir()) == []
    assert (target / "there").read_text() == "its own"
    assert (target / "dangling").is_symlink()
    assert (target / "new/deep/file").read_text() == "x"


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "source/deep").mkdir(parents=True)
    (tmp_path / "source/deep/file").write_text("x")
    (tmp_path / "target").mkdir()
    (tmp_path / "target/deep").write_text("a file")
    with pytest.raises(RunError) as caught:
        copy_missing(tmp_path / "source", tmp_path / "target")
    assert caught.value.code == "worktree-error"


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    copy_missing(tmp_path / "source", tmp_path / "target")
    assert not (tmp_path / "target").exists()
    assert not holds_anything(tmp_path / "source")


def test_a_folder_within_is_something(tmp_path: Path) -> None:
    """Whether there is a file in it is for who copies to see."""
    assert not holds_anything(tmp_path)
    (tmp_path / "within").mkdir()
    assert holds_anything(tmp_path)
