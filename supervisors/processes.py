"""Looking at the processes of this machine: which there are, and what hangs below whom."""

from collections.abc import Collection, Mapping

from supervisors import _procfs
from supervisors._process_table import ProcessSample, trees

__all__ = ["ProcessSample", "below", "read_processes"]


def read_processes() -> Mapping[int, ProcessSample]:
    """Every process by its pid, as far as one reading can tell.

    Raises:
        OSError: the system is out of descriptors or memory.
    """
    return _procfs.scan()


def below(table: Mapping[int, ProcessSample], roots: Collection[int]) -> list[ProcessSample]:
    """The processes that descend from one of ``roots``, which are pids, without these themselves."""
    return [process for members in trees(table, roots).values() for process in members]
