"""The live view of a run on a terminal: where it stands, and what each agent does.

``view`` and ``render`` are pure: a state, the time and the size of the terminal come in, lines come out. ``live``
drives them at ten frames a second at most; writing happens in a thread, so a terminal that is held (Ctrl-S) holds
the screen and never the run.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TextIO

import trio

from prodigy.cli.printer import Level, Printer, Span, Tone
from prodigy.cli.terminal import Marks
from prodigy.cli.text import about, cells, cut, dollars, duration, pad, printable
from prodigy.cli.under_way import NOBODY, Running
from prodigy.job.items import item_text
from prodigy.job.state import ItemState, JobState
from prodigy.job.summary import ItemCounts, item_counts, progress

if TYPE_CHECKING:
    from rich.text import Text

Line = tuple[Span, ...]

_FRAME = 0.1
"""Seconds between two frames."""
_LONGEST_BAR = 40
_SHARE_OF_TERMINAL = 2
"""The region takes at most one part in this many of the terminal's lines."""
_FEWEST_LINES = 4
_WIDEST_NAME = 48
_FALLBACK_SIZE = (80, 24)
_ECHOED = 4
"""Cells that stay free at the end of a line: the terminal writes ``^C`` behind the last one, where it must not wrap."""


class _Row(NamedTuple):
    """What somebody does: whose it is, for how long, and what is odd about it."""

    name: str
    taken: str
    what: str
    warning: str = ""


