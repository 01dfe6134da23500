"""What merges are made with: git, the objects of a repository, what it asks for, and a place to merge with files."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from prodigy.git.attributes import AttributeReader
from prodigy.git.bench import Bench
from prodigy.git.cli import Git
from prodigy.git.customs import Customs
from prodigy.git.excludes import identity
from prodigy.git.objects import Objects, open_objects
from prodigy.git.repository import Repository
from prodigy.git.restoring import Restorer
from prodigy.git.tips import Tips
from prodigy.git.worktrees import Worktrees


class Forge(Struct, frozen=True):
    """What merges of one run are made with."""

    git: Git
    """In the repository."""
    objects: Objects
    attributes: AttributeReader
    customs: Customs
    tips: Tips
    bench: Bench
    restorer: Restorer
    identity: Mapping[str, str]
    """Environment that names author and committer where git has no name for them, or not the one that is wanted."""


async def open_forge(
    repository: Repository,
    git: Git,
    lock: Path,
    bench: Path,
    *,
    author: Mapping[str, str] | None = None,
    always_git: bool = False,
) -> Forge:
    """The forge of a repository.

    Args:
        repository: as it was discovered.
        git: in it.
        lock: the file that runs on this repository share.
        bench: where a worktree for merges may be made.
        author: environment that names the author of commits, whatever git would say.
        always_git: whether git itself makes every merge.
    """
    objects = open_objects(repository, git)
    customs = Customs(git, repository.common_dir, always_git=always_git)
    names = await identity(git) | dict(author or {})
    return Forge(
        git=git,
        objects=objects,
        attributes=AttributeReader(git, objects),
        customs=customs,
        tips=Tips(git.under(names), repository.common_dir, customs),
        restorer=Restorer(customs, AttributeReader(git, objects), objects),
        bench=Bench(git, Worktrees(git, lock), str(bench)),
        identity=names,
    )
