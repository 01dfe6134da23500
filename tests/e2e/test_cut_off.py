"""Attempts that end in the middle of a step: what is told of them names that step, its logs and its Claude."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from worlds import PATIENCE, World, eventually

from prodigy.crash_points import VARIABLE
from prodigy.store.locks import boot_id
from supervisors import ProcessIdentity
from supervisors.recovery import alive

FAKES = Path(__file__).parents[1] / "fakes"


def with_claude(world: World) -> Path:
    """Put the fake CLI into the world; the file of its launches."""
    log = world.folder / "claude.log"
    world.environ |= {
        "PATH": f"{FAKES}:{world.environ['PATH']}",
        "FAKE_CLAUDE_LOG": str(log),
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
    }
    return log


def test_an_agent_whose_time_is_up_names_the_step_it_was_at(world: World) -> None:
    flow = """
    mode: mapreduce
    grace: 100ms
    map:
      input: {list: [a]}
      agent_timeout: 5s
      agent_template: [{foreach: [x], do: [{shell: echo begun; sleep 300}]}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 1
    [failed] = world.events("agent_failed")
    error = failed["error"]
    assert (error["class"], error["step"]) == ("timeout", "1.foreach[0].1")
    assert error["stdout_tail"] == "begun\n"
    assert [Path(log).suffix for log in error["logs"]] == [".out", ".err"]
    [letter] = world.json("dlq", "show", "latest")["items"]
    assert letter["failure_history"][0]["step_failed"] == "1.foreach[0].1"


def test_an_attempt_that_lost_its_worker_names_the_claude_it_ran(world: World) -> None:
    log, gate = with_claude(world), world.folder / "gate"
    flow = f"""
    mode: mapreduce
    map:
      input: {{list: [a]}}
      agent_template:
        - claude: /say first
        - claude: "/sh touch {gate}-reached; until test -e {gate}; do sleep 0.05; done"
    """
    with world.start("run", world.workflow(flow), "-y") as running:
        eventually(lambda: Path(f"{gate}-reached").exists())
        launched = eventually(
            lambda: [event for event in world.events("step_spawned") if event.get("claude_session")][1:]
        )
        os.kill(launched[0]["worker"], signal.SIGKILL)
        cut = ProcessIdentity(launched[0]["pid"], launched[0]["start_time"], boot_id())
        eventually(lambda: not alive(cut))
        gate.touch()  # for the next attempt
        _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, said
    [interrupted] = world.events("agent_interrupted")
    launches = [json.loads(line)["options"] for line in log.read_text().splitlines()]
    assert not world.events("agent_failed")
    [cut_off] = world.events("claude_cut_off")
    assert (cut_off["item_id"], cut_off["step"]) == (interrupted["item_id"], "2")
    conversation = launches[1]["--session-id"]
    assert Path(cut_off["claude"]["json_log_location"]).stem == conversation
    assert [launch.get("--resume") for launch in launches] == [None, None, conversation]


def replies(world: World) -> int:
    """How often the model has spoken, by its conversations' own records."""
    files = (world.folder / "claude").glob("projects/*/*.jsonl")
    return sum(len(re.findall(r'"type": "assistant"', file.read_text())) for file in files)


@pytest.mark.parametrize("later", [1, 6], ids=["less than before", "more than before"])
def test_what_a_launch_after_a_kill_costs_is_its_own(world: World, later: int) -> None:
    """The CLI did not sum up what it had used when it was killed; whatever comes after it, the bill is right."""
    with_claude(world)
    gate = world.folder / "gate"
    prompt = f"/replies 2 0.10\n/sh until test -e {gate}; do sleep 0.05; done\n/replies {2 + later} 0.10"
    with world.start("run", world.workflow(json.dumps([{"claude": prompt}])), "-y") as running:
        eventually(lambda: replies(world) == 2 and world.events("step_spawned"))
        running.kill()
    world.at_rest()
    gate.touch()
    report = world.json("resume", "latest", "-y")
    assert report["status"] == "completed"
    assert report["cost"]["usd"] == pytest.approx(0.10 * replies(world))
    [cut_off], [ended] = world.events("claude_cut_off"), world.events("step_completed")
    assert cut_off["claude"]["cost_usd"] == pytest.approx(0.20)
    assert ended["claude"]["cost_usd"] == pytest.approx(0.10 * later)


@pytest.mark.parametrize("shape", ["beside", "before"])
def test_what_claude_left_uncommitted_is_not_bought_again(world: World, shape: str) -> None:
    """Work that is paid for stays where only Claude was cut off: beside it in a parallel loop, or after it."""
    log, gate = with_claude(world), world.folder / "gate"
    paid = {"claude": "/sh echo paid >> paid.txt", "auto_commit": False}
    cut = {
        "claude": f"/sh echo begun > cut.txt; touch {gate}-reached; until test -e {gate}; do sleep 0.05; done"
    }
    texts = [step["claude"] for step in (paid, cut)]
    loop = {"foreach": texts, "parallel": 2, "do": [{"claude": "${item}"}]}
    flow = [loop] if shape == "beside" else [paid, cut]
    with world.start("run", world.workflow(json.dumps(flow)), "-y") as running:
        eventually(lambda: Path(f"{gate}-reached").exists())
        eventually(lambda: [one for one in world.events("step_completed") if one.get("claude")])
        running.kill()
    world.at_rest()
    gate.touch()
    report = world.json("resume", "latest", "-y")
    assert report["status"] == "completed"
    assert (world.repository / "paid.txt").read_text() == "paid\n"
    assert (world.repository / "cut.txt").read_text() == "begun\n"
    assert not world.events("work_rewound")
    launches = [json.loads(line)["options"] for line in log.read_text().splitlines()]
    resumed = [launch["--resume"] for launch in launches if "--resume" in launch]
    assert len(launches) == 3
    assert resumed[0] in [launch.get("--session-id") for launch in launches]


@pytest.mark.parametrize("killed", ["coordinator", "worker"])
@pytest.mark.parametrize("mode", ["agent", "phase"])
def test_a_result_that_was_told_is_not_bought_again(world: World, killed: str, mode: str) -> None:
    """Claude had ended well when we were killed: its work and its words count, and nothing is launched again."""
    log, gate = with_claude(world), world.folder / "gate"
    prompt = f"""
        /sh echo hello > made.txt; git add made.txt; git commit -qm 'by claude'; echo more > loose.txt
        /say that is it
        /cost 0.25
        /after until test -e {gate}; do sleep 0.05; done"""
    steps = [
        {"claude": prompt, "id": "work", "commit_required": True},
        {"shell": "echo ${work.output} > said.txt"},
    ]
    flow = {"mode": "mapreduce", "map": {"input": {"list": ["a"]}, "agent_template": steps}}
    text = json.dumps(flow if mode == "agent" else steps)
    with world.start("run", world.workflow(text), "-y", "--json") as running:
        eventually(lambda: '"result"' in "".join(file.read_text() for file in streams(world)))
        [spawned] = eventually(
            lambda: [event for event in world.events("step_spawned") if event.get("claude_session")]
        )
        os.kill(running.pid if killed == "coordinator" else spawned["worker"], signal.SIGKILL)
        gate.touch()
        said, _ = running.communicate(timeout=PATIENCE)
    report = json.loads(said) if killed == "worker" else world.json("resume", "latest", "-y")
    assert report["status"] == "completed"
    assert len(log.read_text().splitlines()) == 1
    assert (world.repository / "said.txt").read_text() == "that is it\n"
    assert (world.repository / "loose.txt").read_text() == "more\n"
    assert "by claude" in world.git("log", "--format=%s").splitlines()
    assert (report["cost"]["usd"], report["cost"]["launches"]) == (0.25, 1)
    assert report["cost"]["estimated_usd"] == 0


@pytest.mark.parametrize("says", ["a word", "the secret"])
def test_a_result_of_a_run_with_secrets(world: World, says: str) -> None:
    """Logs hold no secret: what has none is taken as it is, and for what had one the conversation goes on."""
    log, gate = with_claude(world), world.folder / "gate"
    world.environ |= {"MY_SECRET": "rosebud-42"}
    what = "$NAMED" if says == "the secret" else "a word"
    prompt = f"/sh echo {what}\n/after until test -e {gate}; do sleep 0.05; done"
    flow = {
        "secrets": {"NAMED": "MY_SECRET"},
        "commands": [
            {"claude": prompt, "id": "work"},
            {"shell": "echo ${work.output} | tr a-z A-Z > said.txt"},
        ],
    }
    with world.start("run", world.workflow(json.dumps(flow)), "-y") as running:
        eventually(lambda: '"result"' in "".join(file.read_text() for file in streams(world)))
        eventually(lambda: world.events("step_spawned"))
        running.kill()
        gate.touch()
    done = world.prodigy("resume", "latest", "-y", "-v")
    assert done.returncode == 0, done.stderr
    [cut_off] = world.events("claude_cut_off")
    taken = says == "a word"
    assert ("finished" in cut_off, "unfit" in cut_off) == (taken, not taken)
    assert ("it had succeeded, and is done again: its log may have `***`" in done.stderr) is not taken
    assert len(log.read_text().splitlines()) == (1 if taken else 2)
    assert (world.repository / "said.txt").read_text() == ("A WORD\n" if taken else "ROSEBUD-42\n")


@pytest.mark.parametrize("number", [12, 25, 40])
@pytest.mark.parametrize("who", ["coordinator", "worker"])
def test_no_death_launches_more_than_was_in_flight(world: World, who: str, number: int) -> None:
    """Whenever we die: each launch beyond one for an item goes on with one that was cut off, and the bill is right."""
    log, points = with_claude(world), world.folder / "points"
    points.mkdir()
    point = "journal.sync.after" if who == "coordinator" else "log.open.after"
    (points / "plan").write_text(f"{who} {point} {number if who == 'coordinator' else number // 6}")
    world.environ[VARIABLE] = str(points)
    template = [{"claude": "/replies 2 0.10\n/sh echo ${item} > ${item}.txt"}]
    flow = {"map": {"input": {"list": list("abcdef")}, "max_parallel": 3, "agent_template": template}}
    first = world.prodigy("run", world.workflow(json.dumps({"mode": "mapreduce", **flow})), "-y")
    assert not (points / "plan").exists(), "nobody died"
    if who == "coordinator":
        assert first.returncode == -9
        assert world.prodigy("resume", "latest", "-y").returncode == 0
    [ended] = world.events("job_completed")
    assert ended["success_count"] == 6
    cut_off = [event for event in world.events("claude_cut_off") if not event.get("finished")]
    assert len(log.read_text().splitlines()) <= 6 + len(cut_off)
    paid = [event["claude"] for event in world.events() if event.get("claude")]
    assert sum(use.get("cost_usd", 0.0) for use in paid) == pytest.approx(0.10 * replies(world))
    assert replies(world) == 12
    assert {f"{name}.txt" for name in "abcdef"} <= {file.name for file in world.repository.iterdir()}


@pytest.mark.parametrize("mode", ["agent", "phase"])
def test_a_launch_that_was_admitted_and_never_began(world: World, mode: str) -> None:
    """That is found out: it is no launch, nothing is reserved for it any more, and nothing is paid."""
    log, points = with_claude(world), world.folder / "points"
    points.mkdir()
    (points / "plan").write_text("worker step.spawn.before 1")
    world.environ[VARIABLE] = str(points)
    template = [{"claude": "/replies 2 0.10"}]
    flow = {"mode": "mapreduce", "map": {"input": {"list": ["a"]}, "agent_template": template}}
    text = json.dumps(flow if mode == "agent" else template)
    done = world.prodigy("run", world.workflow(text), "-y", "--json", "--budget", "usd=1,launches=1", "-v")
    assert done.returncode == 0, done.stderr
    assert not (points / "plan").exists(), "nobody died"
    [cut_off] = world.events("claude_cut_off")
    assert (cut_off["began"], cut_off["claude"].keys()) == (False, {"session_id"})
    assert "Claude was about to be launched | nothing to pay" in done.stderr
    cost = json.loads(done.stdout)["cost"]
    assert (cost["launches"], cost["usd"], cost["estimated_usd"]) == (1, 0.2, 0.0)
    assert len(log.read_text().splitlines()) == 1


def test_a_launch_that_was_to_go_on_and_never_began(world: World) -> None:
    """The log of the step is that of the launch before it, which is paid for already."""
    log, points, refusal = with_claude(world), world.folder / "points", world.folder / "refusal"
    points.mkdir()
    refusal.write_text("400\nCredit balance is too low\n")
    template = [{"claude": f"/replies 2 0.10\n/refuse {refusal}"}]
    flow = {"mode": "mapreduce", "map": {"input": {"list": ["a"]}, "agent_template": template}}
    assert world.prodigy("run", world.workflow(json.dumps(flow)), "-y").returncode == 1
    refusal.unlink()
    (points / "plan").write_text("worker step.spawn.before 1")
    world.environ[VARIABLE] = str(points)
    report = world.json("resume", "latest", "-y")
    assert not (points / "plan").exists(), "nobody died"
    [cut_off] = world.events("claude_cut_off")
    assert (cut_off["began"], cut_off["claude"].get("cost_usd", 0)) == (False, 0)
    assert (report["status"], report["cost"]["launches"]) == ("completed", 2)
    assert report["cost"]["usd"] == pytest.approx(0.20)
    assert len(log.read_text().splitlines()) == 2
    assert len({event["session_id"] for event in world.events("claude_intended")}) == 1


@pytest.mark.parametrize("mode", ["agent", "phase"])
def test_what_is_stopped_is_paid_for_at_once(world: World, mode: str) -> None:
    """The closing lines and `status` do not wait for a resume to know it."""
    with_claude(world)
    template = [{"claude": "/replies 2 0.10\n/hang"}]
    flow = {"mode": "mapreduce", "map": {"input": {"list": ["a"]}, "agent_template": template}}
    text = json.dumps(flow if mode == "agent" else template)
    with world.start("run", world.workflow(text), "-y") as running:
        eventually(lambda: replies(world) == 2 and world.events("step_spawned"))
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=PATIENCE)
    assert "$0.20" in said
    [run] = world.json("status")["resumable"]
    assert run["cost_usd"] == pytest.approx(0.20)
    assert len(world.events("claude_cut_off")) == 1


