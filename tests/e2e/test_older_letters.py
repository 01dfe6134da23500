"""Items that failed for good in a run of an older program are tried again with a workflow that is named."""

import json
import os
import signal

from worlds import World, eventually

FLOW = """
name: tidy
mode: mapreduce
map:
  input: other.json
  json_path: "$.items[*]"
  filter: item.wanted
  item_id: "${{item.path}}"
  max_items: 1
  agent_template:
    - shell: 'while test -e "{place}/hold"; do sleep 0.05; done; touch "{place}/at"; test ${{item.path}} != bad.txt'
    - shell: 'echo ${{item.path}} > ${{item.path}}'
"""


def left(world: World, *names: str) -> None:
    """What an older program left in the project."""
    items = [
        {
            "item_id": f"item-{name}",
            "item_data": {"path": f"{name}.txt"},
            "failure_history": [{"error_message": "no"}],
        }
        for name in names
    ]
    world.write(".prodigy/dlq/mapreduce-7.json", json.dumps({"items": items}))


def queued(world: World) -> list[str]:
    return [letter["item_id"] for letter in world.json("dlq", "list")["legacy"]]


def test_items_of_an_older_program_become_those_of_a_new_run(world: World) -> None:
    left(world, "one", "two", "bad")
    flow = world.workflow(FLOW.format(place=world.folder))
    assert queued(world) == ["item-bad", "item-one", "item-two"]
    refused = world.prodigy("dlq", "retry", "mapreduce-7")
    assert refused.returncode == 2
    assert "error: dlq-no-template" in refused.stderr
    planned = world.json("dlq", "retry", "mapreduce-7", "--workflow", flow, "--dry-run")
    assert (planned["schema"], planned["items"]["count"]) == ("prodigy.plan/1", 3)
    assert queued(world) == ["item-bad", "item-one", "item-two"], "nothing was begun"

    done = world.prodigy(
        "dlq", "retry", "mapreduce-7", "--item", "item-one", "--item", "item-bad", "--workflow", flow, "-y"
    )
    assert done.returncode == 0, done.stderr
    assert "a new run takes over 2 items of mapreduce-7" in done.stderr
    assert "items    1 done, 1 in DLQ, 0 skipped (of 2)" in done.stdout
    assert world.git("show", "main:one.txt") == "one.txt"
    told = world.json("dlq", "list")
    assert [letter["item_id"] for letter in told["legacy"]] == ["item-two"], "nobody pays for them twice"
    assert [letter["item_id"] for letter in told["items"]] == ["bad.txt"]
    assert (
        world.prodigy("dlq", "retry", "mapreduce-7", "--item", "item-one", "--workflow", flow).returncode == 2
    )


def test_a_retry_that_was_killed_is_resumed_and_not_begun_again(world: World) -> None:
    left(world, "one")
    (world.folder / "hold").touch()
    flow = world.workflow(FLOW.format(place=world.folder))
    run = world.start("dlq", "retry", "mapreduce-7", "--workflow", flow, "-y")
    eventually(lambda: world.journals() and world.events("step_spawned"))
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    world.at_rest()
    assert queued(world) == [], "the run that has it goes on with it"
    (world.folder / "hold").unlink()
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    assert world.git("show", "main:one.txt") == "one.txt"


def test_flags_that_have_no_meaning_for_them(world: World) -> None:
    left(world, "one")
    flow = world.workflow("- shell: 'true'\n")
    for words in (["--reduce"], ["--force"], ["--eligible"], ["--filter", "failure_count == 1"]):
        said = world.prodigy("dlq", "retry", "mapreduce-7", "--workflow", flow, *words)
        assert said.returncode == 2
        assert "error: conflicting-flags" in said.stderr
    said = world.prodigy("dlq", "retry", "mapreduce-7", "--workflow", flow)
    assert (said.returncode, "error: workflow-mismatch" in said.stderr) == (2, True)
