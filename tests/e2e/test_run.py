"""The main job, as a user runs it: real git, real processes, the real command line."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from worlds import PATIENCE, World, eventually, pids_with

EDIT_EACH = """
mode: mapreduce
setup:
  - shell: seq 1 6 | sed 's/.*/f&.txt/' > names.txt
map:
  input: names.txt
  max_parallel: 3
  agent_template:
    - shell: echo "made by ${item}" > ${item}
reduce:
  - shell: echo '${map.successful}/${map.total}' > count.txt
"""


def test_a_plain_workflow_is_committed_step_by_step_and_merged(world: World) -> None:
    done = world.prodigy(
        "run", world.workflow('- shell: echo one > a.txt\n- shell: test "$(cat a.txt)" = one\n'), "-y"
    )
    assert done.returncode == 0, done.stderr
    assert (world.repository / "a.txt").read_text() == "one\n"
    assert world.git("status", "--porcelain") == ""
    assert world.leftovers() == []
    assert "Prodigy-Job: workflow-" in world.git("log", "-1", "--format=%b")


@pytest.mark.parametrize(
    "shape", ["{commands: [{shell: 'true'}]}", "{steps: [{shell: 'true'}]}", "[{shell: 'true'}]"]
)
def test_every_shape_of_a_plain_workflow_runs(world: World, shape: str) -> None:
    done = world.prodigy("run", world.workflow(shape), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "completed"


def test_mapreduce_merges_every_agents_commit(world: World) -> None:
    done = world.prodigy("run", world.workflow(EDIT_EACH), "-y")
    assert done.returncode == 0, done.stderr
    assert [(world.repository / f"f{n}.txt").read_text() for n in range(1, 7)] == [
        f"made by f{n}.txt\n" for n in range(1, 7)
    ]
    assert (world.repository / "count.txt").read_text() == "6/6\n"
    assert not (world.repository / "names.txt").exists(), "the run's own material is not committed"
    assert world.leftovers() == []
    assert len(world.events("worktree_merged")) == 7
    world.git("fsck", "--strict")


def test_the_checkout_is_untouched_until_the_merge(world: World) -> None:
    world.write("README.md", "# Project, edited and not committed\n")
    world.write("untracked.txt", "mine\n")
    before = world.checkout_digest()
    done = world.prodigy("run", world.workflow(EDIT_EACH), "--no-merge")
    assert done.returncode == 0, done.stderr
    assert "2 uncommitted files are not part of this run" in done.stderr
    assert world.checkout_digest() == before
    [session] = world.json("worktree", "ls")["sessions"]
    assert session["branch_name"].startswith("prodigy-session-mapreduce-")
    merged = world.prodigy("worktree", "merge", "latest", "-y")
    assert merged.returncode == 0, merged.stderr
    assert (world.repository / "f1.txt").exists()
    assert (world.repository / "README.md").read_text() == "# Project, edited and not committed\n"
    assert world.leftovers() == []


def test_a_failed_item_waits_in_the_queue_and_everything_else_is_merged(world: World) -> None:
    flow = EDIT_EACH.replace("agent_template:\n", "agent_template:\n    - shell: test ${item} != f3.txt\n")
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert not (world.repository / "f3.txt").exists()
    assert (world.repository / "count.txt").read_text() == "5/6\n"
    document = json.loads(world.prodigy("dlq", "show", "latest").stdout)
    [item] = document["items"]
    assert item["item"] == "f3.txt"
    [attempt] = item["failure_history"]
    assert attempt["exit_code"] == 1
    assert attempt["json_log_location"] is None
    assert world.prodigy("run", world.workflow(flow), "--no-merge", "--strict").returncode == 1


def test_everything_but_the_journal_is_a_projection(world: World) -> None:
    flow = EDIT_EACH.replace("agent_template:\n", "agent_template:\n    - shell: test ${item} != f3.txt\n")
    assert world.prodigy("run", world.workflow(flow), "--no-merge").returncode == 0
    looks = [("status",), ("dlq", "list"), ("dlq", "show", "latest"), ("events", "ls"), ("worktree", "ls")]
    before = [world.json(*look) for look in looks]
    for folder in ("dlq", "sessions", "state"):
        shutil.rmtree(world.home / folder)
    for record in world.home.glob("worktrees/*/.metadata"):
        shutil.rmtree(record)
    assert [world.json(*look) for look in looks] == before


def test_a_handler_repairs_and_the_step_proves_it(world: World) -> None:
    flow = """
    - shell: test -f fixed
      on_failure: {shell: "echo '${error.exit_code} ${shell.output}' > fixed", max_attempts: 2}
    - shell: test -f never
      on_failure: {shell: "true", fail_workflow: false}
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "fixed").read_text() == "1 \n"


