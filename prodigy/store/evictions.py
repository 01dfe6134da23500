"""Taking dead letters out of the queue of a run that nobody works at: each removal is a record of its journal.

The records of the items themselves stay in the journal, and rescue refs stay in the repository.
"""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from prodigy import ids
from prodigy.events import AnyEvent, DlqItemRemoved, DlqItemsEvicted, JournalTruncated, Metadata, item_of
from prodigy.job.fold import apply
from prodigy.job.state import DeadLetter
from prodigy.job.summary import recorded
from prodigy.store.journal import Entry, JournalWriter
from prodigy.store.locks import JobLock, boot_id
from prodigy.store.projections import Projections
from prodigy.store.runs import Run
from prodigy.store.snapshots import opened

Reason = Literal["purged", "cleared"]


def evict(
    run: Run,
    item_ids: Sequence[str],
    reason: Reason,
    criterion: str,
    *,
    now: Callable[[], datetime],
    uuid: Callable[[], UUID],
    argv: Sequence[str] = (),
) -> list[DeadLetter]:
    """Remove items from the queue of a run, those that are still there, and return them.

    Args:
        run: which one.
        item_ids: of the items.
        reason: what is recorded of each.
        criterion: in words, by what they were chosen.
        now: the clock of the records.
        uuid: names of the records.
        argv: what the lock's file tells others.

    Raises:
        RunError: ``already-running``, ``journal-corrupt``.
        StorageFailed: the journal cannot be written.
    """
    with JobLock.acquire(run.layout.job_lock(run.job_id), since=now(), argv=argv):
        known = opened(run.layout, run.job_id)
        state, reader = known.state, known.reader
        started = recorded(state.started)
        letters = [state.dead_letters[item_id] for item_id in item_ids if item_id in state.dead_letters]
        if not letters:
            return []
        metadata = Metadata(
            host=socket.gethostname(), pid=os.getpid(), boot_id=boot_id(), session_id=started.session_id
        )
        writer = JournalWriter.open_existing(reader, metadata)
        told: list[AnyEvent] = []
        damage = writer.damage
        if damage is not None and damage.kept_at is not None and damage.sha256 is not None:
            told.append(JournalTruncated(bytes=damage.size, sha256=damage.sha256, kept_at=damage.kept_at))
        told += (DlqItemRemoved(item_id=letter.item_id, reason=reason) for letter in letters)
        told.append(DlqItemsEvicted(count=len(letters), criterion=criterion))
        job = recorded(state.correlation_id)
        entries = [Entry(event, ids.correlation(job, item_of(event)), now(), uuid()) for event in told]
        projections = Projections(run.layout, now)
        for record in writer.append(entries):
            apply(state, record)
            projections.heard(state, record)
        writer.close()
        projections.catch_up(state)
    return letters
