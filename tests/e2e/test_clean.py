"""`prodigy clean` after real runs: what it removes by git, and what it leaves alone."""

from pathlib import Path

from worlds import PATIENCE, World, eventually

FLOW = """
mode: mapreduce
map:
  input: {list: [good, bad]}
  item_id: "${item}"
  agent_template:
    - shell: 'echo 1 > ${item}.txt'
    - shell: 'test ${item} != bad'
"""


def rescued(world: World) -> list[str]:
    return world.git("for-each-ref", "--format=%(refname)", "refs/prodigy/rescue/").split()


def test_a_run_that_left_something_keeps_it_until_it_is_forced(world: World) -> None:
    world.prodigy("run", world.workflow(FLOW), "--no-merge")
    [ref] = rescued(world)
    [session] = world.home.glob("worktrees/*/session-*")

    kept = world.json("clean", "all", "--older-than", "0s")
    assert kept["removed"] == []
    assert any("it has work that is not merged" in one["why"] for one in kept["kept"])
    assert session.is_dir()
    assert rescued(world) == [ref]

    gone = world.json("clean", "worktrees", "--older-than", "0s", "--force")
    assert [one["what"] for one in gone["removed"]] == [f"worktrees  {session.name}"]
    assert gone["removed"][0]["bytes"] > 0
    assert not session.exists()
    assert world.git("branch", "--list", "prodigy-*") == ""
    kept_refs = rescued(world)
    assert set(kept_refs) > {ref}, "what was not merged"

    refused = world.prodigy("clean", "rescue", "--older-than", "0s")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (2, "error: confirmation-needed")
    assert world.json("clean", "rescue", "--force")["removed"] == [], "kept for ever"
    assert world.json("clean", "rescue", "--older-than", "1d", "--yes")["removed"] == []
    assert rescued(world) == kept_refs
    gone = world.json("clean", "rescue", "--older-than", "0s", "--yes")
    assert sorted(one["what"].split()[1] for one in gone["removed"]) == sorted(kept_refs)
    assert rescued(world) == []


def test_what_runs_is_never_touched(world: World) -> None:
    """Whatever is asked, all of it stays, and the run ends as if nobody had."""
    flow = "- shell: 'touch at; while ! test -e \"$GATE\"; do sleep 0.05; done'\n- shell: 'echo 1 > one'\n"
    world.environ["GATE"] = str(world.folder / "gate")
    run = world.start("run", world.workflow(flow), "-y")
    eventually(lambda: list(world.home.glob("worktrees/*/session-*/at")))
    before = {path for path in world.home.rglob("*") if not _passing(path)}
    cleaned = world.json("clean", "all", "--older-than", "0s", "--force", "--all-repos")
    assert cleaned["removed"] == []
    assert {one["why"] for one in cleaned["kept"]} == {"it is running: `prodigy stop` ends it"}
    assert {path for path in world.home.rglob("*") if not _passing(path)} >= before
    (world.folder / "gate").touch()
    run.communicate(timeout=PATIENCE)
    assert run.returncode == 0
    assert world.git("show", "main:one") == "1"


def _passing(path: Path) -> bool:
    """Files that are there for a moment."""
    return path.suffix in {".tmp", ".lock"}
