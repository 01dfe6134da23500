"""Private files and folders, and files that change as a whole or not at all.

Folders are 0700 and files 0600 whatever the umask. A file that is replaced is complete and on disk before it takes the
old one's name; a crash leaves the old file or the new one, never something between.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

from prodigy.crash_points import crash_point
from prodigy.errors import MachineError

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def private_folder(folder: Path, *, durable: bool = True) -> Path:
    """Make ``folder`` and whatever of its parents is missing, private and, if ``durable``, on disk; return it.

    Raises:
        MachineError: ``storage-denied``.
    """
    missing = [folder, *folder.parents]
    missing = missing[: next(number for number, path in enumerate(missing) if path.is_dir())]
    try:
        for path in reversed(missing):
            with crash_point("folder.make"), suppress(FileExistsError):
                path.mkdir(FOLDER_MODE)
                path.chmod(FOLDER_MODE)
                if durable:
                    sync_folder(path.parent)
    except OSError as error:
        raise denied(error, folder) from error
    return folder


def write_file(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``: in one step, private, on disk when this returns.

    Raises:
        MachineError: ``storage-full`` or ``storage-denied``.
    """
    write_parts(path, (content,))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """As ``write_file``, for what need not be in memory as a whole; what ``parts`` raises leaves the old file."""
    from tempfile import mkstemp  # who only reads needs none of it

    private_folder(path.parent)
    temporary: str | None = None
    try:
        descriptor, temporary = mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.", suffix=".tmp")
        try:
            os.fchmod(descriptor, FILE_MODE)
            for part in parts:
                write_all(descriptor, part)
            with crash_point("file.sync"):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with crash_point("file.replace"):
            Path(temporary).replace(path)
        temporary = None
        sync_folder(path.parent)
    except OSError as error:
        raise denied(error, path) from error
    finally:
        if temporary is not None:
            with crash_point("file.discard"), suppress(OSError):
                Path(temporary).unlink()


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of ``content``; a short write is carried on, so that its cause shows."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def remove_file(path: Path) -> None:
    """Remove ``path`` if it is there; the removal is on disk when this returns."""
    try:
        with crash_point("file.remove"):
            path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)
    except OSError as error:
        raise denied(error, path) from error


def sync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with crash_point("folder.sync"):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def names_in(folder: Path, beginning: str, ending: str) -> list[str]:
    """The names in a folder that begin and end so, in no order; none if there is no folder."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are enough, and lists look into hundreds of folders
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if name.startswith(beginning) and name.endswith(ending)]


def denied(error: OSError, path: Path) -> MachineError:
    """What the disk refused, as an error that names the place."""
    return MachineError(storage_code(error), f"Could not write: {error.strerror or error}", where=str(path))


def storage_code(error: OSError) -> str:
    """``storage-full`` when space is what is missing, else ``storage-denied``."""
    return "storage-full" if error.errno in {ENOSPC, EDQUOT, EFBIG} else "storage-denied"
