"""Items that failed for good are tried again in their own run: merged where they heal, remembered where they do not."""

import json
import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from worlds import PATIENCE, World, eventually


@dataclass
class Ward:
    """A world whose agents fail while something outside says so, and tell outside of git that they ran."""

    world: World
    folder: Path

    def flow(self, items: str = "a, b, c", extra: str = "", tail: str = "") -> str:
        """Agents that write a file, unless they are ill; one that is held waits in its middle."""
        script = (
            f'echo "$PRODIGY_ITEM_ID" >> "{self.folder}/ran"; '
            f'touch "{self.folder}/at-$PRODIGY_ITEM_ID"; '
            f'while [ -e "{self.folder}/hold-$PRODIGY_ITEM_ID" ]; do sleep 0.02; done; '
            f'if [ -e "{self.folder}/ill-$PRODIGY_ITEM_ID" ]; then echo "no pulse" >&2; exit 3; fi; '
            "echo $PRODIGY_ITEM_ID > $PRODIGY_ITEM_ID.txt"
        )
        return f"""
name: ward
mode: mapreduce
grace: 300ms
map:
  input: {{list: [{items}]}}
  item_id: "${{item}}"
  {extra}
  agent_template:
    - shell: {json.dumps(script)}
{tail}
"""

    def mark(self, what: str, *items: str) -> None:
        for item in items:
            (self.folder / f"{what}-{item}").touch()

    def unmark(self, what: str, *items: str) -> None:
        for item in items:
            (self.folder / f"{what}-{item}").unlink()

    def ran(self) -> Counter[str]:
        return Counter((self.folder / "ran").read_text().split())

    def run(self, *words: str, ill: str = "b", flow: str | None = None) -> None:
        """A run that leaves some items in the queue."""
        self.mark("ill", *ill)
        done = self.world.prodigy("run", self.world.workflow(flow or self.flow()), *words)
        assert done.returncode == 0, done.stderr

    def queue(self) -> dict[str, Any]:
        shown = self.world.prodigy("dlq", "show", "latest", "--json")
        return {letter["item_id"]: letter for letter in json.loads(shown.stdout).get("items", ())}

    def files(self, ref: str = "main") -> set[str]:
        listed = self.world.git("ls-tree", "--name-only", ref).split()
        return {name for name in listed if name.endswith(".txt")}


@pytest.fixture
def ward(world: World, tag: str) -> Ward:
    folder = world.folder / tag
    folder.mkdir()
    return Ward(world, folder)


def session_branch(world: World) -> str:
    return world.json("status")["waiting"][0]["branch"]  # type: ignore[no-any-return]


# -- where the work goes -------------------------------------------------------------------------------------------
def test_after_the_merge_the_work_goes_to_a_new_branch_on_the_tip_of_the_target(ward: Ward) -> None:
    """A healed item is merged, leaves the queue, and everything that was done before is not done again."""
    world = ward.world
    ward.run("-y", ill="b")
    assert world.leftovers() == []
    before = ward.queue()["b"]
    world.write("repaired.txt", "by hand\n")
    world.commit("repair")
    ward.unmark("ill", "b")
    done = world.prodigy("dlq", "retry", "latest", "-y")
    assert done.returncode == 0, done.stderr
    assert "1 done, 0 failed again (of 1)" in done.stdout
    assert ward.files() == {"a.txt", "b.txt", "c.txt", "repaired.txt"}
    assert ward.ran() == {"a": 1, "b": 2, "c": 1}
    assert world.leftovers() == []
    assert list(world.home.glob("dlq/*/*/items/*")) == []
    [started] = world.events("dlq_retry_started")
    assert (started["item_ids"], started["branch_number"]) == (["b"], 1)
    assert world.events("dlq_item_removed") == [
        {"event_type": "dlq_item_removed", "item_id": "b", "reason": "retried"}
    ]
    assert [one["attempt"] for one in world.events("agent_started") if one["item_id"] == "b"] == [1, 2]
    assert len(world.journals()) == 1
    records = [json.loads(line) for line in world.journals()[0].read_text().splitlines()]
    of_item = {r["correlation_id"] for r in records if r["event"].get("item_id") == "b"}
    assert of_item == {before["correlation_id"]}


