"""What git and the disk say of a session, beyond its records: whether it is dirty, what is not merged, how large it is."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from prodigy.cli.removal import bytes_below
from prodigy.ids import SessionId
from prodigy.paths import Layout
from prodigy.store.repos import registry

_REDIRECTING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


class SessionFacts(Struct, frozen=True, kw_only=True):
    """``None`` is unknown: the worktree is gone, or git does not say."""

    dirty: bool | None = None
    """Whether the session worktree holds what is in no commit."""
    ahead: int | None = None
    """Commits of its branch that the branch to merge into does not have."""


def session_facts(
    layout: Layout, session: SessionId, branch: str, target: str, environ: Mapping[str, str]
) -> SessionFacts:
    """Ask git; nothing is written, not even an index."""
    worktree = layout.session_worktree(session)
    env = {name: value for name, value in environ.items() if name not in _REDIRECTING}
    dirty = ahead = None
    if worktree.is_dir():
        said = _git(worktree, env, "status", "--porcelain")
        dirty = None if said is None else bool(said)
    repository = registry(layout.home).repos.get(layout.repo)
    if repository is not None and Path(repository.git_dir).is_dir():
        span = f"refs/heads/{target}..refs/heads/{branch}"
        counted = _git(Path(repository.git_dir), env, "rev-list", "--count", span, "--")
        ahead = None if counted is None else int(counted)
    return SessionFacts(dirty=dirty, ahead=ahead)


def _git(place: Path, env: Mapping[str, str], *words: str) -> str | None:
    """What git prints there; ``None`` if it fails."""
    asked = subprocess.run(
        ("git", "--no-optional-locks", *words),
        cwd=place,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if asked.returncode else asked.stdout


# -- on disk -------------------------------------------------------------------------------------------------------
def agents_places(layout: Layout, session: SessionId) -> list[Path]:
    """The folders of a run besides its session worktree that are there: agents' slots, and scratch worktrees."""
    places = (layout.slot(session, 1).parent, layout.scratch(session), layout.bench(session))
    return [place for place in places if place.exists()]


def slots_of(layout: Layout, session: SessionId) -> list[str]:
    """The agents' slots that are there, as paths."""
    pool = layout.slot(session, 1).parent
    return sorted(str(place) for place in pool.glob("slot-*"))


def size_of(layout: Layout, session: SessionId, *, agents_only: bool = False) -> int:
    """Bytes of a run's worktrees."""
    own = [] if agents_only else [layout.session_worktree(session)]
    return bytes_below([*own, *agents_places(layout, session)])
