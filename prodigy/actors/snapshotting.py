"""When the state of a run is kept in a snapshot, and the keeping, off the path of the run."""

from datetime import datetime, timedelta
from typing import Final

import trio

from prodigy.errors import ProdigyError
from prodigy.events import (
    CheckpointCreated,
    CheckpointFailed,
    CheckpointLoaded,
    PhaseCompleted,
    PhaseFailed,
    Record,
)
from prodigy.ids import JobId
from prodigy.job.state import JobState
from prodigy.paths import Layout
from prodigy.store.journal import Position
from prodigy.store.snapshot_lines import content_of
from prodigy.store.snapshots import Folded, save, seq_of

_RECORDS: Final = 1000
_SHARE: Final = 10
"""A long journal is kept whenever it has grown by this part of it, so that all snapshots cost no more than a few."""
_EVERY: Final = timedelta(seconds=60)


Told = CheckpointCreated | CheckpointLoaded | CheckpointFailed


class Snapshots:
    """Keeps snapshots of one run.

    Args:
        layout: where they lie.
        job: whose they are.
    """

    def __init__(self, layout: Layout, job: JobId) -> None:
        self._layout = layout
        self._job = job
        self._seq = 0
        self._at: datetime | None = None
        self._busy = False
        self._told: list[Told] = []

    def begun_with(self, known: Folded) -> list[Told]:
        """What is to be recorded of how the run was read: from which snapshot on, and which could not be used."""
        told: list[Told] = [CheckpointFailed(message=note) for note in known.notes]
        if known.begun is not None:
            told.append(CheckpointLoaded(version=seq_of(known.begun), file=str(known.begun)))
        return told

    def told(self) -> list[Told]:
        """What is to be recorded of snapshots that were kept, or could not be, since the last call."""
        told, self._told = self._told, []
        return told

    def begins(self, seq: int, now: datetime) -> None:
        """From here on it is counted what has happened since."""
        self._seq, self._at = seq, now

    def due(self, record: Record) -> bool:
        """Whether ``record``, the last one, is a good place."""
        if self._busy or self._at is None:
            return False
        since = record.seq - self._seq
        if isinstance(record.event, PhaseCompleted | PhaseFailed):
            return True
        return since >= max(_RECORDS, record.seq // _SHARE) or record.timestamp - self._at >= _EVERY

    async def keep(self, state: JobState, position: Position, now: datetime) -> None:
        """Copy ``state`` before anything else happens, then write the copy."""
        if position.seq == self._seq:
            return
        self.begins(position.seq, now)
        self._busy = True
        try:
            content = content_of(state, self._job, position, now, self._layout.journal(self._job))
            path = await trio.to_thread.run_sync(save, self._layout, self._job, position.seq, content)
            kept = CheckpointCreated(version=position.seq, file=str(path), bytes=path.stat().st_size)
            self._told.append(kept)
        except ProdigyError as problem:
            self._told.append(CheckpointFailed(version=position.seq, message=str(problem)))
        finally:
            self._busy = False