def test_while_the_session_branch_is_there_the_work_goes_to_it(ward: Ward) -> None:
    """It starts from what its user committed there; afterwards the merge is offered for all of it."""
    world = ward.world
    ward.run("--no-merge", ill="b")
    branch = session_branch(world)
    [place] = world.home.glob("worktrees/*/session-*")
    (place / "repaired.txt").write_text("by hand\n")
    for words in (["add", "--all"], ["commit", "--quiet", "-m", "repair"]):
        world.git("-C", str(place), *words)
    ward.unmark("ill", "b")
    done = world.prodigy("dlq", "retry", "latest")
    assert done.returncode == 0, done.stderr
    assert ward.files(branch) == {"a.txt", "b.txt", "c.txt", "repaired.txt"}
    assert ward.files() == set()
    assert "not merged (no terminal to ask)" in done.stdout
    [second] = [one for one in world.events("agent_started") if one["attempt"] == 2]
    assert world.git("show", f"{second['base_commit']}:repaired.txt") == "by hand"
    merged = world.prodigy("worktree", "merge", "latest", "-y")
    assert merged.returncode == 0, merged.stderr
    assert ward.files() == {"a.txt", "b.txt", "c.txt", "repaired.txt"}
    assert world.leftovers() == []


@pytest.mark.parametrize("by", ["prodigy", "hand"])
def test_a_branch_that_was_removed_is_replaced(ward: Ward, by: str) -> None:
    world = ward.world
    ward.run("--no-merge", ill="b")
    branch = session_branch(world)
    if by == "prodigy":
        assert world.prodigy("worktree", "clean", "latest", "--force").returncode == 0
    else:
        [place] = world.home.glob("worktrees/*/session-*")
        world.git("-C", str(place), "checkout", "--quiet", "--detach")
        world.git("branch", "-D", branch)
    ward.unmark("ill", "b")
    done = world.prodigy("dlq", "retry", "latest", "-y")
    assert done.returncode == 0, done.stderr
    assert f"the work goes to {branch}-r1" in done.stderr
    assert ward.files() == {"b.txt"}
    assert world.leftovers() == []


# -- what fails again ----------------------------------------------------------------------------------------------
def test_what_fails_again_stays_with_all_its_attempts(ward: Ward) -> None:
    ward.run("-y", ill="bc")
    first = ward.queue()
    ward.unmark("ill", "c")
    done = ward.world.prodigy("dlq", "retry", "latest", "-y", "--max-parallel", "1")
    assert done.returncode == 0, done.stderr
    after = ward.queue()
    assert set(after) == {"b"}
    assert [one["attempt_number"] for one in after["b"]["failure_history"]] == [1, 2]
    assert [one["retry"] for one in after["b"]["failure_history"]] == [False, True]
    assert after["b"]["failure_history"][0] == first["b"]["failure_history"][0]
    assert after["b"]["failure_count"] == 2
    assert after["b"]["first_attempt"] < after["b"]["last_attempt"]
    [on_disk] = ward.world.home.glob("dlq/*/*/items/*.json")
    assert json.loads(on_disk.read_text())["failure_count"] == 2
    again = ward.world.prodigy("dlq", "retry", "latest", "-y")
    assert again.returncode == 1
    assert "0 done, 1 failed again (of 1)" in again.stdout
    assert ward.queue()["b"]["failure_count"] == 3
    assert ward.ran() == {"a": 1, "b": 3, "c": 2}
    assert ward.world.leftovers() == []


def test_being_strict_about_what_fails_again(ward: Ward) -> None:
    ward.run("-y", ill="bc")
    ward.unmark("ill", "c")
    assert ward.world.prodigy("dlq", "retry", "latest", "-y", "--strict").returncode == 1


def test_attempts_at_each_item(ward: Ward) -> None:
    ward.run("-y", ill="b")
    done = ward.world.prodigy("dlq", "retry", "latest", "-y", "--max-retries", "3")
    assert done.returncode == 1
    assert ward.ran()["b"] == 4
    assert ward.queue()["b"]["failure_count"] == 4


