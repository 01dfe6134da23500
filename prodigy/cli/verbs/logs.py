"""``prodigy logs``: what Claude said and did, and what commands printed: which logs there are, and what is in them."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import App, Parameter

from prodigy.cli.claude_lines import claude_lines
from prodigy.cli.claude_summary import summarize, summary_lines
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.printer import Column, Form, Part, Printer, Span
from prodigy.cli.text import age, home_short
from prodigy.errors import MachineError, UsageError
from prodigy.events import Backend
from prodigy.steps.claude_session import account_of, entries, entry, projects
from prodigy.store.logs import Kind, LogFilter, LogsDocument, StepLog, logs_of
from prodigy.store.runs import Run, all_runs, records, run_holder

app = App(
    name="logs",
    help_epilogue="""Examples:
  prodigy logs                         the newest logs of Claude, of this repository's runs
  prodigy logs k7m2pq --kind all       every log of a run
  prodigy logs --latest                the path of the newest one
  prodigy logs --latest --summary      what is in it, counted
  prodigy logs k7m2pq --tail           follow what Claude does, as it does it
  prodigy logs latest --item src/a.py --paths""",
)

_SHOWN = 20
_PAUSE = 0.2
"""Seconds between two looks at a log that is followed."""
_SHORTEST_ID = 8
"""Characters of a conversation's id that are enough to name it."""
_COLUMNS = (
    Column("when"),
    Column("run"),
    Column("item", elastic=True),
    Column("step"),
    Column("ok"),
    Column("tokens", right=True),
    Column("log"),
)


@app.default
def logs(  # noqa: PLR0913 - one parameter per flag
    run: str | None = None,
    /,
    *,
    latest: bool = False,
    summary: bool = False,
    tail: bool = False,
    paths: bool = False,
    item: str | None = None,
    step: str | None = None,
    attempt: int | None = None,
    kind: Kind | None = None,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    limit: int | None = None,
    invocation: Given,
) -> None:
    """Show which logs there are, or what is in the newest of them.

    Args:
        run: A run, or the id of a conversation of Claude; the newest runs of this repository if left out.
        latest: Print the path of the newest log; beside `--summary` or `--tail`, which are about that log anyway, nothing.
        summary: Count what is in the newest log.
        tail: Print the newest log for people, and what is added to it until its step ends.
        paths: Print paths only.
        item: Only logs of this item, by id or text.
        step: Only logs of this step, such as 2.
        attempt: Only logs of this attempt at an item.
        kind: Logs of Claude, which is the default, of what commands printed, or all.
        all_: Everything that Claude keeps, whoever started it.
        limit: The newest so many; 0 for all.
        invocation: Who asks.
    """
    if sum((summary, tail, paths)) > 1:
        raise UsageError("conflicting-flags", "Of `--summary`, `--tail` and `--paths` one makes sense")
    wanted = LogFilter(kind=kind or "claude", item=item, step=step, attempt=attempt)
    found = _Search(invocation, wanted).logs(run, _SHOWN if limit is None else limit, everything=all_)
    if (latest or summary or tail) and not found.logs:
        raise UsageError("log-not-found", "There is no such log", hint="`prodigy logs` shows which there are")
    if summary:
        _print_summary(found.logs[0], invocation)
    elif tail:
        _follow(found.logs[0], invocation)
    elif latest:
        _print_path(found.logs[0], invocation)
    else:
        _print_list(found, invocation, paths=paths)


# -- finding -------------------------------------------------------------------------------------------------------
class _Search:
    """Finds logs, newest first."""

    def __init__(self, invocation: Invocation, wanted: LogFilter) -> None:
        self._invocation = invocation
        self._environ = invocation.around.environ
        self._wanted = wanted

    def logs(self, name: str | None, limit: int, *, everything: bool) -> LogsDocument:
        """Those of a run or a conversation, of Claude altogether, or of this repository's newest runs."""
        if name is not None:
            found = self._conversation(name) or self._of(run_called(name, self._invocation))
        elif everything:
            found = [_kept_by_claude(file) for file in projects(self._environ).glob("*/*.jsonl")]
        else:
            found = list(self._newest(limit))
        found.sort(key=lambda log: log.at, reverse=True)
        shown = found[:limit] if limit else found
        return LogsDocument(logs=shown, total=len(found), shown=len(shown))

    def _newest(self, limit: int) -> Iterator[StepLog]:
        """The logs of as many runs as are needed for so many of them."""
        repo = repository_here(self._invocation, all_repos=False)
        count = 0
        for run in all_runs(self._invocation.storage, repo):
            for log in self._of(run):
                count += 1
                yield log
            if limit and count >= limit:
                return

    def _of(self, run: Run) -> list[StepLog]:
        return logs_of(run.stem, records(run), partial(_session_log, self._environ), self._wanted)

    def _conversation(self, name: str) -> list[StepLog]:
        """The log that Claude keeps under an id, or the beginning of one."""
        if len(name) < _SHORTEST_ID or not set(name) <= set("0123456789abcdef-"):
            return []
        return [_kept_by_claude(file) for file in projects(self._environ).glob(f"*/{name}*.jsonl")]


