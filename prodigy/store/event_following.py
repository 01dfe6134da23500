"""The records of a run as they come."""

from collections.abc import Callable, Iterator

from prodigy.events import Record
from prodigy.store.journal import JournalReader, Position
from prodigy.store.runs import Run, run_holder


def followed(run: Run, wait: Callable[[], None]) -> Iterator[Record]:
    """What is there, then what comes, in whichever segment, until no process works at the run.

    Args:
        run: which one.
        wait: called whenever everything that is there was given.

    Raises, while iterating:
        RunError: ``journal-corrupt`` or ``journal-newer``.
    """
    position = Position()
    while True:
        # Asked before reading: whoever is gone by now has written all that there will be.
        lives = run_holder(run) is not None
        reader = JournalReader(run.layout.journal(run.job_id), position)
        yield from reader
        position = Position(reader.seq, reader.size)
        if not lives:
            return
        wait()
