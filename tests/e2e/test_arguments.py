"""Values, iterations and parameters, as a user gives them to `run`."""

import json

import pytest
from worlds import World

from prodigy.events import JobStarted


def run(world: World, flow: str, *words: str, code: int = 0) -> str:
    done = world.prodigy("run", world.workflow(flow), "-y", *words)
    assert done.returncode == code, done.stderr
    return done.stderr


# -- values --------------------------------------------------------------------------------------------------------
def test_the_steps_run_once_for_each_value_in_one_session(world: World) -> None:
    flow = """
    setup: [{shell: echo "setup $ARG $ITERATION" >> said}]
    commands:
      - shell: echo "$ARG ${INDEX}/${TOTAL} ${ARG_2} $PRODIGY_ARG ${ITERATION} ${workflow.iteration}" >> said
      - shell: cat said | wc -l
    on_success: [{shell: 'echo "end ${ARG_3} $TOTAL" >> said'}]
    """
    told = run(world, flow, "--args", "a b", "--args", "$(touch pwned)", "--args", "c")
    assert (world.repository / "said").read_text().splitlines() == [
        "setup a b 1",
        "a b 1/3 $(touch pwned) a b 1 1",
        "$(touch pwned) 2/3 $(touch pwned) $(touch pwned) 2 2",
        "c 3/3 $(touch pwned) c 3 3",
        "end c 3",
    ]
    assert "iteration 2 of 3 | $(touch pwned)" in told
    assert "[2/2] shell: cat said" in told
    started = world.events("iteration_started")
    assert [(event["n"], event["arg"]) for event in started] == [
        (1, "a b"),
        (2, "$(touch pwned)"),
        (3, "c"),
    ]
    assert [event["commits"] for event in world.events("iteration_completed")] == [1, 1, 1]
    paths = [event["step"] for event in world.events("step_intended") if event["phase"] == "steps"]
    assert [path for path in paths if "commit" not in path] == [
        "1", "2", "iteration#2.1", "iteration#2.2", "iteration#3.1", "iteration#3.2",
    ]  # fmt: skip


def test_what_was_asked_is_kept(world: World) -> None:
    run(world, "[{shell: echo $ARG}]", "--args", "a", "--args", "b", "-n", "2", "--fail-fast")
    [job] = world.home.glob("state/*/*/jobs/*/job.json")
    kept = json.loads(job.read_text())["plan"]
    assert (kept["arguments"], kept["iterations"], kept["fail_fast"]) == (["a", "b"], 2, True)
    [started] = world.events(JobStarted.__struct_config__.tag)
    assert started["arguments"] == ["a", "b"]
    [session] = world.home.glob("sessions/*/*/session_state.json")
    state = json.loads(session.read_text())
    assert state["input_args"] == ["a", "b"]
    assert state["iterations_completed"] == 2, "no commit, no second round"


FAILING = """
- shell: echo $ARG > $ARG.txt
- shell: echo junk > junk; test $ARG != b
- shell: rm junk; echo done >> $ARG.txt
"""


def test_a_value_that_fails_leaves_the_others_and_fails_the_run(world: World) -> None:
    told = run(world, FAILING, "--args", "a", "--args", "b", "--args", "c", code=1)
    assert "1 of 3 values failed, first `b`: Exited with 1" in told
    errors = [event.get("error", {}).get("class") for event in world.events("iteration_completed")]
    assert errors == [None, "command-failed", None]
    rescued = world.events("worktree_rescued")
    assert [event["reason"] for event in rescued] == ["iteration 2 failed"]
    assert world.git("show", f"{rescued[0]['ref']}:junk") == "junk", "what it left uncommitted is kept"
    [branch] = world.git("branch", "--list", "prodigy-*", "--format=%(refname:short)").split()
    assert world.git("show", f"{branch}:c.txt").split() == ["c", "done"]
    assert "junk" not in world.git("ls-tree", "--name-only", branch).split()
    assert not (world.repository / "a.txt").exists(), "a failed run is not merged"


def test_the_first_failure_ends_the_run_if_asked(world: World) -> None:
    run(world, FAILING, "--args", "a", "--args", "b", "--args", "c", "--fail-fast", code=1)
    assert [event["arg"] for event in world.events("iteration_started")] == ["a", "b"]


def test_files_of_the_commit_by_glob(world: World) -> None:
    for name in ("src/a.py", "src/deep/b c.py", "src/x.txt", "top.py"):
        world.write(name, "x\n")
    world.commit()
    world.write("src/untracked.py", "x\n")
    flow = "[{shell: echo $ARG >> said}]"
    run(world, flow, "--map", "src/**/*.py", "--map", "*.py", "--map", "src/a.py")
    assert (world.repository / "said").read_text().splitlines() == ["src/a.py", "src/deep/b c.py", "top.py"]


def test_a_glob_without_a_file(world: World) -> None:
    told = run(world, "[{shell: echo $ARG}]", "--map", "*.rs", code=2)
    assert "error: no-input\n  `*.rs` matches no file of the last commit" in told
    assert world.journals() == []


def test_a_value_from_the_environment(world: World) -> None:
    world.environ["PRODIGY_ARG"] = "from afar"
    flow = "[{shell: 'echo $ARG ${TOTAL} >> said'}]"
    run(world, flow)
    assert (world.repository / "said").read_text() == "from afar 1\n"
    run(world, flow, "--args", "mine")
    assert (world.repository / "said").read_text() == "from afar 1\nmine 1\n"


