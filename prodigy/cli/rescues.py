"""Refs that keep what was not merged: which there are of a repository, and removing those that are old."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from prodigy.errors import RunError
from prodigy.ids import JobId
from prodigy.store.repos import registry

_FOLDER = "refs/prodigy/rescue/"
_REDIRECTING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")


class Rescue(Struct, frozen=True, kw_only=True):
    """One ref, the job that it is of, and when what it keeps was committed."""

    ref: str
    sha: str
    repo: str
    job: JobId
    at: datetime


def rescues(home: Path, repo: str | None, environ: Mapping[str, str]) -> list[Rescue]:
    """The refs of one repository, or of all that are there with ``None``; the oldest first."""
    known = registry(home).repos
    names = known if repo is None else [name for name in known if name == repo]
    return sorted(
        (found for name in names for found in _of(name, Path(known[name].git_dir), environ)),
        key=lambda found: (found.at, found.ref),
    )


def _of(repo: str, git_dir: Path, environ: Mapping[str, str]) -> list[Rescue]:
    if not git_dir.is_dir():
        return []
    form = "--format=%(refname) %(objectname) %(committerdate:unix)"
    found = []
    for line in _git(git_dir, environ, "for-each-ref", form, _FOLDER).splitlines():
        ref, sha, seconds = line.split()
        job = JobId(ref.removeprefix(_FOLDER).partition("/")[0])
        found.append(
            Rescue(ref=ref, sha=sha, repo=repo, job=job, at=datetime.fromtimestamp(int(seconds), UTC))
        )
    return found


def forget(home: Path, rescue: Rescue, environ: Mapping[str, str]) -> None:
    """Remove a ref, if it still is what it was; git keeps what it named until it collects its garbage.

    Raises:
        RunError: ``git-failed``.
    """
    _git(Path(registry(home).repos[rescue.repo].git_dir), environ, "update-ref", "-d", rescue.ref, rescue.sha)


def _git(place: Path, environ: Mapping[str, str], *words: str) -> str:
    env = {name: value for name, value in environ.items() if name not in _REDIRECTING}
    asked = subprocess.run(("git", *words), cwd=place, env=env, capture_output=True, text=True, check=False)
    if asked.returncode:
        raise RunError("git-failed", f"`git {words[0]}` failed: {asked.stderr.strip()}", where=str(place))
    return asked.stdout
