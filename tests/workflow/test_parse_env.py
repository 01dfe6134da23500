"""Reading variables: every way to give a value, and what is wrong with the others."""

from collections.abc import Callable

import pytest

from prodigy.workflow.load import Loaded
from prodigy.workflow.model import EnvFile, EnvValue, EnvVar, Expr, Mark
from prodigy.workflow.problems import Problem

STEPS = "\ncommands: [{shell: 'true'}]\n"
Load = Callable[[str], Loaded]
Codes = Callable[[str], list[str]]


def bare(value: EnvValue) -> EnvValue:
    """A value without its place."""
    condition = None if value.condition is None else Expr(value.condition.source)
    return EnvValue(
        kind=value.kind,
        text=value.text,
        cache=value.cache,
        timeout=value.timeout,
        condition=condition,
        when_true=value.when_true,
        when_false=value.when_false,
    )


def values(variable: EnvVar) -> dict[str, EnvValue]:
    return {profile: bare(value) for profile, value in variable.values.items()}


ENV = [
    ("1.10", {"": EnvValue(text="1.10")}, False),
    ("true", {"": EnvValue(text="true")}, False),
    ("'${A}-$B'", {"": EnvValue(text="${A}-$B")}, False),
    ("{value: 0644}", {"": EnvValue(text="0644")}, False),
    ("{value: '${X}', secret: true}", {"": EnvValue(kind="env", text="X")}, True),
    ("{value: '$X', secret: true}", {"": EnvValue(kind="env", text="X")}, True),
    ("{value: 'a-${X}', secret: true}", {"": EnvValue(text="a-${X}")}, True),
    ("{default: dev, prod: live}", {"": EnvValue(text="dev"), "prod": EnvValue(text="live")}, False),
    ("{prod: {value: x}}", {"prod": EnvValue(text="x")}, False),
    ("{prod: {provider: env, key: X}}", {"prod": EnvValue(kind="env", text="X")}, True),
    (
        "{default: '${A}', prod: {command: pass}, secret: true}",
        {"": EnvValue(kind="env", text="A"), "prod": EnvValue(kind="command", text="pass")},
        True,
    ),
    ("{command: nproc}", {"": EnvValue(kind="command", text="nproc")}, False),
    (
        "{command: date, cache: false, timeout: 1m}",
        {"": EnvValue(kind="command", text="date", cache=False, timeout=60.0)},
        False,
    ),
    (
        "{condition: A == 'x', when_true: y, when_false: n}",
        {"": EnvValue(kind="condition", condition=Expr("A == 'x'"), when_true="y", when_false="n")},
        False,
    ),
    ("{provider: file, key: k.pem}", {"": EnvValue(kind="file", text="k.pem")}, True),
    ("{provider: env, key: X, secret: false}", {"": EnvValue(kind="env", text="X")}, False),
    ("{provider: command, key: pass x}", {"": EnvValue(kind="command", text="pass x")}, True),
]


@pytest.mark.parametrize(("written", "expected", "secret"), ENV)
def test_values_of_env(load: Load, written: str, expected: dict[str, EnvValue], secret: bool) -> None:
    [variable] = load(f"env: {{X_1: {written}}}{STEPS}").workflow.environment.variables
    assert (variable.name, values(variable), variable.secret) == ("X_1", expected, secret)


SECRETS = [
    ("MY_X", {"": EnvValue(kind="env", text="MY_X")}),
    ("'$MY_X'", {"": EnvValue(kind="env", text="MY_X")}),
    ("'${MY_X}'", {"": EnvValue(kind="env", text="MY_X")}),
    ("'${env:MY_X}'", {"": EnvValue(kind="env", text="MY_X")}),
    ("'p@ss word'", {"": EnvValue(kind="literal", text="p@ss word")}),
    ("{value: word}", {"": EnvValue(kind="literal", text="word")}),
    ("{default: A, prod: B}", {"": EnvValue(kind="env", text="A"), "prod": EnvValue(kind="env", text="B")}),
    ("{provider: file, key: ~/k}", {"": EnvValue(kind="file", text="~/k")}),
]


@pytest.mark.parametrize(("written", "expected"), SECRETS)
def test_values_of_secrets(load: Load, written: str, expected: dict[str, EnvValue]) -> None:
    loaded = load(f"secrets: {{S: {written}}}{STEPS}")
    [variable] = loaded.workflow.environment.secrets
    assert (variable.secret, values(variable)) == (True, expected)
    literal = any(value.kind == "literal" for value in expected.values())
    assert ("secret-in-text" in {problem.code for problem in loaded.problems}) is literal


def test_env_files(load: Load) -> None:
    text = f"env_files: [.env, {{path: b.env, required: true}}, {{path: c.env, required: false}}]{STEPS}"
    assert load(text).workflow.environment.files == (
        EnvFile(path=".env", mark=Mark("wf.yml", 1, 13)),
        EnvFile(path="b.env", required=True, explicit=True, mark=Mark("wf.yml", 1, 19)),
        EnvFile(path="c.env", required=False, explicit=True, mark=Mark("wf.yml", 1, 50)),
    )


