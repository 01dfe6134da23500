"""Names of runs, items, agents, branches and refs.

Pure: time and randomness come in as values. Every name made here is safe as a file name and as a part of a git
ref; uniqueness of a stem is the caller's to prove (it retries on collision).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NewType
from uuid import UUID, uuid5

import msgspec

Stem = NewType("Stem", str)
JobId = NewType("JobId", str)
SessionId = NewType("SessionId", str)
ItemId = NewType("ItemId", str)
AgentId = NewType("AgentId", str)

Kind = Literal["workflow", "mapreduce"]

TAIL_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Digits and letters without ``i l o u``: nothing that is misread, nothing that spells."""
TAIL_LENGTH = 6
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_ITEM_ID = 80


def stem(now: datetime, random: bytes) -> Stem:
    """``20261122-081500-k7m2pq``: UTC second and six characters from at least six random bytes."""
    if len(random) < TAIL_LENGTH:
        raise ValueError(f"need {TAIL_LENGTH} random bytes, got {len(random)}")
    tail = "".join(TAIL_ALPHABET[byte % len(TAIL_ALPHABET)] for byte in random[:TAIL_LENGTH])
    return Stem(f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{tail}")


def session_id(of: Stem, kind: Kind) -> SessionId:
    """``session-…`` for a plain workflow, ``session-mapreduce-…`` for MapReduce."""
    return SessionId(f"session-mapreduce-{of}" if kind == "mapreduce" else f"session-{of}")


def job_id(of: Stem, kind: Kind) -> JobId:
    """``workflow-…`` or ``mapreduce-…``."""
    return JobId(f"{kind}-{of}")


def stem_of(name: str) -> Stem:
    """The stem inside a session id, job id, branch or stem."""
    match = re.search(r"\d{8}-\d{6}-[0-9a-z]{6}$", name)
    if match is None:
        raise ValueError(f"no stem in {name!r}")
    return Stem(match[0])


def tail_of(name: str) -> str:
    """The six characters that people type: ``k7m2pq``."""
    return stem_of(name)[-TAIL_LENGTH:]


def session_branch(session: SessionId, number: int = 0) -> str:
    """The branch that collects a run's work: ``prodigy-session-…``; with ``-r1``, ``-r2``, … for those after the first."""
    return f"prodigy-{session}-r{number}" if number else f"prodigy-{session}"


def agent_id(index: int, attempt: int) -> AgentId:
    """``agent-142-2``: item index from 0 in item order, attempt from 1."""
    return AgentId(f"agent-{index}-{attempt}")


def place_of(agent: str) -> tuple[int, int]:
    """Item index and attempt of an agent's id."""
    index, attempt = agent.split("-")[1:]
    return int(index), int(attempt)


def agent_branch(job: str, agent: AgentId) -> str:
    """The branch of one attempt at one item: ``prodigy-k7m2pq-agent-142-2``."""
    return f"prodigy-{tail_of(job)}-{agent}"


def agent_branches(job: str) -> str:
    """How the branches of all attempts of a run begin."""
    return f"prodigy-{tail_of(job)}-agent-"


def rescue_folder(job: str) -> str:
    """Where unmerged work of a run is kept: ``refs/prodigy/rescue/{job}``."""
    return f"refs/prodigy/rescue/{job}"


def rescue_ref(job: str, item: str, attempt: int) -> str:
    """Where unmerged work of an attempt is kept: ``refs/prodigy/rescue/{job}/{item}/{attempt}``."""
    return f"{rescue_folder(job)}/{item}/{attempt}"


def correlation(job_correlation: UUID, item: str | None) -> UUID:
    """The job's correlation id, or the item's: the same over all attempts, retries and resumes."""
    return job_correlation if item is None else uuid5(job_correlation, item)


def content_hash(item: object) -> str:
    """The first 12 hex digits of SHA-256 over the canonical JSON of an item (keys sorted)."""
    canonical = msgspec.json.encode(item, order="sorted")
    return _sha256(canonical)[:12]


def _sha256(data: bytes) -> str:
    from hashlib import sha256  # it brings OpenSSL along, and lists only read what was named long ago

    return sha256(data).hexdigest()


def safe_item_id(text: str) -> str:
    """``text`` as a file name and ref part, 1 to 80 of ``[A-Za-z0-9._-]``.

    Six hex digits of the text's hash are appended whenever anything had to be changed, so different texts keep
    different ids. Empty text, and text that git forbids in refs (``..``, leading or trailing dots, ``.lock``),
    is changed too.
    """
    safe = re.sub(r"\.\.+", ".", _UNSAFE.sub("-", text)).strip(".-")
    if safe.lower().endswith(".lock"):
        safe = safe[: -len(".lock")] + "-lock"
    if safe == text and 0 < len(safe) <= _MAX_ITEM_ID:
        return safe
    digest = _sha256(text.encode("utf-8", "surrogatepass"))[:6]
    return f"{safe[: _MAX_ITEM_ID - 7].rstrip('.-') or 'item'}-{digest}"


def item_ids(names: Sequence[str]) -> list[ItemId]:
    """Unique ids in the order of ``names``, each made safe.

    Two names that differ only in case get a hash each (file systems fold case); equal names get ``-2``, ``-3``.
    """
    by_folded: dict[str, set[str]] = {}
    for name in names:
        by_folded.setdefault(safe_item_id(name).casefold(), set()).add(name)
    taken: set[str] = set()
    ids: list[ItemId] = []
    for name in names:
        base = safe_item_id(name)
        if len(by_folded[base.casefold()]) > 1:
            digest = _sha256(name.encode("utf-8", "surrogatepass"))[:6]
            base = f"{base[: _MAX_ITEM_ID - 7]}-{digest}"
        candidate, copy = base, 1
        while candidate.casefold() in taken:
            copy += 1
            candidate = f"{base}-{copy}"
        taken.add(candidate.casefold())
        ids.append(ItemId(candidate))
    return ids
