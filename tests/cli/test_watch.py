"""Watching a run: which progress is shown where, and how a question takes the screen's place."""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import trio
from rich.text import Text

from prodigy import events
from prodigy.cli.lines.line import Style
from prodigy.cli.options import ProgressChoice
from prodigy.cli.printer import Form, Level
from prodigy.cli.terminal import UNICODE
from prodigy.cli.watch import Mode, Watcher, mode_of
from prodigy.events import Record
from prodigy.job.state import JobState, PhaseState

NOW = datetime(2026, 11, 22, 8, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("choice", "how", "mode"),
    [
        ("auto", {"tty": True, "environ": {}}, "live"),
        ("auto", {"tty": False, "environ": {}}, "plain"),
        ("auto", {"tty": True, "environ": {"CI": "1"}}, "plain"),
        ("auto", {"tty": True, "environ": {"TERM": "dumb"}}, "plain"),
        ("auto", {"tty": True, "environ": {}, "level": Level.QUIET}, "none"),
        ("live", {"tty": True, "environ": {"CI": "1"}}, "live"),
        ("live", {"tty": False, "environ": {}}, "plain"),
        ("plain", {"tty": True, "environ": {}}, "plain"),
        ("none", {"tty": True, "environ": {}}, "none"),
    ],
)
def test_how_progress_is_shown(
    spoken: Callable[..., Any], choice: ProgressChoice, how: dict[str, Any], mode: Mode
) -> None:
    assert mode_of(choice, spoken(**how).printer) == mode


def skipped() -> Record:
    return Record(
        v=1,
        seq=1,
        id=UUID(int=1),
        timestamp=NOW,
        correlation_id=UUID(int=0),
        event=events.PhaseSkipped(phase="reduce", reason="no item succeeded"),
    )


@pytest.mark.parametrize(
    ("mode", "said"), [("plain", "reduce: skipped \u2013 no item succeeded\n"), ("none", "")]
)
def test_records_are_told_unless_nobody_wants_them(spoken: Callable[..., Any], mode: Mode, said: str) -> None:
    heard = spoken()
    Watcher(heard.printer, mode, Style(UNICODE), lambda: NOW).heard(JobState(), skipped())
    assert heard.err.getvalue() == said


def test_a_stream_of_records_is_whole_whatever_is_shown(spoken: Callable[..., Any]) -> None:
    heard = spoken(form=Form.JSONL)
    Watcher(heard.printer, "none", Style(UNICODE), lambda: NOW).heard(JobState(), skipped())
    assert '"event_type":"phase_skipped"' in heard.out.getvalue()


class Paper:
    """In place of the terminal's region."""

    size = (40, 12)

    def __init__(self, drawn: trio.Event) -> None:
        self.drawn = drawn
        self.closed = False

    async def draw(self, _frame: Text, _above: Sequence[str]) -> None:
        self.drawn.set()
        await trio.lowlevel.checkpoint()

    def close(self, _above: Sequence[str]) -> None:
        self.closed = True


async def test_a_question_takes_the_place_of_the_screen(
    spoken: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = Paper(trio.Event())
    monkeypatch.setattr("prodigy.cli.screen.Region", lambda *_, **__: paper)
    heard = spoken(tty=True)
    watcher = Watcher(heard.printer, "live", Style(UNICODE), lambda: NOW)
    state = JobState(phase="setup", phases={"setup": PhaseState(status="running", started_at=NOW)})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.show, lambda: state)
        await paper.drawn.wait()
        assert await watcher.ask("Merge?", io.StringIO()) == "no-tty"
        assert paper.closed
