"""Actions that hold steps of their own, and ``write_file``: every form, and what is wrong with it."""

from typing import Any

import pytest
from msgspec import structs
from step_reading import codes_of, commands_of, step_of

from prodigy.workflow.model import (
    Check,
    Deferred,
    Expr,
    Foreach,
    GoalSeek,
    Incomplete,
    Mark,
    Text,
    WriteFile,
)


def foreach_of(text: str) -> Foreach:
    action = step_of(f"- {text}").action
    assert isinstance(action, Foreach)
    return action


# -- foreach -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "source", "command", "items"),
    [
        ("{foreach: [1, a, {b: [true, ~]}], do: {shell: x}}", "list", "", (1, "a", {"b": [True, None]})),
        ("{foreach: [], do: {shell: x}}", "list", "", ()),
        ("{foreach: 'seq 3', do: {shell: x}}", "auto", "seq 3", ()),
        ("{foreach: '${files}', do: {shell: x}}", "auto", "${files}", ()),
        ("{foreach: {foreach: [1], do: {shell: x}}}", "list", "", (1,)),
        ("{foreach: {input: 'seq 3', commands: {shell: x}}}", "auto", "seq 3", ()),
        ("{foreach: {items: [1], steps: {shell: x}}}", "list", "", (1,)),
        ("{foreach: {input: {list: [1]}}, do: {shell: x}}", "list", "", (1,)),
        ("{foreach: {input: {command: '${c}'}, do: {shell: x}}}", "command", "${c}", ()),
        ("{foreach: {input: {file: f.json}, do: {shell: x}}}", "file", "f.json", ()),
    ],
)
def test_every_shape_of_foreach(text: str, source: str, command: str, items: tuple[Any, ...]) -> None:
    foreach = foreach_of(text)
    assert (foreach.input.source, foreach.input.text, foreach.input.items) == (source, command, items)
    assert commands_of(foreach.steps) == [("shell", "x")]


OPTIONS = "parallel: 3, continue_on_error: true, max_items: 5, filter: item.a > 1, sort_by: [a DESC, b], json_path: $.x"


@pytest.mark.parametrize(
    "text", [f"{{foreach: {{input: c, do: [x], {OPTIONS}}}}}", f"{{foreach: c, do: [x], {OPTIONS}}}"]
)
def test_options_of_foreach_stand_in_either_place(text: str) -> None:
    step = step_of(f"- {text}")
    foreach = step.action
    assert isinstance(foreach, Foreach)
    assert (foreach.parallel, foreach.continue_on_error, foreach.max_items) == (3, True, 5)
    assert isinstance(foreach.filter, Expr)
    assert (foreach.filter.source, foreach.sort_by, foreach.json_path) == ("item.a > 1", "a DESC, b", "$.x")
    assert step.on_failure is None


@pytest.mark.parametrize(("given", "number"), [("true", 10), ("false", 1), ("4", 4)])
def test_how_many_bodies_run_at_a_time(given: str, number: int) -> None:
    assert foreach_of(f"{{foreach: [1], do: [x], parallel: {given}}}").parallel == number


def test_a_path_beside_the_file_is_the_path_of_the_items() -> None:
    assert foreach_of("{foreach: {input: {file: f, json_path: $.y}, do: [x]}}").json_path == "$.y"


# -- validate ------------------------------------------------------------------------------------------------------
def check_of(text: str, mode: str = "option") -> Check:
    step = step_of(f"- {{shell: x, validate: {text}}}" if mode == "option" else f"- {{validate: {text}}}")
    check = step.validate if mode == "option" else step.action
    assert isinstance(check, Check)
    return check


