"""Looking at real runs: from other worktrees, while they go on, and along one item."""

import json
from uuid import UUID, uuid5

import pytest
from worlds import PATIENCE, World, eventually

from prodigy import ids

FLOW = """
mode: mapreduce
map:
  input: items.json
  json_path: "$[*]"
  item_id: "${{item}}"
  max_parallel: 2
  error_policy: {{retry_config: {{max_attempts: 2}}}}
  agent_template:
    - shell: 'echo "$PRODIGY_CORRELATION_ID" >> "{place}/ids-${{item}}"; test ${{item}} != bad'
    - shell: 'echo 1 >> ${{item}}.txt'
"""


def begun(world: World) -> str:
    world.write("items.json", json.dumps(["good", "bad"]))
    world.commit()
    return world.workflow(FLOW.format(place=world.folder))


def test_one_correlation_id_leads_through_all_of_an_item(world: World) -> None:
    """From the record that selects it to its end, over attempts, a resume and a retry; its processes know it too."""
    world.prodigy("run", begun(world), "--no-merge")
    world.prodigy("dlq", "retry", "latest", "--no-merge")
    found = world.json("events", "latest", "--limit", "0")["events"]
    job = UUID(found[0]["correlation_id"])
    assert found[0]["event"]["event_type"] == "job_started"
    of_item: dict[str | None, set[str]] = {}
    for record in found:
        of_item.setdefault(record["event"].get("item_id"), set()).add(record["correlation_id"])
    assert {item: len(known) for item, known in of_item.items()} == {None: 1, "good": 1, "bad": 1}
    assert of_item[None] == {str(job)}
    for item in ("good", "bad"):
        assert of_item[item] == {str(ids.correlation(job, item))}
        assert set((world.folder / f"ids-{item}").read_text().split()) == of_item[item]
    kinds = {record["event"]["event_type"] for record in found if record["event"].get("item_id") == "bad"}
    assert kinds >= {"item_selected", "agent_started", "step_failed", "agent_failed", "agent_retrying", "dlq_item_added", "dlq_item_updated"}  # fmt: skip
    [letter] = world.json("dlq", "show", "latest")["items"]
    assert {letter["correlation_id"]} == of_item["bad"]
    assert uuid5(job, "bad") == UUID(letter["correlation_id"])


def test_every_worktree_of_a_repository_gives_the_same_answer(world: World) -> None:
    """The main one, a linked one of the user's, and the session worktree itself."""
    world.prodigy("run", begun(world), "--no-merge")
    linked = world.folder / "linked"
    world.git("worktree", "add", "--quiet", str(linked), "-b", "mine")
    [session] = world.home.glob("worktrees/*/session-*")
    for words in (
        ["status"],
        ["sessions", "ls"],
        ["events"],
        ["events", "stats", "--group-by", "item"],
        ["events", "search", "bad"],
        ["dlq", "list"],
    ):
        here = world.json(*words)
        assert any(here.values())
        for place in (linked, session):
            assert world.json("-p", str(place), *words) == here


def test_following_a_run_that_goes_on(world: World) -> None:
    """Everything that is recorded comes, and the end of the run is the end of following."""
    world.workflow(
        "- shell: 'touch at; while ! test -e \"$GATE\"; do sleep 0.05; done'\n- shell: 'echo 1 > one'"
    )
    world.environ["GATE"] = str(world.folder / "gate")
    run = world.start("run", str(world.folder / "workflow.yml"), "--no-merge")
    eventually(lambda: list(world.home.glob("worktrees/*/session-*/at")))
    follower = world.start("events", "follow", "--jsonl")
    assert follower.stdout is not None
    first = json.loads(follower.stdout.readline())
    (world.folder / "gate").touch()
    rest = follower.stdout.read()
    assert (follower.communicate(timeout=PATIENCE)[1], follower.returncode) == ("", 0)
    run.communicate(timeout=PATIENCE)
    seen = [first, *map(json.loads, rest.splitlines())]
    *_, newest = world.journals()
    assert [one["seq"] for one in seen] == [
        json.loads(line)["seq"] for line in newest.read_text().splitlines()
    ]
    assert seen[-1]["event"]["event_type"] != "step_completed"


def test_ctrl_c_ends_following_and_not_the_run(world: World) -> None:
    world.workflow("- shell: 'touch at; while ! test -e \"$GATE\"; do sleep 0.05; done'")
    world.environ["GATE"] = str(world.folder / "gate")
    run = world.start("run", str(world.folder / "workflow.yml"), "--no-merge")
    eventually(lambda: list(world.home.glob("worktrees/*/session-*/at")))
    follower = world.start("events", "follow")
    assert follower.stdout is not None
    follower.stdout.readline()
    follower.send_signal(2)
    _, said = follower.communicate(timeout=PATIENCE)
    assert (follower.returncode, said) == (130, "interrupted\n")
    assert run.poll() is None
    (world.folder / "gate").touch()
    run.communicate(timeout=PATIENCE)
    assert run.returncode == 0


@pytest.mark.parametrize("verb", [["status"], ["sessions", "ls", "--status", "running"]])
def test_what_was_killed_does_not_run(world: World, verb: list[str]) -> None:
    """Its file still says so; its lock does not."""
    world.workflow("- shell: 'touch at; while ! test -e \"$GATE\"; do sleep 0.05; done'")
    world.environ["GATE"] = str(world.folder / "gate")
    run = world.start("run", str(world.folder / "workflow.yml"), "--no-merge")
    eventually(lambda: list(world.home.glob("worktrees/*/session-*/at")))
    running = world.json(*verb)
    assert len(running.get("running", running.get("sessions"))) == 1
    run.kill()
    run.communicate(timeout=PATIENCE)
    [file] = world.home.glob("sessions/*/*/session_state.json")
    assert json.loads(file.read_text())["status"] == "InProgress"
    ended = world.json(*verb)
    assert ended.get("running", ended.get("sessions")) == []
    assert world.json("sessions", "show", "latest")["state"]["status"] == "Interrupted"


def test_what_happens_in_a_burst_shows_though_nothing_follows(world: World) -> None:
    """The file of the session comes after the last record, while a step takes its time."""
    flow = "- shell: 'true'\n" * 5 + "- shell: 'touch at; while ! test -e \"$GATE\"; do sleep 0.05; done'\n"
    world.environ["GATE"] = str(world.folder / "gate")
    run = world.start("run", world.workflow(flow), "--no-merge")
    eventually(lambda: list(world.home.glob("worktrees/*/session-*/at")))
    [running] = eventually(lambda: [one for one in world.json("status")["running"] if not one["stale"]])
    assert running["current_step"] == "6"
    (world.folder / "gate").touch()
    run.communicate(timeout=PATIENCE)
    assert run.returncode == 0
