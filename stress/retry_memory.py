"""Memory of the coordinator while it retries dead letters, each with output and a history: 150 MiB, and it is constant.

The queue is written into the journal of a run that had one item, as thousands of agents would have, once with a tenth of
the letters and once with all: what lies between the two peaks is what the others took. What is retried is a share of them.
``PRODIGY_STRESS_ITEMS`` and ``PRODIGY_STRESS_RETRIED`` change both numbers.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from prodigy import ids
from prodigy.events import (
    AgentFailed,
    AgentStarted,
    AnyEvent,
    DlqItemAdded,
    Failure,
    ItemSelected,
    Metadata,
    item_of,
)
from prodigy.job.fold import fold
from prodigy.job.signature import signature_of
from prodigy.job.state import JobState
from prodigy.job.summary import recorded
from prodigy.store.journal import Entry, JournalWriter, read
from prodigy.store.shelf import blank
from stress._report import Report

KIND = "stress"
ITEMS = int(os.environ.get("PRODIGY_STRESS_ITEMS", "100000"))
RETRIED = int(os.environ.get("PRODIGY_STRESS_RETRIED", "300"))
LIMIT_MIB = 150
MOST_BYTES = 128
"""For each letter more: it may be known where it lies."""
_SLACK_MIB = 2
"""By which two peaks of one and the same work differ."""
_GROUP = 400
_OUTPUT = "FAILED tests/test_thing.py::test_it - AssertionError: expected one thing and found another\n" * 8
_FLOW = """
mode: mapreduce
map:
  input: {list: [{path: src/first.py}]}
  item_id: "${item.path}"
  max_parallel: 8
  agent_template: [{shell: 'test -e healed'}]
"""


def main() -> int:
    """Make the queues, retry a share of them, compare the peaks."""
    report = Report()
    few, many = max(RETRIED + 1, ITEMS // 10), ITEMS
    peaks = [retried(count, report) for count in (few, many)]
    report.law(f"the peak is below {LIMIT_MIB} MiB", holds=0 < max(peaks) < LIMIT_MIB)
    each = (peaks[1] - peaks[0] - _SLACK_MIB) * 1024 * 1024 / (many - few)
    report.law(
        f"{many - few:,} letters more take {peaks[1] - peaks[0]:.1f} MiB more (at most {MOST_BYTES} bytes each)",
        holds=each <= MOST_BYTES,
    )
    return report.code


def retried(count: int, report: Report) -> float:
    """The peak in MiB of a coordinator with a queue of ``count`` letters."""
    with tempfile.TemporaryDirectory(prefix="prodigy-retry-") as name:
        folder = Path(name)
        repository, home = folder / "project", folder / "home"
        repository.mkdir()
        for words in (
            ["init", "-q", "-b", "main"],
            ["config", "user.name", "Ann"],
            ["config", "user.email", "ann@localhost"],
            ["commit", "-q", "--allow-empty", "-m", "first"],
        ):
            subprocess.run(["git", *words], cwd=repository, check=True)
        (folder / "flow.yml").write_text(_FLOW)
        environ = {**os.environ, "PRODIGY_HOME": str(home)}
        program = [sys.executable, "-P", "-m", "prodigy"]
        run = [*program, "run", str(folder / "flow.yml"), "-q"]
        subprocess.run(run, cwd=repository, env=environ, check=False, capture_output=True)
        [journal] = home.glob("events/*/*")
        _fill(journal, count)
        (repository / "healed").touch()
        for words in (["add", "."], ["commit", "-q", "-m", "heal"]):
            subprocess.run(["git", *words], cwd=repository, check=True)
        clean = [*program, "worktree", "clean", "latest", "--force", "-q"]
        subprocess.run(clean, cwd=repository, env=environ, check=True, stdout=subprocess.DEVNULL)
        retry = [*program, "dlq", "retry", "latest", "--no-merge", "-q"]
        process = subprocess.Popen(
            [*retry, "--filter", f"item.number < {RETRIED}"],
            cwd=repository,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        peak = _peak(process) / 1024
        said = process.communicate()[0]
        report.figure(
            f"peak of the coordinator: {peak:.0f} MiB with {count:,} items known, {RETRIED:,} retried"
        )
        report.law(
            f"the {RETRIED:,} are done",
            said.strip() if process.returncode not in {0, 1} or f"{RETRIED:,} done" not in said else None,
        )
        return peak


def _peak(process: "subprocess.Popen[str]") -> int:
    """The most resident memory that a process ever had, in KiB, asked until it is gone."""
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        found = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
        peak = max([peak, *found])
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    return peak


def _fill(journal: Path, count: int) -> None:
    """Write the story of all other items."""
    reader = read(journal)
    state = fold(reader, blank(journal))
    job = recorded(state.correlation_id)
    writer = JournalWriter.open_existing(reader, Metadata(session_id=recorded(state.started).session_id))

    def tell(happened: list[AnyEvent]) -> None:
        batch = [
            Entry(event, ids.correlation(job, item_of(event)), datetime.now(UTC), uuid4())
            for event in happened
        ]
        fold(writer.append(batch), state)

    for first in range(1, count, _GROUP):
        numbers = range(first, min(first + _GROUP, count))
        tell([event for number in numbers for event in _story(number)])
        tell([_letter(number, state) for number in numbers])
    writer.close()


def _story(number: int) -> Iterator[AnyEvent]:
    path = _path(number)
    item, item_id, agent = {"path": path, "number": number - 1}, ids.safe_item_id(path), f"agent-{number}-1"
    logs = tuple(
        f"/home/ann/.prodigy/logs/project/job/map/{item_id}/1/01-shell.{end}" for end in ("out", "err")
    )
    error = Failure(
        error_class="command-failed",
        message=f"Exited with 1: {path} is not as it should be",
        step="1",
        exit_code=1,
        stderr_tail=_OUTPUT,
        logs=logs,
    )
    yield ItemSelected(index=number, item_id=item_id, item=item)
    yield AgentStarted(
        item_id=item_id, agent_id=agent, attempt=1, worktree="/w", slot=1, base_commit="b" * 40, branch="x"
    )
    signature = signature_of(error)
    yield AgentFailed(
        item_id=item_id, agent_id=agent, attempt=1, duration_ms=900, error=error, signature=signature
    )


def _letter(number: int, state: JobState) -> AnyEvent:
    """What is recorded of an item that has failed for good."""
    item = state.items[ids.safe_item_id(_path(number))]
    return DlqItemAdded(
        item_id=item.item_id,
        index=number,
        item=item.item,
        error_signature=signature_of(recorded(item.error)),
        history=tuple(item.history),
    )


def _path(number: int) -> str:
    return f"src/package/module_{number}.py"


if __name__ == "__main__":
    sys.exit(main())