def test_commit_required_needs_a_real_change(world: World) -> None:
    done = world.prodigy("run", world.workflow("- shell: 'true'\n  commit_required: true\n"), "--json")
    assert done.returncode == 1
    assert world.events("job_failed")[0]["error"]["class"] == "commit-missing"


def test_a_timeout_kills_the_tree(world: World, tag: str) -> None:
    flow = f"grace: 200ms\ncommands:\n  - shell: trap '' TERM; python3 -c 'import time; time.sleep(600)' {tag}\n    timeout: 1s\n"
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 1
    assert world.events("job_failed")[0]["error"]["class"] == "timeout"
    assert pids_with(tag) == []


def test_a_step_ends_with_its_leader_although_a_child_holds_its_output(world: World, tag: str) -> None:
    flow = f"- shell: python3 -c 'import time; time.sleep(600)' {tag} & echo started\n- shell: echo next\n"
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 0, done.stderr
    assert [event["stdout"]["tail"] for event in world.events("step_completed")] == ["started\n", "next\n"]


def test_agents_that_collide_are_run_again_on_the_tip(world: World) -> None:
    world.write("shared.txt", "start\n")
    world.commit()
    flow = """
    mode: mapreduce
    map:
      input: {list: [a, b, c]}
      max_parallel: 3
      agent_template:
        - shell: while [ "$(ls "$RENDEZVOUS" | wc -l)" -lt 3 ]; do touch "$RENDEZVOUS/$PRODIGY_ITEM_INDEX"; sleep 0.05; done; echo ${item} >> shared.txt
    """
    rendezvous = world.folder / "rendezvous"
    rendezvous.mkdir()
    world.environ["RENDEZVOUS"] = str(rendezvous)
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    merged = sorted((world.repository / "shared.txt").read_text().split())
    letters = [event["item_id"] for event in world.events("dlq_item_added")]
    assert len(world.events("merge_conflicted")) >= 2
    assert len(merged) - 1 + len(letters) == 3
    assert len(merged) >= 3


def test_values_are_data_and_never_code(world: World) -> None:
    flow = """
    mode: mapreduce
    map:
      input: {list: ["$(touch pwned)", "'; touch pwned; '", "-n"]}
      agent_template:
        - shell: "printf '%s\\n' ${item} \\"${item}\\" '${item}' > out-${item_index} # ${item}"
    reduce:
      - shell: test ! -e pwned
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    for index, text in enumerate(["$(touch pwned)", "'; touch pwned; '", "-n"]):
        assert (world.repository / f"out-{index}").read_text() == f"{text}\n" * 3


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_run_and_every_process_of_it(
    world: World, tag: str, number: int, code: int
) -> None:
    sleeper = f"python3 -c 'import signal, time; signal.signal(15, 1); time.sleep(600)' {tag}"
    flow = f"""
grace: 300ms
mode: mapreduce
map:
  input: {{list: [1, 2, 3]}}
  agent_template:
    - shell: echo first > f${{item}}
    - shell: |
        trap '' TERM
        setsid {sleeper} &
        (setsid {sleeper} &)
        {sleeper}
    - shell: echo never > never${{item}}
