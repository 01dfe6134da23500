"""One object prints: data to stdout, talk to stderr, nothing raw to a terminal."""

import io
import json
import unicodedata
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodigy.cli.printer import Column, Form, Level, Printer, Span
from prodigy.errors import ProdigyError, RunError, UsageError

Make = Callable[..., Any]
"""The fixture ``spoken``: a printer with the streams it prints to."""


class Answer(msgspec.Struct, tag_field="schema", tag="prodigy.answer/1"):
    value: str


def test_data_goes_to_stdout_and_talk_to_stderr(spoken: Make) -> None:
    said = spoken()
    said.printer.line("data ", Span("here", "good"))
    said.printer.talk("talk")
    said.printer.note("a note")
    said.printer.warn("a warning")
    assert said.out.getvalue() == "data here\n"
    assert said.err.getvalue() == "talk\nnote: a note\nwarning: a warning\n"


def test_colour_surrounds_what_is_coloured_and_nothing_else(spoken: Make) -> None:
    said = spoken(colour="always")
    said.printer.line(Span("ok", "good"), " plain")
    assert said.out.getvalue() == "\x1b[32mok\x1b[0m plain\n"


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        (Level.SILENT, ""),
        (Level.QUIET, "quiet\n"),
        (Level.NORMAL, "quiet\nnormal\n"),
        (Level.VERBOSE, "quiet\nnormal\nverbose\n"),
    ],
)
def test_each_level_hears_itself_and_what_is_quieter(spoken: Make, level: Level, heard: str) -> None:
    said = spoken(level=level)
    for at in (Level.QUIET, Level.NORMAL, Level.VERBOSE):
        said.printer.talk(at.name.lower(), at=at)
    assert said.err.getvalue() == heard


def test_notes_and_warnings_are_said_once(spoken: Make) -> None:
    said = spoken()
    for _ in range(3):
        said.printer.note("same")
        said.printer.warn("old name")
    assert said.err.getvalue() == "note: same\nwarning: old name\n"


def test_json_mode_has_one_document_and_no_human_line(spoken: Make) -> None:
    said = spoken(form=Form.JSON)
    said.printer.line("for people")
    said.printer.table([Column("a")], [["x"]])
    said.printer.record(Answer("not now"))
    said.printer.document(Answer("yes"))
    assert said.out.getvalue() == '{"schema":"prodigy.answer/1","value":"yes"}\n'


def test_json_lines_mode_has_records_only(spoken: Make) -> None:
    said = spoken(form=Form.JSONL)
    said.printer.document(Answer("no"))
    said.printer.record(Answer("1"))
    said.printer.record(Answer("2"))
    assert [json.loads(line)["value"] for line in said.out.getvalue().splitlines()] == ["1", "2"]


ERROR = UsageError(
    "run-not-found",
    "No run fits `k7`\nthere are 3 runs",
    where="here:1:2",
    note="searched here\nand there",
    hint="see `prodigy status`",
)


def test_an_error_has_one_shape(spoken: Make) -> None:
    said = spoken()
    said.printer.error(ERROR)
    assert said.out.getvalue() == ""
    assert said.err.getvalue() == (
        "error: run-not-found\n"
        "  No run fits `k7`\n"
        "  there are 3 runs\n"
        "  where: here:1:2\n"
        "note: searched here\n"
        "      and there\n"
        "\n"
        "hint: see `prodigy status`\n"
    )


def test_an_error_is_heard_when_quiet(spoken: Make) -> None:
    said = spoken(level=Level.QUIET)
    said.printer.error(RunError("step-failed", "It failed"))
    assert said.err.getvalue() == "error: step-failed\n  It failed\n"


