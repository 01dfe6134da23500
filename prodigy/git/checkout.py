"""How a checkout stands, to be compared later: HEAD, index and files, without touching any of it."""

import os

import trio
from msgspec import Struct

from prodigy.git.cli import Git, readable

_HEADERS = (b"# branch.oid ", b"# branch.head ")
_WORDS = {b"1": 8, b"2": 9, b"u": 10, b"?": 1}


class Checkout(Struct, frozen=True):
    """A checkout at one moment."""

    head: tuple[bytes, ...]
    """Its commit and its branch."""
    files: dict[str, tuple[bytes, int, int]]
    """Of files that differ from HEAD: what git says, size, modification time."""


async def look(git: Git) -> Checkout:
    """How the checkout stands that ``git`` is at the top of."""
    options = ("--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all")
    listed = (await git.run("status", *options, "--ignore-submodules=none")).fields
    head = tuple(line for line in listed if line.startswith(_HEADERS))
    return await trio.to_thread.run_sync(
        _checkout, git.cwd, head, [line for line in listed if line[:1] in _WORDS]
    )


def changed(before: Checkout, after: Checkout) -> tuple[str, ...]:
    """What became different: ``HEAD``, and paths."""
    names = sorted(
        name
        for name in before.files.keys() | after.files.keys()
        if before.files.get(name) != after.files.get(name)
    )
    return (*(("HEAD",) if before.head != after.head else ()), *names)


def _checkout(top: str, head: tuple[bytes, ...], lines: list[bytes]) -> Checkout:
    files = {}
    for line in lines:
        path = line.split(b" ", _WORDS[line[:1]])[-1]
        try:
            found = os.lstat(os.path.join(os.fsencode(top), path))  # noqa: PTH118 - git's bytes, as they are
            files[readable(path)] = (line, found.st_size, found.st_mtime_ns)
        except OSError:
            files[readable(path)] = (line, 0, 0)
    return Checkout(head, files)
