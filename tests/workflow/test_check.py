from collections.abc import Callable
from typing import Any

import pytest

Problems = Callable[[str], tuple[Any, ...]]


def shown(problems: tuple[Any, ...]) -> list[str]:
    return [
        f"{problem.mark.line}:{problem.mark.column} {problem.code} {problem.message}" for problem in problems
    ]


def of_script(problems_of: Problems, script: str) -> list[str]:
    """Codes for a script as the second step of an agent."""
    indented = script.replace("\n", "\n      ")
    return [problem.code for problem in problems_of(
        "mode: mapreduce\nmap:\n  input: [1]\n  agent_template:\n  - {shell: a, id: one}\n"
        f"  - shell: |\n      {indented}\n"
    )]  # fmt: skip


@pytest.mark.parametrize(
    "script",
    [
        "echo ${item.x} ${item} ${item_id} ${item_index} ${item_total} ${agent.id} ${agent.attempt} ${agent.branch}",
        "echo ${shell.output} ${last.exit_code} ${one.stdout} ${one.success} ${step.name} ${step.attempt}",
        "echo ${workflow.name} ${workflow.started_at} ${job_id} ${session_id} ${branch} ${PROJECT_ROOT}",
        "for f in a b; do echo ${f} ${f%.py}; done; read -r line; echo ${line}; x=1 echo ${x} ${y:=2}",
        "echo ${HOME} ${PATH:-x} ${LC_ALL} ${PRODIGY_ITEM_ID} ${undefined:-x} ${undefined+x}",
        ". ./env.sh; echo ${ANYTHING}",
        "arr=(a b); echo ${arr[0]} ${arr[@]}",
        "node -e 'console.log(`${user.name} ${map.total}`)' | cat <<'EOF'\n${other.thing}\nEOF",
        "# ${nonsense.x} in a comment",
        "echo \\${nonsense.x} ${{ nonsense.x }}",
    ],
)
def test_what_is_fine_is_not_mentioned(problems_of: Problems, script: str) -> None:
    assert of_script(problems_of, script) == []


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ("echo ${itm.x}", ["undefined-variable"]),
        ("echo ${items}", ["undefined-variable"]),
        ("echo ${one.stdot}", ["undefined-variable"]),
        ("echo ${map.total}", ["undefined-variable"]),
        ("echo ${error.message}", ["undefined-variable"]),
        ("echo ${error}", ["undefined-variable"]),
        ("echo ${foo.bar} ${foo[0]} ${foo:lines}", ["undefined-variable"] * 3),
        ("echo ${NOT_SET}", ["maybe-undefined"]),
        ("echo ${item.x%.py}", ["bad-reference"]),
        ("echo ${item.x:upercase} ${item.x | uper}", ["unknown-modifier"] * 2),
        ("echo $'${item.x}'", ["bad-reference"]),
        ("echo `echo \\`echo ${item.x}\\``", ["bad-reference"]),
        ("echo ${env:HOME} ${date:%Y} ${count:map.results[*]} ${env.HOME} ${claude.output}",
         ["not-yet-supported"] * 5),
        ('sh -c "echo ${item.x}"', ["nested-shell"]),
        ("bash -euc 'echo ${item.x}' x", ["nested-shell"]),
        ("eval echo ${item.x}; ssh host rm ${item.x}; xargs sh -c 'a ${item.x}'", ["nested-shell"] * 3),
        ("sh -c 'echo \"$1\"' sh ${item.x}", []),
        ("for w in ${shell.output}; do :; done", ["shell-word-split"]),
        ("for w in ${shell.output:words} ${item.files}; do :; done", []),
        ("echo '$item'", ["single-quoted-variable"]),
        ("echo '$ARG'", []),
        ("echo ${item.x:raw}", ["raw-text"]),
    ],
)  # fmt: skip
def test_scripts_are_checked(problems_of: Problems, script: str, codes: list[str]) -> None:
    assert of_script(problems_of, script) == codes


def test_a_problem_points_at_the_reference_itself(problems_of: Problems) -> None:
    text = (
        "- shell: |\n    echo ${a.x}\n    echo ok ${a.x} ${b.y}\n"
        '- {shell: "echo \\"${c.z}\\" ${c.z}"}\n'
    )  # fmt: skip
    assert [(problem.mark.line, problem.mark.column, problem.end_column) for problem in problems_of(text)] == [
        (2, 10, 16), (3, 13, 19), (3, 20, 26), (4, 19, 25), (4, 28, 34),
    ]  # fmt: skip


