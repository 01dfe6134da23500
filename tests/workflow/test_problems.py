import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow.load import load_workflow
from prodigy.workflow.nodes import Span
from prodigy.workflow.problems import Problems, WorkflowInvalid, render


def report(text: str) -> str:
    with pytest.raises(WorkflowInvalid) as caught:
        load_workflow(text.encode(), "wf.yml")
    return caught.value.report()


def test_all_problems_of_a_file_are_shown_at_once_with_their_lines() -> None:
    text = (
        "mode: mapreduce\n"
        "map: {input: w.json, agent_template: [{shel: ls}], max_paralel: 2}\n"
        'reduce: [{shell: "echo ${map.totl}"}]\n'
    )
    assert report(text) == (
        "wf.yml:2:40: error[unknown-key]: unknown key `shel` in a step\n"
        " 2 | map: {input: w.json, agent_template: [{shel: ls}], max_paralel: 2}\n"
        "   |                                        ^~~~\n"
        "   help: did you mean `shell`?\n"
        "wf.yml:2:52: error[unknown-key]: unknown key `max_paralel` in `map`\n"
        " 2 | map: {input: w.json, agent_template: [{shel: ls}], max_paralel: 2}\n"
        "   |                                                    ^~~~~~~~~~~\n"
        "   help: did you mean `max_parallel`?\n"
        "wf.yml:3:24: error[undefined-variable]: `map.totl` is not defined\n"
        ' 3 | reduce: [{shell: "echo ${map.totl}"}]\n'
        "   |                        ^~~~~~~~~~~\n"
        "   help: did you mean `map.total`?"
    )


def test_the_error_counts_and_points_at_the_first() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        load_workflow(b"- {shell: a, tags: x}\n- {shel: a}\n", "flows/wf.yml")
    error = caught.value
    assert (error.code, error.exit_code, error.where) == ("workflow-invalid", 2, "flows/wf.yml:1:14")
    assert error.message == "flows/wf.yml has 2 errors"


def test_a_caret_stands_under_wide_letters_and_tabs() -> None:
    assert report('- {name: "日本", shel: a}\n').splitlines()[2] == "   |                  ^~~~"
    assert report("- {name: a,\tshel: a}\n").splitlines()[2] == "   |            \t^~~~"


def test_a_very_long_line_is_shown_around_the_place() -> None:
    lines = report("- {shell: " + "x" * 500 + ", shel: a}\n").splitlines()
    assert len(lines[1]) < 200
    place = lines[2].index("^")
    assert lines[1][place : place + 4] == "shel"


def test_nothing_of_a_file_reaches_the_terminal_as_a_control_character() -> None:
    text = '"\\e[31mred": 1\ncommands: [{shell: "${a.b} \x1b"}]\n'
    shown = report(text)
    assert "\x1b" not in shown


def test_problems_are_sorted_and_told_once() -> None:
    problems = Problems("wf")
    second, first = Span(2, 1, 2, 2), Span(1, 5, 1, 6)
    problems.warning("empty-key", "b", second)
    problems.error("unknown-key", "a", second)
    problems.note("mode-implied", "c", first)
    problems.error("unknown-key", "a", second)
    assert [problem.message for problem in problems.sorted()] == ["c", "a", "b"]
    assert problems.invalid


def test_warnings_do_not_crowd_out_an_error() -> None:
    text = "commands:\n" + "- {shell: a, timeout_secs: 5}\n" * 2000 + "- {shel: a}\n"
    assert "unknown-key" in report(text)


@given(st.text(max_size=50), st.integers(1, 4), st.integers(1, 60), st.integers(0, 60))
def test_any_place_in_any_text_can_be_shown(text: str, line: int, column: int, width: int) -> None:
    problems = Problems("wf")
    problems.error("bad-value", "x", Span(line, column, line, column + width))
    assert render(problems.sorted(), {"wf": text}).startswith(f"wf:{line}:{column}: error[bad-value]: x")
