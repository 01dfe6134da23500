"""``prodigy demo``: it shows what it says, and leaves nothing behind that nobody asked for."""

import subprocess
from pathlib import Path

from worlds import World, eventually


def test_a_job_from_its_beginning_to_its_merge(world: World) -> None:
    """Anywhere, whatever the environment says of Prodigy; all that it made is gone, and nothing else was touched."""
    before = world.checkout_digest()
    world.environ |= {"PRODIGY__BUDGET__USD": "0.0001"}
    told = world.json("demo", "--fast", "--items", "4")
    assert told["schema"] == "prodigy.demo/1"
    assert (told["items"], told["signed"], told["kept"]) == (4, 4, False)
    assert [step["command"].split()[1:3] for step in told["steps"]] == [
        ["run", f"{told['folder']}/demo.yml"],
        ["status"],
        ["dlq", "list"],
        ["dlq", "retry"],
        ["report", "latest"],
        ["worktree", "merge"],
    ]
    assert {step["exit_code"] for step in told["steps"]} == {0}
    run, _, queue, retry, report, _ = (step["output"] for step in told["steps"])
    assert "3 done, 1 in DLQ" in run
    assert "notes/note-03.txt" in queue
    assert "retried  1 done" in retry
    assert "notes/note-02.txt         3  done" in report, "it failed twice, and healed"
    assert not Path(told["folder"]).exists()
    assert world.leftovers() == []
    assert world.checkout_digest() == before
    assert not world.journals()


def test_one_that_is_kept_can_be_looked_around_in(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    said = world.prodigy("demo", "--fast", "--items", "3", "--dir", str(folder), "--keep")
    assert said.returncode == 0, said.stderr
    assert said.stdout.endswith(f"3 of 3 notes signed and merged; all of it is in {folder}\n")
    merged = subprocess.run(
        ["git", "-C", str(folder / "project"), "show", "main:all.txt"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert merged.stdout.count("signed by an agent") == 3
    again = world.prodigy("demo", "--dir", str(folder))
    assert (again.returncode, "is there and not empty" in again.stderr) == (2, True)
    assert (folder / "project").is_dir()


def test_one_that_is_killed_is_removed_by_the_next(world: World) -> None:
    with world.start("demo", "--items", "3") as killed:
        eventually(lambda: list(world.temporary.glob("prodigy-demo-*/home/events/*/*/*.jsonl")))
        killed.kill()
    world.at_rest()
    assert world.leftovers() != []
    said = world.prodigy("demo", "--fast", "--items", "3")
    assert said.returncode == 0, said.stderr
    assert world.leftovers() == []


def test_it_takes_three_items_to_show_it(world: World) -> None:
    said = world.prodigy("demo", "--items", "2")
    assert (said.returncode, "error: bad-value" in said.stderr) == (2, True)
