"""Error policies and phases, as a user runs them."""

import json
from pathlib import Path

import pytest
from worlds import World, pids_with


def dead(world: World) -> list[str]:
    """Ids of the items in the queue of the newest run."""
    return [event["item_id"] for event in world.events("dlq_item_added")]


# -- items that fail -----------------------------------------------------------------------------------------------
def test_a_failed_item_is_run_again_as_a_whole_then_buried(world: World) -> None:
    flow = """
    mode: mapreduce
    error_policy:
      on_item_failure: retry
      retry_config: {attempts: 3, backoff: {fixed: {delay: 20ms}}}
    map:
      input: {list: [a, b, c]}
      item_id: "${item}"
      agent_template:
        - shell: echo "$PRODIGY_ATTEMPT ${agent.attempt}" > ${item}.txt
        - shell: case ${item} in a) ;; b) test "$PRODIGY_ATTEMPT" -ge 2;; c) false;; esac
    reduce:
      - shell: echo '${map.successful} ${map.failed} ${map.results[1].attempts}' > counts.txt
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "counts.txt").read_text() == "2 1 2\n"
    assert (world.repository / "b.txt").read_text() == "2 2\n"
    retried = world.events("agent_retrying")
    assert [(event["item_id"], event["next_attempt"], event["backoff_ms"]) for event in retried] == [
        ("b", 2, 20),
        ("c", 2, 20),
        ("c", 3, 20),
    ] or sorted(event["item_id"] for event in retried) == ["b", "c", "c"]
    [letter] = world.events("dlq_item_added")
    assert [attempt["attempt_number"] for attempt in letter["history"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("{on_item_failure: stop}", "An item failed: Exited with 1"),
        ("{continue_on_failure: false}", "An item failed: Exited with 1"),
        ("{max_failures: 1}", "1 of 4 items failed; `max_failures` is 1"),
        ("{failure_threshold: 20%}", "1 of 4 items failed; `failure_threshold` is 20%"),
    ],
)
def test_a_map_phase_that_gives_up_fails_the_run(world: World, policy: str, message: str) -> None:
    flow = f"""
    mode: mapreduce
    error_policy: {policy}
    map:
      input: {{list: [a, b, c, d]}}
      item_id: "${{item}}"
      max_parallel: 1
      agent_template: [{{shell: "test ${{item}} != b && echo ${{item}} > ${{item}}"}}]
    reduce: [{{shell: touch reduced}}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 1, done.stderr
    assert [event["item_id"] for event in world.events("agent_started")] == ["a", "b"]
    assert world.events("map_halted")[0]["message"] == message
    assert world.events("job_failed")[0]["error"] == {"class": "policy-stopped", "message": message}
    assert [event["phase"] for event in world.events("phase_started")] == ["map"]
    assert message in done.stderr
    assert not (world.repository / "a").exists()


def test_skipped_items_leave_no_letter(world: World) -> None:
    flow = """
    mode: mapreduce
    error_policy: {on_item_failure: skip}
    map:
      input: {list: [a, b]}
      item_id: "${item}"
      agent_template: [{shell: "test ${item} != b"}]
    reduce: [{shell: "echo '${map.successful} ${map.failed} ${map.skipped}' > counts"}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y", "--strict")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "counts").read_text() == "1 0 1\n"
    assert dead(world) == []
    assert "b | skipped: Exited with 1" in done.stderr


def test_a_circuit_opens_pauses_and_closes_again(world: World) -> None:
    """The first two items fail together; after the pause the others are tried, and it goes on."""
    flow = """
    mode: mapreduce
    error_policy: {circuit_breaker: {failure_threshold: 2, timeout: 300ms}}
    map:
      input: {list: [1, 2, 3, 4, 5, 6]}
      item_id: "${item}"
      max_parallel: 1
      agent_template: [{shell: "test ${item} -gt 2"}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert dead(world) == ["1", "2"]
    kinds = [event["event_type"] for event in world.events() if event["event_type"].startswith("circuit")]
    assert kinds == ["circuit_opened", "circuit_closed"]


def test_a_circuit_that_opens_a_third_time_fails_the_map(world: World) -> None:
    """Its pauses are over before anybody hears of them."""
    flow = """
    mode: mapreduce
    error_policy: {circuit_breaker: {failure_threshold: 1, timeout: 1ms}}
    map:
      input: {list: [1, 2, 3, 4, 5, 6]}
      max_parallel: 1
      agent_template: [{shell: 'false'}]
    """
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 1, done.stderr
    assert [event["opening"] for event in world.events("circuit_opened")] == [1, 2]
    assert len(dead(world)) == 3
    assert world.events("job_failed")[0]["error"]["class"] == "policy-stopped"


def test_failures_are_told_together_or_one_by_one(world: World) -> None:
    flow = """
    mode: mapreduce
    error_policy: {{error_collection: {when}}}
    map:
      input: {{list: [a, b]}}
      item_id: "${{item}}"
      max_parallel: 1
      agent_template: [{{shell: 'exit 3'}}]
    """
    for when in ("immediate", "aggregate"):
        done = world.prodigy("run", world.workflow(flow.format(when=when)), "-v")
        told = [done.stderr.index(f" {item} | Exited with 3") for item in ("a", "b")]
        assert told == sorted(told)
        assert (told[0] < done.stderr.index("[b] started")) == (when == "immediate"), done.stderr


def test_items_that_are_not_valid_are_sorted_out_first(world: World) -> None:
    flow = """
    mode: mapreduce
    map:
      input: {{list: [{{p: a}}, {{q: b}}, {{p: 3}}]}}
      validation: {{schema: {{required_fields: [p], field_types: {{p: string}}}}, on_failure: {what}}}
      agent_template: [{{shell: "echo ${{item.p}} > ${{item.p}}"}}]
    reduce: [{{shell: "echo '${{map.successful}} ${{map.failed}} ${{map.skipped}}' > counts"}}]
    """
    done = world.prodigy("run", world.workflow(flow.format(what="dlq")), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "counts").read_text() == "1 2 0\n"
    assert {event["history"][0]["error_type"] for event in world.events("dlq_item_added")} == {"invalid-item"}
    assert world.prodigy("run", world.workflow(flow.format(what="skip")), "-y").returncode == 0
    assert (world.repository / "counts").read_text() == "1 0 2\n"
    stopped = world.prodigy("run", world.workflow(flow.format(what="stop")), "-y")
    assert stopped.returncode == 1
    assert world.events("job_failed")[0]["error"]["class"] == "invalid-item"
    assert world.events("agent_started") == []


@pytest.mark.parametrize(
    ("action", "code", "dlq", "skipped"), [("dlq", 0, 1, 0), ("skip", 0, 0, 1), ("fail", 1, 1, 0)]
)
def test_an_agent_that_runs_out_of_time(
    world: World, tag: str, action: str, code: int, dlq: int, skipped: int
) -> None:
    flow = f"""
    grace: 100ms
    mode: mapreduce
    map:
      input: {{list: [1, 2]}}
      max_parallel: 2
      timeout_config: {{agent_timeout_secs: 5, timeout_action: {action}}}
      agent_template:
        - shell: test ${{item}} = 1 || python3 -c 'import time; time.sleep(600)' {tag}
    """
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == code, done.stderr
    assert pids_with(tag) == []
    assert (len(dead(world)), len(world.events("item_skipped"))) == (dlq, skipped)
    assert [event["error"]["class"] for event in world.events("agent_failed")] == ["timeout"]


def test_agents_can_start_from_the_tip(world: World) -> None:
    flow = """
    mode: mapreduce
    map:
      input: {list: [1, 2, 3]}
      max_parallel: 1
      base: tip
      agent_template: [{shell: "echo ${item} >> all.txt"}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "all.txt").read_text().split() == ["1", "2", "3"]
    assert world.events("merge_conflicted") == []


# -- what phases hand on -------------------------------------------------------------------------------------------
def test_captures_reach_the_phases_after(world: World) -> None:
    flow = """
    mode: mapreduce
    setup:
      commands:
        - {shell: "echo 2; exit 7", capture: N, capture_format: number, continue_on_error: true}
        - {id: version, shell: "echo version 1.4.2; echo noise >&2"}
        - {shell: 'echo "{\\"list\\": [1, 2, 3]}"'}
      capture_outputs:
        VERSION: {step: version, pattern: 'version (\\S+)'}
        LAST: {command_index: 2, json_path: '$.list[-1]'}
        NONE: {command_index: 0, pattern: 'x', default: nothing}
    map:
      input: {list: [a, b, c, d]}
      item_id: "${item}"
      max_parallel: "${N}"
      max_items: "${LAST}"
      agent_template:
        - {shell: "echo ${item}-${VERSION}-${setup.N}", capture: mark}
        - {shell: "test ${N.exit_code}${N.success}${setup.N.exit_code}${VERSION.exit_code} = 7false70"}
        - {shell: "echo ${item}-${VERSION}-${setup.N}"}
    reduce:
      - {shell: "echo '${N} ${VERSION} ${setup.LAST} ${NONE}'", capture: first}
      - shell: echo '${map.results[1].variables.mark} ${map.results[2].output}' > marks
      - shell: echo '${first}' > first
    merge:
      - {shell: "test ${setup.N.exit_code}${N.success}${first.exit_code} = 7false0", when: "first.success and N.duration >= 0"}
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "first").read_text() == "2 1.4.2 3 nothing\n"
    assert (world.repository / "marks").read_text().strip() == "b-1.4.2-2 c-1.4.2-2"
    assert [event["max_parallel"] for event in world.events("phase_started") if event["phase"] == "map"] == [
        2
    ]
    assert "3 items, up to 2 at a time" in done.stderr


def test_a_deferred_value_that_fits_nothing_fails_its_phase(world: World) -> None:
    flow = """
    mode: mapreduce
    setup: [{shell: "echo many", capture: N}]
    map: {input: {list: [a]}, max_parallel: "${N}", agent_template: [{shell: 'true'}]}
    """
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 1
    error = world.events("job_failed")[0]["error"]
    assert (error["class"], "${N} is 'many'" in error["message"]) == ("bad-input", True)


def test_an_item_reaches_its_agent_in_every_form(world: World) -> None:
    flow = """
    mode: mapreduce
    map:
      input: {list: [{path: "a b"}, {path: c}]}
      item_id: "${item.path}"
      max_parallel: 1
      agent_template:
        - shell: |
            cmp -s "$PRODIGY_ITEM_FILE" ${item_file} && printf '%s\\n' "$PRODIGY_ITEM_JSON" | cmp -s - "$PRODIGY_ITEM_FILE"
        - shell: echo "${worker.id} $PRODIGY_WORKER_ID $PRODIGY_ITEM_INDEX/$PRODIGY_ITEM_TOTAL ${FILE}" > "${item_index}"
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "0").read_text() == "1 1 0/2 a b\n"
    assert (world.repository / "1").read_text() == "1 1 1/2 c\n"


# -- hooks ---------------------------------------------------------------------------------------------------------
def test_on_success_runs_once_before_the_merge(world: World) -> None:
    flow = """
    mode: mapreduce
    map: {input: {list: [1, 2]}, agent_template: [{shell: "echo ${item} > f${item}"}]}
    on_success:
      - shell: echo '${map.successful}' > told
      - shell: exit 4
    on_failure: [{shell: touch never}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, "what a hook does changes nothing"
    assert "on_success | Exited with 4" in done.stderr
    assert (world.repository / "told").read_text() == "2\n"
    assert not (world.repository / "never").exists()


def test_on_failure_knows_why_and_works_in_the_session(world: World) -> None:
    flow = """
    mode: mapreduce
    map:
      input: {list: [1, 2]}
      item_id: "${item}"
      max_parallel: 1
      error_policy: {on_item_failure: stop}
      agent_template: [{shell: "echo ${item} > f${item}; test ${item} != 2"}]
    on_failure: [{shell: "cat f1; echo '${error.class}: ${map.failed} of ${map.total}' > why"}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 1
    branch = world.git("branch", "--list", "prodigy-session-*", "--format=%(refname:short)")
    assert world.git("show", f"{branch}:why") == "policy-stopped: 1 of 2"
    assert [event["phase"] for event in world.events("phase_started")] == ["map", "on_failure"]
    assert world.events("job_failed")[0]["error"]["class"] == "policy-stopped"


def test_on_failure_runs_after_the_runs_own_timeout(world: World, tag: str) -> None:
    flow = f"""
    grace: 100ms
    timeout: 4s
    mode: mapreduce
    map:
      input: {{list: [1, 2]}}
      agent_template: [{{shell: "python3 -c 'import time; time.sleep(600)' {tag}"}}]
    on_failure: [{{shell: "echo '${{error.class}}' > why"}}]
    """
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 1, done.stderr
    branch = world.git("branch", "--list", "prodigy-session-*", "--format=%(refname:short)")
    assert world.git("show", f"{branch}:why") == "timeout"
    assert pids_with(tag) == []


def test_an_agent_whose_time_is_up_names_the_step_that_ran(world: World, tag: str) -> None:
    flow = f"""
    grace: 100ms
    mode: mapreduce
    map:
      input: {{list: [1]}}
      agent_timeout_secs: 4
      agent_template:
        - {{shell: "true"}}
        - name: slow one
          foreach: [a]
          do: [{{shell: "python3 -c 'import time; time.sleep(600)' {tag}"}}]
    """
    world.prodigy("run", world.workflow(flow))
    error = world.events("agent_failed")[0]["error"]
    assert error["message"] == "The agent's time of 4 s was up in step 2, slow one"
    assert (error["step"], error["step_name"]) == ("2.foreach[0].1", "slow one")
    assert pids_with(tag) == []


def test_a_phases_own_timeout_fails_it(world: World, tag: str) -> None:
    flow = f"""
    grace: 100ms
    setup:
      timeout: 4s
      commands: [{{shell: "true"}}, {{shell: "python3 -c 'import time; time.sleep(600)' {tag}"}}]
    commands: [{{shell: touch never}}]
    """
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 1
    error = world.events("phase_failed")[0]["error"]
    assert error["class"] == "timeout"
    assert error["message"].startswith("The setup phase's time of 4 s was up in step 2, python3 -c")
    assert error["step_name"].startswith("python3 -c")
    assert "step" not in error, "nothing of the step is forgotten when the run goes on"
    assert pids_with(tag) == []


# -- the final merge -----------------------------------------------------------------------------------------------
def test_the_merge_steps_see_what_is_merged_and_the_default_merge_follows(world: World) -> None:
    flow = """
    commands: [{shell: echo one > a.txt}, {shell: echo two > b.txt}]
    merge:
      commands:
        - shell: |
            echo '${merge.source_branch}' > merged.txt
            echo '${merge.target_branch} ${merge.commit_count} ${merge.file_list}' >> merged.txt
            test "$PRODIGY_MERGE_SOURCE" = ${merge.source_branch}
      timeout: 1m
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    first, second = (world.repository / "merged.txt").read_text().splitlines()
    assert first.startswith("prodigy-session-")
    assert second == "main 2 a.txt b.txt"
    assert world.leftovers() == []


def test_merge_steps_may_merge_themselves(world: World) -> None:
    flow = """
    commands: [{shell: echo one > a.txt}]
    merge:
      - shell: git -C "$REPO" merge --quiet --no-ff -m 'by hand' ${merge.source_branch}
    """
    world.environ["REPO"] = str(world.repository)
    done = world.prodigy("run", world.workflow(flow), "-y", "--json")
    assert done.returncode == 0, done.stderr
    assert world.git("log", "-1", "--format=%s") == "by hand"
    assert json.loads(done.stdout)["merge"] == "merged"
    assert world.events("worktree_merged")[-1]["strategy"] == "already"
    assert world.leftovers() == []


def test_failing_merge_steps_merge_nothing_and_can_be_tried_again(world: World) -> None:
    flag = world.folder / "flag"
    world.environ["FLAG"] = str(flag)
    flow = """
    commands: [{shell: echo one > a.txt}]
    merge:
      - shell: test -e "$FLAG"
      - shell: echo released > release.txt
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 1
    assert "the `merge` steps failed" in done.stderr
    assert not (world.repository / "a.txt").exists()
    flag.touch()
    again = world.prodigy("worktree", "merge", "latest", "-y")
    assert again.returncode == 0, again.stderr
    assert (world.repository / "release.txt").read_text() == "released\n"
    assert world.leftovers() == []


def test_a_declined_merge_runs_no_merge_steps(world: World) -> None:
    flow = "commands: [{shell: echo one > a.txt}]\nmerge: [{shell: echo x > x.txt}]\n"
    assert world.prodigy("run", world.workflow(flow), "--no-merge").returncode == 0
    assert [event["phase"] for event in world.events("phase_started")] == ["steps"]
    assert world.prodigy("worktree", "merge", "latest", "-y").returncode == 0
    assert (world.repository / "x.txt").exists()


def test_another_branch_can_be_the_target(world: World) -> None:
    world.git("branch", "release")
    flow = "commands: [{shell: echo one > a.txt}]\nmerge: {target: release, commands: [{shell: 'true'}]}\n"
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert world.git("show", "release:a.txt") == "one"
    assert not (world.repository / "a.txt").exists()
    missing = flow.replace("target: release", "target: nowhere")
    done = world.prodigy("run", world.workflow(missing), "-y")
    assert done.returncode == 1
    assert "`merge.target` names `nowhere`" in done.stderr


def test_the_merged_tree_is_verified_before_anything_moves(world: World) -> None:
    """Session and target are fine by themselves; only together they are not."""
    flow = """
    commands:
      - shell: |
          echo ours > ours.txt
          echo theirs > "$REPO/theirs.txt"
          git -C "$REPO" add theirs.txt
          git -C "$REPO" commit --quiet -m theirs
    verify: [{shell: "test ! -e ours.txt || test ! -e theirs.txt || test -e \\"$FLAG\\""}]
    """
    flag = world.folder / "flag"
    world.environ |= {"REPO": str(world.repository), "FLAG": str(flag)}
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 1
    assert "`verify` failed on the merged tree" in done.stderr
    assert world.git("log", "-1", "--format=%s") == "theirs"
    flag.touch()
    again = world.prodigy("worktree", "merge", "latest", "-y")
    assert again.returncode == 0, again.stderr
    assert (world.repository / "ours.txt").exists()
    assert world.leftovers() == []
    assert not list(Path(world.home).glob("worktrees/*/.scratch/*"))


def test_what_verify_leaves_behind_does_not_matter(world: World) -> None:
    flow = """
    commands: [{shell: touch made}]
    verify: [{shell: test -e made && echo covered > coverage.xml}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "made").exists()
    assert not (world.repository / "coverage.xml").exists()
    assert world.leftovers() == []


@pytest.mark.parametrize("in_checkout", [False, True])
def test_an_input_that_is_not_there_is_named_for_what_it_is(world: World, in_checkout: bool) -> None:
    flow = """
    mode: mapreduce
    map: {input: items.json, agent_template: [{shell: 'true'}]}
    """
    if in_checkout:
        (world.repository / "items.json").write_text("[1]")
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 1
    error = world.events("job_failed")[0]["error"]
    assert (error["class"], "'items.json'" in error["message"]) == ("input-not-found", True)
    assert ("in your checkout but is not committed" in error["message"]) is in_checkout
