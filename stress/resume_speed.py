"""Of 10,000 items 9,000 are done: the run starts its next agent within 10 times the time of reading its journal.

Reading is msgspec's, line by line, typed, in this process. The run is a real one, killed once its first agents work; that
9,000 items were done is then written into its journal as it would have been. Both are measured in turns, and each run is
killed again: what the other work of the machine adds to a figure is in all of them but the least.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec

from prodigy import events, ids
from prodigy.events import AnyEvent, Metadata, Record
from prodigy.ids import JobId
from prodigy.job.fold import fold
from prodigy.job.state import ItemState, JobState
from prodigy.paths import Layout
from prodigy.store.journal import Entry, JournalWriter, Position, read, segments
from prodigy.store.snapshot_lines import content_of
from prodigy.store.snapshots import save
from stress._items import Ground
from stress._report import Report, scaled

KIND = "bench"
ITEMS, DONE, MOST = 10_000, 9_000, 10.0
GROUP = 50
ROUNDS = 5
_USED = slice(11, 13)
"""The fields ``utime`` and ``stime`` of ``/proc/PID/stat``, counted from the one after the name."""
LIFE = 7
"""Records of an item that changes nothing."""


def main() -> int:
    """0 if a long run goes on quickly."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="prodigy-resume-") as folder:
        ground = Ground(Path(folder), 10)
        ground.make()
        hold = Path(folder) / "hold"
        hold.touch()
        items, done = scaled(ITEMS), scaled(DONE)
        journal = begun(ground, items, hold)
        finish(journal, done, partial(keep, ground))
        floor, took, busy = (min(times) for times in zip(*measured(ground, journal), strict=True))
        size = sum(path.stat().st_size for path in segments(journal))
        count = sum(1 for _ in read(journal))
        report.figure(f"{count} records, {size / 1e6:.1f} MB; msgspec reads them in {floor:.2f} s")
        report.law(
            f"the next agent starts after {took:.2f} s, {took / floor:.1f} times that (at most {MOST:g})",
            holds=took <= MOST * floor,
        )
        report.figure(f"the coordinator is busy for {busy:.2f} s of it, {busy / floor:.1f} times that")
    return report.code


def begun(ground: Ground, items: int, hold: Path) -> Path:
    """A run whose first agents were at work when it was killed; its journal."""
    flow = ground.scratch / "flow.yml"
    flow.write_text(
        f"mode: mapreduce\nmap:\n  input: {{list: {json.dumps([f'item {n}' for n in range(items)])}}}\n"
        f"  max_parallel: 4\n  agent_template:\n"
        f"    - shell: 'while [ -e {hold} ]; do sleep 0.05; done'\n"
    )
    with process(ground, "run", str(flow), "--no-merge") as running:
        journal = wait_for(ground, events.StepSpawned, 0)
        os.kill(running.pid, signal.SIGKILL)
    return journal


def process(ground: Ground, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "prodigy", *words],
        cwd=ground.repository,
        env=ground.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(ground: Ground, kind: type[AnyEvent], after: int) -> Path:
    """The journal, once it has a record of that kind with a number above ``after``."""
    word = f'"event_type":"{kind.__struct_config__.tag}"'.encode()
    until = time.monotonic() + 300
    while time.monotonic() < until:
        for path in Path(ground.environ["PRODIGY_HOME"]).glob("events/*/*/events-*.jsonl"):
            for line in tail(path):
                if word in line and msgspec.json.decode(line, type=Numbered).seq > after:
                    return path.parent
        time.sleep(0.005)
    raise TimeoutError(kind.__name__)


class Numbered(msgspec.Struct):
    """What is looked at of a line."""

    seq: int
    timestamp: datetime


