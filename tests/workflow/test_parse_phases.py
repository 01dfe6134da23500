"""Setup, reduce and merge, from every form to the model."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from prodigy.workflow.load import Loaded
from prodigy.workflow.model import Mark, PhaseOutput, StepList, Workflow

Load = Callable[[str], Loaded]
Codes = Callable[[str], list[str]]


def setup_of(loaded: Loaded) -> StepList:
    assert loaded.workflow.setup is not None
    return loaded.workflow.setup


def test_a_phase_is_a_list_or_a_mapping_around_one(load: Load) -> None:
    workflow = load(
        "setup: {steps: [shell: a], timeout: 5m, auto_commit: false, env: {A: b}}\n"
        "merge: {commands: [shell: c], timeout: 1m, target: release}\n"
        "commands: [shell: b]\n"
    ).workflow
    setup, merge = workflow.setup, workflow.merge
    assert setup is not None
    assert merge is not None
    assert (setup.timeout, setup.steps[0].auto_commit) == (300.0, False)
    assert [variable.name for variable in setup.environment.variables] == ["A"]
    assert (merge.timeout, merge.target, len(merge.steps)) == (60.0, "release", 1)


@pytest.mark.parametrize("given", ["[shell: a]", "{shell: a}", "{commands: {shell: a}}", "[[{shell: a}]]"])
@pytest.mark.parametrize("phase", ["setup", "merge"])
def test_every_shape_of_steps(load: Load, phase: str, given: str) -> None:
    steps: StepList = getattr(load(f"{phase}: {given}\ncommands: [shell: b]").workflow, phase)
    assert [step.text for step in steps.steps] == ["a"]


def test_a_merge_has_half_an_hour(load: Load) -> None:
    def timeout(merge: str) -> Any:
        found = load(f"commands: [shell: a]\nmerge: {merge}").workflow.merge
        assert found is not None
        return found.timeout

    assert timeout("[shell: b]") == timeout("{commands: [shell: b]}") == 1800.0
    assert timeout("{commands: [shell: b], timeout: none}") is None


def test_steps_around_the_phases(load: Load) -> None:
    workflow: Workflow = load(
        "commands: [shell: a]\nverify: {shell: v}\non_failure: [shell: f]\non_success: [shell: s, shell: t]"
    ).workflow
    found = [
        [step.text for step in steps] for steps in (workflow.verify, workflow.on_failure, workflow.on_success)
    ]
    assert found == [["v"], ["f"], ["s", "t"]]


# -- values for later phases ---------------------------------------------------------------------------------------
STEPS = "[{id: v, shell: a}, {name: second one, shell: b}]"


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ("{n: 1}", PhaseOutput(name="n", step=1)),
        ("{n: v}", PhaseOutput(name="n", step="v")),
        ("{n: second one}", PhaseOutput(name="n", step="second one")),
        ("[v]", PhaseOutput(name="v", step="v")),
        ("{n: {command_index: 0}}", PhaseOutput(name="n", step=0)),
        ("{n: {step: v, source: combined, pattern: 'v(.*)', format: text, max_size: 2KiB}}",
         PhaseOutput(name="n", step="v", source="both", pattern="v(.*)", max_size=2048)),
        ("{n: {step: v, json_path: $.a, format: json, default: ~, multiline: first_line}}",
         PhaseOutput(name="n", step="v", json_path="$.a", format="json", has_default=True, multiline="first_line")),
        ("{n: {step: v, default: {a: [1]}}}",
         PhaseOutput(name="n", step="v", default={"a": [1]}, has_default=True)),
    ],
)  # fmt: skip
def test_every_form_of_an_output(load: Load, given: str, output: PhaseOutput) -> None:
    loaded = load(f"setup: {{commands: {STEPS}, capture_outputs: {given}}}\ncommands: [shell: c]")
    (found,) = setup_of(loaded).outputs
    assert [problem.code for problem in loaded.problems] == ["unused-capture"]
    assert structs.replace(found, mark=Mark()) == output


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("{n: 2}", "bad-reference"),
        ("{n: w}", "bad-reference"),
        ("[w]", "bad-reference"),
        ("{n: ~}", "empty-key"),
        ("{1n: v}", "bad-value"),
        ("{n: {source: stdout}}", "missing-key"),
        ("{n: {stpe: v}}", "unknown-key"),
        ("{n: {step: v, source: output}}", "bad-enum"),
        ("{n: {step: v, pattern: '('}}", "bad-regex"),
        ("{n: {step: v, json_path: '$['}}", "bad-jsonpath"),
        ("{n: {step: v, max_size: big}}", "bad-size"),
        ("{n: {step: v, multiline: all}}", "bad-enum"),
        ("n", "wrong-type"),
    ],
)
def test_what_is_wrong_with_an_output(codes: Codes, given: str, code: str) -> None:
    text = f"setup:\n  commands: {STEPS}\n  capture_outputs: {given}\ncommands: [shell: c]"
    (found,) = [problem for problem in codes(text) if not problem.endswith("unused-capture")]
    assert found.startswith("3:")
    assert found.endswith(code)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("setup: {timeout: 5}", ["1:1 missing-key"]),
        ("setup: {shel: a}", ["1:9 unknown-key"]),
        ("setup: {comands: [shell: a]}", ["1:9 unknown-key"]),
        ("setup: {commands: [shell: a], capture_output: {n: 0}}", ["1:31 unknown-key"]),
        ("merge: {commands: [shell: a], target: ''}", ["1:39 bad-value"]),
        ("merge: {commands: [shell: a], capture_outputs: {n: 0}}", ["1:31 unknown-key"]),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(codes: Codes, text: str, found: list[str]) -> None:
    assert codes(f"{text}\ncommands: [shell: b]") == found
