"""Options of the Claude CLI, from every form to the model."""

from collections.abc import Callable

import pytest

from prodigy.workflow.load import Loaded
from prodigy.workflow.model import ClaudeOptions, Deferred, Mark, Text

Load = Callable[[str], Loaded]
Codes = Callable[[str], list[str]]


def options_of(loaded: Loaded) -> ClaudeOptions:
    assert loaded.workflow.steps is not None
    (step,) = loaded.workflow.steps.steps
    return step.claude


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ("{model: opus, fallback_model: sonnet, effort: high, permission_mode: plan}",
         ClaudeOptions(model="opus", fallback_model="sonnet", effort="high", permission_mode="plan")),
        ("{max_turns: 5, max_budget_usd: 1.5}", ClaudeOptions(max_turns=5, max_budget_usd=1.5)),
        ("{allowed_tools: Bash, disallowed_tools: [Read, Edit], tools: []}",
         ClaudeOptions(allowed_tools=("Bash",), disallowed_tools=("Read", "Edit"), tools=())),
        ("{system_prompt: a, append_system_prompt: b}",
         ClaudeOptions(system_prompt=Text("a", Mark("wf.yml", 1, 33)),
                       append_system_prompt=Text("b", Mark("wf.yml", 1, 58)))),
        ("{json_schema: {type: object}}", ClaudeOptions(json_schema={"type": "object"})),
        ("{json_schema: '{\"type\": \"object\"}'}", ClaudeOptions(json_schema={"type": "object"})),
        ("{agents: {a: {prompt: x}}}", ClaudeOptions(agents={"a": {"prompt": "x"}})),
        ("{add_dir: ../b, mcp_config: [a.json, {x: 1}], strict_mcp_config: true}",
         ClaudeOptions(add_dir=("../b",), mcp_config=("a.json", '{"x":1}'), strict_mcp_config=True)),
        ("{settings: s.json, setting_sources: [user, project]}",
         ClaudeOptions(settings="s.json", setting_sources="user,project")),
        ("{settings: {a: true}}", ClaudeOptions(settings='{"a":true}')),
        ("{extra_args: [--debug, --betas=x]}", ClaudeOptions(extra_args=("--debug", "--betas=x"))),
    ],
)  # fmt: skip
def test_every_option(load: Load, given: str, options: ClaudeOptions) -> None:
    loaded = load(f"claude_options: {given}\ncommands: [claude: /fix]")
    assert loaded.problems == ()
    assert options_of(loaded) == options


def test_the_model_has_a_short_cut(load: Load) -> None:
    assert options_of(load("model: opus\ncommands: [claude: /fix]")) == ClaudeOptions(model="opus")


def test_a_step_s_options_go_over_the_workflow_s_key_by_key(load: Load) -> None:
    loaded = load(
        "claude_options: {model: opus, allowed_tools: [a, b]}\n"
        "commands: [{claude: /fix, allowed_tools: c, claude_options: {max_turns: 2}}]"
    )
    assert options_of(loaded) == ClaudeOptions(model="opus", allowed_tools=("c",), max_turns=2)


def test_turns_may_wait_for_their_value(load: Load) -> None:
    turns = options_of(
        load("setup: [{shell: a, capture: n}]\ncommands: [{claude: /fix, max_turns: '${n}'}]")
    ).max_turns
    assert isinstance(turns, Deferred)
    assert (turns.source, turns.kind, turns.least) == ("${n}", "integer", 1)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("{modle: opus}", ["1:18 unknown-key"]),
        ("opus", ["1:17 wrong-type"]),
        ("{max_turns: 0}", ["1:29 bad-value"]),
        ("{json_schema: '{'}", ["1:31 bad-value"]),
        ("{json_schema: '[]'}", ["1:31 bad-value"]),
        ("{extra_args: [--debug, --resume=x, -p]}", ["1:40 reserved-name", "1:52 reserved-name"]),
        ("{extra_args: [[a]]}", ["1:31 wrong-type"]),
        ("{model: a}\nmodel: b", ["2:1 conflicting-keys"]),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(codes: Codes, given: str, found: list[str]) -> None:
    assert codes(f"claude_options: {given}\ncommands: [claude: /fix]") == found
