"""Snapshots of a real run, as its user meets them."""

from pathlib import Path

from worlds import World

FLOW = """
mode: mapreduce
setup:
  - shell: echo 5
    capture: number
map:
  input: {list: [a, b]}
  agent_template:
    - shell: "true"
"""


def test_snapshots_are_shown_checked_and_removed_and_nothing_is_lost(world: World) -> None:
    ran = world.prodigy("run", world.workflow(FLOW), "--no-merge")
    assert ran.returncode == 0, ran.stderr
    newest, older = world.json("checkpoints", "list")["checkpoints"]
    assert newest["seq"] == len(world.events()) > older["seq"]
    assert (newest["items_done"], newest["total_items"], newest["problem"]) == (2, 2, None)
    told = world.json("checkpoints", "show", newest["id"])
    assert (told["status"], told["variables"]) == ("completed", ["number"])
    assert world.json("checkpoints", "validate")["valid"]

    path = Path(newest["path"])
    path.write_bytes(path.read_bytes().replace(b"echo 5", b"echo 6", 1))
    wrong = world.prodigy("checkpoints", "validate", "latest")
    assert wrong.returncode == 1
    assert "its checksum is wrong" in wrong.stdout
    status = world.json("status")

    assert world.prodigy("checkpoints", "delete", newest["id"]).returncode == 0
    again = world.prodigy("checkpoints", "delete", newest["id"])
    assert (again.returncode, again.stderr.splitlines()[0]) == (2, "error: checkpoint-not-found")
    assert world.prodigy("checkpoints", "delete", newest["id"], "--force").returncode == 0
    assert world.json("checkpoints", "clean", "--all")["removed"] == [older["path"]]
    assert world.json("checkpoints", "list")["checkpoints"] == []
    assert world.json("status") == status
    assert world.prodigy("resume", "latest").returncode == 0


def test_the_journal_tells_of_its_snapshots(world: World) -> None:
    """Which were made, with which one a resume began, and which could not be used."""
    world.prodigy("run", world.workflow(FLOW + "reduce:\n  - shell: test -e gate\n"), "--no-merge")
    older, *_ = [Path(event["file"]) for event in world.events("checkpoint_created")]
    assert older.name == f"checkpoint-{world.events('checkpoint_created')[0]['version']}.json"
    [newest] = [
        path for path in older.parent.glob("checkpoint-*.json") if int(path.stem[11:]) == len(world.events())
    ]
    world.prodigy("resume")
    [loaded] = world.events("checkpoint_loaded")
    assert (loaded["file"], f"checkpoint-{loaded['version']}.json") == (str(newest), newest.name)
    for path in older.parent.glob("checkpoint-*.json"):
        path.write_text("{}")
    world.prodigy("resume")
    failed = world.events("checkpoint_failed")
    assert failed
    assert all("is not used: it cannot be read" in event["message"] for event in failed)
    assert len(world.events("checkpoint_loaded")) == 1


def test_the_journal_tells_of_a_limit(world: World) -> None:
    world.prodigy("run", world.workflow("- shell: yes\n  limits: {output: 10KiB}\n"), "--no-merge")
    [event] = world.events("limit_exceeded")
    assert (event["step"], event["phase"]) == ("1", "steps")
    assert event["limit"].startswith("output ")
    [failed] = world.events("step_failed")
    assert failed["error"]["class"] == "limit-exceeded"