def _session_log(environ: Mapping[str, str], backend: Backend, session: str) -> str | None:
    """Where a backend keeps a conversation."""
    from prodigy.steps.backends import opened  # most runs have ended, and their records say where

    return opened(backend).session_file(environ, session)


def _kept_by_claude(file: Path) -> StepLog:
    stat = file.stat()
    at = datetime.fromtimestamp(stat.st_mtime, UTC)
    return StepLog(path=str(file), at=at, bytes=stat.st_size, session_id=file.stem)


# -- showing -------------------------------------------------------------------------------------------------------
def _print_list(found: LogsDocument, invocation: Invocation, *, paths: bool) -> None:
    printer = invocation.printer
    printer.document(found)
    if printer.form is Form.JSONL:
        for log in found.logs:
            printer.record(log)
    elif paths:
        for log in found.logs:
            printer.line(log.path)
    elif found.logs:
        now, home = invocation.around.now(), invocation.around.environ.get("HOME")
        printer.table(_COLUMNS, (_row(log, now, home) for log in found.logs))
    else:
        printer.line("There is no such log")
    if found.shown < found.total:
        printer.note(f"the newest {found.shown} of {found.total} logs; see all with `--limit 0`")


def _row(log: StepLog, now: datetime, home: str | None) -> tuple[Part, ...]:
    ok = {True: "yes", False: "no", None: ""}[log.ok]
    step = log.step or ""
    return (
        age(log.at, now),
        (log.run or "").rpartition("-")[2],
        log.item or "",
        f"{step} (attempt {log.attempt})" if (log.attempt or 1) > 1 else step,
        ok,
        "" if log.tokens is None else f"{log.tokens:,}",
        Span(home_short(log.path, home), "accent"),
    )


def _print_path(log: StepLog, invocation: Invocation) -> None:
    printer = invocation.printer
    printer.document(LogsDocument(logs=[log], total=1, shown=1))
    printer.record(log)
    if printer.form is Form.TEXT:
        printer.line(log.path)
        printer.note(
            "what is in it: `prodigy logs --latest --summary`; as it grows: `prodigy logs --latest --tail`"
        )


def _print_summary(log: StepLog, invocation: Invocation) -> None:
    path = Path(log.path)
    if not path.exists():
        raise MachineError("log-not-found", "The log is not there any more", where=log.path)
    used = account_of(path)
    counted = summarize(log.path, entries(path), used.tokens, used.cost_usd, used.meter.replies)
    printer = invocation.printer
    printer.document(counted)
    printer.record(counted)
    for line in summary_lines(counted, printer.zone):
        printer.line(*line)


# -- following -----------------------------------------------------------------------------------------------------
def _follow(log: StepLog, invocation: Invocation) -> None:
    """Print what is in a log; while its step runs, go on as it grows."""
    show = _shower(log, invocation.printer)
    goes_on = _still_written(log, invocation)
    try:
        with Path(log.path).open("rb") as file:
            for line in _lines(file, goes_on):
                show(line)
                invocation.printer.flush()
    except FileNotFoundError:
        raise MachineError("log-not-found", "The log is not there any more", where=log.path) from None


def _lines(file: BinaryIO, goes_on: Callable[[], bool]) -> Iterator[bytes]:
    """The lines of a file that may grow; the last one counts without its end once nothing more can come."""
    rest = b""
    while True:
        last = not goes_on()
        while part := file.readline():
            rest += part
            if rest.endswith(b"\n"):
                yield rest
                rest = b""
        if last:
            break
        time.sleep(_PAUSE)
    if rest:
        yield rest


def _shower(log: StepLog, printer: Printer) -> Callable[[bytes], None]:
    if printer.form is not Form.TEXT:
        return lambda line: printer.verbatim(line.decode(errors="replace"))
    if log.kind != "claude":
        return lambda line: printer.line(line.decode(errors="replace").rstrip("\n"))

    def show(line: bytes) -> None:
        found = entry(line)
        for parts in () if found is None else claude_lines(found, printer.talk_marks):
            printer.line(*parts)

    return show


def _still_written(log: StepLog, invocation: Invocation) -> Callable[[], bool]:
    """Whether more can come: the step's end is not recorded, and its run lives."""
    if log.run is None or log.ok is not None:
        return lambda: False
    run = run_called(log.run, invocation)
    environ = invocation.around.environ

    def goes_on() -> bool:
        if run_holder(run) is None:
            return False
        found = logs_of(run.stem, records(run), partial(_session_log, environ), LogFilter(kind="claude"))
        return any(known.path == log.path and known.ok is None for known in found)

    return goes_on
