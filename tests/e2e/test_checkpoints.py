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
    path.write_bytes(path.read_bytes().replace(b'"completed"', b'"cOmpleted"', 1))
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
