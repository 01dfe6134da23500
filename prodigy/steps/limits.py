"""What the commands of an agent may use: the step's own limits within what is left of the attempt's."""

from typing import TypeVar

from prodigy.events import Failure
from prodigy.steps.durable import LeafFailed
from prodigy.workflow.deferred import seconds, size
from prodigy.workflow.model import Count, Deferred, Limits
from prodigy.workflow.standards import OUTPUT, PROCESSES
from supervisors import Breach
from supervisors import Limits as TreeLimits

Number = TypeVar("Number", int, float)


class Allowance:
    """Keeps account of CPU time and output over the commands of one attempt.

    Args:
        limits: of the whole attempt, settled.
        attempt: whether it is one at an item: what it prints has a bound as a whole then, until a step has its own.
    """

    def __init__(self, limits: Limits | None, *, attempt: bool = False) -> None:
        self._whole = limits or Limits()
        self._bounded = attempt
        self._cpu = 0.0
        self._output = self._written = 0

    def spend(self, cpu: float, output: int, *, excerpted: bool = False) -> None:
        """Take note of what a command used: seconds and bytes, of which maybe only an excerpt was written down."""
        self._cpu += cpu
        self._output += output
        self._written += 0 if excerpted else output

    def limits(self, own: Limits | None, idle: float | None, *, excerpted: bool = False) -> TreeLimits:
        """The limits of the next command.

        Args:
            own: the step's, settled.
            idle: seconds that it may say nothing.
            excerpted: whether only an excerpt of its output is written down, as of Claude's stream, which tells every few
                letters in an event of their own: that has a bound only where somebody says one.

        Raises:
            LeafFailed: ``limit-exceeded``: nothing is left of the attempt's.
        """
        own, whole = own or Limits(), self._whole
        return TreeLimits(
            memory=least(size(own.memory), size(whole.memory)),
            cpu_time=least(seconds(own.cpu_time), self._cpu_left()),
            wall=seconds(own.wall),
            idle=idle,
            processes=least(_count(own.processes), _count(whole.processes)) or PROCESSES,
            output=self._output_left(size(own.output), excerpted=excerpted),
            open_files=least(_count(own.open_files), _count(whole.open_files)),
        )

    def _cpu_left(self) -> float | None:
        allowed = seconds(self._whole.cpu_time)
        if allowed is None:
            return None
        if self._cpu >= allowed:
            raise _exceeded(Breach("cpu_time", self._cpu, allowed))
        return allowed - self._cpu

    def _output_left(self, own: int | None, *, excerpted: bool) -> int | None:
        allowed, used = size(self._whole.output), self._output
        if allowed is None:
            if own is not None:
                self._bounded = False
            if own is not None or excerpted:
                return own
            if not self._bounded:
                return OUTPUT
            allowed, used = OUTPUT, self._written
        if used >= allowed:
            raise _exceeded(Breach("output", used, allowed))
        return least(own, allowed - used)


def least(*limits: Number | None) -> Number | None:
    """The smallest of those that hold."""
    return min((limit for limit in limits if limit is not None), default=None)


def _count(value: Count | None) -> int | None:
    assert not isinstance(value, Deferred)
    return value


def _exceeded(breach: Breach) -> LeafFailed:
    return LeafFailed(Failure(error_class="limit-exceeded", message=str(breach), limit=str(breach)))
