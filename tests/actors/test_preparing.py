"""The environment of a run, with real files and commands; nothing of it is left to be found out later."""

from pathlib import Path
from typing import Any

import pytest

from prodigy.actors.preparing import Prepared, prepare
from prodigy.errors import ProdigyError
from prodigy.workflow.load import load_workflow

PROCESS = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "MY_TOKEN": "tok-12345", "EXTRA": "x"}
STEPS = "\ncommands: [{shell: 'true'}]"


async def prepared(folder: Path, text: str, **options: Any) -> Prepared:
    workflow = load_workflow(
        (text + ("" if "\ncommands:" in f"\n{text}" or "map:" in text else STEPS)).encode(), "wf.yml"
    )
    return await prepare(workflow.workflow, repository=folder, inherited=PROCESS, **options)


async def problem(folder: Path, text: str, **options: Any) -> ProdigyError:
    with pytest.raises(ProdigyError) as caught:
        await prepared(folder, text, **options)
    return caught.value


async def test_the_example_of_the_reference(tmp_path: Path) -> None:
    text = """
env:
  TIER: {default: dev, prod: live}
  CORES: {command: "echo 3", cache: true}
  TOKEN: {secret: true, value: "${MY_TOKEN}"}
  LEVEL: {condition: "env.CI == 'true'", when_true: error, when_false: debug}
env_files: [{path: .env.local, required: false}]
"""
    found = await prepared(tmp_path, text, profile="prod")
    assert found.run.values == {"TIER": "live", "CORES": "3", "TOKEN": "tok-12345", "LEVEL": "debug"}
    assert found.secrets("steps") == ("TOKEN",)
    assert found.masker.text("k=tok-12345") == "k=***"
    assert found.warnings == ()


async def test_time_and_chance_are_the_same_when_a_run_goes_on(tmp_path: Path) -> None:
    text = "env: {YEAR: '${date:%Y}', NAMED: '${uuid}-${date:%j}', AGAIN: '${NAMED}'}"
    found = await prepared(tmp_path, text)
    assert found.run.values["YEAR"].isdecimal()
    assert len(found.run.values["NAMED"].rpartition("-")[0]) == 36
    assert found.run.values["AGAIN"] == found.run.values["NAMED"]
    again = await prepared(tmp_path, text, computed=found.computed)
    assert again.run.values == found.run.values
    assert (await prepared(tmp_path, text)).run.values["NAMED"] != found.run.values["NAMED"]


async def test_env_files_lie_below_env_and_later_ones_above_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("export A=1 # one\nB='two $A'\nC=\"x\ny\"\nD\n")
    (tmp_path / "more.env").write_text("A=2\n")
    found = await prepared(tmp_path, "env_files: [.env, more.env, none.env]\nenv: {E: '$A-${B}'}")
    assert found.run.values == {"A": "2", "B": "two $A", "C": "x\ny", "E": "2-two $A"}
    assert found.warnings == ("wf.yml:1:29: there is no env file `none.env`",)


async def test_a_line_that_is_no_assignment_is_shown_with_its_place(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n\nB = 'open\nC=2\n")
    error = await problem(tmp_path, "env_files: [.env]")
    assert error.code == "env-file-invalid"
    assert error.where == f"{tmp_path}/.env:3"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("env_files: [{path: no.env, required: true}]", "env-file-missing"),
        ("secrets: {S: NOT_THERE}", "secret-missing"),
        ("secrets: {S: {provider: file, key: no.key}}", "secret-missing"),
        ("secrets: {S: {provider: command, key: 'exit 3'}}", "secret-missing"),
        ("secrets: {S: {provider: command, key: 'true'}}", "secret-missing"),
        ("secrets: {S: {value: abc}}", "bad-value"),
        ("env: {A: '$B', B: '$A'}", "env-cycle"),
        ("env: {A: {command: 'echo no >&2; exit 3'}}", "env-command-failed"),
        ("env: {A: {command: 'sleep 60', timeout: 100ms}}", "env-command-failed"),
        ("env: {A: {command: 'head -c 300000 /dev/zero | tr \"\\\\0\" x'}}", "env-command-failed"),
        ("active_profile: none", "profile-unknown"),
        ("commands: [{shell: 'true', env: {S: {secret: true, value: '${NOT_THERE}'}}}]", "secret-missing"),
    ],
)
async def test_what_cannot_be_had_is_said_before_the_run(tmp_path: Path, text: str, code: str) -> None:
    assert (await problem(tmp_path, text)).code == code


