"""Parameters, templates and other workflows, from file to checked workflow."""

from typing import Any

import pytest

from prodigy.workflow.compose import Document
from prodigy.workflow.load import load_workflow
from prodigy.workflow.model import Shell, Step, SubWorkflow, Text, Workflow
from prodigy.workflow.parameters import CliText
from prodigy.workflow.problems import WorkflowInvalid


class Shelf:
    """Files by name."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def find(self, reference, importer):
        text = self.files.get(reference.removeprefix("./"))
        return None if text is None else Document(reference.removeprefix("./"), text.encode())


def load(text: str, parameters: dict[str, Any] | None = None, **files: str) -> Workflow:
    shelf = Shelf({f"{name}.yml": content for name, content in files.items()})
    return load_workflow(text.encode(), "main.yml", library=shelf, parameters=parameters).workflow


def refused(text: str, parameters: dict[str, Any] | None = None, **files: str) -> list[str]:
    with pytest.raises(WorkflowInvalid) as caught:
        load(text, parameters, **files)
    return [
        f"{problem.mark} {problem.code}" for problem in caught.value.problems if problem.severity == "error"
    ]


def steps(workflow: Workflow) -> tuple[Step, ...]:
    assert workflow.steps is not None
    return workflow.steps.steps


# Parameters


@pytest.mark.parametrize(
    ("type_", "given", "value"),
    [
        ("any", CliText("3"), 3),
        ("any", CliText("1.5"), 1.5),
        ("any", CliText("true"), True),
        ("any", CliText("x y"), "x y"),
        ("any", CliText("[1]"), "[1]"),
        ("string", CliText("3"), "3"),
        ("String", CliText("true"), "true"),
        ("number", CliText("3"), 3),
        ("Integer", CliText("3"), 3),
        ("boolean", CliText("false"), False),
        ("array", CliText("[1, 2]"), [1, 2]),
        ("object", CliText('{"a": 1}'), {"a": 1}),
        ("integer", 3.0, 3.0),
        ("integer", "3", 3),
        ("number", "1.5", 1.5),
        ("boolean", "true", True),
        ("any", "3", "3"),
        ("string", "3", "3"),
        ("any", None, None),
    ],
)
def test_values_from_outside_become_what_the_type_wants(type_, given, value):
    text = f"parameters: {{p: {{type: {type_}}}}}\ncommands: [{{shell: 'echo ${{p}}'}}]"
    found = load(text, {"p": given}).parameters["p"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        ("integer", CliText("x")),
        ("integer", 1.5),
        ("integer", "three"),
        ("boolean", "yes"),
        ("number", True),
        ("boolean", CliText("3")),
        ("array", CliText("{}")),
        ("object", CliText("[")),
        ("string", 3),
    ],
)
def test_values_that_are_of_another_type(type_, given):
    text = f"parameters: {{p: {{type: {type_}}}}}\ncommands: [{{shell: 'echo ${{p}}'}}]"
    assert refused(text, {"p": given}) == ["main.yml:1:14 parameter-type"]


def test_a_value_comes_from_the_command_line_then_with_then_default_then_defaults():
    base = "parameters: {a: {default: 1}, b: {default: 1}, c: {default: 1}, d: {}}\ndefaults: {c: 0, d: 0, E: 0}\ncommands: [{shell: x}]"
    text = "template: {source: base.yml, with: {a: 2, b: 2}}"
    found = load(text, {"a": CliText("3")}, base=base).parameters
    assert found == {"a": 3, "b": 2, "c": 1, "d": 0, "E": 0}


def test_defaults_in_capitals_are_environment_variables_too():
    workflow = load("defaults: {LEVEL: low, quiet: 1}\nenv: {A: b}\ncommands: [{shell: 'echo $LEVEL'}]")
    assert [variable.name for variable in workflow.environment.variables] == ["LEVEL", "A"]


def test_what_is_missing_or_wrong_is_told_all_at_once():
    text = """\
parameters:
  required: [a, {name: b, type: number}, {name: c, validation: "length(value) > 2"}]
  optional: [{name: d, type: color}, {name: item}]