@pytest.mark.parametrize("mode", ["option", "action"])
@pytest.mark.parametrize(
    ("text", "check", "commands"),
    [
        ("make check", Check(steps=()), [("shell", "make check")]),
        ("/check it", Check(steps=()), [("claude", "/check it")]),
        ("[a, {claude: b}]", Check(steps=()), [("shell", "a"), ("claude", "b")]),
        ("{shell: a}", Check(steps=()), [("shell", "a")]),
        ("{claude: a, threshold: 90}", Check(steps=(), threshold=90), [("claude", "a")]),
        ("{commands: [a, /b], timeout: 5}", Check(steps=(), timeout=5), [("shell", "a"), ("claude", "/b")]),
        ("{shell: a, fail_workflow: false}", Check(steps=(), fail_workflow=False), [("shell", "a")]),
        ("{shell: a, expected_schema: {type: object}}", Check(steps=(), expected_schema={"type": "object"}),
         [("shell", "a")]),
    ],
)  # fmt: skip
def test_every_form_of_a_check(mode: str, text: str, check: Check, commands: list[tuple[str, str]]) -> None:
    found = check_of(text, mode)
    assert structs.replace(found, steps=(), mark=Mark()) == check
    assert commands_of(found.steps) == commands


def test_the_old_command_of_a_check() -> None:
    assert commands_of(check_of("{command: a}").steps) == [("shell", "a")]
    assert codes_of("- {shell: x, validate: {command: a}}") == ["1:25 deprecated-key"]


def test_a_result_file_is_a_text() -> None:
    assert check_of("{shell: a, result_file: 'r-${x}.json'}").result_file == Text(
        "r-${x}.json", Mark("wf.yml", 1, 48)
    )


@pytest.mark.parametrize(
    ("text", "incomplete", "commands"),
    [
        ("on_incomplete: make more", Incomplete(), [("shell", "make more")]),
        ("on_incomplete: [/more, b]", Incomplete(), [("claude", "/more"), ("shell", "b")]),
        ("on_incomplete: {claude: /more}", Incomplete(), [("claude", "/more")]),
        ("on_incomplete: {claude: /more, shell: b}", Incomplete(), [("shell", "b"), ("claude", "/more")]),
        ("on_incomplete: {commands: [a], max_attempts: 5}", Incomplete(max_attempts=5), [("shell", "a")]),
        ("on_incomplete: {shell: a, fail_workflow: false, commit_required: true}",
         Incomplete(fail_workflow=False, commit_required=True), [("shell", "a")]),
        ("on_incomplete: a, max_attempts: 4, fail_workflow: false",
         Incomplete(max_attempts=4, fail_workflow=False), [("shell", "a")]),
    ],
)  # fmt: skip
def test_every_form_of_on_incomplete(
    text: str, incomplete: Incomplete, commands: list[tuple[str, str]]
) -> None:
    check = check_of(f"{{shell: x, {text}}}")
    found = check.on_incomplete
    assert found is not None
    assert structs.replace(found, steps=()) == incomplete
    assert commands_of(found.steps) == commands
    assert check.fail_workflow == incomplete.fail_workflow


def test_what_is_added_to_the_prompts_of_a_repair() -> None:
    found = check_of(
        "{shell: x, on_incomplete: {claude: /more, prompt: 'gaps: ${validation.gaps}'}}"
    ).on_incomplete
    assert found is not None
    assert found.prompt is not None
    assert found.prompt.source == "gaps: ${validation.gaps}"


def test_options_beside_a_check() -> None:
    step = step_of("- {shell: a, validate: b, validation_timeout: 5, ignore_validation_failure: true}")
    assert step.validate is not None
    assert (step.validate.timeout, step.validate.fail_workflow) == (5, False)
    assert step_of("- {shell: a, validate: b, skip_validation: true}").validate is None
    assert step_of("- {shell: a, validate: b, skip_validation: false}").validate is not None
    alone = step_of("- {validate: b, skip_validation: true, validation_timeout: 5}")
    assert alone.when is not None
    assert alone.when.source == "false"
    assert isinstance(alone.action, Check)
    assert alone.action.timeout == 5


# -- goal_seek -----------------------------------------------------------------------------------------------------
def goal_of(text: str) -> GoalSeek:
    action = step_of(f"- {text}").action
    assert isinstance(action, GoalSeek)
    return action


