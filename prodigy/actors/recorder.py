"""The recorder: the only writer of a job's journal and the only one that folds it.

Started first and stopped last. Whatever waits in its mailbox becomes one group: numbered, written, synced, folded,
*then* told to whoever relies on it. It never waits for a reader of its stream. A run that ends before its end is
closed with ``job_paused`` as the very last record.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import trio

from prodigy import ids
from prodigy.errors import ProdigyError
from prodigy.events import AnyEvent, JobPaused, JournalTruncated, Record, item_of
from prodigy.job.fold import apply
from prodigy.job.state import JobState
from prodigy.steps.masking import Masker
from prodigy.steps.redaction import masked
from prodigy.store.journal import Entry, JournalWriter
from supervisors import Actor, ActorRef, Mailbox, Reason, Reply


class Write(msgspec.Struct, frozen=True):
    """Record an event; the reply is its sequence number, sent when it is on disk."""

    event: AnyEvent
    reply: Reply[int]


class Note(msgspec.Struct, frozen=True):
    """Record an event; nobody waits for it."""

    event: AnyEvent


class Subscribe(msgspec.Struct, frozen=True):
    """Receive every record from now on."""

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
        observers: projections and screens, called after each record.
    """

    def __init__(
        self,
        ledger: Ledger,
        open_journal: Callable[[], tuple[JournalWriter, JobState]],
        opening: Callable[[JobState], AnyEvent | None],
        stamp: Stamp,
        masker: Masker,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._ledger = ledger
        self._open_journal = open_journal
        self._opening = opening
        self._stamp = stamp
        self._masker = masker
        self._observers = observers
        self._subscribers: list[trio.MemorySendChannel[Record]] = []
        self._failed: ProdigyError | None = None

    async def started(self) -> None:
        """Open the journal; the state is what it holds. Nothing is recorded, and so nothing done, before its opening."""
        self._writer, self._ledger.state = self._open_journal()
        opening = self._opening(self._ledger.state)
        damage = self._writer.damage
        first = [] if opening is None else [opening]
        if damage is not None and damage.kept_at is not None and damage.sha256 is not None:
            cut = JournalTruncated(bytes=damage.size, sha256=damage.sha256, kept_at=damage.kept_at)
            first.append(cut)
        if first:
            await self._write(first)

    async def run(self, mailbox: Mailbox[Message]) -> None:
        """Group what waits, write it, tell."""
        async for first in mailbox:
            await self._serve([first, *mailbox.take_waiting()])

    async def stopped(self, reason: Reason) -> None:
        """Say why a journal without an end ends here, and close it."""
        del reason
        state = self._ledger.state
        if self._failed is None and state.started is not None and state.status in {"starting", "running"}:
            await self._write([JobPaused(reason="signal", signal=state.signal)])
        self._close_subscribers()
        self._writer.close()

    def _close_subscribers(self) -> None:
        while self._subscribers:
            self._subscribers.pop().close()

    async def _serve(self, group: list[Message]) -> None:
        writes = [message for message in group if isinstance(message, Write | Note)]
        if writes:
            await self._answered(writes)
        for message in group:
            if isinstance(message, Subscribe):
                message.reply.send(self._subscribe())

    async def _answered(self, writes: list[Write | Note]) -> None:
        """One group on disk. A storage failure is a state, not a crash: nothing is recorded any more."""
        records: list[Record] = []
        if self._failed is None:
            try:
                records = await self._write([message.event for message in writes])
            except ProdigyError as error:
                self._failed = error
                self._close_subscribers()
        for number, message in enumerate(writes):
            if isinstance(message, Write):
                if self._failed is not None:
                    message.reply.fail(self._failed)
                else:
                    message.reply.send(records[number].seq)

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
        return records

    def _correlation(self, event: AnyEvent) -> UUID:
        """The job's id, or the item's for what belongs to one."""
        job = self._ledger.state.correlation_id
        return self._stamp.uuid() if job is None else ids.correlation(job, item_of(event))

    def _subscribe(self) -> trio.MemoryReceiveChannel[Record]:
        # Unbounded on purpose: a slow reader must cost memory, never hold up the journal.
        send, receive = trio.open_memory_channel[Record](float("inf"))
        self._subscribers.append(send)
        return receive

    def _publish(self, records: Sequence[Record]) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                for record in records:
                    subscriber.send_nowait(record)
            except trio.BrokenResourceError:
                self._subscribers.remove(subscriber)


async def record(recorder: RecorderRef, event: AnyEvent) -> int:
    """Record ``event`` and return its sequence number once it is on disk."""
    return await recorder.ask(lambda reply: Write(event, reply), timeout=None)


async def subscribe(recorder: RecorderRef) -> trio.MemoryReceiveChannel[Record]:
    """Every record from now on."""
    return await recorder.ask(Subscribe, timeout=None)
