"""The top level of a workflow file, from every form to the model."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from prodigy.workflow.load import Loaded, load_workflow
from prodigy.workflow.model import (
    Backoff,
    ClaudeOptions,
    CommitConfig,
    Limits,
    Mark,
    Retry,
    Step,
    Workflow,
)
from prodigy.workflow.problems import Problem

Load = Callable[[str], Loaded]
Codes = Callable[[str], list[str]]


def texts(steps: tuple[Step, ...]) -> list[str]:
    return [step.text for step in steps]


def only_step(loaded: Loaded) -> Step:
    assert loaded.workflow.steps is not None
    (step,) = loaded.workflow.steps.steps
    return step


def test_a_bare_list_is_a_sequential_workflow(load: Load) -> None:
    loaded = load('- shell: echo one > a.txt\n- shell: test "$(cat a.txt)" = one\n')
    workflow = loaded.workflow
    assert (workflow.name, workflow.mode, loaded.problems) == ("wf", "sequential", ())
    assert workflow.steps is not None
    assert texts(workflow.steps.steps) == ["echo one > a.txt", 'test "$(cat a.txt)" = one']
    assert workflow.steps.steps[1].mark == Mark("wf.yml", 2, 3)


@pytest.mark.parametrize("key", ["commands", "steps"])
@pytest.mark.parametrize("mode", ["", "mode: sequential\n", "mode: Standard\n", "mode: workflow\n"])
def test_steps_under_either_name_in_every_plain_mode(load: Load, mode: str, key: str) -> None:
    loaded = load(f"{mode}{key}: [{{shell: a}}]")
    assert (only_step(loaded).text, loaded.problems) == ("a", ())


@pytest.mark.parametrize("key", ["tasks", "workflow"])
def test_old_names_of_the_steps(load: Load, key: str) -> None:
    loaded = load(f"{key}: [{{shell: a}}]")
    assert only_step(loaded).text == "a"
    assert [problem.code for problem in loaded.problems] == ["deprecated-key"]


def test_a_whole_mapreduce_workflow(load: Load) -> None:
    loaded = load(
        "name: tidy\nmode: mapreduce\ndescription: d\nversion: 1.10\nauthor: me\ntags: [a, b]\n"
        "timeout: 1h\ngrace: 2s\nauto_commit: false\n"
        "setup: {steps: [{shell: s}], timeout: 5m, auto_commit: true}\n"
        "map: {input: w.json, json_path: $.items, agent_template: [{shell: x, auto_commit: true}]}\n"
        "reduce: [{shell: 'test ${map.successful}'}]\n"
        "merge: [{shell: m}]\n"
    )
    workflow = loaded.workflow
    assert loaded.problems == ()
    assert (workflow.name, workflow.mode, workflow.version) == ("tidy", "mapreduce", "1.10")
    assert (workflow.description, workflow.author, workflow.tags) == ("d", "me", ("a", "b"))
    assert (workflow.timeout, workflow.grace, workflow.steps) == (3600.0, 2.0, None)
    phases = (workflow.setup, workflow.reduce, workflow.merge)
    assert all(phases)
    assert [phase.steps[0].auto_commit for phase in phases if phase] == [True, False, False]
    assert workflow.map is not None
    assert workflow.map.agent_template[0].auto_commit


def test_everything_about_the_run(load: Load) -> None:
    workflow = load(
        "commands: [shell: a]\nmax_capture: 1MiB\non_conflict: rerun\n"
        "worktree: {include: .env, keep: [node_modules, .venv], setup: [shell: npm ci], setup_key: package-lock.json}\n"
        "active_profile: dev\ninherit: false\nenv: {A: b}\nsecrets: {K: '${K}'}\nenv_files: [.env]\n"
        "profiles: {dev: {A: c}}\n"
    ).workflow
    assert (workflow.max_capture, workflow.on_conflict) == (2**20, "rerun")
    files = workflow.worktree
    assert (files.include, files.keep, texts(files.setup), files.setup_key) == (
        (".env",),
        ("node_modules", ".venv"),
        ["npm ci"],
        ("package-lock.json",),
    )
    assert (workflow.active_profile, workflow.inherit) == ("dev", False)
    layer = workflow.environment
    assert [variable.name for variable in (*layer.variables, *layer.secrets)] == ["A", "K"]
    assert [file.path for file in layer.files] == [".env"]
    assert [profile.name for profile in workflow.profiles] == ["dev"]


def test_everything_that_steps_inherit(load: Load) -> None:
    step = only_step(
        load(
            "auto_commit: false\ngrace: 1s\nidle_timeout: 5m\nshell_program: bash\nmodel: opus\n"
            "limits: {processes: 9}\ncommit_config: {sign: true}\n"
            "retry_defaults: {attempts: 2, backoff: fibonacci, initial_delay: 10ms}\n"
            "commands: [claude: /fix]"
        )
    )
    assert (step.auto_commit, step.grace, step.idle_timeout, step.shell_program) == (
        False,
        1.0,
        300.0,
        "bash",
    )
    assert (step.claude, step.limits) == (ClaudeOptions(model="opus"), Limits(processes=9))
    assert step.commit == CommitConfig(sign=True)
    assert step.retry == Retry(attempts=2, backoff=Backoff(kind="fibonacci", initial=0.01))


def test_a_fallback_of_all_steps_inherits_like_any_other(load: Load) -> None:
    step = only_step(
        load(
            "auto_commit: false\nretry_defaults: {attempts: 2, on_failure: {fallback: {steps: [shell: b]}}}\n"
            "commands: [shell: a]"
        )
    )
    assert step.retry is not None
    assert step.retry.on_failure == "fallback"
    assert [(one.text, one.auto_commit, one.retry) for one in step.retry.fallback] == [("b", False, None)]


@pytest.mark.parametrize("key", ["retry", "retry_config"])
def test_old_names_of_the_retry_defaults(load: Load, key: str) -> None:
    loaded = load(f"{key}: 3\ncommands: [shell: a]")
    assert only_step(loaded).retry == Retry(attempts=3)
    assert [problem.hints for problem in loaded.problems] == [("write `retry_defaults`",)]


def test_keys_that_do_nothing_any_more(load: Load) -> None:
    loaded = load("max_iterations: 3\nworkflow_env: {A: b}\ncommands: [shell: a]")
    assert [variable.name for variable in loaded.workflow.environment.variables] == ["A"]
    assert [(problem.code, *problem.hints) for problem in loaded.problems] == [
        ("no-effect", "use `prodigy run -n N`"),
        ("deprecated-key", "write `env`"),
    ]


def test_free_keys_are_never_looked_at(load: Load) -> None:
    loaded = load(
        ".common: &c [{shell: a}, {shell: b}]\nx-note: free\nmerge: {commands: *c, x-why: 5}\ncommands: [*c]\n"
    )
    assert loaded.workflow.steps is not None
    assert (texts(loaded.workflow.steps.steps), loaded.problems) == (["a", "b"], ())


def test_json_is_the_same_language() -> None:
    loaded = load_workflow(b'{"steps": [{"shell": "a", "timeout": "5s"}]}', "flows/x.json")
    assert (loaded.workflow.name, only_step(loaded).timeout) == ("x", 5)


MAP = "map: {input: [1], agent_template: [shell: a]}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["1:1 no-steps"]),
        ("~", ["1:1 no-steps"]),
        ("just text", ["1:1 wrong-type"]),
        ("[]", ["1:1 no-steps"]),
        ("name: x", ["1:1 no-steps"]),
        ("commands: []", ["1:1 no-steps"]),
        ("comands: [{shell: a}]", ["1:1 unknown-key"]),
        ("mode: mapreduce", ["1:1 missing-key"]),
        (f"mode: sequential\n{MAP}", ["1:7 bad-mode"]),
        (f"mode: mapredduce\n{MAP}", ["1:7 bad-enum"]),
        (MAP, ["1:1 mode-implied"]),
        (f"mode: mapreduce\n{MAP}\ncommands: [shell: b]", ["3:1 conflicting-keys"]),
        (f"mode: mapreduce\n{MAP}\ncommands: []", []),
        ("commands: [shell: b]\nreduce: [shell: c]", ["2:1 conflicting-keys"]),
        ("commands: [shell: b]\nsteps: [shell: c]", ["2:1 conflicting-keys"]),
        (f"mode: mapreduce\nmax_parallel: 2\n{MAP[:-1]}, max_parallel: 3}}",
         ["2:1 conflicting-keys", "2:1 deprecated-key"]),
        ("name:\ncommands: [shell: a]", ["1:1 empty-key"]),
        ("name: ''\ncommands: [shell: a]", ["1:7 bad-value"]),
        ("grace: none\ncommands: [shell: a]", ["1:8 bad-duration"]),
        ("timeout: 0\ncommands: [shell: a]", ["1:10 bad-value"]),
        ("max_capture: much\ncommands: [shell: a]", ["1:14 bad-size"]),
        ("inherit: no\ncommands: [shell: a]", ["1:10 wrong-type"]),
        ("worktree: {setup_key: a.lock}\ncommands: [shell: a]", ["1:12 no-effect"]),
        ("worktree: {included: a}\ncommands: [shell: a]", ["1:12 unknown-key"]),
        ("goals: []", ["1:1 not-yet-supported"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(codes: Codes, text: str, found: list[str]) -> None:
    assert codes(text) == found


def test_every_problem_of_a_file_is_told_at_once(codes: Codes) -> None:
    text = (
        "grace: x\nidle_timeout: x\nlimits: {memory: x}\nretry_defaults: {attempts: x}\nsetup: [{shell: a, timeout: x}]\n"
        "map: {input: [1], filter: '(', agent_template: [{shell: a, timeout: x}]}\nreduce: {timeout: x, steps: [shell: a]}\n"
        "merge: {timeout: x, steps: [shell: a]}\nverify: [{shell: a, timeout: x}]\n"
    )
    lines = [found.partition(":")[0] for found in codes(text)]
    assert lines == ["1", "2", "3", "4", "5", "6", "6", "6", "7", "7", "8", "9"]


def test_an_unknown_key_says_where_it_belongs(problems_of: Callable[[str], Any]) -> None:
    hints = {problem.message: problem.hints for problem in problems_of(
        "json_path: x\nstorage: x\nmax_itms: 2\nqqqqqq: 1\ncommands: [{shell: a, max_paralel: 1, agent_template: []}]\n"
    )}  # fmt: skip
    assert hints == {
        "unknown key `json_path` in the workflow": ("`json_path` belongs under `map:`",),
        "unknown key `storage` in the workflow": (
            "settings belong in the configuration file: see `prodigy config show`",
        ),
        "unknown key `max_itms` in the workflow": (),
        "unknown key `qqqqqq` in the workflow": (),
        "unknown key `max_paralel` in a step": (),
        "unknown key `agent_template` in a step": ("`agent_template` belongs under `map:`",),
    }


def test_defaults_are_those_of_the_model() -> None:
    workflow = load_workflow(b"commands: [shell: a]", "x").workflow
    assert structs.replace(workflow, steps=None, mark=Mark()) == Workflow(name="x", mode="sequential")


@pytest.mark.parametrize(
    "text", ["setup: [{shell: a}]", "merge: [{shell: a}]", "merge: {commands: [{shell: a}]}"]
)
def test_steps_of_any_phase_are_something_to_do(codes: Callable[[str], list[str]], text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize("action", ["write_file", "goal_seek"])
def test_what_is_no_mapping_is_one_problem(codes: Callable[[str], list[str]], action: str) -> None:
    assert codes(f"- {action}: a") == [f"1:{len(action) + 5} wrong-type"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("- {foreach: {input: [1], max_parallel: 2, do: [{shell: a}]}}", "did you mean `parallel`?"),
        ("- {shell: a, retry: {max_retries: 3}}", "did you mean `attempts`?"),
        ("map: {input: [1], timeout: 5, agent_template: [{shell: a}]}", "did you mean `agent_timeout_secs`?"),
        ("{shell: a, mode: sequential}", "`shell` belongs in a step"),
    ],
)
def test_a_key_of_another_place_says_what_is_meant_here(
    problems_of: Callable[[str], tuple[Problem, ...]], text: str, hint: str
) -> None:
    (problem,) = [problem for problem in problems_of(text) if problem.severity == "error"]
    assert (problem.code, problem.hints) == ("unknown-key", (hint,))


@pytest.mark.parametrize("mode", ["mapreduce", "MapReduce", "map_reduce", "map-reduce"])
def test_the_mode_in_any_style_of_case(load: Load, mode: str) -> None:
    assert (
        load(f"{{mode: {mode}, map: {{input: [1], agent_template: [{{shell: a}}]}}}}").workflow.mode
        == "mapreduce"
    )


def test_one_step_alone_is_one_problem_and_its_own_ones(
    problems_of: Callable[[str], tuple[Problem, ...]],
) -> None:
    problems = problems_of("name: a\nshell: echo ${item.x}\ntimeout: 1q\non_failure: {claude: /fix}\n")
    assert [(problem.mark.line, problem.code) for problem in problems] == [
        (2, "unknown-key"),
        (2, "undefined-variable"),
        (3, "bad-duration"),
    ]
    assert problems[0].hints == ("begin the first line with `- ` and indent the others",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("agentTemplate: [{shell: a, onFailure: {claud: /x}}]", ["agentTemplate", "onFailure", "claud"]),
        ("agent_templat: [{shell: a, time_out: 1q}]", ["agent_templat", "time_out", "bad-duration"]),
    ],
)
def test_what_stands_under_a_misspelt_key_is_judged_as_well(
    problems_of: Callable[[str], tuple[Problem, ...]], text: str, found: list[str]
) -> None:
    problems = problems_of(f"{{mode: mapreduce, map: {{input: [1], {text}}}}}")
    told = [
        problem.message.split("`")[1] if problem.code == "unknown-key" else problem.code
        for problem in problems
    ]
    assert told == found


@pytest.mark.parametrize("key", ["run", "bash", "script", "prompt"])
def test_words_of_other_tools_for_an_action_are_one_problem(
    codes: Callable[[str], list[str]], key: str
) -> None:
    assert codes(f"- {key}: make") == ["1:3 unknown-key"]


def test_keys_of_map_at_the_top_level_are_not_missed_in_map(codes: Callable[[str], list[str]]) -> None:
    text = "mode: mapreduce\ninput: a.json\nmap: {agent_template: [{shell: a}]}\n"
    assert codes(text) == ["2:1 unknown-key"]
    assert codes("agent_template: [{shell: a}]") == ["1:1 unknown-key"]