@pytest.mark.parametrize(
    ("attempt", "commands"),
    [
        ("claude: /work", [("claude", "/work")]),
        ("claude: {prompt: /work, model: opus}", [("claude", "/work")]),
        ("shell: make", [("shell", "make")]),
        ("command: 'claude: /work'", [("claude", "/work")]),
        ("command: 'shell: make'", [("shell", "make")]),
        ("command: /usr/bin/make", [("shell", "/usr/bin/make")]),
        ("commands: [{shell: a}, {claude: b}]", [("shell", "a"), ("claude", "b")]),
    ],
)
def test_every_form_of_an_attempt(attempt: str, commands: list[tuple[str, str]]) -> None:
    seek = goal_of(f"{{goal_seek: {{goal: g, {attempt}, validate: c}}}}")
    assert commands_of(seek.steps) == commands
    assert commands_of(seek.check.steps) == [("shell", "c")]


def test_every_option_of_goal_seek() -> None:
    seek = goal_of(
        "{goal_seek: {goal: g, shell: a, validate: {shell: c, result_file: r}, threshold: '${T}', max_attempts: 3,"
        " timeout_seconds: 60, fail_on_incomplete: false, check_first: true, convergence: false}}"
    )
    assert (seek.goal.source, seek.max_attempts, seek.timeout) == ("g", 3, 60)
    assert isinstance(seek.threshold, Deferred)
    assert (seek.fail_on_incomplete, seek.check_first, seek.convergence) == (False, True, False)
    assert seek.check.result_file is not None


def test_the_goal_is_the_name_of_the_step_and_options_stand_in_either_place() -> None:
    inside = step_of("- {name: N, goal_seek: {shell: a, validate: b, commit_required: true, id: c}}")
    beside = step_of("- {name: N, goal_seek: {shell: a, validate: b}, commit_required: true, id: c}")
    assert isinstance(inside.action, GoalSeek)
    assert inside.action.goal.source == "N"
    assert (inside.commit_required, inside.id) == (beside.commit_required, beside.id) == (True, "c")


# -- write_file ----------------------------------------------------------------------------------------------------
def file_of(text: str) -> WriteFile:
    action = step_of(f"- {{write_file: {{path: a/b.txt, {text}}}}}").action
    assert isinstance(action, WriteFile)
    return action


def test_a_file_of_text() -> None:
    found = file_of("content: 'x ${y}'")
    assert (found.path.source, found.content, found.data) == (
        "a/b.txt",
        Text("x ${y}", Mark("wf.yml", 1, 41)),
        None,
    )
    assert (found.format, found.mode, found.create_dirs, found.append) == ("text", 0o644, False, False)


def test_a_file_of_data() -> None:
    found = file_of("content: {n: '${n}', l: [1, ~]}, format: JSON, create_dirs: true, append: true")
    assert (found.content, found.data) == (None, {"n": "${n}", "l": [1, None]})
    assert (found.format, found.create_dirs, found.append) == ("json", True, True)


@pytest.mark.parametrize(
    ("given", "mode"), [("0755", 0o755), ('"0600"', 0o600), ("0o640", 0o640), ("755", 0o755)]
)
def test_a_mode_is_octal(given: str, mode: int) -> None:
    assert file_of(f"content: x, mode: {given}").mode == mode


