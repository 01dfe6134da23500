"""``prodigy validate``: what it says, in every form, and its exit code."""

import json
from typing import Any

import pytest

GOOD = "commands:\n  - shell: echo hi\n"
WARNED = "commands:\n  - shell: echo hi\n    timeout_secs: 4\n"
BAD = "commands:\n  - shel: echo hi\n"


@pytest.fixture
def files(desk: Any) -> Any:
    for name, text in (("good", GOOD), ("warned", WARNED), ("bad", BAD)):
        (desk.directory / f"{name}.yml").write_text(text)
    return desk


def test_a_valid_file(files: Any) -> None:
    said = files.call("validate", "good.yml")
    assert (said.code, said.out, said.err) == (0, "good.yml: valid\n", "")


def test_an_invalid_file_shows_the_place_and_a_way_out(files: Any) -> None:
    said = files.call("validate", "bad.yml")
    assert said.code == 2
    assert said.out == (
        "bad.yml:2:5: error[unknown-key]: unknown key `shel` in a step\n"
        " 2 |   - shel: echo hi\n"
        "   |     ^~~~\n"
        "   help: did you mean `shell`?\n"
        "bad.yml: invalid, 1 error\n"
    )


def test_no_suggestions(files: Any) -> None:
    said = files.call("validate", "bad.yml", "--no-suggest")
    assert said.code == 2
    assert "help:" not in said.out


def test_warnings_count_only_if_asked(files: Any) -> None:
    said = files.call("validate", "warned.yml")
    assert said.code == 0
    assert said.out.endswith("warned.yml: valid, 1 warning\n")
    strict = files.call("validate", "warned.yml", "--strict")
    assert strict.code == 2
    assert strict.out.endswith("warned.yml: invalid, 1 warning\n")


def test_several_files_are_all_checked(files: Any) -> None:
    said = files.call("validate", "bad.yml", "good.yml", "warned.yml")
    assert said.code == 2
    verdicts = [line for line in said.out.splitlines() if ": valid" in line or ": invalid" in line]
    assert verdicts == ["bad.yml: invalid, 1 error", "good.yml: valid", "warned.yml: valid, 1 warning"]


@pytest.mark.parametrize("flags", [("--json",), ("--format", "json")])
def test_one_document(files: Any, flags: tuple[str, ...]) -> None:
    said = files.call("validate", "bad.yml", "good.yml", *flags)
    assert said.code == 2
    assert json.loads(said.out) == {
        "schema": "prodigy.validate/1",
        "files": [
            {
                "path": str(files.directory / "bad.yml"),
                "valid": False,
                "problems": [
                    {
                        "code": "unknown-key",
                        "severity": "error",
                        "file": "bad.yml",
                        "line": 2,
                        "column": 5,
                        "end_column": 9,
                        "message": "unknown key `shel` in a step",
                        "hint": "did you mean `shell`?",
                    }
                ],
            },
            {"path": str(files.directory / "good.yml"), "valid": True, "problems": []},
        ],
    }


def test_a_name_under_workflows(files: Any) -> None:
    (files.directory / "workflows").mkdir()
    (files.directory / "workflows" / "tidy.yml").write_text(GOOD)
    assert files.call("validate", "tidy").out == "tidy: valid\n"


def test_a_file_that_is_not_there(files: Any) -> None:
    said = files.call("validate", "god.yml")
    assert said.code == 2
    assert "workflow-not-found" in said.err
    assert "did you mean `good.yml`" in said.err


def test_nothing_to_check(files: Any) -> None:
    said = files.call("validate")
    assert (said.code, said.out) == (2, "")
    assert "missing-argument" in said.err


def test_what_the_machine_lacks_is_a_warning(files: Any) -> None:
    (files.directory / "w.yml").write_text("secrets: {TOKEN: '${MY_TOKEN}'}\n" + GOOD)
    said = files.call("validate", "w.yml")
    assert said.code == 0
    assert "warning[secret-missing]" in said.out
    files.environ |= {"MY_TOKEN": "t"}
    assert files.call("validate", "w.yml").out == "w.yml: valid\n"


