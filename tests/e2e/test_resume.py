"""A run that was ended in any way, at any point, goes on where it stopped: nothing is lost, nothing is done twice."""

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from once import Once
from worlds import PATIENCE, World, eventually, made_world

from prodigy.store.locks import held

ITEMS = ("a", "b", "c", "d", "e")
HELD = "c"
"""The item that is held up in the middle, where others are not."""


@dataclass
class Bench:
    """A world whose steps tell what they do in a file outside of git, and can be held up at named points."""

    world: World
    folder: Path

    def step(self, name: str, file: str | None = None) -> str:
        """A step whose change of a file is another one if it is done twice; it can be held in its middle."""
        change = f"echo {name} >> {file}; " if file else ""
        hold = (
            f'touch "{self.folder}/at-{name}"; while [ -e "{self.folder}/hold-{name}" ]; do sleep 0.02; done'
        )
        return f'{change}{hold}; echo "{name}" >> "{self.folder}/log"'

    def hold(self, name: str) -> None:
        (self.folder / f"hold-{name}").touch()

    def release(self) -> None:
        for path in [*self.folder.glob("hold-*"), *self.folder.glob("at-*")]:
            path.unlink()

    def forget(self) -> None:
        """What an earlier run said."""
        self.release()
        (self.folder / "log").unlink(missing_ok=True)

    def arrived(self, name: str) -> bool:
        return (self.folder / f"at-{name}").exists()

    def said(self) -> Counter[str]:
        return Counter((self.folder / "log").read_text().split())

    def recorded(self, kind: str) -> list[dict[str, Any]]:
        """Events of the newest journal while it is being written."""
        newest = max(self.world.journals(), key=lambda path: path.stat().st_mtime_ns)
        found = []
        for line in newest.read_bytes().split(b"\n")[:-1]:
            event = json.loads(line)["event"]
            if event["event_type"] == kind:
                found.append(event)
        return found

    def flow(self) -> str:
        """Every phase, and an agent with a list within its list."""
        return f"""
grace: 300ms
mode: mapreduce
setup:
  - shell: {self.quoted("setup1", "setup.txt")}
  - shell: {self.quoted("setup2", "setup.txt")}
map:
  input: {{list: [{", ".join(ITEMS)}]}}
  max_parallel: 3
  item_id: "${{item}}"
  agent_template:
    - shell: {self.quoted("${item}-first", "${item}.txt")}
    - foreach: [x, y, z]
      do:
        - shell: {self.quoted("$PRODIGY_ITEM_ID-${item}", "$PRODIGY_ITEM_ID.txt")}
    - shell: {self.quoted("${item}-last", "${item}.txt")}
reduce:
  - shell: {self.quoted("reduce1", "reduce.txt")}
  - shell: {self.quoted("reduce2", "reduce.txt")}
merge:
  - shell: {self.quoted("merge1", "merge.txt")}
  - shell: {self.quoted("merge2", "merge.txt")}
"""

    def quoted(self, name: str, file: str) -> str:
        return json.dumps(self.step(name, file))


@pytest.fixture
def bench(world: World, tag: str) -> Bench:
    return benched(world, tag)


def benched(world: World, name: str) -> Bench:
    folder = world.folder / name
    folder.mkdir()
    return Bench(world, folder)


