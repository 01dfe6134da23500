"""What is made in the submodules of a worktree outlives it, and what is published is left alone."""

import shutil
from typing import Any

import pytest

from prodigy.git.submodules import keep_submodules

PREFIX = "refs/prodigy/rescue/job/-/submodules/agent-0-1"
FILE = ("-c", "protocol.file.allow=always")


@pytest.fixture
def library(repo: Any) -> Any:
    """A repository that `repo` has as a submodule, named `libs/code`."""
    made = repo.other(repo.path.parent / "library")
    made.path.mkdir()
    made("init", "--quiet")
    made.commit(code="one\n")
    repo(*FILE, "submodule", "--quiet", "add", "--name", "libs/code", str(made.path), "lib")
    repo.commit("with a submodule")
    return made


@pytest.fixture
def slot(repo: Any, library: Any) -> Any:
    """A linked worktree whose submodule is filled."""
    path = repo.path.parent / "slot"
    repo("worktree", "add", "--quiet", "-b", "slot", str(path))
    made = repo.other(path)
    made(*FILE, "submodule", "--quiet", "update", "--init")
    return made


async def kept(slot: Any, base: str | None = None) -> list[tuple[str, str, str]]:
    found = await keep_submodules(slot.git(), PREFIX, base or slot("rev-parse", "main"), "kept")
    return [(one.submodule, one.ref.removeprefix(PREFIX), one.sha) for one in found]


async def test_nothing_was_made(slot: Any) -> None:
    assert await kept(slot) == []


async def test_without_submodules_nothing_is_looked_at(repo: Any) -> None:
    repo("worktree", "add", "--quiet", "--detach", "../bare-slot")
    assert await kept(repo.other(repo.path.parent / "bare-slot")) == []
    assert await kept(repo) == []


async def test_a_commit_outlives_the_worktree_where_an_update_finds_it(repo: Any, slot: Any) -> None:
    inner = slot.other(slot.path / "lib")
    made = inner.commit(code="two\n")
    slot.commit("the submodule is further")
    assert await kept(slot) == [("libs/code", "/libs/code/work", made)]
    assert await kept(slot) == [("libs/code", "/libs/code/work", made)], "again gives the same ref"
    repo("worktree", "remove", "--force", "--force", str(slot.path))
    repo("merge", "--quiet", "slot")
    repo(*FILE, "submodule", "--quiet", "update")
    assert (repo.path / "lib/code").read_text() == "two\n"


async def test_what_is_not_committed_is_kept_as_well(slot: Any) -> None:
    inner = slot.other(slot.path / "lib")
    inner.write("code", "half\n")
    inner.write("new", "new\n")
    before = inner("status", "--porcelain")
    [(_, _, sha)] = await kept(slot)
    assert inner("show", f"{sha}:code", f"{sha}:new") == "half\nnew"
    assert inner("status", "--porcelain") == before


async def test_branches_beside_are_kept(slot: Any) -> None:
    inner = slot.other(slot.path / "lib")
    inner("switch", "--quiet", "-c", "aside")
    aside = inner.commit(code="aside\n")
    inner("switch", "--quiet", "--detach", "HEAD~1")
    assert await kept(slot) == [("libs/code", "/libs/code/heads/aside", aside)]


async def test_what_was_pushed_is_left_alone(slot: Any) -> None:
    inner = slot.other(slot.path / "lib")
    inner.commit(code="two\n")
    inner("push", "--quiet", "origin", "HEAD:refs/heads/pushed")
    assert await kept(slot) == []


async def test_without_a_checkout_of_the_submodule_the_repository_has_it(repo: Any, slot: Any) -> None:
    repo("submodule", "--quiet", "deinit", "--force", "lib")
    shutil.rmtree(repo.path / ".git/modules/libs")
    made = slot.other(slot.path / "lib").commit(code="two\n")
    assert await kept(slot) == [("libs/code", "/libs/code/work", made)]
    assert repo("show", f"{PREFIX}/libs/code/work:code") == "two"


async def test_one_whose_files_are_gone_is_kept_too(slot: Any) -> None:
    inner = slot.other(slot.path / "lib")
    made = inner.commit(code="two\n")
    slot("submodule", "--quiet", "deinit", "--force", "lib")
    assert await kept(slot) == [("libs/code", "/libs/code/work", made)]
