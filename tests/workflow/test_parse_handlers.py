"""What happens after a step: every form of a handler and of the steps by exit code."""

import pytest
from msgspec import structs
from step_reading import codes_of, commands_of, step_of

from prodigy.workflow.model import Capture, Deferred, ExitCodes, Foreach, Handler, Mark

NOTHING = Handler(max_attempts=0, fail_workflow=False)


def handler_of(options: str, action: str = "shell: x") -> Handler:
    handler = step_of(f"- {{{action}, {options}}}").on_failure
    assert handler is not None
    return handler


@pytest.mark.parametrize(
    ("options", "handler", "commands"),
    [
        ("on_failure: false", None, []),
        ("on_failure: true", NOTHING, []),
        ("on_failure: true, max_attempts: 3", Handler(max_attempts=3, fail_workflow=False), []),
        ("continue_on_error: true", NOTHING, []),
        ("ignore_failure: true", NOTHING, []),
        ("continue_on_error: false", None, []),
        ("fail_workflow: false", NOTHING, []),
        ("fail_workflow: true", None, []),
        ("max_attempts: 3", None, []),
        ("on_failure: make fix", Handler(), [("shell", "make fix")]),
        ("on_failure: /fix it", Handler(), [("claude", "/fix it")]),
        ("on_failure: 'claude: fix it'", Handler(), [("claude", "fix it")]),
        ("on_failure: 'shell: /fix it'", Handler(), [("shell", "/fix it")]),
        ("on_failure: [a, {shell: b}, [/c]]", Handler(), [("shell", "a"), ("shell", "b"), ("claude", "/c")]),
        ("on_failure: {shell: a, max_attempts: 2}", Handler(max_attempts=2), [("shell", "a")]),
        ("on_failure: {shell: a, timeout: 5}", Handler(timeout=5), [("shell", "a")]),
        ("on_failure: {goal_seek: {goal: g, shell: a, validate: b}}", Handler(), [("goal_seek", "g")]),
        ("on_failure: {write_file: {path: p, content: c}}", Handler(), [("write_file", "write p")]),
        ("on_failure: {claude: /b, write_file: {path: p, content: c}, test: t, shell: a}", Handler(),
         [("shell", "a"), ("claude", "/b"), ("test", "t"), ("write_file", "write p")]),
        ("on_failure: {commands: [a, shell: b], fail_workflow: false}", Handler(fail_workflow=False),
         [("shell", "a"), ("shell", "b")]),
        ("on_failure: {steps: {shell: a}, retry_original: false}", Handler(retry_original=False), [("shell", "a")]),
        ("on_failure: {commands: {shell: a, claude: b}}", Handler(), [("shell", "a"), ("claude", "b")]),
        ("on_failure: {max_attempts: 4}", Handler(max_attempts=4), []),
        ("on_failure: {shell: a, strategy: fallback}", Handler(strategy="fallback"), [("shell", "a")]),
        ("on_failure: {shell: a, strategy: Cleanup}", Handler(strategy="cleanup"), [("shell", "a")]),
        ("on_failure: {shell: a, strategy: custom}", Handler(), [("shell", "a")]),
        ("on_failure: {shell: a, handler_failure_fatal: true}", Handler(handler_failure_fatal=True), [("shell", "a")]),
        ("on_failure: {shell: a}, max_attempts: 3, fail_workflow: false, retry_original: false",
         Handler(max_attempts=3, fail_workflow=False, retry_original=False), [("shell", "a")]),
        ("on_failure: {shell: a}, continue_on_error: true", Handler(fail_workflow=False), [("shell", "a")]),
    ],
)  # fmt: skip
def test_every_form_of_a_handler(
    options: str, handler: Handler | None, commands: list[tuple[str, str]]
) -> None:
    found = step_of(f"- {{shell: x, {options}}}").on_failure
    assert (found and structs.replace(found, steps=())) == handler
    assert commands_of(found.steps if found else ()) == commands


def test_the_old_name_of_the_rounds() -> None:
    assert handler_of("on_failure: {shell: a, max_retries: 2}").max_attempts == 2
    assert codes_of("- {shell: x, on_failure: {shell: a, max_retries: 2}}") == ["1:37 deprecated-key"]


def test_rounds_that_are_known_later() -> None:
    assert handler_of("on_failure: {shell: a, max_attempts: '${N}'}").max_attempts == Deferred(
        "${N}", "integer", Mark("wf.yml", 1, 51), 1
    )


def test_what_decides_the_defaults_is_the_step_that_failed() -> None:
    """A test is repaired three times; a prompt is not paid for again unless that is asked for."""
    assert handler_of("on_failure: a", "test: x").max_attempts == 3
    assert handler_of("on_failure: {shell: a, max_attempts: 1}", "test: x").max_attempts == 1
    assert not handler_of("on_failure: a", "claude: x").retry_original
    assert handler_of("on_failure: {shell: a, retry_original: true}", "claude: x").retry_original
    assert handler_of("on_failure: {max_attempts: 2}", "claude: x").retry_original
    assert handler_of("on_failure: a", "write_file: {path: a, content: b}").retry_original