def view(
    state: JobState,
    now: datetime,
    width: int,
    height: int,
    marks: Marks,
    level: Level,
    running: Running = NOBODY,
) -> list[Line]:
    """The lines of the region, each at most ``width`` cells, at most half of ``height`` but four at least."""
    room = max(_FEWEST_LINES, height // _SHARE_OF_TERMINAL)
    head = [_phase_line(state, now, width, marks)]
    if state.total:
        head.append(_count_line(state, now, marks, running))
    else:
        head = [(*head[0], *_money(state, running))]
    if level >= Level.VERBOSE and state.workers:
        head.append(_worker_line(state))
    rows = [*_resolution_rows(state, now), *(_agent_row(item, now) for item in _running(state))]
    return [_clipped(line, width, marks) for line in (*head, *_fit(rows, room - len(head), width, marks))]


def render(
    state: JobState,
    now: datetime,
    width: int,
    height: int,
    marks: Marks,
    level: Level,
    running: Running = NOBODY,
) -> "Text":
    """``view`` as one Rich text."""
    from rich.text import Text

    lines = view(state, now, width, height, marks, level, running)
    return Text("\n", no_wrap=True, overflow="crop").join(_rich(line) for line in lines)


def _phase_line(state: JobState, now: datetime, width: int, marks: Marks) -> Line:
    if state.phase is None:
        return (Span("starting", "strong"),)
    name = Span(state.phase, "strong")
    if state.phase == "map":
        if not state.selected:
            return name, Span("  selecting items", "dim")
        return name, Span("  "), *_bar(item_counts(state), width - cells(state.phase) - 2, marks)
    began = state.phases[state.phase].started_at
    step = f"  step {state.current_step}" if state.current_step else ""
    what = f"  {state.current_step_name}" if state.current_step_name else ""
    return name, Span(step, "accent"), Span(what), Span(f"  {_since(began, now)}", "dim")


def _bar(counts: ItemCounts, room: int, marks: Marks) -> Iterator[Span]:
    ended = counts.done + counts.failed + counts.skipped
    figures = f"  {ended:,}/{counts.total:,}"
    length = max(0, min(_LONGEST_BAR, room - cells(figures)))
    share = ended / counts.total if counts.total else 1.0
    full = int(length * share)
    bad = min(full, -(-length * counts.failed // max(1, counts.total))) if counts.failed else 0
    yield Span(marks.bar[0] * (full - bad), "good")
    yield Span(marks.bar[0] * bad, "bad")
    yield Span(marks.bar[1] * (length - full), "dim")
    yield Span(figures)


def _count_line(state: JobState, now: datetime, marks: Marks, running: Running) -> Line:
    seen = progress(state, now)
    counts = seen.items
    eta = about(seen.eta_ms / 1000) if seen.eta_ms is not None else marks.dash
    numbers: tuple[tuple[int, str, Tone], ...] = (
        (counts.done, "done", "good"),
        (counts.failed, "failed", "bad"),
        (counts.running, "running", "accent"),
        (counts.merging, "merging", "plain"),
        (counts.waiting, "waiting", "dim"),
    )
    told = [Span(f"{number:,} {word}  ", tone if number else "dim") for number, word, tone in numbers]
    return (*told, Span(f"{duration(seen.elapsed_ms / 1000)}  eta {eta}", "dim"), *_money(state, running))


def _money(state: JobState, running: Running) -> Iterator[Span]:
    """What the run has spent, what it may still spend for what runs, and what it may spend at all."""
    money = state.money
    if money.launches:
        tone: Tone = "warning" if money.warned else "dim"
        cap = None if money.caps is None else money.caps.usd
        spent = dollars(money.usd + running.usd, max(0.0, money.reserved - running.usd), cap)
        yield Span(f"  {spent}  {money.tokens + running.tokens:,} tokens", tone)


def _worker_line(state: JobState) -> Line:
    pids = "  ".join(f"{number}: pid {pid}" for number, pid in sorted(state.workers.items()))
    return (Span(f"workers  {pids}", "dim"),)


def _running(state: JobState) -> list[ItemState]:
    """The items that an agent works at, by the slot they stand in, so that a row stays where it is."""
    running = (item for item in state.items.at_work() if item.status == "running")
    return sorted(running, key=lambda item: (item.slot if item.slot is not None else 0, item.index))


def _agent_row(item: ItemState, now: datetime) -> _Row:
    step = f"{item.step} {item.step_name or ''}".strip() if item.step else "starting"
    again = f"  attempt {item.attempts}" if item.attempts > 1 else ""
    taken = _since(item.started_at, now) if item.started_at else ""
    ahead = f"  collides{_some(item.foreseen)}" if item.foreseen else ""
    return _Row(_name(item), taken, printable(step) + again, ahead)


def _resolution_rows(state: JobState, now: datetime) -> Iterator[_Row]:
    """The conflicts that Claude resolves: one of items at a time, or that of the final merge."""
    owners = ((_name(item), item.resolution) for item in state.items.at_work() if item.status == "merging")
    for name, resolution in (*owners, ("the session", state.resolution)):
        if resolution is not None and resolution.commit is None:
            taken = _since(resolution.began, now) if resolution.began else ""
            yield _Row(name, taken, "Claude resolves a conflict", _some(resolution.paths))


def _name(item: ItemState) -> str:
    return printable(item_text(item.item, item.item_id))


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return printable(f" in {paths[0]}{more}") if paths else ""


def _since(then: datetime, now: datetime) -> str:
    return duration((now - then).total_seconds())


def _fit(rows: Sequence[_Row], room: int, width: int, marks: Marks) -> Iterator[Line]:
    """As many rows as there is room for, in columns; the last line counts the others."""
    room = max(0, room)
    shown = rows if len(rows) <= room else rows[: max(0, room - 1)]
    names = min(_WIDEST_NAME, width // 2, max((cells(row.name) for row in shown), default=0))
    times = max((cells(row.taken) for row in shown), default=0)
    for row in shown:
        short = cut(row.name, names, marks.ellipsis)
        yield (
            Span(f"  {pad(short, names)}"),
            Span(f"  {pad(row.taken, times, right=True)}", "dim"),
            Span(f"  {row.what}"),
            Span(row.warning, "warning"),
        )
    if room and len(shown) < len(rows):
        yield (Span(f"  {marks.ellipsis} {len(rows) - len(shown)} more running", "dim"),)


def _clipped(line: Line, width: int, marks: Marks) -> Line:
    """``line`` in at most ``width`` cells."""
    kept: list[Span] = []
    left = width
    for span in line:
        text = printable(span.text)
        size = cells(text)
        if size > left:
            kept.append(Span(cut(text, left, marks.ellipsis), span.tone))
            break
        kept.append(Span(text, span.tone))
        left -= size
    return tuple(kept)


_RICH_STYLES: Final[Mapping[Tone, str]] = {
    "plain": "",
    "strong": "bold",
    "dim": "dim",
    "good": "green",
    "bad": "red",
    "warning": "yellow",
    "accent": "cyan",
}


def _rich(line: Line) -> "Text":
    from rich.text import Text

    text = Text(no_wrap=True)
    for span in line:
        text.append(span.text, style=_RICH_STYLES[span.tone])
    return text


# -- driving it ----------------------------------------------------------------------------------------------------
class Canvas(Protocol):
    """A place on a terminal that is drawn again and again."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the terminal, in cells and lines, now."""

    async def draw(self, frame: "Text", above: Sequence[str]) -> None:
        """Show ``frame`` where the last one was, and finished lines ``above`` it."""

    def close(self, above: Sequence[str]) -> None:
        """Take the region away, leaving the last finished lines and the cursor below them."""


async def live(
    read_state: Callable[[], JobState],
    now: Callable[[], datetime],
    printer: Printer,
    canvas: Canvas,
    used: Callable[[JobState], Running] = lambda _: NOBODY,
) -> None:
    """Show the run until cancelled; what the printer says meanwhile scrolls above the region.

    ``used`` says what launches that are under way have used.
    """
    finished: list[str] = []
    with printer.talking_through(finished.append):
        try:
            while True:
                width, height = canvas.size
                room = max(1, width - _ECHOED)
                state = read_state()
                marks, level = printer.talk_marks, printer.level
                frame = render(state, now(), room, height, marks, level, used(state))
                above, finished[:] = finished.copy(), ()
                await canvas.draw(frame, above)
                await trio.sleep(_FRAME)
        finally:
            canvas.close(finished)


class Region:
    """The canvas at the bottom of a real terminal, kept by Rich."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._stream = stream
        self._console = Console(
            file=stream,
            force_terminal=True,
            color_system="standard" if colour else None,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    @property
    def size(self) -> tuple[int, int]:
        """What the terminal says, else 80 by 24."""
        try:
            width, height = os.get_terminal_size(self._stream.fileno())
        except OSError:
            return _FALLBACK_SIZE
        return (width, height) if width and height else _FALLBACK_SIZE

    async def draw(self, frame: "Text", above: Sequence[str]) -> None:
        """Write one frame, in a thread."""
        await trio.to_thread.run_sync(self._draw, frame, above)

    def _draw(self, frame: "Text", above: Sequence[str]) -> None:
        from rich.console import ConsoleDimensions

        self._console.size = ConsoleDimensions(*self.size)  # the terminal may have been resized
        self._live.start()
        self._print(above)
        self._live.update(frame, refresh=True)

    def _print(self, lines: Sequence[str]) -> None:
        from rich.text import Text

        if lines:
            self._console.print(Text.from_ansi("\n".join(lines)), soft_wrap=True)

    def close(self, above: Sequence[str]) -> None:
        """Erase the region; a terminal that hung up meanwhile is ignored."""
        with contextlib.suppress(OSError):
            self._print(above)
            self._live.stop()
