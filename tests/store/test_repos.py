"""The registry: one name for one repository, whatever they are called and wherever they move."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prodigy.errors import MachineError
from prodigy.store.repos import Registered, find, register, registry

NOW = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def repository(path: Path) -> Path:
    (path / ".git").mkdir(parents=True)
    return path


def name(home: Path, worktree: Path, roots: tuple[str, ...] = ("r",), now: datetime = NOW) -> str:
    return register(home, worktree / ".git", worktree=worktree, root_commits=roots, now=now).name


def test_a_repository_keeps_its_own_name(home: Path, tmp_path: Path) -> None:
    here = repository(tmp_path / "my app!")
    assert find(home, here / ".git") is None
    assert name(home, here) == "my-app-"
    assert name(home, here, now=NOW + timedelta(days=1)) == "my-app-"
    assert find(home, here / ".git") == "my-app-"
    entry = registry(home).repos["my-app-"]
    assert (entry.first_seen, entry.last_seen) == (NOW, NOW + timedelta(days=1))


def test_two_repositories_of_one_name_are_kept_apart(home: Path, tmp_path: Path) -> None:
    one, two = repository(tmp_path / "a" / "app"), repository(tmp_path / "b" / "app")
    assert name(home, one) == "app"
    second = name(home, two)
    assert second.startswith("app-")
    assert len(second) == len("app-") + 6
    assert (name(home, one), name(home, two)) == ("app", second)


def test_names_that_differ_in_case_only_are_kept_apart(home: Path, tmp_path: Path) -> None:
    assert name(home, repository(tmp_path / "a" / "App")) == "App"
    assert name(home, repository(tmp_path / "b" / "app")).startswith("app-")


def test_a_bare_repository_loses_its_suffix(home: Path, tmp_path: Path) -> None:
    bare = tmp_path / "tool.git"
    bare.mkdir()
    assert register(home, bare, worktree=None, root_commits=(), now=NOW).name == "tool"


def test_a_symbolic_link_is_the_repository_it_leads_to(home: Path, tmp_path: Path) -> None:
    here = repository(tmp_path / "app")
    (tmp_path / "link").symlink_to(here)
    assert name(home, here) == "app"
    assert name(home, tmp_path / "link") == "app"


def test_a_moved_repository_keeps_its_name(home: Path, tmp_path: Path) -> None:
    here = repository(tmp_path / "a" / "app")
    name(home, here)
    there = (tmp_path / "b").joinpath("app")
    there.parent.mkdir()
    here.rename(there)
    moved = register(home, there / ".git", worktree=there, root_commits=("r",), now=NOW)
    assert moved == Registered("app", str(here / ".git"))
    assert list(registry(home).repos) == ["app"]


def test_another_repository_does_not_inherit_the_name_of_one_that_is_gone(home: Path, tmp_path: Path) -> None:
    here = repository(tmp_path / "a" / "app")
    name(home, here, ("one",))
    here.rename(tmp_path / "elsewhere")
    assert name(home, repository(tmp_path / "b" / "app"), ("two",)) != "app"


def test_many_at_once_lose_no_entry(home: Path, tmp_path: Path) -> None:
    paths = [repository(tmp_path / str(number) / "app") for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda path: name(home, path, (str(path),)), paths))
    assert len(set(names)) == 16
    assert set(registry(home).repos) == set(names)


def test_a_damaged_registry_is_never_made_anew(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "repos.json").write_text("{")
    with pytest.raises(MachineError, match="registry-damaged"):
        name(home, repository(tmp_path / "app"))
    assert (home / "repos.json").read_text() == "{"