@pytest.mark.parametrize("named", ["by a link", "with dots"])
def test_a_home_of_another_name_loses_no_conversation(world: World, named: str) -> None:
    """What git and the kernel call it is another name than the user's."""
    log, gate = with_claude(world), world.folder / "gate"
    world.home.mkdir(exist_ok=True)
    (world.folder / "link").symlink_to(world.home)
    names = {"by a link": f"{world.folder}/link", "with dots": f"{world.repository}/../home"}
    world.environ["PRODIGY_HOME"] = names[named]
    template = [{"claude": f"/sh touch {gate}-reached; until test -e {gate}; do sleep 0.05; done"}]
    flow = {"mode": "mapreduce", "map": {"input": {"list": ["a"]}, "agent_template": template}}
    with world.start("run", world.workflow(json.dumps(flow)), "-y") as running:
        eventually(lambda: Path(f"{gate}-reached").exists() and world.events("step_spawned"))
        running.kill()
    world.at_rest()
    gate.touch()
    assert world.prodigy("resume", "latest", "-y").returncode == 0
    first, again = [json.loads(line)["options"] for line in log.read_text().splitlines()]
    assert again.get("--resume") == first["--session-id"]


def streams(world: World) -> list[Path]:
    return list(world.home.glob("logs/**/*-claude.out"))
