"""The live view: pure lines of any state at any size, and a driver that loses no finished line."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from stories import started
from trio.testing import MockClock

from prodigy.cli.printer import Level
from prodigy.cli.screen import live, render, view
from prodigy.cli.terminal import ASCII, UNICODE, Marks
from prodigy.cli.text import cells
from prodigy.cli.under_way import Running
from prodigy.job.state import ItemState, JobState, Money, PhaseState, Resolution, item_rows, packed

BEGAN = datetime(2026, 11, 22, 8, 15, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(seconds=724)


def in_map(names: Sequence[str], *, done: int = 0, failed: int = 0, waiting: int = 0) -> JobState:
    """A run whose items ``names`` are running."""
    running = [
        ItemState(
            index=index,
            item_id=f"i{index}",
            packed=packed(name),
            status="running",
            attempts=1 + index % 2,
            slot=index,
            started_at=NOW - timedelta(seconds=4 * index + 1),
            step="2",
            step_name="lint: ruff check",
        )
        for index, name in enumerate(names)
    ]
    others = done + failed + waiting
    rest = (
        ItemState(index=len(names) + index, item_id=f"o{index}", packed=f'"{index}"')
        for index in range(others)
    )
    state = JobState(
        started=started(name="lint-files", max_parallel=8),
        started_at=BEGAN,
        money=Money(awake_since=BEGAN),
        status="running",
        phase="map",
        phases={"map": PhaseState(status="running", started_at=BEGAN)},
        selected=True,
        items=item_rows((*running, *rest)),
        workers={1: 4720, 2: 4721},
        item_durations=[30_000] * 20,
    )
    state.counts.update(running=len(names), done=done, failed=failed, pending=waiting)
    return state


def lines(
    state: JobState,
    width: int = 80,
    height: int = 24,
    marks: Marks = UNICODE,
    level: Level = Level.NORMAL,
) -> list[str]:
    return ["".join(span.text for span in line) for line in view(state, NOW, width, height, marks, level)]


def shown(state: JobState, running: Running) -> list[str]:
    made = view(state, NOW, 120, 24, UNICODE, Level.NORMAL, running)
    return ["".join(span.text for span in line) for line in made]


def test_a_map_phase_at_eighty_columns() -> None:
    state = in_map(["src/a.py", "src/漢字.py", "docs/x.md"], done=140, failed=3, waiting=57)
    assert lines(state) == [
        "map  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━────────────  143/203",
        "140 done  3 failed  3 running  0 merging  57 waiting  12m 04s  eta 9m",
        "  src/a.py     1.0 s  2 lint: ruff check",
        "  src/漢字.py  5.0 s  2 lint: ruff check  attempt 2",
        "  docs/x.md    9.0 s  2 lint: ruff check",
    ]


def test_an_agent_whose_work_collides_already_says_so() -> None:
    state = in_map(["src/a.py", "b"], done=1)
    state.items["i0"].foreseen = ("src/a.py", "x.md")
    assert lines(state)[2:] == [
        "  src/a.py  1.0 s  2 lint: ruff check  collides in src/a.py and 1 more",
        "  b         5.0 s  2 lint: ruff check  attempt 2",
    ]


@pytest.mark.parametrize("resolved", [None, "c" * 40])
def test_a_conflict_that_claude_resolves_has_a_row_until_it_is_resolved(resolved: str | None) -> None:
    state = in_map(["a", "b"])
    conflict = Resolution(
        source="s", onto="o", paths=("x.md",), began=NOW - timedelta(seconds=65), commit=resolved
    )
    state.items["i0"].status = "merging"
    state.items["i0"].resolution = conflict
    state.resolution = conflict
    shown = [line for line in lines(state) if "Claude" in line]
    assert shown == (
        []
        if resolved
        else [
            "  a            1m 05s  Claude resolves a conflict in x.md",
            "  the session  1m 05s  Claude resolves a conflict in x.md",
        ]
    )


def test_a_narrow_terminal_cuts_and_never_wraps() -> None:
    state = in_map(["a/very/long/path/to/some/file.py", "src/漢字.py"], done=1)
    assert lines(state, width=30) == [
        "map  ━━━━━━──────────────  1/3",
        "1 done  0 failed  2 running  …",
        "  a/very/long/pa…  1.0 s  2 l…",
        "  src/漢字.py      5.0 s  2 l…",
    ]


def test_as_many_agents_as_fit_and_the_others_are_counted() -> None:
    state = in_map([f"f{number}" for number in range(20)])
    shown = lines(state, height=12)
    assert len(shown) == 6
    assert shown[-1] == "  … 17 more running"


def test_workers_are_shown_when_verbose() -> None:
    assert "workers  1: pid 4720  2: pid 4721" in lines(in_map(["x"]), level=Level.VERBOSE)


def test_ascii_where_there_is_no_utf8() -> None:
    state = in_map(["x" * 60], done=1)
    assert all(line.isascii() for line in lines(state, width=60, marks=ASCII))


def test_before_five_items_there_is_no_forecast() -> None:
    assert lines(in_map(["x"], done=4, waiting=100))[1].endswith("eta \u2013")
    assert lines(in_map(["x"], done=5, waiting=100))[1].endswith("eta 50m")


def test_other_phases_show_their_step() -> None:
    state = JobState(
        started=started(name="lint-files", max_parallel=8),
        started_at=BEGAN,
        money=Money(awake_since=BEGAN),
        phase="setup",
        phases={"setup": PhaseState(status="running", started_at=NOW - timedelta(seconds=12))},
        current_step="2",
        current_step_name="npm ci",
    )
    assert lines(state) == ["setup  step 2  npm ci  12 s"]


def test_a_run_that_has_not_begun() -> None:
    assert lines(JobState()) == ["starting"]


@given(
    names=st.lists(st.text(), max_size=30),
    width=st.integers(min_value=1, max_value=200),
    height=st.integers(min_value=1, max_value=60),
    level=st.sampled_from(Level),
)
def test_whatever_the_items_are_called_the_region_keeps_its_bounds(
    names: list[str], width: int, height: int, level: Level
) -> None:
    shown = lines(in_map(names, done=3), width, height, level=level)
    assert len(shown) <= max(4, height // 2)
    for line in shown:
        assert cells(line) <= width
        assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in line)


def test_rendering_is_the_view_in_colours() -> None:
    text = render(in_map(["src/a.py"], done=1, failed=1), NOW, 60, 24, UNICODE, Level.NORMAL)
    assert text.plain.splitlines() == lines(in_map(["src/a.py"], done=1, failed=1), width=60)
    styles = {text.plain[span.start : span.end]: span.style for span in text.spans}
    assert styles["1 done  "] == "green"
    assert styles["1 failed  "] == "red"


# -- the driver ----------------------------------------------------------------------------------------------------
class Paper:
    """A canvas that keeps everything drawn on it."""

    size = (60, 24)

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.above: list[str] = []
        self.closed = False

    async def draw(self, frame: Text, above: Sequence[str]) -> None:
        self.frames.append(frame.plain)
        self.above.extend(above)
        await trio.lowlevel.checkpoint()

    def close(self, above: Sequence[str]) -> None:
        self.above.extend(above)
        self.closed = True


async def test_ten_frames_a_second_and_every_finished_line_once(
    spoken: Callable[..., Any], autojump_clock: MockClock
) -> None:
    said, paper = spoken(), Paper()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live, lambda: in_map(["x"]), lambda: NOW, said.printer, paper)
        for number in range(10):
            await trio.sleep(0.1)
            said.printer.talk(f"item {number}")
        nursery.cancel_scope.cancel()
    assert len(paper.frames) in {10, 11}
    assert paper.above == [f"item {number}" for number in range(10)]
    assert paper.closed
    said.printer.talk("afterwards")
    assert said.err.getvalue() == "afterwards\n"


def test_what_runs_has_spent_something_too() -> None:
    """What is set apart for it is less by that."""
    state = in_map(["a"], done=1)
    state.money.launches, state.money.usd, state.money.tokens, state.money.under_way = 2, 0.5, 1000, {7: 1.0}
    [line] = [text for text in shown(state, Running(0.25, 500)) if "tokens" in text]
    assert line.endswith("  $0.75 (~$1.50)  1,500 tokens")
    plain = msgspec.structs.replace(
        state, phase="steps", items=item_rows(), phases={"steps": state.phases["map"]}
    )
    plain.counts.clear()
    [line] = shown(plain, Running(0.25, 500))
    assert line.endswith("  $0.75 (~$1.50)  1,500 tokens")


async def test_what_the_terminal_echoes_has_room(
    spoken: Callable[..., Any], autojump_clock: MockClock
) -> None:
    said, paper = spoken(), Paper()
    with trio.move_on_after(0.35):
        await live(lambda: in_map(["x" * 200]), lambda: NOW, said.printer, paper)
    widest = max(cells(line) for frame in paper.frames for line in frame.splitlines())
    assert widest + cells("^C^C") == paper.size[0]


async def test_a_broken_screen_is_closed_too(spoken: Callable[..., Any]) -> None:
    said, paper = spoken(), Paper()

    def broken() -> JobState:
        raise ValueError("no state")

    with pytest.raises(ValueError, match="no state"):
        await live(broken, lambda: NOW, said.printer, paper)
    assert paper.closed
