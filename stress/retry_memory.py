"""Memory of the coordinator while it retries ten thousand dead letters, each with output and a history; limit 150 MiB.

The queue is written into the journal of a run that had one item, as ten thousand agents would have; what is retried is
a share of it, since memory is taken by what is known and not by what is running. ``PRODIGY_STRESS_ITEMS`` and
``PRODIGY_STRESS_RETRIED`` change both numbers.
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

KIND = "stress"
ITEMS = int(os.environ.get("PRODIGY_STRESS_ITEMS", "10000"))
RETRIED = int(os.environ.get("PRODIGY_STRESS_RETRIED", "300"))
LIMIT_MIB = 150
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
    """Make the queue, retry a share of it, look at the peak."""
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
        _fill(journal)
        (repository / "healed").touch()
        for words in (["add", "."], ["commit", "-q", "-m", "heal"]):
            subprocess.run(["git", *words], cwd=repository, check=True)
        clean = [*program, "worktree", "clean", "latest", "--force", "-q"]
        subprocess.run(clean, cwd=repository, env=environ, check=True, stdout=subprocess.DEVNULL)
        retry = [
            *program,
            "dlq",
            "retry",
            "latest",
            "--no-merge",
            "-q",
            "--filter",
            f"item.number < {RETRIED}",
        ]
        process = subprocess.Popen(
            retry, cwd=repository, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        peak = _peak(process)
        said = process.communicate()[0]
        print(f"   {said.strip().replace(chr(10), f'{chr(10)}   ')}")
        print(
            f"   peak of the coordinator: {peak / 1024:.0f} MiB with {ITEMS:,} items known, {RETRIED:,} retried"
        )
        return (
            0
            if process.returncode in {0, 1} and 0 < peak / 1024 < LIMIT_MIB and f"{RETRIED:,} done" in said
            else 1
        )


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


def _fill(journal: Path) -> None:
    """Write the story of all other items."""
    reader = read(journal)
    state = fold(reader)
    job = recorded(state.correlation_id)
    writer = JournalWriter.open_existing(reader, Metadata(session_id=recorded(state.started).session_id))

    def tell(happened: list[AnyEvent]) -> None:
        batch = [
            Entry(event, ids.correlation(job, item_of(event)), datetime.now(UTC), uuid4())
            for event in happened
        ]
        fold(writer.append(batch), state)

    for first in range(1, ITEMS, _GROUP):
        numbers = range(first, min(first + _GROUP, ITEMS))
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