@pytest.mark.parametrize("forced", [False, True])
def test_items_that_keep_failing_alike_open_a_circuit(ward: Ward, forced: bool) -> None:
    """After five in a row nothing more is started, unless somebody insists; what was not started is as it was."""
    items = "i1, i2, i3, i4, i5, i6, i7"
    ward.mark("ill", *items.split(", "))
    flow = ward.world.workflow(ward.flow("ok, " + items))
    assert ward.world.prodigy("run", flow, "-y").returncode == 0
    before = ward.queue()
    words = ["--force"] if forced else []
    done = ward.world.prodigy("dlq", "retry", "latest", "-y", "--max-parallel", "1", *words)
    assert done.returncode == 1
    retried = ["i1", "i2", "i3", "i4", "i5", "i6", "i7"][: 7 if forced else 5]
    assert ward.ran() == {"ok": 1, **{f"i{n}": 2 if f"i{n}" in retried else 1 for n in range(1, 8)}}
    after = ward.queue()
    assert {item for item in after if after[item]["failure_count"] == 2} == set(retried)
    assert all(after[item] == before[item] for item in after if item not in retried)
    assert ("5 items in a row failed alike" in done.stderr) != forced
    if not forced:
        assert "0 done, 5 failed again, 2 not started (of 7)" in done.stdout
        for item in before:
            ward.unmark("ill", item)
        healed = ward.world.prodigy("dlq", "retry", "latest", "-y")
        assert healed.returncode == 0, healed.stderr
        assert ward.queue() == {}
        assert len(ward.files()) == 8


# -- interrupted ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("merged", [True, False])
def test_a_retry_that_was_interrupted_is_finished_by_resume(
    ward: Ward, number: signal.Signals, merged: bool
) -> None:
    world = ward.world
    ward.run("-y" if merged else "--no-merge", ill="abc", flow=ward.flow("ok, a, b, c", "max_parallel: 1"))
    ward.unmark("ill", "a", "b")
    ward.mark("hold", "b")
    (ward.folder / "at-b").unlink()
    process = world.start("dlq", "retry", "latest", "-y")
    eventually(lambda: (ward.folder / "at-b").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    assert world.prodigy("dlq", "retry", "latest", "-y").returncode == 1, "it is running"
    os.kill(process.pid, number)
    process.communicate(timeout=PATIENCE)
    world.at_rest()
    refused = world.prodigy("dlq", "retry", "latest", "-y")
    assert (refused.returncode, "run-unfinished" in refused.stderr) == (2, True)
    ward.unmark("hold", "b")
    done = world.prodigy("resume", "latest")
    assert done.returncode == 0, done.stderr
    assert "2 done, 1 failed again (of 3)" in done.stdout
    assert ward.ran() == {"ok": 1, "a": 2, "b": 3, "c": 2}
    assert set(ward.queue()) == {"c"}
    assert ward.files() == {"ok.txt", "a.txt", "b.txt"}, "agreed to when the retry was begun"
    merges = [one["item_id"] for one in world.events("worktree_merged") if one["what"] == "agent"]
    assert sorted(merges) == ["a", "b", "ok"]
    assert world.leftovers() == []


def test_of_many_at_once_one_proceeds(ward: Ward) -> None:
    ward.run("-y", ill="b")
    ward.unmark("ill", "b")
    ward.mark("hold", "b")
    (ward.folder / "at-b").unlink()
    processes = [ward.world.start("dlq", "retry", "latest", "-y") for _ in range(4)]
    eventually(lambda: sum(one.poll() is not None for one in processes) == 3)
    ward.unmark("hold", "b")
    ends = [(one.communicate(timeout=PATIENCE)[1], one.returncode) for one in processes]
    assert sorted(code for _, code in ends) == [0, 1, 1, 1]
    assert sum("already-running" in said for said, _ in ends) == 3
    assert ward.ran() == {"a": 1, "b": 2, "c": 1}


# -- what it is for ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "tried"),
    [
        (["--item", "b"], "b"),
        (["--item", "b", "--item", "#2"], "bc"),
        (["b,c", "--job-id", "latest"], "bc"),
        (["--filter", 'item == "c" && failure_count == 1'], "c"),
        (["--filter", "error_type=command-failed"], "bc"),
        (["--filter", "class == 'timeout'"], ""),
        (["--eligible"], ""),
    ],
)
def test_which_items_are_tried(ward: Ward, words: list[str], tried: str) -> None:
    ward.run("-y", ill="bc")
    for item in "bc":
        ward.unmark("ill", item)
    name = [] if "--job-id" in words else ["latest"]
    done = ward.world.prodigy("dlq", "retry", *name, *words, "-y")
    assert done.returncode == 0, done.stderr
    assert set(ward.queue()) == {"b", "c"} - set(tried)
    assert ward.ran() == {"a": 1, "b": 1 + ("b" in tried), "c": 1 + ("c" in tried)}


