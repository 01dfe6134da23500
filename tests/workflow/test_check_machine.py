"""What a workflow needs of the machine: warnings about what is missing."""

from collections.abc import Mapping

import pytest

from prodigy.workflow.check_machine import check_machine
from prodigy.workflow.load import load_workflow
from prodigy.workflow.problems import Problems


def found(text: str, environ: Mapping[str, str] | None = None, files: tuple[str, ...] = ()) -> list[str]:
    """``CODE@LINE:COLUMN`` of everything that is missing."""
    loaded = load_workflow(f"{{commands: [{{shell: ls}}]\n,{text}}}".encode(), "w.yml")
    problems = Problems("w.yml")
    check_machine(
        loaded.workflow, loaded.texts, problems, environ=environ or {}, is_file=lambda path: path in files
    )
    assert all(found.severity == "warning" or found.code == "profile-unknown" for found in problems.sorted())
    return [f"{found.code}@{found.mark.line}:{found.mark.column}" for found in problems.sorted()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env: {A: '${NOPE}'}", ["unset-environment@2:14"]),
        ("env: {A: '${env.NOPE}'}", ["unset-environment@2:18"]),
        ("env: {A: '${NOPE:-x}'}", []),
        ("env: {A: '${B}', B: 1}", []),
        ("env: {A: '${branch}'}", []),
        ("{env: {A: '${P}'}, defaults: {P: 1}}"[1:-1], []),
        ("env: {A: {provider: env, key: NOPE}}", ["secret-missing@2:32"]),
        ("env: {A: {provider: env, key: NOPE, secret: false}}", ["unset-environment@2:32"]),
        ("secrets: {A: '${NOPE}'}", ["secret-missing@2:18"]),
        ("secrets: {A: {provider: file, key: k.txt}}", ["secret-missing@2:37"]),
        ("secrets: {A: {command: cat k}}", []),
        ("env_files: [a.env, {path: b.env}, {path: c.env, required: true}, {path: d.env, required: false}]",
         ["env-file-missing@2:14", "env-file-missing@2:28", "env-file-missing@2:43"]),
    ],
)  # fmt: skip
def test_what_is_missing(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_nothing_is_missing_where_all_is_there() -> None:
    text = "secrets: {A: '${TOKEN}', B: {provider: file, key: k}}, env_files: [e], env: {C: '${D}'}"
    assert found(text, {"TOKEN": "t", "D": "d"}, ("k", "e")) == []


def test_a_file_that_is_there_may_hold_what_is_not_set() -> None:
    text = "env_files: [e], env: {A: '${B}'}"
    assert found(text, files=("e",)) == []
    assert found(text) == ["env-file-missing@2:14", "unset-environment@2:30"]


def test_only_the_profile_in_force_counts() -> None:
    text = "env: {A: {default: 1, prod: '${NOPE}'}}"
    assert found(text) == []
    assert found(text, {"PRODIGY_PROFILE": "prod"}) == ["unset-environment@2:33"]
    assert found(text, {"PRODIGY_PROFILE": "live"}) == ["profile-unknown@1:1"]


def test_a_profile_that_is_nowhere() -> None:
    assert found("active_profile: live, env: {A: {default: 1, prod: 2}}") == ["profile-unknown@2:18"]


def test_secrets_of_steps_count_too() -> None:
    text = "{commands: [{shell: ls, env: {A: {provider: env, key: NOPE}}}]}"
    loaded = load_workflow(text.encode(), "w.yml")
    problems = Problems("w.yml")
    check_machine(loaded.workflow, loaded.texts, problems, environ={}, is_file=lambda _: False)
    assert [problem.code for problem in problems.sorted()] == ["secret-missing"]
