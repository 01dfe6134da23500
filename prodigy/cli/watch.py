"""Watching a run: its records become lines and a live screen, or a stream of JSON."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal, TextIO

import trio

from prodigy.cli import terminal
from prodigy.cli.claude_follower import ClaudeFollower
from prodigy.cli.lines import Milestone, summary, told
from prodigy.cli.lines.line import Style, Told
from prodigy.cli.options import ProgressChoice
from prodigy.cli.printer import Level, Printer
from prodigy.cli.prompt import Answer, confirm
from prodigy.cli.under_way import UnderWay
from prodigy.events import Record, item_of
from prodigy.job.items import item_text
from prodigy.job.state import JobState

Mode = Literal["live", "plain", "none"]


def mode_of(choice: ProgressChoice, printer: Printer) -> Mode:
    """How to show progress: as chosen, else live on a capable terminal outside CI; never live where nobody looks."""
    if printer.level <= Level.QUIET or choice == "none":
        return "none"
    if choice == "plain" or not printer.talks_to_terminal:
        return "plain"
    return (
        "live" if choice == "live" or terminal.may_animate(printer.talk_stream, printer.environ) else "plain"
    )


class Watcher:
    """Tells one run to the user.

    Args:
        printer: says it.
        mode: how progress is shown.
        style: how lines are written.
        now: the wall clock, in UTC.
        follower: tells what Claude does meanwhile, if that is wanted.
        under_way: knows what running launches of Claude have used.
    """

    def __init__(
        self,
        printer: Printer,
        mode: Mode,
        style: Style,
        now: Callable[[], datetime],
        follower: ClaudeFollower | None = None,
        under_way: UnderWay | None = None,
    ) -> None:
        self._printer = printer
        self._mode = mode
        self._style = style
        self._follower = follower
        self._under_way = under_way or UnderWay(lambda use, _: use)
        self._now = now
        self._last = Milestone(now())
        self._screen = trio.CancelScope()
        self._closed: trio.Event | None = None

    def heard(self, state: JobState, record: Record) -> None:
        """Tell ``record``; ``state`` is the one after it. Call it for every record, in order."""
        self._printer.record(record)
        if self._follower is not None:
            self._follower.heard(record, _item(state, record))
        if self._mode == "none":
            return
        for line in told(state, record, self._style, self._printer.level):
            self._say(line)
        if self._mode == "plain" and state.phase == "map":
            line_about_all, self._last = summary(state, self._now(), self._last)
            if line_about_all is not None:
                self._say(line_about_all)

    def _say(self, line: Told) -> None:
        self._printer.talk(*line.parts, at=line.level)

    async def show(self, read_state: Callable[[], JobState]) -> None:
        """Keep the live screen, if there is one, until cancelled or until a question takes its place."""
        async with trio.open_nursery() as nursery:
            if self._follower is not None:
                nursery.start_soon(self._follower.follow)
            await self._keep_screen(read_state)

    async def _keep_screen(self, read_state: Callable[[], JobState]) -> None:
        if self._mode == "live":
            from prodigy.cli.screen import Region, live

            region = Region(self._printer.talk_stream, colour=self._printer.talk_has_colour)
            self._closed = trio.Event()
            with self._screen:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._under_way.follow, read_state)
                    await live(read_state, self._now, self._printer, region, self._under_way.used)
            self._closed.set()

    async def ask(self, question: str, stdin: TextIO) -> Answer:
        """Put a question to the user in place of the live screen, which does not come back."""
        self._screen.cancel()
        if self._closed is not None:
            await self._closed.wait()
        return await confirm(question, self._printer, stdin)


def _item(state: JobState, record: Record) -> str | None:
    """The text of a record's item."""
    item_id = item_of(record.event)
    item = state.items.get(item_id) if item_id is not None else None
    return None if item is None else item_text(item.item, item.item_id)
