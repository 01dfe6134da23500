"""What Claude does, told while it does it: the logs of running launches, read as they grow.

A launch's stream is in its step's log, secrets masked; nothing of it crosses from the worker for this.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import trio

from prodigy.cli.claude_lines import claude_lines
from prodigy.cli.printer import Part, Span
from prodigy.cli.terminal import Marks
from prodigy.cli.text import home_short
from prodigy.events import ClaudeCutOff, Record, StepCompleted, StepFailed, StepSpawned
from prodigy.ids import JobId
from prodigy.paths import Layout
from prodigy.steps.claude_session import entry
from prodigy.steps.commands import log_name

_PAUSE: Final = 0.25
"""Seconds between two looks."""
_PART: Final = 1024 * 1024
"""Bytes that are read at once."""

Say = Callable[[tuple[Part, ...]], None]
FindLog = Callable[[str], str | None]


class ClaudeFollower:
    """Tells what running launches of one run say and do.

    Args:
        layout: where the run's logs are.
        job: the run.
        log_of: finds Claude's own log of a conversation, once there is one.
        home: the caller's home folder, for short paths.
        marks: how lines are written.
        say: takes each line.
    """

    def __init__(
        self, layout: Layout, job: JobId, log_of: FindLog, home: str | None, marks: Marks, say: Say
    ) -> None:
        self._layout = layout
        self._job = job
        self._log_of = log_of
        self._home = home
        self._marks = marks
        self._say = say
        self._launches: dict[int, _Launch] = {}

    def heard(self, record: Record, item: str | None) -> None:
        """Take the next record; ``item`` is the text of its item. A launch that has ended is told to its end."""
        match record.event:
            case StepSpawned(claude_session=str(session)) as spawned:
                folder = self._layout.step_logs(self._job, spawned.phase, spawned.item_id, spawned.attempt)
                log = folder / f"{log_name(spawned.step, 'claude', spawned.try_)}.out"
                self._launches[spawned.intent] = _Launch(log, session, item)
            case StepCompleted() | StepFailed() | ClaudeCutOff() as ended:
                launch = self._launches.pop(ended.intent, None)
                if launch is not None:
                    self._tell(launch)
                    launch.close()
            case _:
                return

    async def follow(self) -> None:
        """Tell what comes, until cancelled."""
        while True:
            for launch in list(self._launches.values()):
                self._tell(launch)
            await trio.sleep(_PAUSE)

    def _tell(self, launch: "_Launch") -> None:
        prefix = (Span(f"[{launch.item}] ", "accent"),) if launch.item else ()
        for line in launch.lines():
            found = entry(line)
            if found is None:
                continue
            if (log := self._new_log(launch)) is not None:
                self._say((*prefix, f"Claude JSON log: {home_short(log, self._home)}"))
            for parts in claude_lines(found, self._marks):
                self._say((*prefix, *parts))

    def _new_log(self, launch: "_Launch") -> str | None:
        """Claude's own log, once it is there, the first time."""
        if launch.log_is_told:
            return None
        log = self._log_of(launch.session)
        launch.log_is_told = log is not None
        return log


class _Launch:
    """The log of one launch, read once."""

    def __init__(self, log: Path, session: str, item: str | None) -> None:
        self.session = session
        self.item = item
        self.log_is_told = False
        self._log = log
        self._file: BinaryIO | None = None
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """The whole lines that came since the last call."""
        if self._file is None:
            try:
                self._file = self._log.open("rb")
            except OSError:
                return
        while part := self._file.read(_PART):
            *whole, self._rest = (self._rest + part).split(b"\n")
            yield from whole

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
