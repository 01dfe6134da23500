"""``map.variables`` over the results of agents."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scopes import Variables

from prodigy.job.aggregates import aggregates
from prodigy.workflow.aggregates import BadAggregate
from prodigy.workflow.load import load_workflow
from prodigy.workflow.model import Aggregate

AROUND = Variables(limit=2)


def rules(text: str) -> tuple[Aggregate, ...]:
    flow = f"mode: mapreduce\nmap: {{input: [1], agent_template: [shell: a], variables: {text}}}\n"
    phase = load_workflow(flow.encode(), "wf.yml").workflow.map
    assert phase is not None
    return phase.variables


def result(index: int, item: Any, *, success: bool = True, **captured: Any) -> dict[str, Any]:
    return {
        "index": index, "item_id": f"i{index}", "item": item, "status": "success" if success else "failed",
        "success": success, "output": f"out {index}", "duration": 1.5, "variables": captured,
    }  # fmt: skip


RESULTS = [
    result(0, {"n": 1, "team": "x", "tags": ["a", "b"]}, score=10, limit=7),
    result(1, {"n": 100, "team": "x"}, success=False, score=1000),
    result(2, {"n": 3, "team": "y", "score": 99}, score=30),
    result(3, {"team": "x", "tags": ["b"], "score": 5}),
]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("count", 3),
        ("{type: count, where: item.n > 1}", 1),
        ("{type: count, value: item.n}", 2),
        ("{type: sum, value: item.n}", 4),
        ("{type: sum, value: n}", 4),
        ("{type: sum, value: score}", 45),
        ("{type: sum, value: result.duration}", 4.5),
        ("{type: sum, value: result.variables.score}", 40),
        ("{type: sum, value: index}", 5),
        ("{type: avg, value: item.n}", 2),
        ("{type: max, value: item.n, where: \"team == 'x'\"}", 1),
        ("{type: unique, value: item.tags}", ["a", "b"]),
        ("{type: collect, value: item_id, where: item.n exists}", ["i0", "i2"]),
        ("{type: collect, value: '${limit}'}", [7, 2, 2]),
        ("{type: collect, value: result.output}", ["out 0", "out 2", "out 3"]),
        ("{type: group_by, by: item.team, value: item.n}", {"x": [1], "y": [3]}),
        ("{type: group_by, by: item.team, value: index}", {"x": [0, 3], "y": [2]}),
        ("{type: group_by, by: item.n}", {"1": [RESULTS[0]["item"]], "3": [RESULTS[2]["item"]]}),
        ("{type: group_by, by: item.team, value: index, initial: {z: []}}", {"z": [], "x": [0, 3], "y": [2]}),
        ("{type: sum, value: item.n, initial: 10}", 14),
        ("{type: sum, value: item.nothing}", 0),
        ("{type: max, value: item.nothing}", None),
    ],
)
def test_a_value_of_the_agents_that_succeeded(rule: str, value: Any) -> None:
    assert aggregates(rules(f"{{made: {rule}}}"), RESULTS, AROUND) == {"made": value}


def test_without_an_expression_it_is_the_capture_or_field_of_that_name() -> None:
    found = aggregates(rules("{score: sum, tags: unique}"), RESULTS, AROUND)
    assert found == {"score": 45, "tags": ["a", "b"]}


def test_what_cannot_be_made_says_which_and_why() -> None:
    made = rules("{n: count, bad: {type: sum, value: item.team}, all: collect}")
    with pytest.raises(
        BadAggregate, match=r"`bad` of `map.variables` has no value: `sum` needs numbers, and `x`"
    ):
        aggregates(made, RESULTS, AROUND)
    assert aggregates(made, RESULTS, AROUND, lenient=True) == {"n": 3, "all": []}


@given(st.lists(st.tuples(st.integers(-99, 99), st.booleans())))
def test_against_a_plain_loop(items: list[tuple[int, bool]]) -> None:
    results = [result(index, {"n": n}, success=success) for index, (n, success) in enumerate(items)]
    kept = [n for n, success in items if success]
    made = rules(
        "{n: count, s: {type: sum, value: item.n}, l: {type: collect, value: item.n},"
        " g: {type: count, where: item.n >= 0}}"
    )
    assert aggregates(made, results, AROUND) == {
        "n": len(kept), "s": sum(kept), "l": kept, "g": sum(n >= 0 for n in kept),
    }  # fmt: skip
