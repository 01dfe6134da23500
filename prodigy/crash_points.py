"""Named points at which a process can be made to die, to prove that whatever follows a death is right.

Each effect that outlives the process stands in a block of its own::

    with crash_point("journal.sync"):
        os.fdatasync(descriptor)

and so has two points, ``journal.sync.before`` and ``journal.sync.after``. They cost next to nothing and do nothing,
unless ``PRODIGY_CRASH_POINTS`` names a folder. Then each process notes the points that it passes in the folder's file
``passed``, a line each (``{pid} {who} {point}``), and the first that comes to the point of the file ``plan``
(``{who} {point} {number}``: on its so manieth time, counted per process) takes the plan away and kills itself with
SIGKILL. ``who`` is ``worker``, ``coordinator`` or ``keeper``. A process knows the plan that is there when it starts.

Which calls must stand in such a block is held by ``tests/test_crash_points.py``.
"""

import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType

VARIABLE = "PRODIGY_CRASH_POINTS"
_PROGRAMS = {"supervisors._worker": "worker", "prodigy.steps.keeper": "keeper"}
_WHO = next((who for module, who in _PROGRAMS.items() if module in sys.orig_argv), "coordinator")


class _Rehearsal:
    """What this process does at its points: notes them, and dies at one."""

    def __init__(self, folder: Path) -> None:
        self._plan = folder / "plan"
        self._wanted: list[str] = []
        with suppress(FileNotFoundError):  # nobody dies, or somebody has
            self._wanted = self._plan.read_text().split()
        self._passed = os.open(
            folder / "passed", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        self._times: Counter[str] = Counter()

    def reached(self, point: str) -> None:
        self._times[point] += 1
        os.write(self._passed, f"{os.getpid()} {_WHO} {point}\n".encode())
        if self._wanted == [_WHO, point, str(self._times[point])]:
            try:
                self._plan.unlink()
            except FileNotFoundError:
                return  # somebody else was first
            os.kill(os.getpid(), signal.SIGKILL)


def _rehearsal() -> _Rehearsal | None:
    folder = os.environ.get(VARIABLE)
    return _Rehearsal(Path(folder)) if folder else None


_armed = _rehearsal()


class crash_point:  # noqa: N801 - reads as the statement that it is
    """A block with one effect that outlives the process; ``name`` is ``{what}.{effect}``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        if _armed is not None:
            _armed.reached(f"{self._name}.before")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if _armed is not None:
            _armed.reached(f"{self._name}.after")