def test_names_say_where_they_are_known(problems_of: Problems) -> None:
    text = (
        "mode: mapreduce\nsetup: [{shell: '${item.x}', id: s}]\n"
        "map: {input: '${map.total} ', agent_template: [{shell: '${map.total} ${r.output} '}]}\n"
        "reduce: [{shell: '${item.x}', id: r}, {shell: '${r.output} ${error.message} ${r.outptu}'}]\n"
    )
    assert [(problem.message, problem.hints) for problem in problems_of(text)] == [
        ("`item.x` is not defined in setup", ("`item` is known in agents only",)),
        ("`map.total` is not defined in `map.input`", ("`map` is known in reduce only",)),
        ("`map.total` is not defined in agents", ("`map` is known in reduce only",)),
        ("`r.output` is not defined", ("the step `r` has not run before this one in the same list",)),
        ("`item.x` is not defined in reduce", ("`item` is known in agents only",)),
        ("`error.message` is not defined in reduce", ("`error` is known inside `on_failure` only",)),
        ("`r.outptu` is not defined", ("did you mean `r.output`?",)),
    ]  # fmt: skip


def test_handlers_know_the_failure_and_nothing_before_them_is_lost(problems_of: Problems) -> None:
    text = (
        "- {shell: a, id: one, on_failure: [{shell: 'echo ${error.message} ${shell.output} ${one.stderr}"
        " ${handler.attempt}', id: two}, {shell: 'echo ${two.output}'}]}\n"
        "- {shell: 'echo ${two.output} ${last.output}'}\n"
    )
    assert problems_of(text) == ()


def test_the_first_step_has_no_last_one(problems_of: Problems) -> None:
    found = problems_of("- shell: echo ${shell.output} ${last.output:-none}\n- shell: echo ${shell.output}\n")
    assert shown(found) == ["1:15 undefined-variable `shell.output` is not defined here"]


def test_ids_are_unique_and_no_names_of_the_language(problems_of: Problems) -> None:
    text = (
        "- {shell: a, id: x}\n- {shell: a, id: item}\n- {shell: b, id: x}\n- {shell: c, id: test}\n"
        "- {shell: '${x.output} ${test.output}'}\n"
    )
    assert shown(problems_of(text)) == [
        "2:18 reserved-name `item` is a name of the language and cannot be an id",
        "3:18 bad-value the id `x` is used twice in this list",
        "4:18 overwrites-builtin the id `test` hides a variable of the same name",
    ]


def test_item_id_and_json_path_are_checked(problems_of: Problems) -> None:
    text = (
        'map:\n  input: [1]\n  json_path: "$.a[?(@.b ==)]"\n  item_id: "${itm.x} ${item.y} $nope ${x%y} ${agent.id}"\n'
        "  agent_template: [{shell: a}]\nmode: mapreduce\n"
    )
    assert [line.split(" `")[0] for line in shown(problems_of(text))] == [
        "3:27 bad-jsonpath",
        "4:13 undefined-variable",
        "4:32 maybe-undefined",
        "4:38 bad-reference",
        "4:45 undefined-variable",
    ]
    assert (
        problems_of('mode: mapreduce\nmap: {input: [1], item_id: "", agent_template: [shell: a]}')[0].code
        == "bad-value"
    )


@pytest.mark.parametrize(
    "given", ["'cat ${branch}'", "{command: 'cat ${x%y} ${job_id}'}", "{file: '${branch}/w.json'}"]
)
def test_an_input_may_use_what_every_phase_knows(problems_of: Problems, given: str) -> None:
    assert problems_of(f"mode: mapreduce\nmap: {{input: {given}, agent_template: [shell: a]}}") == ()


@pytest.mark.parametrize(
    "reference",
    [
        "${ARG}",
        "${ARG_2}",
        "${worker.id}",
        "${step.commits}",
        "${workflow.files_changed}",
        "${one.commits}",
        "${uuid}",
        "${env.HOME}",
    ],
)
def test_what_is_promised_and_not_built_is_refused(problems_of: Problems, reference: str) -> None:
    """A variable of the language that nothing fills yet is an error here, not an empty value at run time."""
    flow = f"- {{id: one, shell: a}}\n- shell: echo {reference}"
    assert [problem.code for problem in problems_of(flow)] == ["not-yet-supported"]
