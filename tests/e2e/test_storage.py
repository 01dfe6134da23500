"""What a run leaves on disk: whose it is, and who may read it."""

import os
from pathlib import Path

import pytest
from worlds import World, eventually


def moved(world: World) -> Path:
    """The repository, in another folder under the same name; the old place is gone."""
    place = world.folder / "elsewhere" / "project"
    place.parent.mkdir()
    world.repository.rename(place)
    return place


def at(world: World, place: Path) -> World:
    """The same world, seen from there."""

    class Moved(World):
        @property
        def repository(self) -> Path:
            return place

    return Moved(world.folder, world.environ)


def test_a_repository_that_was_moved_keeps_its_runs(world: World) -> None:
    world.prodigy("run", world.workflow("- shell: 'echo 1 > one'"), "--no-merge")
    before = world.json("events")
    there = at(world, moved(world))
    said = there.prodigy("status")
    assert f"was moved here from {world.repository}/.git" in said.stderr
    assert "UNMERGED" in said.stdout
    assert there.json("events") == before
    merged = there.prodigy("worktree", "merge", "latest", "-y")
    assert merged.returncode == 0, merged.stderr
    assert there.git("show", "main:one") == "1"
    assert there.leftovers() == []


def test_a_run_in_a_moved_repository_belongs_to_the_others(world: World) -> None:
    world.prodigy("run", world.workflow("- shell: 'echo 1 > one'"), "--no-merge")
    there = at(world, moved(world))
    there.prodigy("run", world.workflow("- shell: 'echo 2 > two'"), "--no-merge")
    assert [path.name for path in (world.home / "events").iterdir()] == ["project"]
    assert len(there.json("events")["jobs"]) == 2


def test_a_run_that_was_cut_off_goes_on_where_the_repository_is_now(world: World) -> None:
    flow = "- shell: 'echo 1 > one'\n- shell: 'touch at; while ! test -e \"$GATE\"; do sleep 0.05; done'\n"
    world.environ["GATE"] = str(world.folder / "gate")
    run = world.start("run", world.workflow(flow), "--no-merge")
    eventually(lambda: list(world.home.glob("worktrees/*/session-*/at")))
    run.kill()
    run.communicate(timeout=60)
    there = at(world, moved(world))
    (world.folder / "gate").touch()
    resumed = there.prodigy("resume", "-y")
    assert resumed.returncode == 0, resumed.stderr
    assert there.git("show", "main:one") == "1"


def test_another_repository_of_the_same_name_is_not_the_moved_one(world: World) -> None:
    """Its first commit is another one."""
    world.prodigy("run", world.workflow("- shell: 'echo 1 > one'"), "--no-merge")
    moved(world)
    world.repository.mkdir()
    world.git("init", "--quiet", "--initial-branch=main")
    world.git("config", "user.name", "Ann")
    world.git("config", "user.email", "ann@localhost")
    world.write("OTHER.md", "# Other\n")
    world.commit("another first")
    other = world.folder / "third" / "project"
    other.parent.mkdir()
    world.repository.rename(other)
    there = at(world, other)
    assert there.json("events")["jobs"] == []
    there.prodigy("run", world.workflow("- shell: 'echo 2 > two'"), "--no-merge")
    assert len(there.json("events")["jobs"]) == 1
    assert len(list((world.home / "events").iterdir())) == 2


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_is_kept_is_private_whatever_the_umask(world: World, umask: int) -> None:
    """Worktrees are git's: the folder above them keeps everybody else out."""
    flow = (
        "mode: mapreduce\nmap:\n  input: {list: [a, b]}\n  agent_template:\n    - shell: 'test ${item} = a'\n"
    )
    before = os.umask(umask)
    try:
        ran = world.prodigy("run", world.workflow(flow), "--no-merge")
        world.prodigy("events", "export", "--output", str(world.folder / "export.json"))
    finally:
        os.umask(before)
    assert ran.returncode == 0, ran.stderr
    modes = {path: path.stat().st_mode & 0o777 for path in world.home.rglob("*") if not _of_git(world, path)}
    open_folders = [path for path, mode in modes.items() if path.is_dir() and mode != 0o700]
    open_files = [path for path, mode in modes.items() if path.is_file() and mode != 0o600]
    assert (open_folders, open_files) == ([], [])
    assert world.home.stat().st_mode & 0o777 == 0o700
    assert (world.folder / "export.json").stat().st_mode & 0o777 == 0o600


def _of_git(world: World, path: Path) -> bool:
    """Whether it is inside a worktree."""
    parts = path.relative_to(world.home).parts
    return parts[0] == "worktrees" and len(parts) > 2 and parts[2] != ".metadata"
