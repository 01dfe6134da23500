"""Folds in texts, scripts and conditions: ``${count:map.results[*] where success}``."""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scopes import Variables

from prodigy.workflow.expression import holds, parse_expression
from prodigy.workflow.problems import Problem
from prodigy.workflow.refs import AGGREGATES, Fold, parse_ref
from prodigy.workflow.shell_quote import render_shell
from prodigy.workflow.template import render_text, render_value
from prodigy.workflow.values import TemplateError


@pytest.fixture
def run_script() -> Callable[[str], str]:
    """What a script prints."""
    return lambda script: (
        subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    )


RESULTS = [
    {"success": True, "item": {"n": 3, "tags": ["a", "b"]}, "commits": ["c1", "c2"], "duration": 1.5, "error": None},
    {"success": False, "item": {"n": 1, "tags": []}, "commits": [], "duration": 4, "error": "it's \"broken\""},
    {"success": True, "item": {"n": 2}, "commits": ["c3"], "duration": 2.5, "error": None},
]  # fmt: skip
SCOPE = Variables(
    map={"results": RESULTS, "total": 3}, limit=2, nums=[3, "4"], word="x", nothing=None, by={"a": 1, "b": 2}
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${count:map.results[*]}", 3),
        ("${count:map.results}", 3),
        ("${count:map.results[*] where success}", 2),
        ("${ count:map.results[*]  WHERE  not success }", 1),
        ("${count:map.results[*] where item.item.n >= ${limit} and not error}", 2),
        ("${count:map.results[*] where error contains '}'}", 0),
        ("${count:map.results[*] where error =~ 'b.{4}n\"$'}", 1),
        ("${count:map.results[*] where index > 0}", 2),
        ("${count:map.results[*].error}", 1),
        ("${count:map.results[*] where ${count:nums[*]} == 2}", 3),
        ("${sum:map.results[*].duration where success}", 4),
        ("${max:map.results[*].item.n}", 3),
        ("${average:nums}", 3.5),
        ("${avg:nums[*] where value > 3}", 4),
        ("${collect:map.results[*].commits[*]}", ["c1", "c2", "c3"]),
        ("${unique:map.results[*].item.tags}", ["a", "b"]),
        ("${count:map.results[*].item.tags[*] where item == 'b'}", 1),
        ("${sort_desc:map.results[*].item.n}", [3, 2, 1]),
        ("${group_by:map.results[*].success}", {"true": [RESULTS[0], RESULTS[2]], "false": [RESULTS[1]]}),
        ("${sum:by[*]}", 3),
        ("${count:nothing}", 0),
        ("${sum:nothing[*]}", 0),
        ("${missing:-${count:nums}}", "2"),
    ],
)
def test_the_value_of_a_fold(text: str, value: Any) -> None:
    assert render_value(text, SCOPE) == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("${count:missing[*]}", "undefined-variable"),
        ("${count:map.resluts[*]}", "undefined-variable"),
        ("${count:word}", "bad-value"),
        ("${count:by}", "bad-value"),
        ("${sum:map.results[*].item}", "bad-value"),
        ("${count:nums[*] where value >}", "bad-expression"),
        ("${count:nums[*] where matches(value, '[')}", "bad-regex"),
    ],
)
def test_a_fold_without_a_value_is_a_problem(text: str, code: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render_text(text, SCOPE)
    assert caught.value.code == code


def test_folds_in_conditions_are_typed_values() -> None:
    assert holds(parse_expression("${count:map.results[*] where success} < map.total"), SCOPE)
    assert holds(parse_expression("'b' in ${unique:map.results[*].item.tags}"), SCOPE)
    assert not holds(parse_expression("${count:missing[*]} > 0"), SCOPE), "what is not defined is null"


def test_folds_in_scripts_are_data_wherever_they_stand(run_script: Callable[[str], str]) -> None:
    script = "printf '%s\\n' ${collect:map.results[*].error} \"${sum:nums}\" '${count:nums[*]}' $((${sum:nums} + 1))"
    assert run_script(render_shell(script, SCOPE)) == 'it\'s "broken"\n7\n2\n8\n'


@pytest.mark.parametrize(
    "script", ["echo ${min:offset} ${sort:2}", "count=abc; echo ${count:nums}", "awk '${sum:other[*]}'"]
)
def test_what_is_the_shells_stays_the_shells(script: str) -> None:
    assert render_shell(script, SCOPE) == script


@given(
    st.sampled_from(AGGREGATES),
    st.lists(st.integers() | st.text() | st.none() | st.booleans(), max_size=5),
    st.sampled_from(["", " where item", " where value > 2", " where item in [1, 'a'] or index == 0"]),
)
def test_a_fold_is_a_value_or_a_problem(kind: str, values: list[Any], where: str) -> None:
    with suppress(TemplateError):
        render_text(f"${{{kind}:list[*]{where}}}", Variables(list=values))


@given(st.sampled_from(AGGREGATES), st.text(alphabet="ab.[*]-01 '\"where}=<$({", max_size=30))
def test_any_text_after_an_aggregate_is_read(kind: str, rest: str) -> None:
    scope = Variables(a=[1, {"b": 2}], b={"a": [3]})
    for text in (f"${{{kind}:{rest}}}", f"${{{kind}:a[*] where {rest}}}"):
        with suppress(TemplateError):
            render_text(text, scope)
        with suppress(TemplateError):
            render_shell(f'echo {text} "{text}"', scope)


def test_what_is_parsed() -> None:
    found = parse_ref("sum:map.results[*].item.n where success ")
    assert found == Fold(
        "${sum:map.results[*].item.n where success }", "sum", ("map", "results", "*", "item", "n"), "success"
    )
    assert found.name == "map.results[*].item.n"


def checked(problems_of: Callable[..., tuple[Problem, ...]], text: str) -> list[str]:
    flow = "mode: mapreduce\nmap: {input: [1], agent_template: [shell: a]}\nreduce:\n  - " + text
    return [f"{problem.mark.line}:{problem.mark.column} {problem.code}" for problem in problems_of(flow)]


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("shell: echo ${count:map.results[*] where success}", []),
        ("claude: /a ${sum:map.results[*].item.n where item.item.n > 2}", []),
        ('{shell: a, when: "${count:map.results[*] where not success} == 0"}', []),
        ("shell: echo ${count:map.resluts[*]}", ["4:17 undefined-variable"]),
        ("shell: echo ${count:items[*].x}", ["4:17 undefined-variable"]),
        ("claude: ${count:item.list[*]}", ["4:13 undefined-variable"]),
        ("shell: echo ${count:map.results[*] where success =}", ["4:54 bad-expression"]),
        ("claude: /a ${count:map.results[*] where matches(output, '[')}", ["4:45 bad-regex"]),
        ("shell: echo ${count:map.results[*] where item.n > ${lmit}}", ["4:17 maybe-undefined"]),
        ('{shell: a, when: "${count:map.results[*] where success =} == 0"}', ["4:60 bad-expression"]),
        ("shell: echo ${missing:-${count:map.resluts[*]}}", ["4:28 undefined-variable"]),
        ("shell: \"sh -c 'echo ${count:map.results[*]}'\"", ["4:25 nested-shell"]),
    ],
)
def test_folds_are_checked(
    problems_of: Callable[..., tuple[Problem, ...]], step: str, found: list[str]
) -> None:
    assert checked(problems_of, step) == found
