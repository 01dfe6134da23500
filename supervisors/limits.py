"""What a process tree may use, and what it says when one used more.

Data only: importable without trio. A limit that is ``None`` does not hold.
"""

from typing import Literal, TypeAlias

import msgspec

LimitName: TypeAlias = Literal["memory", "cpu_time", "wall", "idle", "processes", "output"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one process tree may use; a tree that uses more is killed.

    Limits stop what runs: memory, CPU time and processes are looked at once a second, and nobody looks back at what
    has ended meanwhile. Output is counted as it is read, so what a command wrote counts also when it is read later.

    Attributes:
        memory: bytes held by all its processes together; pages that they share count once.
        cpu_time: seconds spent by all its processes together, in the kernel too, those that have ended included.
        wall: seconds from its start.
        idle: seconds without a byte of output, while nothing that it wrote waits to be read.
        processes: processes that exist at the same time; a dead one that nobody has waited for is one too.
        output: bytes written to stdout and stderr together.
        open_files: descriptors that each process may have open. The kernel refuses more, and kills nobody.

    Raises:
        ValueError: a limit is not above zero.
    """

    memory: int | None = None
    cpu_time: float | None = None
    wall: float | None = None
    idle: float | None = None
    processes: int | None = None
    output: int | None = None
    open_files: int | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and not value > 0:  # so written that NaN is refused as well
                raise ValueError(f"the limit {name} must be above 0, not {value}")


class Breach(msgspec.Struct, frozen=True):
    """A tree used more than it may; as text ``memory 2.1 GiB > 2 GiB``.

    Attributes:
        limit: the field of ``Limits``.
        used: what was found, in the unit of that field.
        max: what was allowed.
    """

    limit: LimitName
    used: float
    max: float

    def __str__(self) -> str:
        """Name, what was used, what was allowed: both in the same unit, with the digits that tell them apart."""
        size, unit = _scale(self.limit, self.max)
        used, allowed = _tell_apart(self.used / size, self.max / size)
        return f"{self.limit.replace('_', ' ')} {used}{unit} > {allowed}{unit}"


_BYTES = (" B", " KiB", " MiB", " GiB", " TiB")
_DECIMAL = (" B", " kB", " MB", " GB", " TB")
_DIGITS = 15
"""More do not fit into a float."""
_ENOUGH = 3
"""So many show any limit well enough."""


def _scale(limit: LimitName, allowed: float) -> tuple[float, str]:
    """The unit to write a limit in: its size and its name."""
    match limit:
        case "memory" | "output":
            round_ = allowed >= 1000 and allowed % 1000 == 0 and allowed % 1024 != 0  # noqa: PLR2004 - a kB
            base, units = (1000, _DECIMAL) if round_ else (1024, _BYTES)
            step = sum(allowed >= base**power for power in range(1, len(units)))
            return base**step, units[step]
        case "processes":
            return 1, ""
        case "cpu_time" | "wall" | "idle":
            return 1, " s"


def _tell_apart(used: float, allowed: float) -> tuple[str, str]:
    """Both numbers, with as few digits after the point as show what is allowed and that the other differs."""
    for digits in range(1, _DIGITS):
        texts = _short(used, digits), _short(allowed, digits)
        if texts[0] != texts[1] and (digits >= _ENOUGH or float(texts[1]) == allowed):
            return texts
    return _short(used, 1), _short(allowed, 1)


def _short(number: float, digits: int) -> str:
    return f"{number:.{digits}f}".rstrip("0").rstrip(".")
