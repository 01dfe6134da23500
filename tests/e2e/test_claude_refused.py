"""When Claude would do nothing for anybody, a run of hundreds of agents rests instead of failing them all."""

import json
from pathlib import Path

import pytest
from worlds import World

FAKES = Path(__file__).parents[1] / "fakes"
ITEMS = 300
STARTS = 4
"""Launches that may start at the same time, as a rule."""
REFUSALS = {
    "login": (401, "Invalid API key · Fix external API key"),
    "credit": (400, "Credit balance is too low"),
    "model": (404, "There's an issue with the selected model (opus-9). It may not exist."),
}


@pytest.fixture
def world(world: World) -> World:
    folder = world.folder / "bin"
    folder.mkdir()
    (folder / "claude").symlink_to(FAKES / "claude")
    world.environ |= {
        "PATH": f"{folder}:{world.environ['PATH']}",
        "FAKE_CLAUDE_LOG": str(world.folder / "claude.log"),
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
    }
    return world


def flow(world: World, before: str = "true", items: int = ITEMS) -> str:
    prompt = f"/refuse {world.folder}/refusal\n/sh echo ${{item}} > ${{item}}.txt"
    names = [f"i{number}" for number in range(items)]
    template = [{"shell": before}, {"claude": prompt}]
    phase = {"input": {"list": names}, "max_parallel": 8, "agent_template": template}
    return world.workflow(json.dumps({"mode": "mapreduce", "map": phase}))


def launches(world: World) -> int:
    log = world.folder / "claude.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def rests(world: World, path: str, cause: str, said: str) -> None:
    """The run ends soon, and tells its user what to do; nobody has failed and nothing is charged."""
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 1
    assert "error: claude-refused" in done.stderr
    assert said in done.stderr
    assert not world.events("agent_failed")
    assert not world.events("dlq_item_added")
    assert world.events("job_paused")[-1]["reason"] == "claude"
    assert {event["cause"] for event in world.events("claude_parked")} == {cause}
    assert len(world.events("claude_intended")) <= STARTS
    [run] = world.json("status")["resumable"]
    assert (run["status"], run["pause"]["reason"], run["cost_usd"]) == ("paused", "claude", 0.0)
    assert said in run["pause"]["message"]
    assert "paused (claude) in map" in world.prodigy("status").stdout
    assert "paused (claude)" in world.prodigy("sessions", "ls").stdout
    assert said in world.prodigy("sessions", "show", "latest").stdout
    assert run["next"] in done.stderr


@pytest.mark.parametrize("cause", REFUSALS)
def test_the_first_refusal_stops_all(world: World, cause: str) -> None:
    status, said = REFUSALS[cause]
    (world.folder / "refusal").write_text(f"{status}\n{said}\n")
    rests(world, flow(world, items=ITEMS if cause == "login" else 20), cause, said)
    assert launches(world) <= STARTS

    before = launches(world)  # it is taken up in vain: one launch asks whether anything has changed
    again = world.prodigy("resume", "latest", "-y")
    assert (again.returncode, launches(world)) == (1, before + 1)
    assert "error: claude-refused" in again.stderr


def test_a_merge_that_claude_refused_can_be_asked_for_again(world: World) -> None:
    refusal = world.folder / "refusal"
    refusal.write_text("\n".join(map(str, REFUSALS["login"])))
    made = [{"shell": "echo > made.txt"}]
    merge = [{"claude": f"/refuse {refusal}\n/say merged"}]
    path = world.workflow(json.dumps({"commands": made, "merge": merge}))
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 1
    assert "Claude does not work: Invalid API key" in done.stderr
    again = world.prodigy("worktree", "merge", "-y")
    assert (again.returncode, launches(world)) == (1, 2)
    assert "Claude does not work: Invalid API key" in again.stderr
    refusal.unlink()
    last = world.prodigy("worktree", "merge", "-y")
    assert last.returncode == 0, last.stderr
    assert "made.txt" in world.git("ls-tree", "--name-only", "main")


def test_it_goes_on_where_it_was(world: World) -> None:
    status, said = REFUSALS["login"]
    (world.folder / "refusal").write_text(f"{status}\n{said}\n")
    rests(world, flow(world, items=6), "login", said)
    refused = {event["claude"]["session_id"] for event in world.events("claude_parked")}
    (world.folder / "refusal").unlink()
    report = world.json("resume", "latest", "-y")
    assert (report["status"], report["items"]["done"]) == ("completed", 6)
    assert {item["attempts"] for item in report["items"]["list"]} == {1}
    assert report["cost"]["usd"] == pytest.approx(0.06)
    went_on = [event["session_id"] for event in world.events("claude_intended") if event.get("resumes")]
    assert refused
    assert refused <= set(went_on)
    assert report["run"]["pause"] is None


@pytest.mark.parametrize("mode", ["agent", "phase"])
def test_what_it_had_done_is_there_when_it_goes_on(world: World, mode: str) -> None:
    """A conversation that was stopped in order finds its files as it left them, in a later process too."""
    refusal = world.folder / "refusal"
    refusal.write_text("400\nCredit balance is too low\n")
    work = "/sh test ! -e loose.txt || cp loose.txt found.txt; echo mine > loose.txt"
    commit = "/sh echo more >> kept.txt; git add kept.txt; git commit -qm 'by claude'"
    template = [{"shell": "echo before > before.txt"}, {"claude": f"{work}\n{commit}\n/refuse {refusal}"}]
    flow = {"mode": "mapreduce", "map": {"input": {"list": ["a"]}, "agent_template": template}}
    assert (
        world.prodigy("run", world.workflow(json.dumps(flow if mode == "agent" else template))).returncode
        == 1
    )
    refusal.unlink()
    done = world.prodigy("resume", "latest", "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "found.txt").read_text() == "mine\n"
    assert (world.repository / "kept.txt").read_text() == "more\nmore\n"
    assert not world.events("worktree_rescued")
    assert "paid again" not in done.stderr


def test_a_program_that_is_gone(world: World) -> None:
    """It was there when the run began, and somebody removed it, as an update may do."""
    program = world.folder / "bin/claude"
    rests(world, flow(world, before=f"rm -f {program}", items=30), "missing", "there is no `claude` any more")
    assert launches(world) == 0
    again = world.prodigy("resume", "latest", "-y")
    assert (again.returncode, "claude-not-found" in again.stderr) == (2, True)


def test_a_program_that_is_too_old(world: World) -> None:
    program = world.folder / "bin/claude"
    program.unlink()
    program.write_text(
        "#!/bin/sh\n"
        'test "$1" = --version && { echo "0.9.0 (Claude Code)"; exit; }\n'
        "echo \"error: unknown option '--session-id'\" >&2; exit 1\n"
    )
    program.chmod(0o755)
    rests(world, flow(world, items=30), "version", "unknown option '--session-id'")


def test_what_comes_after_the_phases_fails(world: World) -> None:
    """Nobody waits for it: the work is done, and the run ends as it would without it."""
    path = world.folder / "refusal"
    text = json.dumps(
        {
            "commands": [{"shell": f"printf '401\\nno\\n' > {path}"}],
            "on_success": [{"claude": f"/refuse {path}"}],
        }
    )
    done = world.prodigy("run", world.workflow(text), "-y")
    assert done.returncode == 0, done.stderr
    [failed] = world.events("phase_failed")
    assert (failed["phase"], failed["error"]["class"]) == ("on_success", "claude-error")
    assert failed["error"]["message"] == "Claude does not work: no"