async def test_a_failed_command_says_why_and_a_secret_one_does_not(tmp_path: Path) -> None:
    plain = await problem(tmp_path, "env: {A: {command: 'echo no such thing >&2; exit 3'}}")
    assert plain.message == "`A` has no value: its command ended with exit code 3: no such thing"
    secret = await problem(tmp_path, "secrets: {A: {provider: command, key: 'echo tok-1 >&2; exit 3'}}")
    assert secret.message == "The secret `A` has no value: its command ended with exit code 3"


async def test_what_a_command_starts_ends_with_it(tmp_path: Path) -> None:
    found = await prepared(tmp_path, "env: {A: {command: 'sleep 300 >/dev/null 2>&1 & echo $!'}}")
    assert not Path(f"/proc/{found.run.values['A']}").exists()


async def test_phases_add_to_the_run_and_leave_its_secrets_alone(tmp_path: Path) -> None:
    text = """
env: {A: run, B: "${A}!"}
secrets: {S: MY_TOKEN}
setup: {commands: [{shell: 'true'}], env: {A: setup, C: "$A $B"}}
map: {input: [1], agent_template: [{shell: 'true'}], env: {D: "${item}", T: {provider: env, key: MY_TOKEN}}}
"""
    found = await prepared(tmp_path, text)
    assert found.run.values == {"A": "run", "B": "run!", "S": "tok-12345"}
    assert found.values("setup") == {"A": "setup", "C": "setup run!"}
    assert found.values("map") == {"T": "tok-12345"}
    assert [variable.name for variable in found.later("map")] == ["D"]
    assert found.secrets("map") == ("S", "T")
    assert found.secrets("setup") == ("S",)
    assert set(found.declared("map")) == {"A", "B", "S", "T", "D"}


async def test_a_phase_replaces_what_waits(tmp_path: Path) -> None:
    text = (
        "env: {NOW: {command: date, cache: false}}\nsetup: {commands: [{shell: 'true'}], env: {NOW: never}}"
    )
    found = await prepared(tmp_path, text)
    assert [variable.name for variable in found.later("steps")] == ["NOW"]
    assert found.later("setup") == ()
    assert found.values("setup") == {"NOW": "never"}


async def test_without_inheritance_only_the_base_set_is_left_but_secrets_are_found(tmp_path: Path) -> None:
    found = await prepared(tmp_path, "inherit: false\nsecrets: {S: MY_TOKEN}")
    assert found.inherited == {"PATH": "/usr/bin:/bin", "HOME": "/nowhere"}
    assert found.run.values == {"S": "tok-12345"}


async def test_secrets_of_steps_are_known_from_the_start(tmp_path: Path) -> None:
    text = "commands: [{shell: 'true', on_failure: {shell: x, env: {S: {provider: env, key: MY_TOKEN}}}}]"
    found = await prepared(tmp_path, text)
    assert found.run.values == {}
    assert found.masker.text("tok-12345") == "***"


async def test_a_profile_lies_above_env_and_may_have_files_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "prod.env").write_text("A=file\nB=file\n")
    text = """
env: {A: own, C: "$B"}
profiles:
  prod: {env: {D: "$A"}, env_files: [prod.env], secrets: {S: MY_TOKEN}}
  flat: {A: flat, description: all}
"""
    assert (await prepared(tmp_path, text, profile="flat")).run.values["A"] == "flat"
    found = await prepared(tmp_path, text, profile="prod")
    assert found.run.values == {"A": "file", "B": "file", "C": "file", "D": "file", "S": "tok-12345"}


async def test_commands_of_an_earlier_preparation_are_not_run_again(tmp_path: Path) -> None:
    text = "env: {A: {command: 'echo x >> ran; wc -l < ran'}, S: {command: 'echo secret-x', secret: true}}"
    first = await prepared(tmp_path, text)
    again = await prepared(tmp_path, text, computed=first.computed)
    assert first.run.values == again.run.values == {"A": "1", "S": "secret-x"}
    assert (tmp_path / "ran").read_text() == "x\n"
    assert "secret-x" not in str(first.computed)


async def test_too_large_an_environment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.env").write_text(f"BIG={'x' * 300_000}\n")
    assert (await problem(tmp_path, "env_files: [big.env]")).code == "bad-value"
