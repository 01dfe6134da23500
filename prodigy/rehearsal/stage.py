"""The acts of a rehearsal that do something in the worktree, and what tells whether it was left as it was."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import assert_never

from msgspec import Struct

from prodigy.rehearsal.script import Commit, Delete, Run, Write

Deed = Write | Delete | Run | Commit


class Result(Struct, frozen=True):
    """What a tool gave."""

    text: str = ""
    failed: bool = False


def done(deed: Deed) -> Result:
    """Do it in the current folder; its texts are filled in. What goes wrong is what the tool gave."""
    try:
        match deed:
            case Write():
                return _write(Path(deed.path), deed.text, append=deed.append)
            case Delete():
                return _delete(Path(deed.path))
            case Run():
                return _ran("sh", "-c", deed.script)
            case Commit():
                return _commit(deed.message)
            case _:
                assert_never(deed)
    except OSError as error:
        return Result(str(error), failed=True)


def tool_of(deed: Deed) -> tuple[str, dict[str, str]]:
    """The tool that a model would use for it, and what it would give it."""
    match deed:
        case Write():
            return ("Edit" if deed.append else "Write"), {"file_path": deed.path, "content": deed.text}
        case Delete():
            return "Bash", {"command": f"rm -rf {deed.path}"}
        case Run():
            return "Bash", {"command": deed.script}
        case Commit():
            return "Bash", {"command": f"git commit -m {deed.message!r}"}
        case _:
            assert_never(deed)


def standing() -> str:
    """A digest of HEAD and of what is uncommitted; the same as long as nobody touches the worktree."""
    digest = hashlib.blake2b(digest_size=12)
    for words in (
        ("rev-parse", "HEAD"),
        ("diff", "HEAD", "--no-ext-diff"),
        ("status", "--porcelain", "-z", "-uall"),
    ):
        digest.update(_git(*words).stdout)
    return digest.hexdigest()


def _write(path: Path, text: str, *, append: bool) -> Result:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a" if append else "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    return Result(f"wrote {path}")


def _delete(path: Path) -> Result:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return Result(f"removed {path}")


def _commit(message: str) -> Result:
    added = _git("add", "-A")
    if added.returncode:
        return _result(added)
    if _git("diff", "--cached", "--quiet").returncode == 0:
        return Result("nothing to commit")
    return _result(_git("commit", "-q", "-m", message))


def _git(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["git", *words], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _ran(*words: str) -> Result:
    return _result(subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False))


def _result(ran: "subprocess.CompletedProcess[bytes]") -> Result:
    text = (ran.stdout + ran.stderr).decode(errors="replace").rstrip("\n")
    return Result(text, failed=ran.returncode != 0)