@pytest.fixture
def tree(once: Once, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tree that the flow leads to when nothing happens: whose bench it is makes no difference."""

    def make() -> str:
        return uninterrupted(benched(made_world(tmp_path_factory.mktemp("uninterrupted")), "bench"))

    return once("resumed-tree", make)


def every_step() -> Counter[str]:
    """What a run says that does everything once."""
    of_items = (f"{item}-{part}" for item in ITEMS for part in ("first", "x", "y", "z", "last"))
    phases = ("setup1", "setup2", "reduce1", "reduce2", "merge1", "merge2")
    return Counter((*phases, *of_items))


def uninterrupted(bench: Bench) -> str:
    """The tree that the flow leads to when nothing happens; the repository is as it was afterwards."""
    world = bench.world
    before = world.git("rev-parse", "main")
    done = world.prodigy("run", world.workflow(bench.flow()), "-y")
    assert done.returncode == 0, done.stderr
    assert bench.said() == every_step()
    tree = world.git("rev-parse", "main^{tree}")
    world.git("reset", "--quiet", "--hard", before)
    bench.forget()
    return tree


def interrupted(bench: Bench, at: str, flow: str, how: "Ending") -> None:
    """Start a run, wait until it stands at a step and nothing else moves, and end it."""
    bench.hold(at)
    process = bench.world.start("run", bench.world.workflow(flow), "-y")
    eventually(lambda: bench.arrived(at) or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    if at.startswith(HELD):
        eventually(lambda: len(bench.recorded("worktree_merged")) == len(ITEMS) - 1)
    how(process)
    process.communicate(timeout=PATIENCE)
    (bench.folder / f"at-{at}").unlink()


def resumed(bench: Bench, at: str, *words: str) -> None:
    """Go on to the end; what outlived the first run would still stand where it stood, but for the resume."""
    process = bench.world.start("resume", "-y", *words)
    eventually(lambda: bench.arrived(at) or process.poll() is not None)
    bench.release()
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr


Ending = Callable[[Popen[str]], None]


def coordinator(process: Popen[str]) -> None:
    """The program alone, as the kernel's out-of-memory killer does."""
    process.kill()


def everybody(process: Popen[str]) -> None:
    """Everyone who could have ended the steps' processes, at the same moment, so that those go on."""
    ours = [process.pid, *(pid for pid in below(process.pid) if is_python(pid))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in ours:
            os.kill(pid, number)


def ctrl_c(process: Popen[str]) -> None:
    """As a person does."""
    process.send_signal(signal.SIGINT)


def below(pid: int) -> list[int]:
    """Descendants that live; a step's own processes come and go."""
    with suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [found for child in map(int, listed) for found in (child, *below(child))]
    return []


def is_python(pid: int) -> bool:
    with suppress(OSError):
        return "python" in Path(f"/proc/{pid}/exe").readlink().name
    return False


def assert_whole(bench: Bench, tree: str, again: str) -> None:
    """Everything is as without the interruption: the step that was cut off ended once, all others ran once."""
    world = bench.world
    assert world.git("rev-parse", "main^{tree}") == tree
    assert bench.said() == every_step()
    begun = Counter(
        (event["phase"], event.get("item_id"), event["step"])
        for event in bench.recorded("step_intended")
        if event["kind"] == "shell"
    )
    twice = [key for key, count in begun.items() if count > 1]
    assert len(twice) == 1, f"only {again} was cut off"
    assert world.leftovers() == []
    assert world.git("status", "--porcelain") == ""
    assert not any(held(lock) for lock in world.home.glob("locks/*/*"))
    world.git("fsck", "--strict")


POINTS = ["setup2", f"{HELD}-first", f"{HELD}-y", f"{HELD}-last", "reduce2", "merge2"]


@pytest.mark.parametrize("at", POINTS)
@pytest.mark.parametrize("how", [coordinator, everybody, ctrl_c], ids=lambda how: how.__name__)
def test_a_run_goes_on_wherever_it_was_ended(bench: Bench, tree: str, at: str, how: Ending) -> None:
    interrupted(bench, at, bench.flow(), how)
    resumed(bench, at)
    assert_whole(bench, tree, at)
    again = bench.world.prodigy("resume", "latest")
    assert (again.returncode, again.stdout.startswith("nothing to resume")) == (0, True)
    assert bench.said() == every_step()


def test_consume_once(bench: Bench) -> None:
    """Of several resumes at the same moment exactly one goes on, and the others name it."""
    world, at = bench.world, "reduce2"
    tree = uninterrupted(bench)
    interrupted(bench, at, bench.flow(), coordinator)
    job = bench.recorded("job_started")[0]["job_id"]
    ways: list[tuple[str, ...]] = [(), (job,), ("latest",), ("--reload",)]
    racers = [world.start("resume", *words, "-y", "--json") for words in ways * 2]
    eventually(lambda: bench.arrived(at) and sum(racer.poll() is None for racer in racers) == 1)
    [winner] = [racer for racer in racers if racer.poll() is None]
    bench.release()
    for racer in racers:
        stdout, stderr = racer.communicate(timeout=PATIENCE)
        assert racer.returncode == (0 if racer is winner else 1), stderr
        if racer is not winner:
            error = json.loads(stdout)["error"]
            assert error["code"] == "already-running"
            assert f"pid {winner.pid} on {os.uname().nodename} since " in error["message"]
    assert_whole(bench, tree, at)


def test_a_run_can_be_ended_and_resumed_any_number_of_times(bench: Bench, tree: str) -> None:
    world = bench.world
    interrupted(bench, "setup2", bench.flow(), everybody)
    for at, how in [(f"{HELD}-y", coordinator), (f"{HELD}-last", ctrl_c), ("merge1", everybody)]:
        (bench.folder / f"hold-{at}").touch()
        process = world.start("resume", "-y")
        for before in bench.folder.glob("hold-*"):
            name = before.name.removeprefix("hold-")
            if name != at:
                eventually(lambda name=name: bench.arrived(name))
                before.unlink()
                (bench.folder / f"at-{name}").unlink()
        eventually(lambda at=at: bench.arrived(at))
        if at.startswith(HELD):
            eventually(lambda: len(bench.recorded("worktree_merged")) == len(ITEMS) - 1)
        how(process)
        process.communicate(timeout=PATIENCE)
        (bench.folder / f"at-{at}").unlink()
    resumed(bench, "merge1")
    assert world.git("rev-parse", "main^{tree}") == tree
    assert bench.said() == every_step()
    assert world.leftovers() == []
    assert [event["attempt"] for event in bench.recorded("agent_started")] == [1] * len(ITEMS)


def test_an_attempt_whose_worktree_is_gone_is_made_again(bench: Bench, tree: str) -> None:
    world, at = bench.world, f"{HELD}-last"
    interrupted(bench, at, bench.flow(), coordinator)
    for folder in world.home.glob("worktrees/*/*"):
        if folder.name != ".metadata":
            shutil.rmtree(folder)
    resumed(bench, at)
    assert world.git("rev-parse", "main^{tree}") == tree
    again = Counter({f"{HELD}-{part}": 1 for part in ("first", "x", "y", "z")})
    assert bench.said() == every_step() + again
    assert max(event["attempt"] for event in bench.recorded("agent_started")) == 2
    [retrying] = bench.recorded("agent_retrying")
    assert (retrying["item_id"], retrying["charged_to"]) == (HELD, "resume")
    assert world.leftovers() == []


def test_what_a_step_left_uncommitted_is_done_again_from_the_last_commit(bench: Bench) -> None:
    """Bodies that run at the same time are committed together: those that ended are undone, kept, and run again."""
    world = bench.world
    bench.hold("b")
    flow = f"""
- shell: {bench.quoted("first", "a.txt")}
- foreach: [a, b]
  parallel: 2
  do: [{{shell: {bench.quoted("${item}", "${item}.txt")}}}]
"""
    process = world.start("run", world.workflow(flow), "-y")
    eventually(lambda: bench.arrived("b") and len(bench.recorded("step_completed")) == 4)
    process.kill()
    process.communicate(timeout=PATIENCE)
    (bench.folder / "at-b").unlink()
    resumed(bench, "b")
    assert (world.repository / "a.txt").read_text() == "first\na\n"
    assert (world.repository / "b.txt").read_text() == "b\n"
    assert bench.said() == Counter({"first": 1, "a": 2, "b": 1})
    [rewound] = bench.recorded("work_rewound")
    [rescued] = bench.recorded("worktree_rescued")
    assert "2.foreach[0].1/1" in rewound["forgotten"]
    assert world.git("show", f"{rescued['ref']}:a.txt") == "first\na"


def test_a_run_that_failed_goes_on_at_the_step_that_failed(bench: Bench) -> None:
    world = bench.world
    cure = bench.folder / "cure"
    flow = f"""
commands:
  - shell: {bench.quoted("first", "a.txt")}
  - shell: echo half > half.txt; test -e {cure}
  - shell: {bench.quoted("last", "a.txt")}
on_failure:
  - shell: {bench.quoted("told", "told.txt")}
"""
    failed = world.prodigy("run", world.workflow(flow), "-y")
    assert failed.returncode == 1
    assert "prodigy resume " in failed.stdout
    assert world.prodigy("resume", "-y").returncode == 1
    cure.touch()
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    assert bench.said() == Counter({"first": 1, "told": 2, "last": 1})
    assert (world.repository / "a.txt").read_text() == "first\nlast\n"


def test_the_recorded_workflow_runs_and_an_edited_file_is_told(bench: Bench) -> None:
    world = bench.world
    flow = f"- shell: {bench.quoted('first', 'a.txt')}\n- shell: {bench.quoted('last', 'a.txt')}\n"
    interrupted(bench, "first", flow, coordinator)
    bench.release()
    world.workflow("- shell: exit 1\n")
    other = world.workflow(flow, "other.yml")
    tail = world.json("status")["resumable"][0]["stem"].rpartition("-")[2]
    mismatch = world.prodigy("run", other, "--resume", tail)
    assert (mismatch.returncode, "workflow-mismatch" in mismatch.stderr) == (2, True)
    done = world.prodigy("run", str(world.folder / "workflow.yml"), "--resume", tail, "-y")
    assert done.returncode == 0, done.stderr
    assert "is not what the run was begun with; the recorded workflow is used" in done.stderr
    assert (world.repository / "a.txt").read_text() == "first\nlast\n"


def test_a_torn_tail_is_cut_told_and_kept(bench: Bench) -> None:
    world = bench.world
    flow = f"- shell: {bench.quoted('first', 'a.txt')}\n- shell: {bench.quoted('last', 'a.txt')}\n"
    interrupted(bench, "last", flow, everybody)
    [journal] = world.journals()
    with journal.open("ab") as file:
        file.write(b'{"v":1,"seq":9999,"id":"0')
    resumed(bench, "last")
    [cut] = bench.recorded("journal_truncated")
    assert Path(cut["kept_at"]).read_bytes() == b'{"v":1,"seq":9999,"id":"0'
    assert bench.said() == Counter({"first": 1, "last": 1})


def test_a_merge_that_was_done_and_not_recorded_is_not_done_twice(bench: Bench) -> None:
    """As if the power had failed between moving the session branch and recording it."""
    world = bench.world
    flow = """
mode: mapreduce
map:
  input: {list: [a, b]}
  agent_template:
    - shell: echo ${item} > ${item}.txt
"""
    assert world.prodigy("run", world.workflow(flow), "--no-merge").returncode == 0
    [journal] = world.journals()
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"worktree_merged"' in line)
    journal.write_bytes(b"".join(lines[:last]))
    branch = world.git("branch", "--list", "prodigy-session-*", "--format=%(refname:short)")
    tip = world.git("rev-parse", branch)
    done = world.prodigy("resume", "--no-merge")
    assert done.returncode == 0, done.stderr
    assert world.git("rev-parse", branch) == tip
    assert bench.recorded("worktree_merged")[-1]["strategy"] == "nothing"
    assert "2 done" in done.stdout


def test_a_session_that_was_removed_cannot_be_resumed(bench: Bench) -> None:
    world = bench.world
    flow = f"- shell: {bench.quoted('first', 'a.txt')}\n"
    interrupted(bench, "first", flow, ctrl_c)
    bench.release()
    assert world.prodigy("worktree", "clean", "latest", "--force").returncode == 0
    assert world.prodigy("resume").stdout.startswith("nothing to resume")
    refused = world.prodigy("resume", bench.recorded("job_started")[0]["job_id"])
    assert (refused.returncode, "session-removed" in refused.stderr) == (1, True)


def test_a_map_phase_that_gave_up_goes_on_with_what_it_never_started(bench: Bench) -> None:
    world = bench.world
    flow = f"""
mode: mapreduce
error_policy: {{max_failures: 1}}
map:
  input: {{list: [a, b, c]}}
  item_id: "${{item}}"
  max_parallel: 1
  agent_template:
    - shell: test ${{item}} != a
    - shell: {bench.quoted("${item}", "${item}.txt")}
reduce:
  - shell: echo '${{map.successful}}/${{map.total}}' > count.txt
"""
    assert world.prodigy("run", world.workflow(flow), "-y").returncode == 1
    assert not (bench.folder / "log").exists()
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    assert bench.said() == Counter({"b": 1, "c": 1})
    assert (world.repository / "count.txt").read_text() == "2/3\n"
    assert [letter["item_id"] for letter in bench.recorded("dlq_item_added")] == ["a"]


def test_secrets_come_anew_and_one_that_stands_in_the_workflow_cannot(bench: Bench) -> None:
    world = bench.world
    value = "a-value-to-hide"
    world.environ["TOKEN"] = value
    flow = f"""
env:
  TOKEN: {{secret: true, value: "${{env.TOKEN}}"}}
commands:
  - shell: {bench.quoted("first", "a.txt")}
  - shell: printf %s "$TOKEN" | wc -c > {bench.folder}/size
"""
    interrupted(bench, "first", flow, coordinator)
    resumed(bench, "first")
    assert int((bench.folder / "size").read_text()) == len(value)
    bench.forget()
    interrupted(bench, "first", flow.replace("${env.TOKEN}", value), coordinator)
    bench.release()
    refused = world.prodigy("resume")
    assert (refused.returncode, "secret-missing" in refused.stderr) == (2, True)


@pytest.mark.parametrize("at", ["b-work", "reduce"])
def test_aggregates_are_made_of_what_is_recorded(bench: Bench, at: str) -> None:
    """Agents that ended before the kill count with their captures as they were, and nothing counts twice."""
    flow = f"""
mode: mapreduce
map:
  input: [{{id: a, n: 3}}, {{id: b, n: 4}}]
  max_parallel: 1
  agent_template:
    - {{shell: "echo ${{item.n}}0", capture: tens, capture_format: number}}
    - shell: {json.dumps(bench.step("${item.id}-work"))}
  variables: {{sum_n: {{type: sum, value: item.n}}, tens: sum, agents: count}}
reduce:
  - shell: echo ${{sum_n}} ${{map.tens}} ${{agents}} >> made.txt
  - shell: {json.dumps(bench.step("reduce"))}
  - shell: echo ${{sum_n}} ${{tens}} ${{count:map.results[*] where success}} >> made.txt
merge:
  - shell: echo ${{tens}} >> made.txt
"""
    interrupted(bench, at, flow, coordinator)
    resumed(bench, at)
    assert bench.world.git("show", "HEAD:made.txt") == "7 70 2\n7 70 2\n70"
    assert bench.said() == Counter({"a-work": 1, "b-work": 1, "reduce": 1})


def test_computed_values_stay_as_they_were(bench: Bench) -> None:
    """The step that was cut off had changed a file; its command is not run for it again."""
    world = bench.world
    counted = bench.folder / "counted"
    flow = f"""
- shell: echo one > v.txt
- shell: {json.dumps("echo ${file:v.txt} ${cmd:echo x >> " + str(counted) + "; wc -l < " + str(counted) + "} >> made.txt; " + bench.step("second"))}
"""
    interrupted(bench, "second", flow, coordinator)
    resumed(bench, "second")
    assert (world.repository / "made.txt").read_text() == "one 1\n"
    assert counted.read_text() == "x\n"
