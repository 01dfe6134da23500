"""Steps: every form of an action and of the options that do not hold steps of their own."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from step_reading import codes_of, commands_of, read_steps, step_of, steps_of

from prodigy.workflow.inherited import Inherited
from prodigy.workflow.language_steps import ACTION_NAMES, STEP
from prodigy.workflow.model import (
    Analyze,
    Capture,
    Claude,
    ClaudeOptions,
    Deferred,
    Expr,
    GoalSeek,
    Limits,
    Mark,
    OutputFile,
    Retry,
    Shell,
    Step,
    Test,
    Text,
)

ALL = ("exit_code", "success", "duration", "stdout", "stderr")


def test_a_plain_step_has_the_defaults_of_the_model() -> None:
    assert step_of("- shell: make") == Step(
        action=Shell("make", Mark("wf.yml", 1, 10)), mark=Mark("wf.yml", 1, 3)
    )


def test_nested_lists_and_anchors_are_flattened() -> None:
    steps = steps_of("- &a {shell: a}\n- [*a, [[{shell: c}]], {shell: d, x-why: y}]\n")
    assert [text for _, text in commands_of(steps)] == ["a", "a", "c", "d"]


@pytest.mark.parametrize(
    ("text", "kind", "command"),
    [
        ("- claude: /fix it", "claude", "/fix it"),
        ("- claude: {prompt: say hello}", "claude", "say hello"),
        ("- claude: {command: /fix}", "claude", "/fix"),
        ("- analyze: {max_cache_age: 300, force_refresh: true, save: false, format: json}", "analyze", "analyze"),
        ("- analyze:", "analyze", "analyze"),
        ("- test: make test", "test", "make test"),
        ("- test: {command: make test}", "test", "make test"),
        ("- command: 'claude: /fix it'", "claude", "/fix it"),
        ("- command: 'shell: make it'", "shell", "make it"),
        ("- command: /fix it", "claude", "/fix it"),
        ("- command: fix it", "claude", "/fix it"),
        ("- handler: {name: shell, attributes: {command: make}}", "shell", "make"),
        ("- handler: {name: claude, attributes: {command: /fix}}", "claude", "/fix"),
        ("- /fix it", "claude", "/fix it"),
        ("- fix it", "claude", "/fix it"),
        ("- name: fix", "claude", "/fix"),
        ("- {name: fix, id: f, args: ['${ARG}', b]}", "claude", "/fix ${ARG} b"),
        ("- {name: /fix, options: {level: 3, dry: true, wet: false, none: ~, s: 'true'}, args: a}",
         "claude", "/fix a --level 3 --dry --s true"),
        ("- {name: fix, metadata: {timeout: 5}}", "claude", "/fix"),
        ("- {name: fix, args: [a], commit_required: true}", "claude", "/fix a"),
    ],
)  # fmt: skip
def test_every_form_of_a_simple_action(text: str, kind: str, command: str) -> None:
    step = step_of(text)
    assert (step.kind, step.text) == (kind, command)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- test: a", ["1:3 deprecated-key"]),
        ("- analyze: {}", ["1:3 deprecated-key"]),
        ("- command: a", ["1:3 deprecated-key"]),
        ("- handler: {name: shell, attributes: {command: a}}", ["1:3 deprecated-key"]),
        ("- fix it", ["1:3 deprecated-form"]),
        ("- name: fix", ["1:3 deprecated-form"]),
        ("- {name: fix, metadata: {timeout: 5, retries: 2}}",
         ["1:4 deprecated-form", "1:15 deprecated-key", "1:38 deprecated-key"]),
        ("- {shell: a, metadata: {analysis: {}}}", ["1:14 deprecated-key", "1:25 no-effect"]),
        ("- {claude: a, args: [b], options: {c: d}}", ["1:15 no-effect", "1:26 no-effect"]),
        ("- {shell: a, output: b}", ["1:14 deprecated-key"]),
        ("- {shell: a, temporary: true}", ["1:14 no-effect"]),
        ("- {shell: a, analysis: {}}", ["1:14 no-effect"]),
        ("- {shell: a, timeout_secs: 5}", ["1:14 deprecated-key"]),
        ("- {shell: a, condition: 'true'}", ["1:14 deprecated-key"]),
        ("- {shell: a, if: 'true'}", ["1:14 deprecated-key"]),
        ("- {shell: a, retry_config: 2}", ["1:14 deprecated-key"]),
        ("- {shell: a, retries: 2}", ["1:14 deprecated-key"]),
        ("- {shell: a, allow_failure: true}", ["1:14 deprecated-key"]),
        ("- {shell: a, ignore_failure: true, cwd: b, continue_on_error: }", ["1:44 empty-key"]),
    ],
)  # fmt: skip
def test_old_forms_work_and_are_told(text: str, found: list[str]) -> None:
    assert codes_of(text) == found


def test_options_inside_an_action_are_the_step_s() -> None:
    claude = step_of("- claude: {prompt: p, model: opus, tools: [Bash], max_turns: '${N}'}")
    assert claude.claude == ClaudeOptions(
        model="opus",
        tools=("Bash",),
        max_turns=Deferred("${N}", "integer", Mark("wf.yml", 1, 62), 1),
    )
    test = step_of("- test: {command: make, timeout: 5, on_failure: make fix}")
    assert test.timeout == 5
    assert test.on_failure is not None
    assert (commands_of(test.on_failure.steps), test.on_failure.max_attempts) == ([("shell", "make fix")], 3)
    old = step_of(
        "- {shell: a, metadata: {timeout: 1m, retries: 2, continue_on_error: true, commit_required: true, env: {A: b}}}"
    )
    assert (old.timeout, old.retry, old.commit_required) == (60, Retry(attempts=3), True)
    assert old.on_failure is not None
    assert old.environment is not None
    assert [variable.name for variable in old.environment.variables] == ["A"]


def test_every_option_that_is_one_value() -> None:
    step = step_of(
        "- {id: a-b, name: N, description: D, shell: x, timeout: {secs: 1, nanos: 500000000}, grace: 2s,"
        " when: v == 1, clear_env: true, working_dir: sub, output_file: 'out/${x}.txt', commit_required: true,"
        " auto_commit: false, interpolate: false, shell_program: bash, output: o.txt, limits: {memory: 1k}}"
    )
    assert (step.id, step.name, step.timeout, step.grace) == ("a-b", "N", 1.5, 2)
    assert step.when is not None
    assert step.when.source == "v == 1"
    assert (step.clear_env, step.commit_required, step.auto_commit, step.interpolate) == (
        True,
        True,
        False,
        False,
    )
    assert step.working_dir is not None
    assert (step.working_dir.source, step.shell_program) == ("sub", "bash")
    assert step.output_file is not None
    assert (step.output_file.source, step.limits) == ("out/${x}.txt", Limits(memory=1000))
    assert step.expected_output is not None
    assert step.expected_output.source == "o.txt"


def test_the_description_is_the_label_of_a_step_without_a_name() -> None:
    assert step_of("- {shell: a, description: D}").name == "D"


def test_a_boolean_is_an_expression() -> None:
    assert step_of("- {shell: a, when: false}").when == Expr("false", Mark("wf.yml", 1, 20))


def test_values_that_are_known_later() -> None:
    step = step_of("- {shell: a, timeout: '${T}', retry: {attempts: $N}, limits: {memory: '${M}'}}")
    assert step.timeout == Deferred("${T}", "duration", Mark("wf.yml", 1, 23), 0.001)
    assert step.retry is not None
    assert step.retry.attempts == Deferred("$N", "integer", Mark("wf.yml", 1, 49), 1)
    assert step.limits is not None
    assert isinstance(step.limits.memory, Deferred)


INHERITED = Inherited(
    auto_commit=False,
    retry=Retry(attempts=2, budget=60.0),
    grace=1.0,
    idle_timeout=9.0,
    shell_program="bash",
    claude=ClaudeOptions(model="sonnet", max_turns=3),
    limits=Limits(memory=5, processes=2),
)


def test_what_a_step_does_not_say_is_inherited() -> None:
    step = step_of("- claude: a", INHERITED)
    assert (step.auto_commit, step.grace, step.idle_timeout, step.shell_program) == (False, 1, 9, "bash")
    assert (step.claude, step.limits, step.retry) == (INHERITED.claude, INHERITED.limits, INHERITED.retry)
    assert step_of("- shell: a", INHERITED).idle_timeout is None


def test_what_a_step_says_goes_over_what_it_inherits() -> None:
    step = step_of(
        "- {claude: a, auto_commit: true, idle_timeout: none, model: opus, limits: {processes: 7}, retry: {attempts: 5}}",
        INHERITED,
    )
    assert (step.auto_commit, step.idle_timeout) == (True, None)
    assert step.claude == ClaudeOptions(model="opus", max_turns=3)
    assert step.limits == Limits(memory=5, processes=7)
    assert step.retry == Retry(attempts=5, budget=60.0)


def test_steps_inside_an_action_inherit_from_its_step_and_handlers_do_not() -> None:
    step = step_of(
        "- {goal_seek: {goal: g, claude: /x, validate: [claude: /y]}, model: opus, auto_commit: false,"
        " on_failure: {claude: /z}}"
    )
    seek = step.action
    assert isinstance(seek, GoalSeek)
    assert [inner.claude.model for inner in (*seek.steps, *seek.check.steps)] == ["opus", "opus"]
    assert not seek.steps[0].auto_commit
    assert step.on_failure is not None
    (handler,) = step.on_failure.steps
    assert (handler.claude.model, handler.auto_commit) == (None, True)


@pytest.mark.parametrize(
    ("options", "attempts"),
    [
        ("retry: 4", 4),
        ("retries: 2", 3),
        ("retries: 0", 1),
        ("max_attempts: 3", 3),
        ("max_attempts: 3, on_failure: false", 3),
        ("max_attempts: 3, retry: {backoff: fixed}", 3),
        ("retry: {max_attempts: 2}", 2),
    ],
)
def test_every_way_to_say_how_often_a_step_is_run(options: str, attempts: int) -> None:
    retry = step_of(f"- {{shell: a, {options}}}").retry
    assert retry is not None
    assert retry.attempts == attempts


def capture(name: str, **options: Any) -> Capture:
    return Capture(name=name, **{"fields": ALL, **options})


@pytest.mark.parametrize(
    ("options", "captures", "keep"),
    [
        ("capture: v", [capture("v")], True),
        ("capture_output: v", [capture("v")], True),
        ("capture_output: true", [], True),
        ("capture_output: false", [], False),
        ("capture_output: false, capture: v", [capture("v")], False),
        ("capture: shell.output", [capture("shell.output")], True),
        ("capture: a.b-c.0", [capture("a.b-c.0")], True),
        ("capture: v, capture_format: text", [capture("v")], True),
        ("capture: v, capture_format: JSON", [capture("v", format="json")], True),
        ("capture: v, capture_streams: stderr", [capture("v", source="stderr")], True),
        ("capture: v, capture_streams: combined", [capture("v", source="both")], True),
        ("capture: v, capture_streams: {stderr: true}", [capture("v", source="both")], True),
        ("capture: v, capture_streams: {stdout: false, stderr: true}",
         [capture("v", source="stderr", fields=("exit_code", "success", "duration", "stderr"))], True),
        ("capture: v, capture_streams: {success: false}",
         [capture("v", fields=("exit_code", "duration", "stdout"))], True),
        ("capture: v, capture_streams: {stdout: false}",
         [capture("v", source="exit_code", fields=("exit_code", "success", "duration"))], True),
        ("capture: {a: stdout, b: combined, c: exit_code, d: success, e: duration}",
         [capture("a"), capture("b", source="both"), capture("c", source="exit_code"),
          capture("d", source="success"), capture("e", source="duration")], True),
        ("capture: {a: 'json:$.x[0]', b: '/v(\\d+)/', c: stderr}, capture_format: number",
         [capture("a", source="json", argument="$.x[0]"),
          capture("b", source="pattern", argument="v(\\d+)", format="number"),
          capture("c", source="stderr", format="number")], True),
    ],
)  # fmt: skip
def test_every_form_of_a_capture(options: str, captures: list[Capture], keep: bool) -> None:
    step = step_of(f"- {{shell: a, {options}}}")
    assert [structs.replace(found, mark=Mark()) for found in step.captures] == captures
    assert step.keep_output == keep


def test_files_that_a_step_leaves() -> None:
    step = step_of("- {shell: a, id: b, outputs: {spec: {file_pattern: '*.md'}, log: out/*.log}}")
    assert step.outputs == (
        OutputFile(name="spec", pattern="*.md", mark=Mark("wf.yml", 1, 52)),
        OutputFile(name="log", pattern="out/*.log", mark=Mark("wf.yml", 1, 66)),
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- {}", ["1:3 no-action"]),
        ("- {name: a, timeout: 5}", ["1:3 no-action"]),
        ("- {args: [a]}", ["1:3 no-action", "1:4 no-effect"]),
        ("- {shell: }", ["1:3 no-action", "1:4 empty-key"]),
        ("- {shel: a}", ["1:4 unknown-key"]),
        ("- {name: a, shel: b}", ["1:13 unknown-key"]),
        ("- {shell: ''}", ["1:11 bad-value"]),
        ("- {shell: [a]}", ["1:11 wrong-type"]),
        ("- ''", ["1:3 bad-value", "1:3 deprecated-form"]),
        ("- ~", ["1:3 wrong-type"]),
        ("- {shell: a, claude: /b}", ["1:3 multiple-actions"]),
        ("- {claude: {model: a}}", ["1:4 missing-key"]),
        ("- {claude: {promt: a}}", ["1:13 unknown-key"]),
        ("- {claude: {prompt: a, model: b}, model: c}", ["1:24 conflicting-keys"]),
        ("- {test: {timeout: 5}}", ["1:4 missing-key", "1:4 deprecated-key"]),
        ("- {analyze: {save: 5}}", ["1:4 deprecated-key", "1:20 wrong-type"]),
        ("- {handler: {name: make, attributes: {command: a}}}", ["1:4 deprecated-key", "1:20 bad-enum"]),
        ("- {handler: {name: shell}}", ["1:4 missing-key", "1:4 deprecated-key"]),
        ("- {template: a, with: {b: c}}", ["1:14 template-not-found"]),
        ("- {shell: a, step_validate: b}", ["1:14 not-yet-supported"]),
        ("- {shell: a, parallel: 2}", ["1:14 unknown-key"]),
        ("- {shell: a, timeout: 5x}", ["1:23 bad-duration"]),
        ("- {shell: a, timeout: 0}", ["1:23 bad-value"]),
        ("- {shell: a, commit_required: yes}", ["1:31 wrong-type"]),
        ("- {shell: a, id: 1a}", ["1:18 bad-value"]),
        ("- {shell: a, when: 'a =='}", ["1:24 bad-expression"]),
        ("- {shell: a, output_file: ../b}", ["1:27 path-outside-worktree"]),
        ("- {shell: a, working_dir: /tmp}", ["1:27 outside-worktree"]),
        ("- {shell: a, shell_program: zsh}", ["1:29 bad-enum"]),
        ("- {claude: a, shell_program: bash}", ["1:15 no-effect"]),
        ("- {shell: a, model: b, max_turns: 3, idle_timeout: 5}",
         ["1:14 no-effect", "1:24 no-effect", "1:38 no-effect"]),
        ("- {shell: a, model: b, validate: {claude: c}}", []),
        ("- {claude: a, detach: agent}", ["1:15 conflicting-keys"]),
        ("- {shell: a, detach: never}", ["1:22 bad-enum"]),
        ("- {shell: a, detach: run, timeout: 5}", ["1:27 conflicting-keys"]),
        ("- {shell: a, detach: forever, limits: {memory: 1k}}", ["1:31 conflicting-keys"]),
        ("- {shell: a, detach: agent, capture: v}", ["1:29 conflicting-keys"]),
        ("- {shell: a, outputs: {b: c}}", ["1:14 missing-key"]),
        ("- {shell: a, id: b, outputs: {c: {file: d}}}", ["1:31 missing-key", "1:35 unknown-key"]),
        ("- {shell: a, id: b, outputs: {1: c}}", ["1:31 bad-value"]),
        ("- {shell: a, retry: 0}", ["1:21 bad-value"]),
        ("- {shell: a, retry: 3, retries: 2}", ["1:24 conflicting-keys", "1:24 deprecated-key"]),
        ("- {shell: a, retry: {attempts: 3}, max_attempts: 2}", ["1:36 conflicting-keys"]),
        ("- {shell: a, capture: 1a}", ["1:23 bad-value"]),
        ("- {shell: a, capture: [b]}", ["1:23 wrong-type"]),
        ("- {shell: a, capture: b, capture_output: c}", ["1:26 conflicting-keys"]),
        ("- {shell: a, capture_output: {b: stdout}}", ["1:30 wrong-type"]),
        ("- {shell: a, capture: {b: output}}", ["1:27 no-effect"]),
        ("- {shell: a, capture: {b: 'json:$['}}", ["1:27 bad-jsonpath"]),
        ("- {shell: a, capture: {b: /(/}}", ["1:28 bad-regex"]),
        ("- {shell: a, capture_format: json, capture_streams: both}", ["1:14 no-effect", "1:36 no-effect"]),
        ("- {shell: a, capture: {b: stdout}, capture_streams: both}", ["1:36 no-effect"]),
        ("- {shell: a, capture: b, capture_format: xml}", ["1:42 bad-enum"]),
        ("- {shell: a, capture: b, capture_streams: {stdout: 0}}", ["1:52 wrong-type"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(text: str, found: list[str]) -> None:
    assert codes_of(text) == found


def test_streams_that_leave_nothing() -> None:
    off = ", ".join(f"{name}: false" for name in ALL)
    assert codes_of(f"- {{shell: a, capture: b, capture_streams: {{{off}}}}}") == ["1:43 bad-value"]


def nested(depth: int) -> str:
    return "- " + "{foreach: [1], do: " * depth + "{shell: a}" + "}" * depth


def test_steps_nest_to_a_depth_and_no_further() -> None:
    assert codes_of(nested(15)) == []
    assert codes_of(nested(16)) == [f"1:{3 + 19 * 16} bad-value"]
    assert codes_of(nested(30)) == [f"1:{3 + 19 * 16} bad-value"]


WORDS = st.sampled_from([
    *STEP.spellings, "commands", "do", "prompt", "shell: x", "/x", "true", "false", "1", "-3", "none", "${A}", "5s", "", "~",
    "a.b", "json:$.x", "/(/", "exponential", "input", "items", "goal", "threshold", "!0", "1-9", "path", "content",
])  # fmt: skip
NODES = st.recursive(
    WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
STEPS = st.dictionaries(st.sampled_from([*STEP.spellings, *ACTION_NAMES]), NODES, max_size=5)


@given(STEPS)
def test_anything_can_be_read(step: dict[str, Any]) -> None:
    """Whatever a step holds, reading it ends with a step and problems, never with an exception."""
    steps, _ = read_steps(json.dumps([step]))
    assert all(isinstance(found, Step) for found in steps)


def test_what_actions_are_called() -> None:
    steps = steps_of("- analyze:\n- test: a\n- claude: {prompt: p}\n")
    assert [type(step.action) for step in steps] == [Analyze, Test, Claude]
    assert steps[1].action == Test("a", Mark("wf.yml", 2, 9))
    assert Text("p") != steps[2].action
