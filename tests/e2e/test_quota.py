"""An API that turns launches away: nobody fails by it, and no attempt is charged."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from worlds import PATIENCE, World, eventually

FAKES = Path(__file__).parents[1] / "fakes"


@pytest.fixture
def limited(world: World) -> World:
    world.environ |= {
        "PATH": f"{FAKES}:{world.environ['PATH']}",
        "FAKE_CLAUDE_LOG": str(world.folder / "claude.log"),
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
    }
    return world


def test_items_wait_for_the_quota_and_go_on_in_their_conversations(limited: World) -> None:
    bucket = limited.folder / "bucket"
    flow = f"""
    mode: mapreduce
    map:
      input: {{list: [a, b, c, d, e, f, g, h]}}
      max_parallel: 4
      agent_template:
        - shell: echo begun > ${{item}}.begun
        - claude: |
            /quota {bucket} 3 4
            /sh echo ${{item}} > ${{item}}.txt
    """
    report = limited.json("run", limited.workflow(flow), "-y")
    assert (report["status"], report["items"]["done"]) == ("completed", 8)
    assert {item["attempts"] for item in report["items"]["list"]} == {1}
    assert not limited.events("agent_failed")
    assert not limited.events("agent_retrying")
    turned_away = limited.events("claude_parked")
    assert turned_away
    assert {event["reason"] for event in turned_away} == {"quota"}
    went_on = [event for event in limited.events("claude_intended") if event.get("resumes")]
    assert {event["session_id"] for event in went_on} == {
        event["claude"]["session_id"] for event in turned_away
    }
    assert report["cost"]["usd"] == pytest.approx(0.08)
    assert {f"{name}.txt" for name in "abcdefgh"} <= {file.name for file in limited.repository.iterdir()}
    probes_only(limited)
    log = (limited.folder / "claude.log").read_text().splitlines()
    assert len([json.loads(line) for line in log]) == 8 + len(turned_away)


def test_agents_that_wait_leave_their_places_to_others(limited: World) -> None:
    """What others do before they need Claude is done meanwhile; who waits first returns first, and no place is used twice."""
    bucket = limited.folder / "bucket"
    bucket.write_text(f"[1, {time.time()}]")
    flow = f"""
    mode: mapreduce
    map:
      input: {{list: [a, b, c, d, e, f, g]}}
      item_id: ${{item}}
      max_parallel: 2
      agent_template:
        - shell: echo begun > ${{item}}.txt
        - claude: /quota {bucket} 4 15
    """
    report = limited.json("run", limited.workflow(flow), "-y")
    assert (report["status"], report["items"]["done"]) == ("completed", 7)
    busy: set[str] = set()
    waiting: list[str] = []
    most = worktrees = 0
    for event in limited.events():
        match event["event_type"]:
            case "agent_started":
                busy.add(event["item_id"])
            case "agent_parked":
                busy.remove(event["item_id"])
                waiting.append(event["item_id"])
            case "agent_returned":
                assert waiting.pop(0) == event["item_id"]
                busy.add(event["item_id"])
            case "agent_completed":
                busy.remove(event["item_id"])
        most, worktrees = max(most, len(busy)), max(worktrees, len(busy) + len(waiting))
    assert (most, worktrees) == (2, 4)
    probes_only(limited)


def test_waiting_for_the_quota_is_nobodys_time(limited: World) -> None:
    """Neither the run's nor that of a loop around the step; once it flows again, they would be up in a moment."""
    bucket = limited.folder / "bucket"
    bucket.write_text(f"[1, {time.time()}]")
    flow = f"""
    timeout: 15s
    commands:
      - foreach: [a]
        timeout: 12s
        do: [claude: "/quota {bucket} 1 25"]
    """
    done = limited.prodigy("run", limited.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    [parked, *_] = limited.events("claude_parked")
    assert parked["reason"] == "quota"


def test_who_waits_for_the_quota_says_so(limited: World) -> None:
    """To whoever looks from outside."""
    bucket = limited.folder / "bucket"
    bucket.write_text(f"[1, {time.time()}]")
    started = limited.start(
        "run", limited.workflow(json.dumps([{"claude": f"/quota {bucket} 1 3000"}])), "-y"
    )

    def waiting() -> list[Any]:
        """A run that is slow to answer counts as one that does not, and then it is not known who waits."""
        runs = limited.json("ps")["runs"]
        agents = [one for run in runs for one in (*run["agents"], *run["workers"][0]["agents"])]
        return [one["waits"] for one in agents if one["waits"] is not None]

    eventually(lambda: limited.journals() and limited.events("quota_blocked"))
    [waits] = eventually(waiting)
    [blocked] = limited.events("quota_blocked")
    assert (waits["what"], waits["until"]) == ("quota", blocked["until"])
    eventually(lambda: "waits for the API since" in limited.prodigy("ps").stdout)
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=PATIENCE)


def test_a_wait_that_is_too_long_is_not_begun(limited: World) -> None:
    """The run rests, says so, and goes on in the same conversation: with a probe at once, whatever was said before."""
    bucket = limited.folder / "bucket"
    bucket.write_text(f"[1, {time.time()}]")
    limited.write(".prodigy/config.yml", "governor: {quota_wait_max: 10m}\n")
    limited.commit()
    flow = json.dumps([{"shell": "echo once >> ran.txt"}, {"claude": f"/quota {bucket} 1 3600"}])
    done = limited.prodigy("run", limited.workflow(flow), "-y")
    assert done.returncode == 1, done.stderr
    assert "error: quota-blocked" in done.stderr
    assert limited.events("job_paused")[-1]["reason"] == "quota"
    bucket.unlink()
    report = limited.json("resume", "latest", "-y")
    assert report["status"] == "completed"
    assert (limited.repository / "ran.txt").read_text() == "once\n"
    assert len({event["session_id"] for event in limited.events("claude_intended")}) == 1
    assert not limited.events("step_failed")


def probes_only(world: World) -> None:
    """While a model is blocked, one launch begins between two blocks, as a probe."""
    probes, closed = 0, False
    for event in world.events():
        match event["event_type"]:
            case "quota_blocked":
                probes, closed = 0, True
                assert event["known"]
            case "quota_cleared":
                closed = False
            case "claude_intended" if closed:
                probes += 1
                assert probes == 1
    assert not closed