def test_profiles_are_flat_or_nested(load: Load) -> None:
    text = f"""
profiles:
  flat: {{A: 1, B: {{command: x}}, env: text, description: words}}
  nested: {{env: {{A: 1}}, secrets: {{S: X}}, env_files: [p.env], description: more}}
  empty:
active_profile: flat{STEPS}"""
    flow = load(text).workflow
    flat, nested, empty = flow.profiles
    assert flow.active_profile == "flat"
    assert [variable.name for variable in flat.environment.variables] == ["A", "B", "env"]
    assert (flat.description, nested.description) == ("words", "more")
    assert [variable.name for variable in nested.environment.variables] == ["A"]
    assert [variable.name for variable in nested.environment.secrets] == ["S"]
    assert [file.path for file in nested.environment.files] == ["p.env"]
    assert empty.environment.variables == ()


def test_phases_and_steps_have_layers_of_their_own(load: Load) -> None:
    text = """
setup: {commands: [{shell: 'true'}], env: {A: 1}}
map: {input: [1], agent_template: [{shell: 'true', env: {B: 2}, clear_env: true}], env: {C: 3}}
"""
    flow = load(text).workflow
    assert flow.setup is not None
    assert flow.map is not None
    [step] = flow.map.agent_template
    assert step.environment is not None
    assert step.clear_env
    layers = flow.setup.environment, step.environment, flow.map.environment
    assert [variable.name for layer in layers for variable in layer.variables] == ["A", "B", "C"]


PROBLEMS = [
    ("env: {1A: x}", "1:7 bad-value"),
    ("env: {a-b: x}", "1:7 bad-value"),
    ("env: {PRODIGY_PHASE: x}", "1:7 reserved-name"),
    ('env: {A: "x\\0y"}', "1:10 bad-value"),
    ("env: {A: [1]}", "1:10 wrong-type"),
    ("env: [A]", "1:6 wrong-type"),
    ("env: {A: {}}", "1:7 missing-key"),
    ("env: {A: {value: 1, command: x}}", "1:21 conflicting-keys"),
    ("env: {A: {value: 1, prod: x}}", "1:11 conflicting-keys"),
    ("env: {A: {prod: {value: 1, command: x}}}", "1:11 conflicting-keys"),
    ("env: {A: {prod: {secret: true}}}", "1:11 missing-key"),
    ("env: {A: {condition: 'a =', when_true: x}}", None),
    ("env: {A: {condition: a}}", "1:11 missing-key"),
    ("env: {A: {command: x, timeout: soon}}", "1:32 bad-duration"),
    ("env: {A: {command: x, cache: maybe}}", "1:30 wrong-type"),
    ("env: {A: {provider: env}}", "1:11 missing-key"),
    ("secrets: {A: {provider: vault, key: x}}", "1:25 provider-unknown"),
    ("secrets: {A: {provider: {custom: x}, key: x}}", "1:25 provider-unknown"),
    ("env_files: [{required: true}]", "1:13 missing-key"),
    ("env_files: [{path: x, requird: true}]", "1:23 unknown-key"),
    ("profiles: {p: 3}", "1:15 wrong-type"),
    ("profiles: {p: {env: {A: 1}, B: 2}}", "1:29 unknown-key"),
]


@pytest.mark.parametrize(("written", "expected"), PROBLEMS)
def test_problems(
    problems_of: Callable[[str], tuple[Problem, ...]], written: str, expected: str | None
) -> None:
    errors = [
        f"{problem.mark.line}:{problem.mark.column} {problem.code}"
        for problem in problems_of(written + STEPS)
        if problem.severity == "error"
    ]
    if expected is None:
        assert [error.split()[1] for error in errors] == ["bad-expression"]
    else:
        assert errors == [expected]


WARNINGS = [
    ("env: {A: }", "1:7 empty-key"),
    ("env: {A: {value: 1, cache: true}}", "1:21 no-effect"),
    ("env: {A: {command: x, when_true: 1}}", "1:23 no-effect"),
    ("env: {A: {provider: env, key: X, version: 2, secret: false}}", "1:34 no-effect"),
]


@pytest.mark.parametrize(("written", "expected"), WARNINGS)
def test_warnings(codes: Codes, written: str, expected: str) -> None:
    assert expected in codes(written + STEPS)


def test_unknown_providers_are_told_what_to_write(
    problems_of: Callable[[str], tuple[Problem, ...]],
) -> None:
    [problem] = [
        found
        for found in problems_of(f"secrets: {{A: {{provider: vault, key: x}}}}{STEPS}")
        if found.code == "provider-unknown"
    ]
    assert "vault kv get" in problem.hints[0]
