"""Journals of every released format, as they were written: read and folded by every later release."""

from pathlib import Path

import msgspec
import pytest

from prodigy.events import event_type
from prodigy.job.fold import fold
from prodigy.job.report import report
from prodigy.store.event_log import EVENT_TYPES
from prodigy.store.journal import read

GOLDEN = Path(__file__).parent / "golden"
FORMATS = sorted(path for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_journal_of_an_earlier_release_tells_what_it_told_then(folder: Path) -> None:
    """Fields that were added since may stand in the report; those of then stand there unchanged."""
    state = fold(read(folder))
    assert state.updated_at is not None
    told = msgspec.to_builtins(report(state, "repo", state.updated_at))
    then = msgspec.json.decode((folder / "report.json").read_bytes())
    assert within(then, told) == []


def within(then: object, now: object, path: str = "") -> list[str]:
    """Where what was said then is not said now."""
    if isinstance(then, dict) and isinstance(now, dict):
        return [fault for key in then for fault in within(then[key], now.get(key), f"{path}.{key}")]
    if isinstance(then, list) and isinstance(now, list | tuple) and len(then) == len(now):
        pairs = zip(then, now, strict=True)
        return [fault for place, pair in enumerate(pairs) for fault in within(*pair, f"{path}[{place}]")]
    return [] if then == now else [f"{path}: {then!r} was {now!r}"]


def test_the_first_format_shows_every_event_that_it_had() -> None:
    """What v1 could record when it was frozen; events that came later are not in it."""
    recorded = {event_type(record.event) for record in read(GOLDEN / "v1")}
    assert recorded <= EVENT_TYPES
    assert len(recorded) == 41