def test_a_dry_run_writes_nothing(ward: Ward) -> None:
    ward.run("-y", ill="b")
    before = {path: path.stat().st_mtime_ns for path in ward.world.home.rglob("*")}
    done = ward.world.prodigy("dlq", "retry", "latest", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("b ")
    shown = ward.world.json("dlq", "retry", "latest", "--dry-run")
    assert [item["item_id"] for item in shown["items"]] == ["b"]
    assert shown["max_parallel"] == 5
    assert {path: path.stat().st_mtime_ns for path in ward.world.home.rglob("*")} == before


def test_a_queue_without_items_is_no_failure(ward: Ward) -> None:
    ward.run("-y", ill="")
    journal = ward.world.journals()[0]
    done = ward.world.prodigy("dlq", "retry", journal.parent.name)
    assert (done.returncode, "nothing to retry" in done.stdout) == (0, True)


def test_words_that_mean_nothing(ward: Ward) -> None:
    ward.run("-y", ill="b")
    for words, code in (
        (["latest", "--item", "x"], "item-not-found"),
        (["latest", "--filter", "(("], "bad-value"),
        (["latest", "--reload", "--workflow", "w.yml"], "conflicting-flags"),
        ([], "missing-argument"),
        (["nobody"], "run-not-found"),
    ):
        done = ward.world.prodigy("dlq", "retry", *words)
        assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"error: {code}")
    assert ward.ran()["b"] == 1