@pytest.mark.parametrize("form", [Form.JSON, Form.JSONL])
def test_an_error_is_a_document_for_scripts(spoken: Make, form: Form) -> None:
    said = spoken(form=form)
    said.printer.error(ERROR)
    assert said.err.getvalue() == ""
    document = json.loads(said.out.getvalue())
    assert document == {
        "schema": "prodigy.error/1",
        "error": {
            "code": "run-not-found",
            "message": "No run fits `k7`\nthere are 3 runs",
            "where": "here:1:2",
            "note": "searched here\nand there",
            "hint": "see `prodigy status`",
            "log": None,
            "exit_code": 2,
        },
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nasty=st.text(), form=st.sampled_from(Form))
def test_no_control_character_reaches_a_stream_raw(spoken: Make, nasty: str, form: Form) -> None:
    said = spoken(tty=True, form=form, colour="never", environ={"COLUMNS": "40", "LANG": "C.UTF-8"})
    said.printer.line(nasty)
    said.printer.talk(Span(nasty, "bad"))
    said.printer.note(nasty)
    said.printer.table([Column("a", elastic=True), Column("b")], [[nasty, nasty]])
    error = ProdigyError("x", f"m {nasty}", where=nasty, note=f"n {nasty}", hint=f"h {nasty}")
    if not any("\ud800" <= character <= "\udfff" for character in nasty):  # JSON has no lone surrogates
        said.printer.document(Answer(nasty))
        said.printer.record(Answer(nasty))
        said.printer.error(error)
    for character in (said.out.getvalue() + said.err.getvalue()).replace("\n", ""):
        assert unicodedata.category(character) not in {"Cc", "Zl", "Zp"}, hex(ord(character))
        assert character not in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068", hex(ord(character))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_escapes_change_no_value(value: str) -> None:
    out = io.StringIO()
    Printer(out, io.StringIO(), {}, form=Form.JSON).document(Answer(value))
    assert json.loads(out.getvalue())["value"] == value


COLUMNS = [Column("id"), Column("message", elastic=True), Column("count", right=True)]
ROWS = [
    ["k7m2pq", "a rather long message about nothing", "3"],
    ["p3x9ad", "短い漢字のメッセージです", "1,200"],
]


def test_a_table_in_a_pipe_is_whole(spoken: Make) -> None:
    said = spoken()
    said.printer.table(COLUMNS, ROWS)
    assert said.out.getvalue() == (
        "id      message                              count\n"
        "k7m2pq  a rather long message about nothing      3\n"
        "p3x9ad  短い漢字のメッセージです             1,200\n"
    )


def test_a_table_on_a_terminal_is_cut_where_it_may_be(spoken: Make) -> None:
    said = spoken(tty=True, environ={"COLUMNS": "32", "LANG": "C.UTF-8", "NO_COLOR": "1"})
    said.printer.table(COLUMNS, ROWS, heading=False)
    assert said.out.getvalue() == "k7m2pq  a rather long me…      3\np3x9ad  短い漢字のメッセ…  1,200\n"


def test_ids_are_whole_even_where_nothing_fits(spoken: Make) -> None:
    said = spoken(tty=True, environ={"COLUMNS": "10", "NO_COLOR": "1"})
    said.printer.table(COLUMNS, ROWS, heading=False)
    assert [line.split()[0] for line in said.out.getvalue().splitlines()] == ["k7m2pq", "p3x9ad"]


class Gone(io.StringIO):
    """A pipe whose reader went away."""

    def __init__(self, refusal: OSError) -> None:
        super().__init__()
        self._refusal = refusal

    def write(self, _text: str) -> int:
        raise self._refusal


def test_a_reading_verb_ends_when_its_reader_is_gone() -> None:
    printer = Printer(Gone(BrokenPipeError()), io.StringIO(), {})
    with pytest.raises(BrokenPipeError):
        printer.line("x")


def test_a_run_outlives_its_reader() -> None:
    printer = Printer(Gone(BrokenPipeError()), io.StringIO(), {})
    printer.outlive_reader()
    printer.line("x")
    printer.flush()
    assert printer.reader_gone


def test_a_full_disk_behind_stdout_is_an_error() -> None:
    printer = Printer(Gone(OSError(28, "No space left on device")), io.StringIO(), {})
    with pytest.raises(RunError, match="storage-full"):
        printer.line("x")


@pytest.mark.parametrize("refusal", [BrokenPipeError(), OSError(5, "Input/output error")])
def test_a_terminal_that_hung_up_stops_no_talk_and_no_data(refusal: OSError) -> None:
    out = io.StringIO()
    printer = Printer(out, Gone(refusal), {})
    printer.talk("one")
    printer.talk("two")
    printer.line("data")
    printer.flush()
    assert out.getvalue() == "data\n"


def test_talk_goes_through_a_live_region_while_there_is_one(spoken: Make) -> None:
    said = spoken()
    lines: list[str] = []
    with said.printer.talking_through(lines.append):
        said.printer.talk("above")
    said.printer.talk("after")
    assert lines == ["above"]
    assert said.err.getvalue() == "after\n"