def tail(path: Path) -> list[bytes]:
    """The last whole lines of a file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65536))
        return file.read().split(b"\n")[1:-1]


def keep(ground: Ground, state: JobState, position: Position) -> None:
    """Write a snapshot, as the run does whenever its journal has grown by a tenth."""
    (folder,) = Path(ground.environ["PRODIGY_HOME"]).glob("events/*/*")
    layout, job = Layout(folder.parents[2], folder.parent.name), JobId(folder.name)
    save(layout, job, position.seq, content_of(state, job, position, datetime.now(UTC)))


def finish(journal: Path, done: int, keep: Callable[[JobState, Position], None]) -> None:
    """Record of so many items that had not begun that they are done; a snapshot is as old as it can become."""
    reader = read(journal)
    state = fold(reader)
    pending = [item for item in state.items.values() if item.status == "pending"][:done]
    writer = JournalWriter.open_existing(reader, Metadata(host="h", pid=1, boot_id="b"))
    group: list[Entry] = []
    last = writer.seq + len(pending) * LIFE
    for item in pending:
        lived = life(state, item, writer.seq + len(group))
        group += [Entry(event, uuid4(), datetime.now(UTC), uuid4()) for event in lived]
        if len(group) > GROUP:
            records = writer.append(group)
            group = []
            if writer.seq <= last * 0.9:
                fold(records, state)
                kept = Position(writer.seq, writer.size, records[-1].sum)
    writer.append(group)
    writer.close()
    keep(state, kept)


def life(state: JobState, item: ItemState, seq: int) -> Iterator[AnyEvent]:
    """What is recorded of an item that changes nothing; ``seq`` is the number of the record before it."""
    assert state.started is not None
    job, base = JobId(state.started.job_id), state.started.base_commit
    agent = ids.agent_id(item.index, 1)
    whose = {"item_id": item.item_id, "agent_id": str(agent)}
    place = {"phase": "map", "step": "1", **whose}
    yield events.WorktreeLeased(slot=9, base_commit=base, **whose)
    branch = ids.agent_branch(job, agent)
    yield events.AgentStarted(attempt=1, worktree="/w", slot=9, base_commit=base, branch=branch, **whose)
    yield events.StepIntended(
        kind="shell", command="while true; do true; done", cwd="/w", head_before=base, **place
    )
    yield events.StepSpawned(intent=seq + 3, pid=1, start_time=1, worker=1, **place)
    yield events.StepCompleted(
        intent=seq + 3, kind="shell", duration_ms=1, head_before=base, head_after=base, **place
    )
    yield events.AgentCompleted(attempt=1, duration_ms=1, head=base, output="done\n", **whose)
    yield events.WorktreeReleased(slot=9, **whose)


def reading(journal: Path) -> float:
    """Seconds of the floor."""
    decode = msgspec.json.Decoder(Record).decode
    began = time.perf_counter()
    for path in segments(journal):
        with path.open("rb") as file:
            for line in file:
                decode(line)
    return time.perf_counter() - began


def measured(ground: Ground, journal: Path) -> Iterator[tuple[float, float, float]]:
    """Seconds of reading, of resuming, and of the processor's work for that."""
    for left in reversed(range(ROUNDS)):
        yield reading(journal), *resumed(ground, journal, signal.SIGKILL if left else signal.SIGINT)


def resumed(ground: Ground, journal: Path, end: signal.Signals) -> tuple[float, float]:
    """Seconds from the command to the record of the first leaf that it begins; those that the coordinator worked."""
    last = sum(1 for _ in read(journal))
    began = time.time()
    with process(ground, "resume", "--no-merge") as running:
        wait_for(ground, events.StepIntended, last)
        busy = processor_time(running.pid)
        os.kill(running.pid, end)
    for path in segments(journal):
        for line in path.read_bytes().split(b"\n")[last:]:
            if b'"event_type":"step_intended"' in line:
                return msgspec.json.decode(line, type=Numbered).timestamp.timestamp() - began, busy
    raise LookupError("nothing was begun")


def processor_time(pid: int) -> float:
    """Seconds that a process has worked."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[_USED])) / os.sysconf("SC_CLK_TCK")