# -- with which workflow -------------------------------------------------------------------------------------------
def test_a_repaired_workflow_takes_the_place_of_the_recorded_one(ward: Ward) -> None:
    """Only if it is asked for; a resume of the retry goes on with it, and so does the next retry."""
    world = ward.world
    ward.run("-y", ill="b")
    repaired = ward.flow(tail="on_success: [{shell: 'true'}]").replace("no pulse", "no breath")
    world.workflow(repaired)
    noted = world.prodigy("dlq", "retry", "latest", "-y")
    assert "`--reload` takes it" in noted.stderr
    assert ward.queue()["b"]["failure_history"][-1]["error_message"].endswith("no pulse")
    ward.mark("hold", "b")
    (ward.folder / "at-b").unlink()
    process = world.start("dlq", "retry", "latest", "-y", "--reload")
    eventually(lambda: (ward.folder / "at-b").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    process.kill()
    process.communicate(timeout=PATIENCE)
    world.at_rest()
    (world.folder / "workflow.yml").unlink()
    ward.unmark("hold", "b")
    assert world.prodigy("resume", "latest").returncode == 1
    assert ward.queue()["b"]["failure_history"][-1]["error_message"].endswith("no breath")
    assert world.prodigy("dlq", "retry", "latest", "-y").returncode == 1
    assert ward.queue()["b"]["failure_history"][-1]["error_message"].endswith("no breath")


def test_the_workflow_of_another_file(ward: Ward) -> None:
    ward.run("-y", ill="b")
    other = ward.world.workflow(
        "mode: mapreduce\nmap: {input: {list: [z]}, agent_template: [{shell: 'echo ${item} > by-hand.txt'}]}\n",
        "other.yml",
    )
    done = ward.world.prodigy("dlq", "retry", "latest", "-y", "--workflow", other)
    assert done.returncode == 0, done.stderr
    assert ward.world.git("show", "main:by-hand.txt") == "b"


# -- the phases after it -------------------------------------------------------------------------------------------
REDUCE = "reduce: [{shell: 'ls *.txt > list; echo ${map.successful} of ${map.total} > count'}]"


@pytest.mark.parametrize("wanted", [True, False])
def test_reduce_runs_again_if_it_is_wanted(ward: Ward, wanted: bool) -> None:
    ward.run("-y", ill="b", flow=ward.flow(tail=REDUCE))
    ward.unmark("ill", "b")
    words = ["--reduce"] if wanted else []
    done = ward.world.prodigy("dlq", "retry", "latest", "-y", *words)
    assert done.returncode == 0, done.stderr
    assert ward.world.git("show", "main:count") == ("3 of 3" if wanted else "2 of 3")


def test_a_run_whose_every_item_failed_goes_on_to_its_end(ward: Ward) -> None:
    """It had failed in its map phase; with an item that succeeds it comes to reduce, and to its merge."""
    world = ward.world
    ward.mark("ill", "a", "b", "c")
    flow = world.workflow(ward.flow(tail=REDUCE))
    assert world.prodigy("run", flow, "-y").returncode == 1
    again = world.prodigy("dlq", "retry", "latest", "-y")
    assert again.returncode == 1
    assert len(ward.queue()) == 3
    ward.unmark("ill", "b")
    done = world.prodigy("dlq", "retry", "latest", "-y")
    assert done.returncode == 0, done.stderr
    assert ward.files() == {"b.txt"}
    assert world.git("show", "main:count") == "1 of 3"
    assert set(ward.queue()) == {"a", "c"}
    assert world.leftovers() == []


def test_items_that_were_never_started_are_left_to_resume(ward: Ward) -> None:
    """A run that gave up: its retry is about its queue only, and says that the rest waits."""
    world = ward.world
    ward.mark("ill", "a")
    flow = world.workflow(ward.flow(extra="max_parallel: 1", tail="error_policy: {max_failures: 1}\n"))
    assert world.prodigy("run", flow, "-y").returncode == 1
    ward.unmark("ill", "a")
    done = world.prodigy("dlq", "retry", "latest", "-y")
    assert done.returncode == 1
    assert "2 items were never started" in done.stderr
    assert ward.ran() == {"a": 2}
    assert ward.queue() == {}
    resumed = world.prodigy("resume", "latest", "-y")
    assert resumed.returncode == 0, resumed.stderr
    assert ward.ran() == {"a": 2, "b": 1, "c": 1}
    assert ward.files() == {"a.txt", "b.txt", "c.txt"}


# -- what is known of an item --------------------------------------------------------------------------------------
def test_an_item_names_its_work_and_what_its_agents_did(world: World) -> None:
    """Committed and uncommitted files of the last attempt are under one ref; the template's digest is of its steps."""
    script = (
        "echo one > one; git add one; git commit -qm one; echo two > two; echo three >> README.md; exit 3"
    )
    text = f"mode: mapreduce\nmap:\n  input: {{list: [a]}}\n  agent_template: [{{shell: '{script}'}}]\n"
    assert world.prodigy("run", world.workflow(text)).returncode == 1
    [first] = world.json("dlq", "show", "latest")["items"]
    artifacts = first["worktree_artifacts"]
    assert sorted(artifacts["files"]) == ["README.md", "one", "two"]
    assert artifacts["uncommitted_changes"]
    assert world.git("show", f"{artifacts['rescue_ref']}:two") == "two"
    assert (first["manual_review_required"], first["reprocess_eligible"]) == (True, False)
    world.workflow("# a remark\n" + text)
    assert world.prodigy("dlq", "retry", "latest", "--reload").returncode == 1
    [same] = world.json("dlq", "show", "latest")["items"]
    assert same["template_sha256"] == first["template_sha256"]
    assert same["workflow_sha256"] != first["workflow_sha256"]
    world.workflow(text.replace("one", "four"))
    assert world.prodigy("dlq", "retry", "latest", "--reload").returncode == 1
    [changed] = world.json("dlq", "show", "latest")["items"]
    assert changed["template_sha256"] != first["template_sha256"]
    assert sorted(changed["worktree_artifacts"]["files"]) == ["README.md", "four", "two"]


def test_what_was_cleared_is_over(ward: Ward) -> None:
    """Neither a retry nor a resume starts it again."""
    world = ward.world
    ward.mark("ill", "a", "b")
    flow = world.workflow(ward.flow(extra="max_parallel: 1", tail="error_policy: {max_failures: 2}\n"))
    assert world.prodigy("run", flow).returncode == 1
    assert world.prodigy("dlq", "clear", "latest", "--item", "a", "--yes").returncode == 0
    ward.unmark("ill", "a", "b")
    assert world.prodigy("dlq", "retry", "latest", "--no-merge").returncode == 1
    done = world.prodigy("resume", "latest", "-y")
    assert done.returncode == 0, done.stderr
    assert ward.ran() == {"a": 1, "b": 2, "c": 1}
    assert ward.files() == {"b.txt", "c.txt"}
