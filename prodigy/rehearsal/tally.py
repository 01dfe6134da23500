"""What the launches of a run share: how many were let through, and how often a scene was played.

Files in the folder of the conversations, each changed under its lock.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from prodigy.rehearsal.script import Quota

Kept = TypeVar("Kept")


class _Bucket(Struct):
    """Launches that were let through since a moment, in seconds since the epoch."""

    began: float = 0.0
    launches: int = 0


class _Played(Struct):
    """The conversations that began with a scene, by its number."""

    sessions: dict[int, list[str]] = {}


class Tally:
    """The files of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def full_until(self, quota: Quota, now: float) -> float | None:
        """Until when nothing more is let through; ``None``: this launch is, and counts."""
        with self._changed("quota", _Bucket()) as bucket:
            if now >= bucket.began + quota.per:
                bucket.began, bucket.launches = now, 0
            if bucket.launches >= quota.launches:
                return bucket.began + quota.per
            bucket.launches += 1
        return None

    def played(self, key: str) -> dict[int, list[str]]:
        """The conversations of one step and item that began with each scene."""
        with self._changed(_name(key), _Played()) as played:
            return played.sessions

    def play(self, key: str, scene: int, session_id: str) -> None:
        """A conversation begins with a scene."""
        with self._changed(_name(key), _Played()) as played:
            sessions = played.sessions.setdefault(scene, [])
            if session_id not in sessions:
                sessions.append(session_id)

    @contextmanager
    def _changed(self, name: str, default: Kept) -> Iterator[Kept]:
        file = self._folder / f"{name}.tally"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            content = opened.read()
            kept = msgspec.json.decode(content, type=type(default)) if content else default
            yield kept
            opened.seek(0)
            opened.write(msgspec.json.encode(kept))
            opened.truncate()


def _name(key: str) -> str:
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
