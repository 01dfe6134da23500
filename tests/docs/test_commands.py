"""Every command line in the documentation exists, and every flag of the program is documented."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pages import CommandLine, column, command_lines, tables

from prodigy.cli.app import VERBS, _global_flags, _read, build, perform
from prodigy.cli.surroundings import Surroundings
from prodigy.errors import UsageError

TABLES = tables()
FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def help_page(*verb: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    around = Surroundings(io.StringIO(), out, err, {}, Path("/"), lambda: datetime(2026, 11, 22, tzinfo=UTC))
    assert perform((*verb, "--help"), around) == 0, err.getvalue()
    return out.getvalue()


def flags_of(text: str) -> set[str]:
    """The flags in the left column of a help page's lists."""
    lists = re.split(r"^(?=Examples:)", text, flags=re.MULTILINE)[0]
    listed = re.findall(r"^  (?=\S)(.*?)(?:  |$)", lists, flags=re.MULTILINE)
    return {flag for left in listed for flag in FLAG.findall(left)}


def verbs() -> list[tuple[str, ...]]:
    """Every verb that does something, aliases aside."""
    found: list[tuple[str, ...]] = []
    for verb in VERBS:
        listed = re.search(r"^Verbs:\n((?:  .*\n)+)", help_page(verb), flags=re.MULTILINE)
        under = (
            [line.split()[0].rstrip(",") for line in re.findall(r"^  \S.*", listed[1], re.MULTILINE)]
            if listed
            else []
        )
        if verb == "events":
            under.remove("ls")
        found += [(verb,)] if not under or verb in {"events", "completion"} else []
        found += [(verb, name) for name in under]
    return found


@pytest.mark.parametrize("line", command_lines(), ids=str)
def test_a_command_line_can_be_read(line: CommandLine) -> None:
    if "--help" in line.words or "--version" in line.words:
        assert line.words[0] in {*VERBS, "--help", "--version", "VERB"}
        return
    app = build()
    command, bound = _read(app.meta, ["file" if word == "-" else word for word in line.words], app)
    assert command is _global_flags
    assert bound.args, "a verb"
    try:
        verb, _ = _read(app, bound.args, app)
    except UsageError as error:
        if error.code == "missing-argument":  # a verb that is only named
            return
        raise
    assert verb.__module__.startswith("prodigy.cli.verbs."), f"only the help of {bound.args}"


def test_there_are_command_lines() -> None:
    assert len(command_lines()) >= 30


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_flag_of_a_verb_is_in_its_table(verb: tuple[str, ...]) -> None:
    own = flags_of(help_page(*verb)) - flags_of(help_page())
    documented = TABLES[f"flags {' '.join(verb)}"]
    assert {flag for text in column(documented) for flag in FLAG.findall(text)} == own


def test_every_flag_of_all_verbs_is_in_the_table() -> None:
    documented = {flag for text in column(TABLES["flags"]) for flag in FLAG.findall(text)}
    assert documented == flags_of(help_page())


def test_no_table_is_about_a_verb_that_is_gone() -> None:
    marks = {mark.removeprefix("flags ") for mark in TABLES if mark.startswith("flags ")}
    assert marks <= {" ".join(verb) for verb in verbs()}
