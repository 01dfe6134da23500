"""What was taken over from older programs, read as it lies: sessions, and items that failed for good.

They wrote other shapes than today's, so of each only what is there is told, and nothing can be gone on with.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from prodigy.decoding import JsonDecoder
from prodigy.paths import Storage
from prodigy.store.documents import LegacyLetter
from prodigy.store.migration import LEGACY
from prodigy.store.storage import rooms

_ENDED = frozenset({"completed", "failed"})


class LegacySession(Struct, frozen=True, kw_only=True):
    """A session of an older program; ``status`` is ``completed``, ``failed`` or ``interrupted``."""

    session_id: str
    status: str
    started_at: str | None = None
    iterations_completed: int | None = None
    files_changed: int | None = None
    worktree_name: str | None = None
    path: str


def legacy_sessions(storage: Storage, repo: str | None) -> list[LegacySession]:
    """The sessions that were taken over, of one repository or of all, by id."""
    kept = (room / LEGACY for _, room in rooms(storage, "sessions", repo))
    found = (_session(path) for folder in kept for path in sorted(folder.glob("*.json")))
    return sorted((one for one in found if one is not None), key=lambda one: one.session_id)


def _session(path: Path) -> LegacySession | None:
    told = _read(path)
    if not isinstance(told, dict):
        return None
    status = _text(told.get("status")) or ""
    return LegacySession(
        session_id=_text(told.get("session_id")) or path.stem,
        status=status.lower() if status.lower() in _ENDED else "interrupted",
        started_at=_text(told.get("started_at")),
        iterations_completed=_number(told.get("iterations_completed")),
        files_changed=_number(told.get("files_changed")),
        worktree_name=_text(told.get("worktree_name")),
        path=str(path),
    )


def legacy_letters(storage: Storage, repo: str | None, job: str | None = None) -> list[LegacyLetter]:
    """The items that were taken over, of one job or of all, by job and id; not those that a run of ours has tried again."""
    found = [
        letter
        for _, room in rooms(storage, "dlq", repo)
        for path in sorted(room.glob(f"*/{LEGACY}/**/*.json"))
        for letter in _letters(path, path.relative_to(room).parts[0])
        if job in {None, letter.job_id}
    ]
    again = _tried_again(storage, repo) if found else frozenset()
    left = (letter for letter in found if letter.name not in again)
    return sorted(left, key=lambda letter: (letter.job_id, letter.item_id))


class _OfPlan(Struct):
    older: tuple[str, ...] = ()


class _Job(Struct):
    plan: _OfPlan


_read_plan = JsonDecoder(_Job)


def _tried_again(storage: Storage, repo: str | None) -> frozenset[str]:
    """The items that runs of ours took for theirs: what becomes of them is told there."""
    found: set[str] = set()
    states = (room for _, room in rooms(storage, "state", repo))
    for path in (path for room in states for path in room.glob("mapreduce/jobs/*/job.json")):
        with suppress(OSError, msgspec.DecodeError):
            found.update(_read_plan(path.read_bytes()).plan.older)
    return frozenset(found)


def _letters(path: Path, job: str) -> Iterator[LegacyLetter]:
    """The items of a file: one, a list of them, or a mapping by id, alone or under ``items``."""
    told = _read(path)
    if isinstance(told, dict) and isinstance(told.get("items"), list | dict):
        told = told["items"]
    if isinstance(told, dict) and not _is_item(told):
        told = [{"item_id": name, **item} for name, item in told.items() if isinstance(item, dict)]
    for item in told if isinstance(told, list) else [told]:
        if isinstance(item, dict) and _is_item(item):
            yield _letter(item, path, job)


def _is_item(told: dict[str, Any]) -> bool:
    return "item_id" in told and ("item_data" in told or "item" in told or "failure_history" in told)


def _letter(item: dict[str, Any], path: Path, job: str) -> LegacyLetter:
    history = item.get("failure_history")
    attempts = [one for one in history if isinstance(one, dict)] if isinstance(history, list) else []
    last = attempts[-1] if attempts else {}
    return LegacyLetter(
        item_id=str(item["item_id"]),
        job_id=job,
        item=item.get("item_data", item.get("item")),
        failure_count=_number(item.get("failure_count")) or len(attempts),
        last_attempt=_text(item.get("last_attempt")) or _text(last.get("timestamp")),
        message=_text(last.get("error_message")) or "",
        details=item,
        path=str(path),
    )


def _read(path: Path) -> Any:
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes())
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
