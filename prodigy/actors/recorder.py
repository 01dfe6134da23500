"""The recorder: the only writer of a job's journal and the only one that folds it.

Started first and stopped last. Whatever waits in its mailbox becomes one group: numbered, written, synced, folded,
*then* told to whoever relies on it. It never waits for a reader of its stream. A run that ends before its end is
closed with ``job_paused`` as the very last record.

When the disk is full, its stream ends and every beginning and every decision is refused, so that the run comes to rest;
the outcomes of what is under way are still recorded, in the room that the journal kept for them. After any other
failure nothing is recorded any more.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
import trio

from prodigy import ids
from prodigy.actors.snapshotting import Snapshots
from prodigy.errors import ProdigyError
from prodigy.events import AnyEvent, JobPaused, JournalTruncated, Record, is_outcome, item_of
from prodigy.job.fold import apply
from prodigy.job.state import JobState
from prodigy.steps.masking import Masker
from prodigy.steps.redaction import masked
from prodigy.store.journal import Entry, JournalWriter, Position, StorageFailed
from prodigy.store.snapshots import Folded
from supervisors import Actor, ActorRef, Mailbox, Reason, Reply


class Write(msgspec.Struct, frozen=True):
    """Record an event; the reply is its sequence number, sent when it is on disk."""

    event: AnyEvent
    reply: Reply[int]


class Note(msgspec.Struct, frozen=True):
    """Record an event; nobody waits for it."""

    event: AnyEvent


Wanted = Callable[[Record], bool]
"""Whether a record is worth waking somebody for; asked when the state includes it, quick, and never raises."""


class Subscribe(msgspec.Struct, frozen=True):
    """Receive records from now on."""

    wanted: Wanted
    reply: Reply[trio.MemoryReceiveChannel[Record]]


Message = Write | Note | Subscribe
RecorderRef = ActorRef[Message]


class Stamp(msgspec.Struct, frozen=True):
    """Where times and ids come from."""

    now: Callable[[], datetime]
    uuid: Callable[[], UUID]


Observer = Callable[[JobState, Record], None]
"""Called after each record with the state that includes it; must be quick and must not raise."""


class Ledger:
    """The run as recorded: changed by the recorder alone, read by everyone in the coordinator."""

    def __init__(self) -> None:
        self.state = JobState()
        self.problem: ProdigyError | None = None
        """Why the run ended, when that was neither its steps nor its items."""


class Recorder(Actor[Message]):
    """Writes, folds, tells.

    Args:
        ledger: where the folded state is kept for all to read.
        open_journal: opens the journal for appending and folds what it already holds.
        opening: what is recorded first, given what the journal holds already.
        stamp: clock and ids.
        masker: hides secrets in every record.
        snapshots: keeps the state from time to time.
        observers: projections and screens, called after each record.
    """

    def __init__(
        self,
        ledger: Ledger,
        open_journal: Callable[[], tuple[JournalWriter, Folded]],
        opening: Callable[[JobState], AnyEvent | None],
        stamp: Stamp,
        masker: Masker,
        snapshots: Snapshots,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._ledger = ledger
        self._open_journal = open_journal
        self._opening = opening
        self._stamp = stamp
        self._masker = masker
        self._snapshots = snapshots
        self._last: Record | None = None
        self._observers = observers
        self._subscribers: list[tuple[Wanted, trio.MemorySendChannel[Record]]] = []
        self._full: StorageFailed | None = None
        self._failed: ProdigyError | None = None

    async def started(self) -> None:
        """Open the journal; the state is what it holds. Nothing is recorded, and so nothing done, before its opening."""
        self._writer, known = self._open_journal()
        self._ledger.state = known.state
        opening = self._opening(self._ledger.state)
        damage = self._writer.damage
        first = [] if opening is None else [opening]
        if damage is not None and damage.kept_at is not None and damage.sha256 is not None:
            cut = JournalTruncated(bytes=damage.size, sha256=damage.sha256, kept_at=damage.kept_at)
            first.append(cut)
        if first and self._ledger.state.started is not None:
            first += self._snapshots.begun_with(known)
        self._snapshots.begins(self._writer.seq, self._stamp.now())
        if first:
            await self._write(first)

    async def run(self, mailbox: Mailbox[Message]) -> None:
        """Group what waits, write it, tell."""
        async with trio.open_nursery() as aside:
            async for first in mailbox:
                await self._serve([first, *mailbox.take_waiting()])
                if self._last is not None and self._snapshots.due(self._last):
                    aside.start_soon(self._keep, self._last)

    async def stopped(self, reason: Reason) -> None:
        """Say why a journal without an end ends here, and close it."""
        del reason
        state = self._ledger.state
        if self._failed is None and state.started is not None and state.status in {"starting", "running"}:
            await self._answered([*map(Note, self._snapshots.told()), Note(self._pause(state.signal))])
        self._close_subscribers()
        self._writer.close()
        if self._last is not None and self._failed is None and self._full is None:
            with trio.CancelScope(shield=True):
                await self._keep(self._last)

    async def _keep(self, last: Record) -> None:
        position = Position(last.seq, self._writer.size, last.sum)
        await self._snapshots.keep(self._ledger.state, position, last.timestamp)

    def _pause(self, signal: int | None) -> JobPaused:
        if self._full is not None and signal is None:
            return JobPaused(reason="storage")
        return JobPaused(reason="signal", signal=signal)

    def _close_subscribers(self) -> None:
        while self._subscribers:
            self._subscribers.pop()[1].close()

    async def _serve(self, group: list[Message]) -> None:
        writes = [message for message in group if isinstance(message, Write | Note)]
        if writes:
            await self._answered([*map(Note, self._snapshots.told()), *writes])
        for message in group:
            if isinstance(message, Subscribe):
                message.reply.send(self._subscribe(message.wanted))

    async def _answered(self, writes: list[Write | Note]) -> None:
        """One group on disk. A storage failure is a state, not a crash."""
        written: list[tuple[Write | Note, Record]] = []
        if self._failed is None:
            try:
                written = await self._written(writes)
            except ProdigyError as error:
                self._failed = error
                self._close_subscribers()
        numbers = {id(message): record.seq for message, record in written}
        for message in writes:
            if isinstance(message, Write):
                self._answer(message, numbers.get(id(message)))

    def _answer(self, message: Write, number: int | None) -> None:
        refused = self._failed or self._full
        if number is not None:
            message.reply.send(number)
        elif refused is not None:
            message.reply.fail(refused)

    async def _written(self, writes: list[Write | Note]) -> list[tuple[Write | Note, Record]]:
        """What could be recorded of a group, with its records."""
        if self._full is None:
            try:
                return await self._together(writes)
            except StorageFailed as error:
                if not self._writer.low:
                    raise
                self._full = error
                self._close_subscribers()
        return await self._together([message for message in writes if is_outcome(message.event)])

    async def _together(self, writes: list[Write | Note]) -> list[tuple[Write | Note, Record]]:
        records = await self._write([message.event for message in writes])
        return list(zip(writes, records, strict=True))

    async def _write(self, happened: Sequence[AnyEvent]) -> list[Record]:
        entries = [
            Entry(
                masked(event, self._masker), self._correlation(event), self._stamp.now(), self._stamp.uuid()
            )
            for event in happened
        ]
        with trio.CancelScope(shield=True):
            records = await trio.to_thread.run_sync(self._writer.append, entries)
        for record in records:
            apply(self._ledger.state, record)
            for observe in self._observers:
                observe(self._ledger.state, record)
        self._publish(records)
        self._last = records[-1] if records else self._last
        return records

    def _correlation(self, event: AnyEvent) -> UUID:
        """The job's id, or the item's for what belongs to one."""
        job, item = self._ledger.state.correlation_id, item_of(event)
        if job is None:
            return self._stamp.uuid()
        return ids.correlation(job, item)

    def _subscribe(self, wanted: Wanted) -> trio.MemoryReceiveChannel[Record]:
        # Unbounded on purpose: a slow reader must cost memory, never hold up the journal.
        send, receive = trio.open_memory_channel[Record](float("inf"))
        if self._full is not None or self._failed is not None:
            send.close()
        else:
            self._subscribers.append((wanted, send))
        return receive

    def _publish(self, records: Sequence[Record]) -> None:
        for subscriber in tuple(self._subscribers):
            wanted, send = subscriber
            try:
                for record in filter(wanted, records):
                    send.send_nowait(record)
            except trio.BrokenResourceError:
                self._subscribers.remove(subscriber)


async def record(recorder: RecorderRef, event: AnyEvent) -> int:
    """Record ``event`` and return its sequence number once it is on disk."""
    return await recorder.ask(lambda reply: Write(event, reply), timeout=None)


async def subscribe(recorder: RecorderRef, wanted: Wanted) -> trio.MemoryReceiveChannel[Record]:
    """The records that are wanted, from now on; the end of recording is told to everybody."""
    return await recorder.ask(partial(Subscribe, wanted), timeout=None)


async def all_recorded(recorder: RecorderRef) -> None:
    """Wait until whatever the recorder was told before is on disk and in the ledger, or refused."""
    (await subscribe(recorder, lambda _: True)).close()