"""
    process = world.start("run", world.workflow(flow), "-y")
    eventually(lambda: len(pids_with(tag)) >= 9)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, stderr
    assert pids_with(tag) == []
    assert world.events()[-1]["event_type"] == "job_paused"
    assert world.json("status")["resumable"][0]["status"] == "interrupted"
    assert not (world.repository / "f1").exists()


def test_a_lost_worker_costs_a_new_attempt_and_nothing_else(world: World, tag: str) -> None:
    flow = f"""
mode: mapreduce
map:
  input: {{list: [1, 2, 3, 4]}}
  max_parallel: 4
  agent_template:
    - shell: test -e "$FLAG" || exec python3 -c 'import time; time.sleep(600)' {tag}
    - shell: echo ${{item}} > f${{item}}
"""
    flag = world.folder / "flag"
    world.environ["FLAG"] = str(flag)
    process = world.start("run", world.workflow(flow), "-y")
    eventually(lambda: len(pids_with(tag)) == 4)
    victims = {event["worker"]: event["pid"] for event in world.events("worker_started")}
    flag.touch()
    for pid in victims.values():
        os.kill(pid, signal.SIGKILL)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert sorted(event["worker"] for event in world.events("worker_lost")) == sorted(victims)
    assert sorted(path.name for path in world.repository.glob("f*")) == ["f1", "f2", "f3", "f4"]
    assert world.leftovers() == []


def test_a_dry_run_writes_nothing(world: World) -> None:
    world.write("items.json", json.dumps([{"path": "a"}, {"path": "b"}]))
    world.commit()
    flow = "mode: mapreduce\nmap: {input: items.json, agent_template: [{shell: 'echo ${item.path}'}]}\n"
    done = world.prodigy("run", world.workflow(flow), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "2 items from `items.json`" in done.stdout
    assert not world.home.exists()
    assert world.json("run", world.workflow(flow), "--dry-run")["schema"] == "prodigy.plan/1"


def test_a_dry_run_chooses_items_as_a_run_does(world: World) -> None:
    """Filter, order and bounds apply; what setup may change is said; nothing of setup or of the agents runs."""
    items = [{"path": "a", "n": 5}, {"path": "b", "n": 1}, {"path": "c", "n": 9}, {"path": "d", "n": 7}]
    world.write("items.json", json.dumps({"items": items}))
    world.commit()
    flow = """
parameters: {least: {default: 2}}
setup: [{shell: touch ran}]
map:
  input: items.json
  json_path: $.items[*]
  filter: item.n > ${least}
  sort_by: item.n DESC
  max_items: 2
  agent_template: [{shell: "touch ${item.path}"}]
"""
    plan = world.json("run", world.workflow(flow), "--dry-run")
    assert plan["parameters"] == {"least": 2}
    assert plan["items"] == {
        "count": 2,
        "preview": [items[2], items[3]],
        "source": "items.json",
        "note": "as it is committed; setup may change it",
        "left_out": {"filter": 1, "limit": 1},
    }
    assert [problem.split(": ")[1] for problem in plan["problems"]] == ["note[mode-implied]"]
    assert not (world.repository / "ran").exists()
    assert not world.home.exists()


def test_an_item_without_changes_is_done_without_a_merge(world: World) -> None:
    flow = "mode: mapreduce\nmap: {input: {list: [1]}, agent_template: [{shell: 'true'}]}\n"
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert world.events("agent_completed")[0].get("commits", []) == []
    assert world.leftovers() == []


def test_all_items_failing_fails_the_run_and_skips_reduce(world: World) -> None:
    flow = "mode: mapreduce\nmap: {input: {list: [1, 2]}, agent_template: [{shell: 'false'}]}\nreduce: [{shell: 'touch reduced'}]\n"
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 1
    assert [event["phase"] for event in world.events("phase_started")] == ["map"]
    assert world.git("branch", "--list", "prodigy-session-*") != ""


STUBBORN = """
grace: 10m
mode: mapreduce
map:
  input: {{list: [1, 2]}}
  agent_template:
    - shell: |
        trap '' TERM
        setsid python3 -c 'import signal, time; signal.signal(15, 1); time.sleep(600)' {tag} &
        (env -i setsid sh -c 'trap "" TERM; sleep 600; : {tag}' &)
        touch {up}-${{item}}
        python3 -c 'import signal, time; signal.signal(15, 1); time.sleep(600)' {tag}