commands: [{shell: "echo ${a} ${b} ${c} ${d}"}]
"""
    assert refused(text, {"c": CliText("x"), "aa": 1}) == [
        "main.yml:2:14 parameter-invalid",  # there is no `aa`
        "main.yml:2:14 parameter-missing",
        "main.yml:2:24 parameter-missing",
        "main.yml:2:49 parameter-invalid",
        "main.yml:3:30 bad-enum",
        "main.yml:3:45 reserved-name",
    ]


def test_nothing_is_missing_while_nobody_knows_the_values():
    text = "parameters: {required: [a]}\ncommands: [{shell: 'echo ${a}'}]"
    assert load(text).parameters == {"a": None}
    assert refused(text, {}) == ["main.yml:1:25 parameter-missing"]


def test_a_definition_says_more_of_a_name_in_required():
    text = "parameters: {required: [a], definitions: {a: {type: number}}}\ncommands: [{shell: 'echo ${a}'}]"
    assert refused(text, {}) == ["main.yml:1:25 parameter-missing"]
    assert refused(text, {"a": CliText("x")}) == ["main.yml:1:25 parameter-type"]


# Templates of steps

GREET = "templates: {greet: {parameters: [who, {name: how, default: hi}], commands: [{shell: 'echo ${how} ${who}'}]}}\n"


def test_a_use_stands_for_the_steps_with_values_of_their_own():
    workflow = load(
        GREET
        + "commands:\n  - {template: greet, with: {who: '${job_id}'}}\n  - {use: greet, with: {who: [1]}}"
    )
    first, second = steps(workflow)
    assert first.action.text == second.action.text == "echo ${how} ${who}"
    assert [(local.name, local.text and local.text.source, local.data) for local in first.locals] == [
        ("who", "${job_id}", None),
        ("how", None, "hi"),
    ]
    assert isinstance(first.locals[0].text, Text)
    assert str(first.locals[0].text.mark) == "main.yml:3:35"
    assert second.locals[0].data == [1]


def test_templates_are_used_wherever_steps_stand():
    workflow = load(
        GREET
        + """\
commands:
  - shell: a
    on_failure: {template: greet, with: {who: x}, max_attempts: 2}
  - foreach: [1]
    do: [{template: greet, with: {who: "${item}"}}]
"""
    )
    first, second = steps(workflow)
    assert first.on_failure is not None
    assert first.on_failure.max_attempts == 2
    assert [step.locals[0].name for step in (*first.on_failure.steps, *second.action.steps)] == ["who", "who"]  # type: ignore[union-attr]


def test_templates_come_from_imports():
    files = {"lib": GREET}
    assert len(steps(load("imports: [lib.yml]\ncommands: [{use: greet, with: {who: a}}]", **files))) == 1
    aliased = "imports: [{path: lib.yml, alias: lib}]\ncommands: [{use: lib.greet, with: {who: a}}]"
    assert len(steps(load(aliased, **files))) == 1


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("{use: gret}", ["main.yml:2:18 template-not-found"]),
        ("{use: greet}", ["main.yml:2:18 parameter-missing"]),
        ("{use: greet, with: {who: a, hwo: b}}", ["main.yml:2:40 parameter-invalid"]),
        ("{use: greet, with: [a]}", ["main.yml:2:31 wrong-type"]),
        ("{use: greet, with: {who: a}, timeout: 3}", ["main.yml:2:41 conflicting-keys"]),
        ("{use: greet, with: {who: '${nobody}'}}", ["main.yml:2:38 undefined-variable"]),
    ],
)
def test_uses_that_are_wrong(step, found):
    assert refused(GREET + f"commands: [{step}]") == found


def test_a_template_cannot_use_itself():
    text = "templates: {a: [{use: b}], b: [{use: a}]}\ncommands: [{use: a}]"
    assert refused(text) == ["main.yml:1:38 import-cycle"]


def test_templates_do_not_make_steps_without_end():
    lines = ["templates:", "  t0: [{shell: a}]"]
    lines += [f"  t{n}: [{', '.join(f'{{use: t{n - 1}}}' for _ in range(10))}]" for n in range(1, 9)]
    assert "yaml-limit" in {line.split()[1] for line in refused("\n".join([*lines, "commands: [{use: t8}]"]))}


# Other workflows


def test_other_workflows_run_before_the_steps():
    workflow = load(
        """\
workflows:
  build: {source: build.yml, parameters: {level: 2}, inputs: {who: "${job_id}"}, outputs: [version], timeout: 9}
  tidy: {source: tidy.yml, continue_on_error: true, working_dir: docs}
