"""What the commands of an agent may use: the step's own limits within what is left of the attempt's."""

from typing import TypeVar

from prodigy.events import Failure
from prodigy.steps.durable import LeafFailed
from prodigy.workflow.deferred import seconds, size
from prodigy.workflow.model import Count, Deferred, Limits
from supervisors import Breach
from supervisors import Limits as TreeLimits

Number = TypeVar("Number", int, float)


class Allowance:
    """Keeps account of CPU time and output over the commands of one attempt.

    Args:
        limits: of the whole attempt, settled.
    """

    def __init__(self, limits: Limits | None) -> None:
        self._whole = limits or Limits()
        self._cpu = 0.0
        self._output = 0

    def spend(self, cpu: float, output: int) -> None:
        """Take note of what a command used: seconds and bytes."""
        self._cpu += cpu
        self._output += output

    def limits(self, own: Limits | None, idle: float | None) -> TreeLimits | None:
        """The limits of the next command; ``None`` if it has none.

        Args:
            own: the step's, settled.
            idle: seconds that it may say nothing.

        Raises:
            LeafFailed: ``limit-exceeded``: nothing is left of the attempt's.
        """
        own, whole = own or Limits(), self._whole
        cpu_left, output_left = self._left()
        made = TreeLimits(
            memory=least(size(own.memory), size(whole.memory)),
            cpu_time=least(seconds(own.cpu_time), cpu_left),
            wall=seconds(own.wall),
            idle=idle,
            processes=least(_count(own.processes), _count(whole.processes)),
            output=least(size(own.output), output_left),
            open_files=least(_count(own.open_files), _count(whole.open_files)),
        )
        return made if made != TreeLimits() else None

    def _left(self) -> tuple[float | None, int | None]:
        cpu, output = seconds(self._whole.cpu_time), size(self._whole.output)
        if cpu is not None and self._cpu >= cpu:
            raise _exceeded(Breach("cpu_time", self._cpu, cpu))
        if output is not None and self._output >= output:
            raise _exceeded(Breach("output", self._output, output))
        cpu_left = None if cpu is None else cpu - self._cpu
        return cpu_left, None if output is None else output - self._output


def least(*limits: Number | None) -> Number | None:
    """The smallest of those that hold."""
    return min((limit for limit in limits if limit is not None), default=None)


def _count(value: Count | None) -> int | None:
    assert not isinstance(value, Deferred)
    return value


def _exceeded(breach: Breach) -> LeafFailed:
    return LeafFailed(Failure(error_class="limit-exceeded", message=str(breach), limit=str(breach)))