def test_options_beside_a_handler_s_action_are_its_step_s_and_handlers_nest() -> None:
    handler = handler_of(
        "on_failure: {shell: y, name: N, commit_required: true, when: 'true', on_failure: z}"
    )
    (inner,) = handler.steps
    assert (inner.name, inner.commit_required, handler.max_attempts) == ("N", True, 1)
    assert inner.when is not None
    assert inner.on_failure is not None
    assert commands_of(inner.on_failure.steps) == [("shell", "z")]


def test_options_beside_several_actions_go_where_they_matter() -> None:
    handler = handler_of(
        "on_failure: {shell: a, claude: b, commit_required: true, when: 'true', model: opus, id: c, on_success: d}"
    )
    shell, claude = handler.steps
    assert (shell.commit_required, claude.commit_required) == (False, True)
    assert (shell.id, claude.id) == (None, "c")
    assert (shell.claude.model, claude.claude.model) == (None, "opus")
    assert (len(shell.on_success), len(claude.on_success)) == (0, 1)
    assert shell.when == claude.when != None  # noqa: E711 - both have one


def test_foreach_in_a_handler_takes_its_options_from_beside_it() -> None:
    (step,) = handler_of("on_failure: {foreach: [1, 2], do: {shell: a}, parallel: 2}").steps
    assert isinstance(step.action, Foreach)
    assert (step.action.parallel, commands_of(step.action.steps)) == (2, [("shell", "a")])


def test_a_handler_captures() -> None:
    handler = handler_of("on_failure: {commands: [a, b], capture: v, capture_format: json}")
    (capture,) = handler.captures
    assert (capture.name, capture.format) == ("v", "json")
    own = handler_of("on_failure: {shell: a, capture: {w: exit_code}, capture_output: false}")
    assert [(found.name, found.source) for found in own.captures] == [("w", "exit_code")]
    assert (own.steps[0].captures, own.steps[0].keep_output) == ((), False)
    assert Capture(name="v") not in own.captures


def test_on_success_is_read_as_a_handler() -> None:
    step = step_of("- {shell: x, on_success: {claude: b, shell: a}}")
    assert commands_of(step.on_success) == [("shell", "a"), ("claude", "b")]
    assert commands_of(step_of("- {shell: x, on_success: [a, /b]}").on_success) == [
        ("shell", "a"),
        ("claude", "/b"),
    ]


def test_steps_by_exit_code() -> None:
    step = step_of("- {shell: x, on_exit_code: {0: a, 1-9: [b, {shell: c}], '!0': /d, '! 3 - 4': e}}")
    assert [(codes.ranges, codes.negated, commands_of(codes.steps)) for codes in step.on_exit_code] == [
        (((0, 0),), False, [("shell", "a")]),
        (((1, 9),), False, [("shell", "b"), ("shell", "c")]),
        (((0, 0),), True, [("claude", "/d")]),
        (((3, 4),), True, [("shell", "e")]),
    ]


def test_which_codes_a_range_holds() -> None:
    some, others = ExitCodes(ranges=((1, 3),)), ExitCodes(ranges=((0, 0),), negated=True)
    assert [code for code in range(6) if code in some] == [1, 2, 3]
    assert [code for code in range(3) if code in others] == [1, 2]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("retry_original: true", ["1:14 no-effect"]),
        ("on_failure: []", ["1:26 no-steps"]),
        ("on_failure: {commands: []}", ["1:37 no-steps"]),
        ("on_failure: {shell: b, max_attempts: 0}", ["1:51 bad-value"]),
        ("on_failure: {shell: b, max_attempts: 2}, max_attempts: 3", ["1:55 conflicting-keys"]),
        ("on_failure: {shell: b, fail_workflow: true}, continue_on_error: true", ["1:59 conflicting-keys"]),
        ("fail_workflow: true, continue_on_error: true", ["1:35 conflicting-keys"]),
        ("on_failure: {commands: [b], shell: c}", ["1:42 conflicting-keys"]),
        ("on_failure: {commands: [b], name: c}", ["1:42 conflicting-keys"]),
        ("on_failure: {name: c}", ["1:27 conflicting-keys"]),
        ("on_failure: {shel: c}", ["1:27 unknown-key"]),
        ("on_failure: {shell: c, strategy: retry}", ["1:47 bad-enum"]),
        ("on_failure: {shell: c, strategy: fallback, retry_original: true}", ["1:57 no-effect"]),
        ("on_failure: [{shell: b, claude: c}]", ["1:27 multiple-actions"]),
        ("on_failure: {template: c}", ["1:37 template-not-found"]),
        ("on_failure: [~]", ["1:27 wrong-type"]),
        ("on_success: {name: b, timeout: 5}", ["1:26 no-action"]),
        ("on_exit_code: [b]", ["1:28 wrong-type"]),
        ("on_exit_code: {256: b}", ["1:29 bad-value"]),
        ("on_exit_code: {9-1: b}", ["1:29 bad-value"]),
        ("on_exit_code: {x: b}", ["1:29 bad-value"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(options: str, found: list[str]) -> None:
    assert codes_of(f"- {{shell: x, {options}}}") == found
