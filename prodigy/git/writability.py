"""Whether anything can still be written where a repository and its worktrees lie.

A disk that is full, mounted read-only or gone is nobody's fault, and fails whoever comes next as well.
"""

import errno
import os
import tempfile
from collections.abc import Sequence

from msgspec import Struct

_PROBE = 1 << 20
"""Bytes that there has to be room for: a disk with less is as good as full."""
_OF_GIT = ("Out of diskspace", "unable to write file")
_WORDS = (*map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS)), *_OF_GIT)


class Refusal(Struct, frozen=True):
    """Where nothing can be written, and why, in the system's words."""

    path: str
    reason: str


def refusal(places: Sequence[str], complaint: str = "") -> Refusal | None:
    """The first folder that takes no file, if one does not; one that is not there takes none.

    Args:
        places: at least one.
        complaint: what git said when it failed. It may have wanted more room than is tried here: that a disk is full, or
            read-only, is believed, and the folder with the least room is named for it.
    """
    for place in places:
        try:
            with tempfile.TemporaryFile(dir=place) as probe:  # it has no name, so nothing is left of it
                probe.write(bytes(_PROBE))
                probe.flush()
        except OSError as error:
            return Refusal(place, error.strerror or str(error))
    said = next((words for words in _WORDS if words in complaint), None)
    return None if said is None else Refusal(min(places, key=_room), said)


def _room(place: str) -> int:
    """Bytes that are free where a folder lies."""
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