commands: [{shell: "echo ${build.version}"}]
""",
        build="parameters: {level: {default: 1}, who: {}}\nenv: {A: b}\nsetup: [{shell: s}]\ncommands: [{shell: 'echo ${level} ${who}', capture: version}]",
        tidy="- shell: tidy\n- {shell: here, working_dir: src}",
    )
    build, tidy, own = steps(workflow)
    assert isinstance(build.action, SubWorkflow)
    assert [step.action.text for step in build.action.steps] == ["s", "echo ${level} ${who}"]
    assert build.action.parameters["level"] == 2
    assert build.action.inputs["who"].source == "${job_id}"
    assert build.action.outputs == ("version",)
    assert [variable.name for variable in build.action.environment.variables] == ["A"]
    assert (build.id, build.timeout, build.on_failure) == ("build", 9.0, None)
    assert tidy.on_failure is not None
    assert not tidy.on_failure.fail_workflow
    assert isinstance(tidy.action, SubWorkflow)
    assert [step.working_dir and step.working_dir.source for step in tidy.action.steps] == ["docs", "src"]
    assert isinstance(own.action, Shell)


CHILD = """\
parameters: {who: {type: string, required: true}, n: {type: number, default: 1}}
commands: [{shell: "echo ${who} ${n}"}]
"""


def test_parameters_of_another_workflow_may_be_our_own():
    text = """\
parameters: {env: {required: true}, level: {type: number, default: 3}}
workflows: {kid: {source: kid.yml, parameters: {who: "to ${env}", n: "${level}"}}}
"""
    (kid,) = steps(load(text, kid=CHILD, parameters={"env": "prod"}))
    assert isinstance(kid.action, SubWorkflow)
    assert kid.action.parameters == {"who": "to prod", "n": 3}
    (unknown,) = steps(load(text, kid=CHILD))
    assert isinstance(unknown.action, SubWorkflow)


def test_a_workflow_may_consist_of_others():
    assert len(steps(load("workflows: {a: {source: a.yml}}", a="- shell: x"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "workflows: {main: {commands: [{shell: a}], timeout: 3}, other: {commands: [{shell: b}]}}",
        "workflows: {only: {steps: [{shell: a}], timeout: 3}}",
        "workflows: {base: {timeout: 3}, main: {extends: base, commands: [{shell: a}]}}",
        "workflows: [{name: main, extends: ./base.yml, commands: [{shell: a}]}]",
    ],
)
def test_a_file_without_steps_is_its_main_fragment(text):
    workflow = load(text, base="timeout: 3")
    assert [step.action.text for step in steps(workflow)] == ["a"]
    assert workflow.timeout == 3.0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("workflows: {a: {commands: [{shell: a}]}, b: {commands: [{shell: a}]}}", "no-steps"),
        ("workflows: {a: {source: nowhere.yml}}", "import-not-found"),
        ("workflows: {a: {source: other.yml, parallel: true}}", "not-yet-supported"),
        ("workflows: {a: {sauce: other.yml}}", "unknown-key"),
        ("workflows: {a: {source: other.yml, parameters: {p: 'x ${job_id}'}}}", "bad-reference"),
        ("workflows: {a: {source: mr.yml}}", "wrong-type"),
        ("workflows: {a: {source: main.yml}}", "import-cycle"),
        ("workflows: {a: 3}", "wrong-type"),
        ("workflows: [{source: other.yml}]", "missing-key"),
        ("workflows: 3", "wrong-type"),
    ],
)
def test_other_workflows_that_cannot_run(text, code):
    files = {
        "other": "- shell: a",
        "mr": "map: {input: [1], agent_template: [{shell: a}]}",
        "main": "workflows: {a: {source: main.yml}}",
    }
    assert code in {line.split()[1] for line in refused(text, **files)}


def test_problems_in_another_file_show_its_line():
    with pytest.raises(WorkflowInvalid) as caught:
        load("imports: [lib.yml]\ncommands: [{shell: a}]", lib="env: {A: b}\ncommands:\n  - {shel: b}")
    assert "lib.yml:3:6: error[unknown-key]" in caught.value.report()
    assert " 3 |   - {shel: b}" in caught.value.report()
