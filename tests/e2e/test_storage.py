"""What a run leaves on disk: whose it is, and who may read it."""

import os
from pathlib import Path

import pytest
from worlds import PATIENCE, World, eventually


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
    run.communicate(timeout=PATIENCE)
    world.at_rest()
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


# -- what older programs left --------------------------------------------------------------------------------------
def test_the_first_verb_takes_over_what_older_programs_left(world: World) -> None:
    """It says so in a line, once, and the project stays as it was."""
    world.write(".prodigy/session_state.json", '{"session_id": "cook-1234567890", "status": "Completed"}')
    world.write(".prodigy/dlq/mapreduce-1.json", "{}")
    world.write(".prodigy/config.yml", "")
    before = world.checkout_digest()
    for words in (["validate", "workflow.yml"], ["run", "x", "--dry-run"], ["--help"]):
        world.prodigy(*words)
        assert not (world.home / "state").exists()
    said = world.prodigy("status")
    assert said.stderr.startswith(f"note: took over 2 files of {world.repository}/.prodigy")
    assert (world.home / "sessions/project/legacy/session_state.json").exists()
    assert world.prodigy("status").stderr == ""
    assert world.checkout_digest() == before


def test_it_is_removed_where_that_is_asked_for(world: World) -> None:
    """What git tracks stays, and so does what is the project's."""
    world.write(".prodigy/dlq/tracked.json", "{}")
    world.commit()
    world.write(".prodigy/session_state.json", "{}")
    world.write(".prodigy/validation-result.json", "{}")
    world.environ["PRODIGY_REMOVE_LOCAL_AFTER_MIGRATION"] = "true"
    said = world.prodigy("events")
    assert "took over 2 files and removed 1 file" in said.stderr
    assert "dlq/tracked.json is tracked by git" in said.stderr
    left = {path.name for path in (world.repository / ".prodigy").rglob("*") if path.is_file()}
    assert left == {"tracked.json", "validation-result.json"}


def test_two_at_once_take_over_once(world: World) -> None:
    for number in range(50):
        world.write(f".prodigy/events/mapreduce-1/{number}.json", str(number))
    both = [world.start("status") for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("took over 50 files" in text for text in said) == 1, said
    assert len(list((world.home / "events/project/mapreduce-1/legacy").iterdir())) == 50


def test_what_cannot_be_taken_over_stops_nothing(world: World) -> None:
    world.write(".prodigy/session_state.json", "{}")
    world.write(".prodigy/state/a.json", "{}")
    (world.home / "sessions/project").mkdir(parents=True)
    (world.home / "sessions/project/legacy").write_text("a file where a folder should be")
    said = world.prodigy("status")
    assert said.returncode == 0
    assert "warning: what is in" in said.stderr


def test_a_variable_that_is_neither_true_nor_false_is_told(world: World) -> None:
    world.write(".prodigy/session_state.json", "{}")
    world.environ["PRODIGY_REMOVE_LOCAL_AFTER_MIGRATION"] = "perhaps"
    said = world.prodigy("status")
    assert (said.returncode, said.stderr.splitlines()[0]) == (2, "error: bad-value")


def test_what_is_to_stay_local_is_left_alone(world: World) -> None:
    world.write(".prodigy/session_state.json", "{}")
    world.environ["PRODIGY_USE_LOCAL_STORAGE"] = "true"
    said = world.prodigy("status")
    assert (said.returncode, said.stderr) == (0, "")
    assert not (world.home / "sessions").exists()