"""


def both_up(world: World) -> bool:
    """Whether both agents of the stubborn workflow have come to its last line."""
    return all(Path(f"{world.folder}/up-{item}").exists() for item in (1, 2))


def test_a_second_ctrl_c_skips_the_grace(world: World, tag: str) -> None:
    process = world.start("run", world.workflow(STUBBORN.format(tag=tag, up=world.folder / "up")))
    eventually(lambda: both_up(world))
    process.send_signal(signal.SIGINT)
    eventually(lambda: world.events("cancel_requested"))
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, stderr
    assert pids_with(tag) == []
    assert world.events()[-1]["event_type"] == "job_paused"


def processes_of_the_run(pid: int) -> dict[str, int]:
    """One process of each kind of a run: coordinator, worker, zygote, reaper."""
    worker = children(pid)[0]
    zygote = children(worker)[0]
    return {"coordinator": pid, "worker": worker, "zygote": zygote, "reaper": children(zygote)[0]}


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("victim", ["coordinator", "worker", "zygote", "reaper"])
def test_whichever_process_is_killed_nothing_of_it_stays(world: World, tag: str, victim: str) -> None:
    """SIGKILL of any one process of ours: what hung below it is gone; the run goes on unless it was the run itself."""
    flag = world.folder / "flag"
    world.environ["FLAG"] = str(flag)
    flow = STUBBORN.format(tag=tag, up=world.folder / "up").replace(
        "- shell: |", '- shell: |\n        test ! -e "$FLAG" || exit 0'
    )
    process = world.start("run", world.workflow(flow))
    eventually(lambda: both_up(world))
    flag.touch()
    os.kill(processes_of_the_run(process.pid)[victim], signal.SIGKILL)
    if victim == "coordinator":
        process.communicate(timeout=PATIENCE)
        eventually(lambda: not pids_with(tag))
        assert world.json("status")["resumable"][0]["status"] == "interrupted"
        return
    if victim == "reaper":  # the other agent was not touched, and has to be ended by us
        [interrupted] = eventually(lambda: world.events("agent_interrupted"))
        assert interrupted["attempt"] == 1
        process.send_signal(signal.SIGINT)
        eventually(lambda: world.events("cancel_requested"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    else:
        _, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, stderr
    assert pids_with(tag) == []


def test_a_workflow_from_standard_input_and_one_by_its_name(world: World) -> None:
    done = world.prodigy("run", "-", "-y", stdin="- shell: echo piped > piped.txt\n")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "piped.txt").exists()
    world.write("workflows/tidy.yml", "- shell: echo named > named.txt\n")
    world.commit()
    assert world.prodigy("run", "tidy", "-y").returncode == 0
    assert (world.repository / "named.txt").exists()


def test_a_refusing_hook_fails_the_item_and_keeps_its_work(world: World) -> None:
    hook = world.repository / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    flow = "mode: mapreduce\nmap: {input: {list: [a]}, agent_template: [{shell: 'echo work > a.txt'}]}\n"
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 1
    assert "prodigy dlq show" in done.stderr
    [attempt] = world.events("dlq_item_added")[0]["history"]
    assert attempt["error_type"] == "commit-failed"
    assert "not today" in attempt["error_message"]
    assert world.git("show", f"{attempt['rescue_ref']}:a.txt") == "work"
    hook.unlink()
    [removed] = world.json("worktree", "clean", "latest", "-f")["removed"]
    assert removed["rescue_refs"] == [attempt["rescue_ref"]]


def test_no_items_is_a_success_and_reduce_sees_zeros(world: World) -> None:
    flow = "mode: mapreduce\nmap: {input: {list: []}, agent_template: [{shell: 'true'}]}\nreduce: [{shell: 'echo ${map.total} > n'}]\n"
    assert world.prodigy("run", world.workflow(flow), "-y").returncode == 0
    assert (world.repository / "n").read_text() == "0\n"


def test_detached_head_is_for_the_default_branch(world: World) -> None:
    world.git("checkout", "--quiet", "--detach")
    done = world.prodigy("run", world.workflow("- shell: echo x > x.txt\n"), "-y")
    assert done.returncode == 0, done.stderr
    assert "HEAD was detached" in done.stderr
    assert world.git("show", "main:x.txt") == "x"
    assert not (world.repository / "x.txt").exists()


def test_work_that_collided_is_kept(world: World) -> None:
    """What lost a merge is under a ref, named in the queue, also after the session was merged and removed."""
    rendezvous = world.folder / "rendezvous"
    rendezvous.mkdir()
    world.environ["RENDEZVOUS"] = str(rendezvous)
    flow = """
    mode: mapreduce
    map:
      input: {list: [a, b, c]}
      max_parallel: 3
      agent_template:
        - shell: |
            touch "$RENDEZVOUS/$PRODIGY_AGENT_ID"
            until [ "$(ls "$RENDEZVOUS" | wc -l)" -ge 3 ]; do sleep 0.02; done
            case $PRODIGY_ATTEMPT in 1) ;; *) touch "$RENDEZVOUS/again-$PRODIGY_ITEM_INDEX"
              until [ "$(ls "$RENDEZVOUS"/again-* | wc -l)" -ge 2 ]; do sleep 0.02; done;; esac
            echo ${item} > same
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    [letter] = world.json("dlq", "show", "latest")["items"]
    assert {attempt["error_type"] for attempt in letter["failure_history"]} == {"merge-conflict"}
    for attempt in letter["failure_history"]:
        assert world.git("show", f"{attempt['rescue_ref']}:same") == letter["item"]
    assert world.leftovers() == []