def test_problems_stand_in_the_order_of_the_file(files: Any) -> None:
    (files.directory / "w.yml").write_text(WARNED + "secrets: {TOKEN: '${MY_TOKEN}'}\ngraze: 4\n"[:32] + "\n")
    said = files.call("validate", "w.yml", "--json")
    assert [found["line"] for found in json.loads(said.out)["files"][0]["problems"]] == [3, 4]


def test_other_files_are_read_and_named(files: Any) -> None:
    (files.directory / "base.yml").write_text("timeout: soon\ncommands: [{shell: ls}]\n")
    (files.directory / "w.yml").write_text("extends: base.yml\n")
    said = files.call("validate", "w.yml")
    assert said.code == 2
    assert said.out.startswith("base.yml:1:10: error[bad-duration]")
    assert " 1 | timeout: soon" in said.out


PARAMETERS = (
    "parameters: {required: [{name: env, type: string, validation: \"in(['dev', 'prod'])\"}]}\n" + GOOD
)


def test_parameters_may_be_anything_until_they_are_given(files: Any) -> None:
    (files.directory / "p.yml").write_text(PARAMETERS)
    (files.directory / "values.yml").write_text("env: prod\n")
    (files.directory / "wrong.json").write_text('{"env": "qa"}')
    assert files.call("validate", "p.yml").code == 0
    assert files.call("validate", "p.yml", "--param", "env=dev").code == 0
    assert files.call("validate", "p.yml", "--param-file", "values.yml").code == 0
    assert "parameter-invalid" in files.call("validate", "p.yml", "--param", "env=qa").out
    assert "parameter-invalid" in files.call("validate", "p.yml", "--param-file", "wrong.json").out
    both = files.call("validate", "p.yml", "--param-file", "wrong.json", "--param", "env=dev")
    assert both.code == 0, "the command line wins"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--param", "env"), "`env` is no value for `--param`"),
        (("--param-file", "none.yml"), "none.yml"),
        (("--param-file", "good.yml", "--param-file", "list.yml"), "no mapping"),
        (("--param-file", "broken.yml"), "cannot be read"),
    ],
)
def test_values_that_cannot_be_read(files: Any, flags: tuple[str, ...], said: str) -> None:
    (files.directory / "list.yml").write_text("[1]")
    (files.directory / "broken.yml").write_text("{a: ")
    answer = files.call("validate", "good.yml", *flags)
    assert answer.code == 2
    assert "bad-value" in answer.err
    assert said in answer.err


CALLS = "- claude: /tidy up\n- claude: /review it\n- claude: look at /nothing\n- {shell: 'true', on_failure: {claude: /prodigy-lint}}\n"


def test_commands_of_claude_that_nobody_has_written(files: Any) -> None:
    """A misspelt one would only be text for Claude; its own commands and those of the user are known."""
    files.environ |= {"HOME": str(files.home)}
    (files.directory / "w.yml").write_text(CALLS)
    told = json.loads(files.call("validate", "w.yml", "--json").out)["files"][0]["problems"]
    assert [(found["severity"], found["line"], found["column"], found["hint"]) for found in told] == [
        ("warning", 1, 11, "write it into `.claude/commands/tidy.md`"),
        ("note", 4, 40, "`prodigy init` writes it"),
    ]
    assert {found["code"] for found in told} == {"command-not-found"}
    commands, skills = files.directory / ".claude/commands/more", files.home / ".claude/skills/prodigy-lint"
    for folder, name in ((commands, "tidy.md"), (skills, "SKILL.md")):
        folder.mkdir(parents=True)
        (folder / name).write_text("")
    assert files.call("validate", "w.yml").out == "w.yml: valid\n"


def test_plugins_may_bring_any_command(files: Any) -> None:
    files.environ |= {"CLAUDE_CONFIG_DIR": str(files.home)}
    (files.home / "plugins").mkdir(parents=True)
    (files.directory / "w.yml").write_text(CALLS)
    assert files.call("validate", "w.yml").out == "w.yml: valid\n"


def test_a_stream_makes_no_sense(files: Any) -> None:
    assert files.call("validate", "good.yml", "--jsonl").code == 2
