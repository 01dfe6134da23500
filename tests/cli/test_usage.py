"""Bad command lines: one clear error, exit 2, never a traceback."""

import json
import re
from typing import Any

import pytest

ERRORS = [
    (["statuss"], "unknown-command", "`prodigy` has no verb `statuss`", "did you mean `status`?"),
    (["zebra"], "unknown-command", "`prodigy` has no verb `zebra`", "see `prodigy --help`"),
    (["dlq", "shwo"], "unknown-command", "`prodigy dlq` has no verb `shwo`", "did you mean `show`?"),
    (["--jsonn", "status"], "unknown-flag", "`prodigy` has no flag `--jsonn`", "did you mean `--json`?"),
    (
        ["status", "--colour"],
        "unknown-flag",
        "`prodigy status` has no flag `--colour`",
        "did you mean `--color`?",
    ),
    (
        ["status", "--all-rep"],
        "unknown-flag",
        "`prodigy status` has no flag `--all-rep`",
        "did you mean `--all-repos`?",
    ),
    (
        ["status", "--all"],
        "unknown-flag",
        "`prodigy status` has no flag `--all`",
        "see `prodigy status --help`",
    ),
    (["status", "-qx"], "unknown-flag", "`prodigy status` has no flag `-x`", "see `prodigy status --help`"),
    (
        ["--all-repos", "status"],
        "unknown-flag",
        "`prodigy` has no flag `--all-repos`",
        "see `prodigy --help`",
    ),
    (["dlq", "show"], "missing-argument", "`prodigy dlq show` needs JOB", "see `prodigy dlq show --help`"),
    (["status", "--path"], "missing-argument", "`--path` needs a value", "see `prodigy --help`"),
    (
        ["status", "--color", "blue"],
        "bad-value",
        "`blue` is no value for `--color`: it takes `auto`, `always`, `never`",
        "see `prodigy --help`",
    ),
    (
        ["dlq", "list", "--limit", "many"],
        "bad-value",
        "`many` is no value for `--limit`: it takes a whole number",
        "see `prodigy dlq list --help`",
    ),
    (
        ["status", "extra"],
        "bad-value",
        "`prodigy status` takes no further argument: `extra`",
        "see `prodigy status --help`",
    ),
    (
        ["status", "--all-repos", "--all-repos"],
        "conflicting-flags",
        "`--all-repos` is given twice",
        "give `--all-repos` once",
    ),
    (["status", "-q", "-v"], "conflicting-flags", "`--quiet` and `--verbose` exclude each other", None),
    (
        ["--no-color", "status", "--color", "always"],
        "conflicting-flags",
        "`--no-color` and `--color always`",
        None,
    ),
    (
        ["status", "--jsonl"],
        "conflicting-flags",
        "not with a stream of records",
        "use `--json` instead of `--jsonl`",
    ),
    (["events", "--since", "soon"], "bad-value", "`soon` is no time", None),
    (["events", "--type", "AgentFaild"], "bad-value", "No event is called `AgentFaild`", None),
]


@pytest.mark.parametrize(("words", "code", "message", "hint"), ERRORS, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said_once(
    desk: Any, words: list[str], code: str, message: str, hint: str | None
) -> None:
    said = desk.call(*words)
    assert said.code == 2
    if "--jsonl" in words:
        assert json.loads(said.out)["error"]["code"] == code
        return
    assert said.out == ""
    assert said.err.startswith(f"error: {code}\n  ")
    assert message in said.err
    if hint is not None:
        assert said.err.endswith(f"\nhint: {hint}\n")


@pytest.mark.parametrize(("words", "code", "message", "hint"), ERRORS, ids=lambda value: str(value)[:40])
def test_with_json_it_is_a_document(
    desk: Any, words: list[str], code: str, message: str, hint: str | None
) -> None:
    said = desk.call("--json", *(word for word in words if word != "--jsonl"))
    if "--jsonl" in words:
        return
    assert said.code == 2
    assert said.err == ""
    error = json.loads(said.out)["error"]
    assert (error["code"], error["exit_code"]) == (code, 2)
    assert message in error["message"]
    if hint is not None:
        assert error["hint"] == hint


def test_json_and_jsonl_exclude_each_other(desk: Any) -> None:
    said = desk.call("events", "--json", "--jsonl")
    assert said.code == 2
    assert json.loads(said.out)["error"]["code"] == "conflicting-flags"


@pytest.mark.parametrize(
    "words",
    [["-v", "status", "--all-repos"], ["status", "-v", "--all-repos"], ["status", "--all-repos", "-v"]],
)
def test_global_flags_stand_anywhere(desk: Any, words: list[str]) -> None:
    assert desk.call(*words).code == 0


def test_after_the_delimiter_nothing_is_a_flag(desk: Any) -> None:
    said = desk.call("dlq", "show", "--", "--json")
    assert said.code == 2
    assert said.err.startswith("error: run-not-found\n  No run is called `--json`\n")


# -- help ----------------------------------------------------------------------------------------------------------
def test_no_verb_is_short_help(desk: Any) -> None:
    said = desk.call()
    assert said.code == 0
    assert said.err == ""
    assert said.out == desk.call("--help").out
    assert said.out.startswith("Usage: prodigy VERB [FLAGS]\n\nRun Claude Code and shell steps")
    assert re.search(r"^  status +Show what runs", said.out, re.MULTILINE)
    assert "Examples:\n  prodigy run workflow.yml" in said.out


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "resume",
        "resume-job",
        "status",
        "dlq",
        "dlq list",
        "dlq show",
        "events",
        "events ls",
        "worktree",
        "worktree ls",
    ],
)
def test_every_verb_has_a_page_that_fits(desk: Any, verb: str) -> None:
    said = desk.call(*verb.split(), "-h")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: prodigy {verb}")
    assert "invocation" not in said.out
    assert "\x1b" not in said.out
    assert max(map(len, said.out.splitlines())) <= 100


def test_usage_names_verbs_and_arguments(desk: Any) -> None:
    """Where a word is one of several verbs, and where it is what the verb is about."""
    assert desk.call("dlq", "--help").out.startswith("Usage: prodigy dlq VERB [FLAGS]\n")
    assert desk.call("exec", "--help").out.startswith("Usage: prodigy exec [FLAGS] COMMAND\n")


def test_version_anywhere(desk: Any) -> None:
    alone, behind = desk.call("--version"), desk.call("status", "--version")
    assert alone.out == behind.out
    assert alone.out.startswith("prodigy 0.1.0 (python 3.")
    assert ", git 2." in alone.out


# -- bugs ----------------------------------------------------------------------------------------------------------
def test_a_bug_is_exit_3_a_file_and_no_traceback(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("prodigy.cli.verbs.status.repository_here", broken)
    said = desk.call("status")
    assert said.code == 3
    assert (
        "error: internal-error\n  Prodigy itself failed: ZeroDivisionError: nobody thought of this\n"
        in said.err
    )
    assert "Traceback" not in said.err
    (crash,) = (desk.home / "logs" / "crash").iterdir()
    assert str(crash) in said.err
    assert "ZeroDivisionError: nobody thought of this" in crash.read_text()
    assert crash.stat().st_mode & 0o777 == 0o600
    assert crash.parent.stat().st_mode & 0o777 == 0o700


def test_ctrl_c_in_a_reading_verb_is_130(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("prodigy.cli.verbs.status.repository_here", interrupted)
    said = desk.call("status")
    assert (said.code, said.out, said.err) == (130, "", "interrupted\n")