def test_the_runs_own_timeout_ends_it(world: World, tag: str) -> None:
    flow = f"""
grace: 200ms
timeout: 4s
mode: mapreduce
map:
  input: {{list: [1, 2, 3]}}
  max_parallel: 2
  agent_template: [{{shell: "python3 -c 'import time; time.sleep(600)' {tag}"}}]
"""
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 1, done.stderr
    assert pids_with(tag) == []
    assert world.events("job_failed")[0]["error"]["class"] == "timeout"


def test_scripts_get_one_document_whatever_happens(world: World) -> None:
    flow = world.workflow('- shell: echo ours > README.md; git -C "$REPO" commit -qam theirs\n')
    world.environ["REPO"] = str(world.repository)
    world.write("README.md", "theirs\n")
    done = world.prodigy("run", flow, "-y", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert (document["schema"], document["exit_code"], document["merge"]) == ("prodigy.report/1", 1, "failed")


def test_a_run_inside_of_a_run(world: World) -> None:
    """It knows how deep it is, whatever the workflow keeps of the environment; too deep is refused before anything is made."""
    seen = world.folder / "depth"
    inner = world.workflow(
        f"inherit: false\ncommands: [{{shell: echo $PRODIGY_DEPTH >> {seen}}}]\n", "inner.yml"
    )
    again = f"{sys.executable} -P -m prodigy run {inner} --no-merge"
    flow = world.workflow(
        json.dumps({"commands": [{"shell": again}, {"shell": f"echo $PRODIGY_DEPTH >> {seen}"}]})
    )
    done = world.prodigy("run", flow, "--no-merge")
    assert done.returncode == 0, done.stderr
    assert seen.read_text() == "2\n1\n"
    before = len(world.journals())
    world.environ["PRODIGY_DEPTH"] = "3"
    assert world.json("run", flow)["error"]["code"] == "nesting-too-deep"
    assert len(world.journals()) == before