def test_a_value_that_is_missing_is_told(world: World) -> None:
    flow = "[{shell: echo $ARG >> said}]"
    assert "note: the workflow uses `$ARG`, and no value is given" in run(world, flow)
    assert "note:" not in run(world, flow, "--args", "a")


# -- iterations ----------------------------------------------------------------------------------------------------
def test_iterations_end_with_the_one_that_makes_no_commit(world: World) -> None:
    flow = "[{shell: 'test ${ITERATION} -gt 3 || echo ${ITERATION} >> said'}]"
    told = run(world, flow, "-n", "9")
    assert (world.repository / "said").read_text() == "1\n2\n3\n"
    assert [event["commits"] for event in world.events("iteration_completed")] == [1, 1, 1, 0]
    assert "iteration 4 of at most 9" in told


def test_no_more_iterations_than_asked_for(world: World) -> None:
    run(world, "[{shell: echo x >> said}]", "--max-iterations", "2")
    assert (world.repository / "said").read_text() == "x\nx\n"


# -- mapreduce -----------------------------------------------------------------------------------------------------
MAPREDUCE = """
mode: mapreduce
map:
  input: {list: [i, j]}
  item_id: "${item}"
  agent_template: [{shell: 'echo "$ARG $PRODIGY_ARG ${item}" > ${item}'}]
reduce: [{shell: 'echo "$ARG ${ARG_2} $TOTAL" > reduced'}]
"""


def test_a_map_phase_sees_all_values_and_runs_once(world: World) -> None:
    run(world, MAPREDUCE, "--args", "a", "--args", "b")
    assert (world.repository / "i").read_text() == "a a i\n"
    assert (world.repository / "reduced").read_text() == "a b 2\n"


def test_without_args_an_agents_value_is_its_item(world: World) -> None:
    world.environ["PRODIGY_ARG"] = "outer"
    run(world, MAPREDUCE.replace("${ARG_2} ", ""))
    assert (world.repository / "j").read_text() == "j outer j\n"
    assert (world.repository / "reduced").read_text() == "outer 1\n"


@pytest.mark.parametrize("words", [("--map", "*.md"), ("-n", "2")])
def test_a_map_phase_is_not_run_several_times(world: World, words: tuple[str, ...]) -> None:
    assert "error: conflicting-flags" in run(world, MAPREDUCE, *words, code=2)


# -- parameters, and what goes over the workflow's own choices -----------------------------------------------------
PARAMETERS = """
parameters:
  required: [{name: env, type: string, validation: "in(['dev', 'prod'])"}]
  optional: [{name: count, type: number, default: 2}, {name: tags, type: array, default: []}]
commands: [{shell: "echo ${env} ${count} ${tags[0]:-none} > said"}]
"""


def test_parameters(world: World) -> None:
    run(world, PARAMETERS, "--param", "env=dev")
    assert (world.repository / "said").read_text() == "dev 2 none\n"
    world.write("values.yml", "env: dev\ncount: 5\n")
    (world.folder / "more.json").write_text('{"tags": ["x"], "count": 6}')
    files = ("--param-file", "values.yml", "--param-file", str(world.folder / "more.json"))
    run(world, PARAMETERS, *files, "--param", "env=prod")
    assert (world.repository / "said").read_text() == "prod 6 x\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "parameter-missing"),
        (("--param", "env=qa"), "parameter-invalid"),
        (("--param", "env=dev", "--param", "count=many"), "parameter-type"),
    ],
)
def test_parameters_that_do_not_fit_stop_before_any_step(
    world: World, words: tuple[str, ...], code: str
) -> None:
    assert f"error[{code}]" in run(world, PARAMETERS, *words, code=2)
    assert world.journals() == []


def test_files_that_a_workflow_names_are_found_beside_it(world: World) -> None:
    (world.folder / "base.yml").write_text("commands: [{shell: echo base > said}]\n")
    run(world, "extends: ./base.yml")
    assert (world.repository / "said").read_text() == "base\n"


def test_what_becomes_of_a_conflict(world: World) -> None:
    flow = """
    mode: mapreduce
    map:
      input: {list: [i, j]}
      item_id: "${item}"
      max_parallel: 2
      agent_template: [{shell: "echo ${item} > same"}]
    """
    run(world, flow, "--on-conflict", "dlq")
    assert len(world.events("dlq_item_added")) == 1
    assert len(world.events("agent_started")) == 2


def test_strict_refuses_a_second_shell(world: World) -> None:
    flow = """[{foreach: [a], do: [{shell: 'sh -c "echo ${item} > said"'}]}]"""
    assert "warning[nested-shell]" in run(world, flow)
    assert "error[nested-shell]" in run(world, flow, "--strict", code=2)


# -- before a run --------------------------------------------------------------------------------------------------
def test_a_dry_run_shows_the_values(world: World) -> None:
    flow = world.workflow("[{shell: 'echo ${ARG} ${ARG_2}'}]")
    plan = world.json("run", flow, "--dry-run", "--args", "a", "--map", "*.md", "-n", "3")
    assert (plan["arguments"], plan["iterations"]) == (["a", "README.md"], 3)
    [phase] = plan["phases"]
    assert phase["steps"][0]["command"] == "echo ${ARG} README.md"
    shown = world.prodigy("run", flow, "--dry-run", "--args", "a").stdout
    assert "1 value for $ARG: a" in shown
    assert "shell: echo a ${ARG_2}" in shown
    assert world.journals() == []
