"""Colour, width and marks follow the flag, then the environment, then the stream."""

import io
from collections.abc import Mapping

import pytest

from prodigy.cli import terminal
from prodigy.cli.terminal import Choice


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    encoding = "utf-8"


@pytest.mark.parametrize(
    ("stream", "environ", "choice", "coloured"),
    [
        (Tty(), {}, "auto", True),
        (Pipe(), {}, "auto", False),
        (Tty(), {"TERM": "dumb"}, "auto", False),
        (Tty(), {"NO_COLOR": "1"}, "auto", False),
        (Tty(), {"NO_COLOR": ""}, "auto", True),
        (Pipe(), {"FORCE_COLOR": "1"}, "auto", True),
        (Pipe(), {"FORCE_COLOR": "0"}, "auto", False),
        (Pipe(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, "auto", False),
        (Pipe(), {"NO_COLOR": "1"}, "always", True),
        (Tty(), {"FORCE_COLOR": "1"}, "never", False),
    ],
)
def test_colour(stream: io.StringIO, environ: Mapping[str, str], choice: Choice, coloured: bool) -> None:
    assert terminal.has_colour(stream, environ, choice) is coloured


@pytest.mark.parametrize(
    ("environ", "marks"),
    [
        ({"LANG": "en_US.UTF-8"}, terminal.UNICODE),
        ({"LC_ALL": "C.utf8", "LANG": "C"}, terminal.UNICODE),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, terminal.ASCII),
        ({"LC_ALL": "", "LC_CTYPE": "de_DE.UTF-8"}, terminal.UNICODE),
        ({"LANG": "de_DE.ISO-8859-1"}, terminal.ASCII),
        ({}, terminal.ASCII),
    ],
)
def test_marks_follow_the_locale(environ: Mapping[str, str], marks: terminal.Marks) -> None:
    assert terminal.marks_for(Tty(), environ) is marks


def test_marks_are_ascii_where_the_stream_is_not_utf8() -> None:
    class Latin(Tty):
        encoding = "latin-1"

    assert terminal.marks_for(Latin(), {"LANG": "C.UTF-8"}) is terminal.ASCII


@pytest.mark.parametrize(
    ("stream", "environ", "width"),
    [
        (Tty(), {"COLUMNS": "77"}, 77),
        (Tty(), {"COLUMNS": "none"}, None),
        (Tty(), {"COLUMNS": "0"}, None),
        (Pipe(), {"COLUMNS": "77"}, None),
    ],
)
def test_width(stream: io.StringIO, environ: Mapping[str, str], width: int | None) -> None:
    assert terminal.width_of(stream, environ) == width


@pytest.mark.parametrize(
    ("stream", "environ", "animates"),
    [(Tty(), {}, True), (Pipe(), {}, False), (Tty(), {"CI": "1"}, False), (Tty(), {"TERM": "dumb"}, False)],
)
def test_animation(stream: io.StringIO, environ: Mapping[str, str], animates: bool) -> None:
    assert terminal.may_animate(stream, environ) is animates


def test_a_closed_stream_is_no_terminal() -> None:
    stream = Tty()
    stream.close()
    assert not terminal.is_terminal(io.TextIOWrapper(io.BytesIO()))
    assert terminal.width_of(stream, {}) is None
