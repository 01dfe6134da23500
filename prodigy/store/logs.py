"""Which logs the steps of a run left, by its records: Claude's own, and what commands printed."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from prodigy.events import (
    AnyEvent,
    Backend,
    ClaudeCutOff,
    DlqRetryStarted,
    ItemSelected,
    JobResumed,
    JobStarted,
    Record,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepSpawned,
)
from prodigy.job.amounts import tokens
from prodigy.job.items import item_text

Kind = Literal["claude", "shell", "all"]
SessionFile = Callable[[Backend, str], str | None]
"""Where a backend keeps a conversation."""


class StepLog(Struct, frozen=True, kw_only=True):
    """One log file of one launch; ``ok`` is ``None`` while nobody has told how it ended."""

    path: str
    run: str | None = None
    item: str | None = None
    step: str | None = None
    attempt: int | None = None
    kind: str = "claude"
    ok: bool | None = None
    at: datetime
    bytes: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    session_id: str | None = None


class LogsDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.logs/1``, newest first."""

    schema: str = "prodigy.logs/1"
    logs: list[StepLog]
    total: int
    shown: int


class LogFilter(Struct, frozen=True, kw_only=True):
    """Which logs are wanted; ``item`` is its id or its text."""

    kind: Kind = "claude"
    item: str | None = None
    step: str | None = None
    attempt: int | None = None

    def fits(self, log: StepLog, item_id: str | None) -> bool:
        """Whether a log is wanted; ``item_id`` is that of its item."""
        return (
            self.kind in {"all", log.kind}
            and self.item in {None, log.item, item_id}
            and (self.step is None or self.step == log.step)
            and self.attempt in {None, log.attempt}
        )


def logs_of(
    run: str, records: Iterable[Record], session_file: SessionFile, wanted: LogFilter
) -> list[StepLog]:
    """The logs of a run that are wanted and exist, oldest first.

    Args:
        run: how the run is called.
        records: all of its.
        session_file: finds the logs of launches that have not ended, by what they run.
        wanted: which ones.
    """
    items: dict[str, str] = {}
    open_: dict[int, tuple[StepSpawned, datetime]] = {}
    found: list[StepLog] = []
    backend = Backend()

    def take(event: StepEvent, log: StepLog) -> None:
        text = None if event.item_id is None else items.get(event.item_id, event.item_id)
        log = _placed(log, event, text, run)
        if wanted.fits(log, event.item_id):
            found.append(log)

    for record in records:
        backend = _chosen(record.event) or backend
        match record.event:
            case ItemSelected() as event:
                items[event.item_id] = item_text(event.item, event.item_id)
            case StepSpawned() as event if event.claude_session is not None:
                open_[event.intent] = (event, record.timestamp)
            case StepCompleted() | StepFailed() | ClaudeCutOff() as event:
                open_.pop(event.intent, None)
                for log in _logs(event, record.timestamp):
                    take(event, log)
    for spawned, at in open_.values():
        if (path := session_file(backend, spawned.claude_session or "")) is not None:
            take(spawned, _file(path, at, kind="claude", session_id=spawned.claude_session))
    return found


def _logs(event: StepCompleted | StepFailed | ClaudeCutOff, at: datetime) -> Iterator[StepLog]:
    """Claude's own log and the files of both streams, those that are there."""
    ok = isinstance(event, StepCompleted)
    use = event.claude
    if use is not None and use.json_log_location is not None:
        known = {"tokens": tokens(use), "cost_usd": use.cost_usd, "session_id": use.session_id}
        yield _file(use.json_log_location, at, kind="claude", ok=ok, **known)
    if isinstance(event, ClaudeCutOff):
        return
    for stream in (event.stdout, event.stderr):
        if stream.log is not None and Path(stream.log).exists():
            yield _file(stream.log, at, kind="shell", ok=ok)


def _chosen(event: AnyEvent) -> Backend | None:
    """What Claude steps run from an event on, if it says so."""
    return event.backend if isinstance(event, JobStarted | JobResumed | DlqRetryStarted) else None


def _file(path: str, at: datetime, **known: object) -> StepLog:
    try:
        size = Path(path).stat().st_size
    except OSError:
        size = None
    return StepLog(path=path, at=at, bytes=size, **known)  # type: ignore[arg-type]


def _placed(log: StepLog, event: StepEvent, item: str | None, run: str) -> StepLog:
    return replace(log, run=run, item=item, step=event.step, attempt=event.attempt)
