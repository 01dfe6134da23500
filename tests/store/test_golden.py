"""Journals of every released format, as they were written: read and folded by every later release."""

from pathlib import Path
from typing import get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator
from samples import KEPT, event_sample, record_of_event, told, untold

from prodigy.events import AnyEvent, event_type
from prodigy.job.fold import fold
from prodigy.job.report import report
from prodigy.store.event_log import EVENT_TYPES
from prodigy.store.journal import read
from prodigy.store.lines import line_of, record_of
from prodigy.store.lookup import Lookup
from prodigy.store.record_schema import record_schema

GOLDEN = Path(__file__).parent / "golden"
FORMATS = sorted(path for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_a_journal_of_an_earlier_release_tells_what_it_told_then(folder: Path) -> None:
    """Fields that were added since may stand in the report; those of then stand there unchanged."""
    state = fold(read(folder))
    assert state.updated_at is not None
    told = msgspec.to_builtins(report(state, "repo", state.updated_at, Lookup(folder).history))
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


# -- every record --------------------------------------------------------------------------------------------------
LINES = list(enumerate(KEPT.read_bytes().splitlines(), 1))


@pytest.mark.parametrize(("number", "line"), LINES, ids=[str(number) for number, _ in LINES])
def test_a_record_that_was_ever_written_is_read_whole(number: int, line: bytes) -> None:
    """Its checksum holds, and every field says what it said."""
    record = record_of(line, number)
    assert within(msgspec.json.decode(line), msgspec.json.decode(msgspec.json.encode(record))) == []


def test_the_kept_journal_shows_every_event_with_every_field() -> None:
    """New ones are added to it by ``python tests/samples.py``; nothing is ever taken out."""
    missing = [event_type(event) for event in untold()]
    assert missing == [], "run `python tests/samples.py`, and commit what it adds"
    assert told().keys() == EVENT_TYPES


VALIDATOR = Draft202012Validator(record_schema())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(record_schema())


@pytest.mark.parametrize(("number", "line"), LINES, ids=[str(number) for number, _ in LINES])
def test_the_schema_fits_what_is_written(number: int, line: bytes) -> None:
    assert list(VALIDATOR.iter_errors(msgspec.json.decode(line))) == []


@pytest.mark.parametrize("folder", FORMATS, ids=lambda folder: folder.name)
def test_the_schema_fits_journals_of_earlier_releases(folder: Path) -> None:
    for path in folder.glob("events-*.jsonl"):
        for line in path.read_bytes().splitlines():
            assert list(VALIDATOR.iter_errors(msgspec.json.decode(line))) == []


@pytest.mark.parametrize("kind", get_args(AnyEvent), ids=lambda kind: kind.__name__)
def test_the_schema_refuses_what_no_release_writes(kind: type[AnyEvent]) -> None:
    """A required field that is missing, a field of another type."""
    line = msgspec.json.decode(line_of(record_of_event(event_sample(kind), 1))[0])
    assert list(VALIDATOR.iter_errors(line)) == []
    line["event"]["event_type"] = "unheard_of"
    assert list(VALIDATOR.iter_errors(line)) != []
    del line["event"]
    assert list(VALIDATOR.iter_errors(line)) != []
