"""A run that goes on otherwise than it was begun: with another text, other limits, or the items of its queue."""

import json
import os
import signal
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from worlds import PATIENCE, World, eventually


def step(folder: Path, name: str) -> str:
    """A script that says it ran; it waits while it is held and fails while it is ill."""
    return json.dumps(
        f'echo {name} >> "{folder}/ran"; touch "{folder}/at-{name}"; '
        f'while [ -e "{folder}/hold-{name}" ]; do sleep 0.02; done; '
        f'[ ! -e "{folder}/ill-{name}" ]; echo {name} > {name}.txt'
    ).replace("; echo", " && echo")


@pytest.fixture
def folder(world: World, tag: str) -> Path:
    place = world.folder / tag
    place.mkdir()
    return place


def ran(folder: Path) -> Counter[str]:
    return Counter((folder / "ran").read_text().split())


def merged(world: World) -> int:
    """How many merges are recorded, while the journal is being written."""
    return sum(b'"event_type":"worktree_merged"' in path.read_bytes() for path in world.journals())


def cut_off(world: World, folder: Path, at: str, *words: str, merging: bool = False) -> None:
    """Start a run, and kill it where it stands at a step, if wanted once something was merged."""
    (folder / f"hold-{at}").touch()
    process = world.start(*words)
    eventually(lambda: (folder / f"at-{at}").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    eventually(lambda: not merging or merged(world))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    world.at_rest()
    (folder / f"hold-{at}").unlink()


def plain(folder: Path, *names: str) -> str:
    steps = "".join(f"\n  - shell: {step(folder, name)}" for name in names)
    return f"grace: 100ms\nsteps:{steps}\n"


def mapped(folder: Path, *, reduce: str = "reduced", parallel: int = 1, attempts: int = 1) -> str:
    return f"""
grace: 100ms
mode: mapreduce
map:
  input: {{list: [a, b, c]}}
  item_id: "${{item}}"
  max_parallel: {parallel}
  agent_template:
    - shell: {step(folder, "${item}")}
  error_policy: {{retry_config: {{attempts: {attempts}, initial_delay: 1ms}}}}
reduce:
  - shell: {step(folder, reduce)}
"""


# -- another text ------------------------------------------------------------------------------------------------------
def test_what_is_done_stays_and_the_rest_is_as_the_file_says_now(world: World, folder: Path) -> None:
    """The first step stays though it stands on another line; all from the first changed one on is done anew."""
    flow = world.workflow(plain(folder, "one", "two", "three", "four"))
    cut_off(world, folder, "three", "run", flow)
    first = world.events("job_started")[0]["workflow_sha256"]
    world.workflow("# repaired\n" + plain(folder, "one", "second", "three"))
    told = world.prodigy("resume", "--dry-run", "--reload")
    assert told.returncode == 0, told.stderr
    done = world.prodigy("resume", "--reload", "-y")
    assert done.returncode == 0, done.stderr
    assert ran(folder) == {"one": 1, "two": 1, "second": 1, "three": 2}
    files = set(world.git("ls-tree", "--name-only", "main").split())
    assert files == {"README.md", "one.txt", "second.txt", "three.txt"}, (
        "what the old steps left is not merged"
    )
    [resumed] = world.events("job_resumed")
    assert resumed["workflow_sha256"] != first
    assert resumed["unchanged"] == {"steps": 1}
    [kept] = world.home.glob(f"state/*/*/jobs/*/workflow-{resumed['workflow_sha256'][:8]}.yml")
    assert "second" in kept.read_text()
    assert world.git("for-each-ref", "refs/prodigy/rescue"), "what the old steps left is kept"
    assert "resumed  4 effects, 1 commit since; 2 commits before" in done.stdout
    assert "commits  3, " in done.stdout


def test_a_later_resume_goes_on_with_the_text_of_the_one_before(world: World, folder: Path) -> None:
    flow = world.workflow(plain(folder, "one", "two"))
    cut_off(world, folder, "two", "run", flow)
    world.workflow(plain(folder, "one", "second", "third"))
    cut_off(world, folder, "second", "resume", "--reload", "-y")
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    assert ran(folder) == {"one": 1, "two": 1, "second": 2, "third": 1}
    assert "paid again: steps step 1" not in done.stdout
    assert "cut off, and paid again" in done.stdout
    assert_active_time(world)


def assert_active_time(world: World) -> None:
    """The run took what its processes worked at it, each from its first record to its last."""
    [journal] = world.journals()
    lives: list[list[datetime]] = [[]]
    for record in map(json.loads, journal.read_text().splitlines()):
        kind, at = record["event"]["event_type"], datetime.fromisoformat(record["timestamp"])
        if kind == "job_resumed":
            lives.append([])
        if kind == "job_completed":
            *earlier, last = [life[-1] - life[0] for life in lives]
            told = timedelta(milliseconds=record["event"]["duration_ms"])
            slack = timedelta(milliseconds=1)  # of rounding
            assert len(earlier) == 2
            assert sum(earlier, last) - slack <= told <= sum(earlier, at - lives[-1][0]) + slack
            return
        lives[-1].append(at)
    raise AssertionError("it did not complete")


def test_agents_that_are_done_stay_and_others_do_what_the_file_says_now(world: World, folder: Path) -> None:
    flow = world.workflow(mapped(folder))
    cut_off(world, folder, "b", "run", flow, merging=True)
    world.workflow(mapped(folder, reduce="again").replace("${item}.txt", "new-${item}.txt"))
    done = world.prodigy("resume", "--reload", "-y")
    assert done.returncode == 0, done.stderr
    assert ran(folder) == {"a": 1, "b": 2, "c": 1, "again": 1}
    files = set(world.git("ls-tree", "--name-only", "main").split())
    assert files == {"README.md", "a.txt", "new-b.txt", "new-c.txt", "again.txt"}
    assert len(world.events("items_selected")) == 1
    assert "2 items" in done.stdout
    assert world.json("status")["resumable"] == []


def test_a_file_that_is_no_workflow_for_this_run_changes_nothing(world: World, folder: Path) -> None:
    flow = world.workflow(plain(folder, "one"))
    cut_off(world, folder, "one", "run", flow)
    before = world.journals()[-1].read_bytes()
    for text, code in (
        (mapped(folder), "workflow-mismatch"),
        ("steps: [{shel: x}]", "workflow-invalid"),
    ):
        world.workflow(text)
        refused = world.prodigy("resume", "--reload", "--json")
        assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (2, code)
    assert world.journals()[-1].read_bytes() == before


# -- dead letters ------------------------------------------------------------------------------------------------------
def test_dead_letters_of_a_run_in_its_reduce_phase_come_along(world: World, folder: Path) -> None:
    (folder / "ill-a").touch()
    cut_off(world, folder, "reduced", "run", world.workflow(mapped(folder)))
    (folder / "ill-a").unlink()
    done = world.prodigy("resume", "--include-dlq", "-y")
    assert done.returncode == 0, done.stderr
    assert ran(folder) == {"a": 2, "b": 1, "c": 1, "reduced": 2}
    assert "3 done, 0 in DLQ" in done.stdout
    assert set(world.git("ls-tree", "--name-only", "main").split()) >= {
        "a.txt",
        "b.txt",
        "c.txt",
        "reduced.txt",
    }
    assert [event["reason"] for event in world.events("dlq_item_removed")] == ["retried"]


def test_forcing_a_completed_run_retries_its_queue_and_reduces_again(world: World, folder: Path) -> None:
    (folder / "ill-b").touch()
    world.prodigy("run", world.workflow(mapped(folder)), "--no-merge")
    assert world.prodigy("resume", "latest", "-y").returncode == 0
    assert ran(folder)["b"] == 1, "nothing is forced"
    (folder / "ill-b").unlink()
    done = world.prodigy("resume-job", "--force", "-y", "--no-color")
    assert done.returncode == 0, done.stderr
    assert ran(folder) == {"a": 1, "b": 2, "c": 1, "reduced": 2}
    [started] = world.events("dlq_retry_started")
    assert (started["attempts"], started["reduce"]) == (2, True)


# -- limits --------------------------------------------------------------------------------------------------------------
def test_attempts_and_parallelism_from_now_on(world: World, folder: Path) -> None:
    (folder / "ill-c").touch()
    cut_off(world, folder, "a", "run", world.workflow(mapped(folder)))
    done = world.prodigy("resume", "--no-merge", "--max-retries", "3", "--max-parallel", "2")
    assert done.returncode == 0, done.stderr
    assert ran(folder) == {"a": 2, "b": 1, "c": 3, "reduced": 1}
    [resumed] = world.events("job_resumed")
    assert (resumed["attempts"], resumed["max_parallel"]) == (3, 2)


# -- looking -------------------------------------------------------------------------------------------------------------
def test_a_dry_run_tells_what_is_left_and_changes_nothing(world: World, folder: Path) -> None:
    cut_off(world, folder, "b", "run", world.workflow(mapped(folder)), merging=True)
    world.workflow(mapped(folder, reduce="other"))
    files = {path: path.read_bytes() for path in world.home.rglob("*") if path.is_file()}
    document = world.json("resume", "--dry-run")
    assert document["schema"] == "prodigy.resume-plan/1"
    assert (document["status"], document["edited"], document["ended"]) == ("interrupted", True, 1)
    assert document["phases"] == [
        {"phase": "map", "status": "under-way"},
        {"phase": "reduce", "status": "waiting"},
    ]
    left = {item["item_id"]: (item["status"], item["step"]) for item in document["items"]}
    assert left == {"b": ("running", "1"), "c": ("pending", None)}
    assert [(effect["what"], effect["item_id"], effect["step"]) for effect in document["effects"]] == [
        ("shell", "b", "1")
    ]
    text = world.prodigy("resume", "--dry-run")
    assert "its file is another one by now" in text.stdout
    assert "cut off   shell map 1 of b" in text.stdout
    assert {path: path.read_bytes() for path in world.home.rglob("*") if path.is_file()} == files
    assert ran(folder) == {"a": 1, "b": 1}
