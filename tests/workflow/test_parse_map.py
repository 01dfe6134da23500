"""The map phase, from every form to the model."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import fields

from prodigy.job.results import ItemResult
from prodigy.workflow.load import Loaded
from prodigy.workflow.model import (
    AGGREGATE_TYPES,
    ClaudeOptions,
    Deferred,
    ErrorPolicy,
    Expr,
    ItemValidation,
    Limits,
    MapPhase,
    Mark,
    Retry,
)
from prodigy.workflow.refs import AGGREGATES
from prodigy.workflow.variables import ITEM_RESULT

Load = Callable[[str], Loaded]
Codes = Callable[[str], list[str]]


def phase_of(loaded: Loaded) -> MapPhase:
    assert loaded.workflow.map is not None
    return loaded.workflow.map


def with_map(options: str, top: str = "") -> str:
    return f"mode: mapreduce\n{top}map: {{input: [1], agent_template: [shell: a], {options}}}\n"


@pytest.fixture
def phase(load: Load) -> Callable[..., MapPhase]:
    """The map phase of options, without any problem."""

    def found(options: str, top: str = "") -> MapPhase:
        loaded = load(with_map(options, top))
        assert loaded.problems == ()
        return phase_of(loaded)

    return found


@pytest.mark.parametrize(
    ("given", "source", "text", "items"),
    [
        ("w.json", "auto", "w.json", ()),
        ("{file: w.json}", "file", "w.json", ()),
        ('{command: "seq 3"}', "command", "seq 3", ()),
        ("[1, a, {b: [true, ~, 1.5]}]", "list", "", (1, "a", {"b": [True, None, 1.5]})),
        ("{list: [1]}", "list", "", (1,)),
        ("[]", "list", "", ()),
    ],
)
def test_every_form_of_an_input(
    load: Load, given: str, source: str, text: str, items: tuple[Any, ...]
) -> None:
    found = phase_of(load(f"mode: mapreduce\nmap: {{input: {given}, agent_template: [shell: a]}}"))
    assert (found.input.source, found.input.text, found.input.items) == (source, text, items)


def test_how_items_are_chosen(phase: Callable[..., MapPhase]) -> None:
    found = phase(
        "json_path: '$.a[*]', filter: item.n > 2, sort_by: [item.n DESC, item.m NULLS FIRST], distinct: item.path,"
        " offset: 2, max_items: 5, max_parallel: 3, item_id: '${item.path}', input_timeout: none, base: tip"
    )
    assert (found.json_path, found.filter) == ("$.a[*]", Expr("item.n > 2", Mark("wf.yml", 2, 76)))
    assert (found.sort_by, found.distinct) == ("item.n DESC, item.m NULLS FIRST", "item.path")
    assert (found.offset, found.max_items, found.max_parallel, found.item_id) == (2, 5, 3, "${item.path}")
    assert (found.input_timeout, found.base) == (None, "tip")


def test_defaults_are_those_of_the_model(phase: Callable[..., MapPhase]) -> None:
    found = phase("")
    standard = MapPhase(
        input=found.input,
        agent_template=found.agent_template,
        item_id_mark=found.item_id_mark,
        mark=found.mark,
    )
    assert found == standard


def test_counts_and_limits_may_wait_for_setup(load: Load) -> None:
    found = phase_of(
        load(
            "setup: [{shell: echo 3, capture: n}]\n"
            + with_map("max_parallel: '${n}', agent_timeout: '${n}m'")
        )
    )
    assert isinstance(found.max_parallel, Deferred)
    assert isinstance(found.agent_timeout, Deferred)
    assert (found.max_parallel.source, found.max_parallel.least) == ("${n}", 1)
    assert (found.agent_timeout.source, found.agent_timeout.kind) == ("${n}m", "duration")


def test_the_policy_of_the_workflow_is_that_of_the_items(phase: Callable[..., MapPhase]) -> None:
    assert phase("retry: 2", "error_policy: {max_failures: 3}\n").policy == ErrorPolicy(
        max_failures=3, retry=Retry(attempts=2)
    )


def test_what_agents_inherit(phase: Callable[..., MapPhase]) -> None:
    found = phase(
        "claude_options: {max_turns: 3}, limits: {processes: 5}, on_conflict: dlq",
        "claude_options: {model: opus, max_turns: 9}\nlimits: {memory: 1GB}\non_conflict: rerun\n"
        "auto_commit: false\ngrace: 1s\nshell_program: bash\nretry_defaults: 4\n",
    )
    (step,) = found.agent_template
    assert step.claude == ClaudeOptions(model="opus", max_turns=3)
    assert step.limits == found.limits == Limits(memory=10**9, processes=5)
    assert (step.auto_commit, step.grace, step.shell_program) == (False, 1.0, "bash")
    assert step.retry == Retry(attempts=4)
    assert found.on_conflict == "dlq"


def test_the_environment_of_agents_has_two_layers(load: Load) -> None:
    found = phase_of(
        load(
            "mode: mapreduce\nmap: {input: [1], env: {A: outer, B: outer},"
            " agent_template: {commands: [shell: a], env: {B: inner, C: inner}}}"
        )
    )
    values = {variable.name: variable.values[""].text for variable in found.environment.variables}
    assert values == {"A": "outer", "B": "inner", "C": "inner"}


@pytest.mark.parametrize("key", ["agent_timeout", "agent_timeout_secs"])
def test_the_limit_of_an_attempt(phase: Callable[..., MapPhase], key: str) -> None:
    assert phase(f"{key}: 2m").agent_timeout == 120.0


def test_the_limit_of_an_attempt_may_stand_in_the_template(load: Load) -> None:
    loaded = load(
        "mode: mapreduce\nmap: {input: [1], agent_template: {steps: [shell: a], timeout: 9, auto_commit: false}}"
    )
    found = phase_of(loaded)
    assert (found.agent_timeout, found.agent_template[0].auto_commit) == (9.0, False)
    assert [problem.code for problem in loaded.problems] == ["deprecated-key"]


def test_validation(phase: Callable[..., MapPhase]) -> None:
    assert phase(
        "validation: {schema: {required_fields: [a, b], field_types: {a: String, b: array}}, on_failure: skip}"
    ).validation == ItemValidation(
        required_fields=("a", "b"), field_types={"a": "string", "b": "array"}, on_failure="skip"
    )


def test_aggregates(phase: Callable[..., MapPhase]) -> None:
    found = phase(
        "variables: {n: count, mean: Avg, s: {type: std-dev, value: item.x, where: item.y, initial: 0.5},"
        " g: {type: group_by, by: item.z, initial: {a: [1]}}}"
    ).variables
    assert [(one.name, one.type, one.initial) for one in found] == [
        ("n", "count", None), ("mean", "average", None), ("s", "std_dev", 0.5), ("g", "group_by", {"a": [1]}),
    ]  # fmt: skip
    assert found[2].value == Expr("item.x", Mark("wf.yml", 2, 106))
    assert (found[2].where and found[2].where.source, found[3].by and found[3].by.source) == (
        "item.y",
        "item.z",
    )


def test_every_aggregate_of_the_grammar_is_a_type() -> None:
    assert {*AGGREGATE_TYPES, "avg"} == set(AGGREGATES)
    assert {field.name for field in fields(ItemResult)} == ITEM_RESULT


def test_old_forms_work_and_say_what_replaces_them(load: Load) -> None:
    loaded = load(
        "mode: mapreduce\nparallel: 3\n"
        "map: {input: [1], limit: 5, timeout_per_agent: 60, retry_on_failure: 1, agent_template: {commands: [shell: a]}}\n"
        "reduce: {commands: [{shell: b}], timeout: 9}\n"
        "agent_merge: {commands: []}\n"
    )
    found = phase_of(loaded)
    assert (found.max_parallel, found.max_items, found.agent_timeout) == (3, 5, 60)
    assert found.policy.retry == Retry(attempts=2)
    assert [(problem.code, problem.hints[0]) for problem in loaded.problems] == [
        ("deprecated-key", "write `map.max_parallel`"),
        ("deprecated-key", "write `max_items`"),
        ("deprecated-key", "write `agent_timeout_secs`"),
        ("deprecated-key", "write `retry: {attempts: N}`, which counts the first run too"),
        ("deprecated-key", "put the steps right under `agent_template:`"),
        ("deprecated-key", "put the steps right under `reduce:`"),
        ("no-effect", "agents are merged by Prodigy"),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("map: {}", ["2:1 missing-key", "2:1 missing-key"]),
        ("map: [a]", ["2:6 wrong-type"]),
        ("map: {input: [1], agent_templat: [shell: a]}", ["2:19 unknown-key"]),
        ("map: {input: [1], agent_template: []}", ["2:19 no-steps"]),
        ("map: {input: {list: 1}, agent_template: [shell: a]}", ["2:21 wrong-type"]),
        ("map: {input: {file: a, command: b}, agent_template: [shell: a]}", ["2:24 conflicting-keys"]),
        ("map: {input: {}, agent_template: [shell: a]}", ["2:14 missing-key"]),
        ("map: {input: {lst: [1]}, agent_template: [shell: a]}", ["2:15 unknown-key"]),
        ("map: {input: '', agent_template: [shell: a]}", ["2:14 bad-value"]),
        ("map: {input: [1], agent_template: {timeout: 5}}", ["2:19 missing-key"]),
        ("map: {input: [1], agent_timeout: 5, agent_template: {commands: [shell: a], timeout: 5}}",
         ["2:54 deprecated-key", "2:76 conflicting-keys"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_its_shape(codes: Codes, text: str, found: list[str]) -> None:
    assert codes(f"mode: mapreduce\n{text}") == found


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("max_parallel: 0", ["2:61 bad-value"]),
        ("max_items: -1", ["2:58 bad-value"]),
        ("filter: item.n >", ["2:62 bad-expression"]),
        ("sort_by: item.n UP", ["2:63 bad-expression"]),
        ("distinct: 'a b'", ["2:60 bad-expression"]),
        ("json_path: '$['", ["2:59 bad-jsonpath"]),
        ("item_id: ''", ["2:56 bad-value"]),
        ("base: top", ["2:53 bad-enum"]),
        ("variables: [count]", ["2:58 wrong-type"]),
        ("variables: {n: cuont}", ["2:62 bad-enum"]),
        ("variables: {n: {value: item.n}}", ["2:59 missing-key"]),
        ("variables: {n: {tpye: sum}}", ["2:63 unknown-key"]),
        ("variables: {n: {type: group_by}}", ["2:59 missing-key"]),
        ("variables: {n: group_by}", ["2:59 missing-key"]),
        ("variables: {n: {type: summ, value: item.x ==}}", ["2:69 bad-enum", "2:90 bad-expression"]),
        ("variables: {n: {type: sum, by: item.x}}", ["2:74 no-effect"]),
        ("variables: {n: {type: sum, where: item.x ==}}", ["2:89 bad-expression"]),
        ("variables: {n: {type: sum, initial: x}}", ["2:83 wrong-type"]),
        ("variables: {n: {type: sum, filter: x}}", ["2:74 unknown-key"]),
        ("variables: {'a b': count, n: ~}", ["2:59 bad-value", "2:73 empty-key"]),
        ("validation: {}", ["2:47 missing-key"]),
        ("validation: {schema: {field_types: {a: text}}}", ["2:86 bad-enum"]),
        ("timeout_config: {agent_timeout_secs: 9}, agent_timeout: 8", ["2:47 no-effect"]),
        ("timeout_config: {agent_timeout_secs: 9}, agent_timeout: 9", []),
        ("idle_timeout: 5", ["2:47 unknown-key"]),
    ],
)
def test_what_is_wrong_with_an_option(codes: Codes, option: str, found: list[str]) -> None:
    assert codes(with_map(option)) == found


def test_where_items_are_spoken_of_without_a_map(codes: Codes) -> None:
    text = "max_failures: 3\nmax_parallel: 2\nerror_policy: {on_item_failure: skip}\ncommands: [shell: a]"
    assert codes(text) == ["1:1 no-effect", "2:1 deprecated-key", "2:1 no-effect", "3:1 no-effect"]
