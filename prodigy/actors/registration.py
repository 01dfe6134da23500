"""Giving a repository its name under home, and following one that was moved, with the worktrees that runs left.

A moved repository is told from another of the same name by its first commits: those without parents.
"""

import subprocess
from datetime import datetime
from pathlib import Path

from prodigy.crash_points import crash_point
from prodigy.store.repos import Registered, Repository, register, registry, was_moved


def registered(home: Path, git_dir: Path, worktree: Path | None, now: datetime) -> Registered:
    """The name of a repository, given now if it has none yet; that of one that lay elsewhere before is kept.

    Args:
        home: the base folder.
        git_dir: the git folder that all its worktrees share.
        worktree: the main worktree; ``None`` for a bare repository.
        now: the present time.
    """
    known = registry(home)
    name = known.name_of(str(git_dir.resolve()))
    roots = () if name is not None and known.repos[name].root_commits else root_commits(git_dir)
    found = register(home, git_dir, worktree=worktree, root_commits=roots, now=now)
    if found.moved_from is not None:
        _repair(home, found.name, git_dir)
    return found


def may_have_moved(home: Path, git_dir: Path) -> bool:
    """Whether a repository without a name can be one of those that are no longer where they were."""
    known = registry(home)
    gone = any(_is_gone(repository) for repository in known.repos.values())
    return gone and known.name_of(str(git_dir.resolve())) is None


def moved(home: Path, git_dir: Path, worktree: Path | None, now: datetime) -> Registered | None:
    """As ``registered`` for a repository that was moved; nothing is registered of any other."""
    known, roots = registry(home), root_commits(git_dir)
    if not was_moved(known, git_dir, worktree, roots, now):
        return None
    return registered(home, git_dir, worktree, now)


def _is_gone(repository: Repository) -> bool:
    return bool(repository.root_commits) and not Path(repository.git_dir).exists()


def root_commits(git_dir: Path) -> tuple[str, ...]:
    """The commits without parents that HEAD comes from; none where git cannot say."""
    asked = _git(git_dir, "rev-list", "--max-parents=0", "HEAD")
    return tuple(asked.stdout.split()) if asked.returncode == 0 else ()


def _repair(home: Path, name: str, git_dir: Path) -> None:
    """Tell git where its worktrees are, and them where it is; what cannot be repaired is made anew when it is needed."""
    places = [
        path for form in ("*", ".pool/*/*", ".scratch/*") for path in (home / "worktrees" / name).glob(form)
    ]
    worktrees = [str(path) for path in places if (path / ".git").is_file()]
    if worktrees:
        with crash_point("git.repair"):
            _git(git_dir, "worktree", "repair", *worktrees)


def _git(git_dir: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ("git", f"--git-dir={git_dir}", *words), capture_output=True, text=True, check=False
    )