# -- what is wrong -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{foreach: [1]}", ["1:4 missing-key"]),
        ("{foreach: [1], do: []}", ["1:18 no-steps"]),
        ("{foreach: [1], doo: [a]}", ["1:18 unknown-key", "1:24 deprecated-form"]),
        ("{foreach: '', do: {shell: a}}", ["1:13 bad-value"]),
        ("{foreach: {do: {shell: a}}}", ["1:4 missing-key"]),
        ("{foreach: {input: {}, do: {shell: a}}}", ["1:21 missing-key"]),
        ("{foreach: {input: {list: 1}, do: {shell: a}}}", ["1:28 wrong-type"]),
        ("{foreach: {input: {list: [1], file: f}, do: {shell: a}}}", ["1:21 conflicting-keys"]),
        ("{foreach: {input: {file: f, json_path: x}, json_path: y, do: {shell: a}}}", ["1:46 conflicting-keys"]),
        ("{foreach: {input: [1], do: {shell: a}, parallel: 2}, parallel: 3}", ["1:42 conflicting-keys"]),
        ("{foreach: [1], do: {shell: a}, parallel: 0}", ["1:44 bad-value"]),
        ("{foreach: [1], do: {shell: a}, filter: 'a >'}", ["1:45 bad-expression"]),
        ("{foreach: [1], do: {shell: a}, sort_by: 'a UP'}", ["1:46 bad-expression"]),
        ("{foreach: [1], do: {shell: a}, json_path: '$['}", ["1:46 bad-jsonpath"]),
        ("{foreach: [1], do: [{shel: a}]}", ["1:24 unknown-key"]),
        ("{validate: {}}", ["1:4 missing-key"]),
        ("{validate: {threshold: 90}}", ["1:4 missing-key"]),
        ("{validate: {shell: a, threshold: 101}}", ["1:36 bad-value"]),
        ("{validate: {shell: a, claude: b}}", ["1:15 no-effect"]),
        ("{validate: {shell: a, force_refresh: true, max_cache_age: 5}}", ["1:25 no-effect", "1:46 no-effect"]),
        ("{validate: {shell: a, max_attempts: 3}}", ["1:25 no-effect"]),
        ("{validate: {shell: a, expected_schema: x}}", ["1:42 wrong-type"]),
        ("{validate: {shell: a, on_incomplete: {max_attempts: 2}}}", ["1:25 missing-key"]),
        ("{validate: {shell: a, on_incomplete: {shell: b, max_attempts: 2}, max_attempts: 3}}",
         ["1:51 conflicting-keys"]),
        ("{validate: {shell: a, on_incomplete: {commands: [b], name: c}}}", ["1:56 conflicting-keys"]),
        ("{validate: {shell: a, on_incomplete: []}}", ["1:25 no-steps"]),
        ("{validate: {commands: []}}", ["1:15 no-steps"]),
        ("{validate: {shell: a, timeout: 5}, validation_timeout: 6}", ["1:38 conflicting-keys"]),
        ("{shell: a, skip_validation: true}", ["1:14 no-effect"]),
        ("{shell: a, step_validate: b}", ["1:14 not-yet-supported"]),
        ("{goal_seek: x}", ["1:15 wrong-type"]),
        ("{goal_seek: {goal: g, validate: c}}", ["1:4 missing-key"]),
        ("{goal_seek: {goal: g, shell: a}}", ["1:4 missing-key"]),
        ("{goal_seek: {shell: a, validate: c}}", ["1:4 missing-key"]),
        ("{goal_seek: {goal: g, shell: a, claude: b, validate: c}}", ["1:25 conflicting-keys"]),
        ("{goal_seek: {goal: g, shell: a, validate: c, id: d}, id: e}", ["1:48 conflicting-keys"]),
        ("{goal_seek: {goal: g, commands: [], validate: c}}", ["1:25 no-steps"]),
        ("{goal_seek: {goal: g, shell: a, validate: {shell: c, threshold: 90, on_incomplete: d}}}",
         ["1:56 no-effect", "1:71 no-effect"]),
        ("{write_file: {content: a}}", ["1:4 missing-key"]),
        ("{write_file: {path: a}}", ["1:4 missing-key"]),
        ("{write_file: {path: /a, content: b}}", ["1:23 path-outside-worktree"]),
        ("{write_file: {path: a/../../b, content: b}}", ["1:23 path-outside-worktree"]),
        ("{write_file: {path: 'a/../${b}/../..', content: b}}", []),
        ("{write_file: {path: a, content: {b: c}}}", ["1:35 bad-value"]),
        ("{write_file: {path: a, content: [b], format: text}}", ["1:35 bad-value"]),
        ("{write_file: {path: a, content: b, format: xml}}", ["1:46 bad-enum"]),
        ("{write_file: {path: a, content: b, mode: 0888}}", ["1:44 bad-value"]),
        ("{write_file: {path: a, content: b, mode: rw}}", ["1:44 bad-value"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(text: str, found: list[str]) -> None:
    assert codes_of(f"- {text}") == found
