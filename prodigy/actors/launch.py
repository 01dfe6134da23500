"""From a checked workflow to a plan on a known commit, and to what the tree needs from this process.

Everything that can refuse a run refuses it here, before anything is made: no repository, no commit, no branch to
merge into.
"""

import os
import secrets
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec
import trio
from msgspec import structs

from prodigy import __version__, ids
from prodigy.actors import environment
from prodigy.actors.preparing import NO_CLAUDE_VARIABLES, ClaudeVariables, Prepared, prepare
from prodigy.actors.registration import registered
from prodigy.errors import MachineError
from prodigy.events import Metadata
from prodigy.git import admission, excludes
from prodigy.git.aside import remove_forsaken
from prodigy.git.checkout import Checkout, look
from prodigy.git.cli import Git
from prodigy.git.forge import Forge, open_forge
from prodigy.git.included import find_included, included_in, keep_included
from prodigy.git.local import TrioRunner
from prodigy.git.mending import mend
from prodigy.git.repository import Repository, Target, discover, find_target
from prodigy.git.writability import refusal
from prodigy.job.plan import RunPlan
from prodigy.paths import Layout, Storage
from prodigy.store.atomic import write_file
from prodigy.store.locks import boot_id
from prodigy.store.storage import IN_PROJECT
from prodigy.workflow.model import Workflow
from prodigy.workflow.select import input_kind


class Ground(msgspec.Struct, frozen=True):
    """Where a run stands: the repository, the branch it is for, and git there."""

    repository: Repository
    target: Target
    git: Git
    checkout: Checkout | None = None
    """How the user's checkout stood, once it was looked at."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """The files of the checkout that are not part of a run, because they are not committed as they are."""
        return tuple(self.checkout.files) if self.checkout is not None else ()

    @property
    def main_checkout(self) -> Checkout | None:
        """How the main worktree stood, if that is what the user stands in."""
        return self.checkout if self.repository.checkout == self.repository.root else None


async def survey(place: Path, environ: Mapping[str, str]) -> Ground:
    """Look at the machine, and at the repository around ``place``; what killed runs left aside there is removed.

    Raises:
        MachineError: ``platform-not-supported``, ``not-a-git-repository``, ``unborn-branch``, ``git-not-usable``,
            ``no-target-branch``, ``not-writable``.
    """
    if sys.platform != "linux":
        raise MachineError(
            "platform-not-supported",
            f"Prodigy runs on Linux; on {sys.platform} it could not promise to end every process it starts",
        )
    git = Git(TrioRunner(), str(place), environ)
    repository = await discover(git, str(place))
    await trio.to_thread.run_sync(_require_writable, repository.common_dir)
    await trio.to_thread.run_sync(remove_forsaken, repository.common_dir)
    target = await find_target(git, repository.branch)
    if target.branch is None:
        raise MachineError(
            "no-target-branch",
            f"There is no branch that the work could be merged into: {target.fallback}",
            where=repository.root,
            hint="git switch -c main",
        )
    return Ground(repository, target, git.at(repository.root))


def _require_writable(common_dir: str) -> None:
    found = refusal((common_dir, os.path.join(common_dir, "objects")))  # noqa: PTH118 - a path in git's own form
    if found is not None:
        raise MachineError(
            "not-writable", f"Nothing can be written in the repository: {found.reason}", where=found.path
        )


async def admit(ground: Ground, workflow: Workflow) -> None:
    """Nothing, if the repository lets the workflow's worktrees, commits and merges be made.

    Raises:
        MachineError: as ``admission.admit``; ``signing-failed``.
    """
    await admission.admit(ground.git, ground.repository)
    if workflow.map is not None:
        identity = await excludes.identity(ground.git)
        await admission.require_signing(ground.git, ground.repository, identity)


async def looked_at(ground: Ground) -> Ground:
    """The ground with the user's checkout as it stands, where there is one."""
    place = ground.repository.checkout
    return structs.replace(ground, checkout=await look(ground.git.at(place))) if place else ground


class Source(msgspec.Struct, frozen=True):
    """The workflow, where it was read, and the digest of its text."""

    workflow: Workflow
    path: str
    sha256: str


def make_plan(ground: Ground, source: Source, layout: Layout, now: datetime, argv: Sequence[str]) -> RunPlan:
    """Choose the ids, unused under this home, and fix everything that a run starts from."""
    kind: ids.Kind = "mapreduce" if source.workflow.map is not None else "workflow"
    while True:
        stem = ids.stem(now, secrets.token_bytes(ids.TAIL_LENGTH))
        job_id = ids.job_id(stem, kind)
        if not layout.journal(job_id).exists():
            break
    assert ground.target.branch is not None, "surveyed ground has a target"
    return RunPlan(
        job_id=job_id,
        session_id=ids.session_id(stem, kind),
        workflow=source.workflow,
        workflow_path=source.path,
        workflow_sha256=source.sha256,
        repository=ground.repository.root,
        base_commit=ground.repository.head,
        original_branch=ground.target.branch,
        target_fallback=ground.target.fallback,
        merge_target=source.workflow.merge.target if source.workflow.merge is not None else None,
        argv=tuple(argv),
        version=__version__,
    )


def layout_for(storage: Storage, ground: Ground, now: datetime) -> Layout:
    """The folders of this repository; registers its name at the first run."""
    git_dir, root = Path(ground.repository.common_dir), Path(ground.repository.root)
    worktree = None if root.resolve() == git_dir.resolve() else root
    return storage.layout(registered(storage.home, git_dir, worktree, now).name)


async def forge_for(plan: RunPlan, ground: Ground, layout: Layout) -> Forge:
    """What the merges of a run are made with; what a loss of power left of earlier ones is put right before."""
    again = plan.job_id if layout.journal(plan.job_id).exists() else None
    await mend(ground.git, ground.repository, layout.git_lock, again)
    said = plan.configured or {}
    parts = {"NAME": said.get("git.author_name"), "EMAIL": said.get("git.author_email")}
    author = {f"GIT_AUTHOR_{part}": text for part, text in parts.items() if text is not None}
    return await open_forge(
        ground.repository,
        ground.git,
        layout.git_lock,
        layout.bench(plan.session_id),
        author=author,
        always_git=said.get("git.force_cli", False),
    )


async def prepare_environment(
    workflow: Workflow,
    ground: Ground,
    environ: Mapping[str, str],
    profile: str | None = None,
    computed: Mapping[str, str] | None = None,
    claude: ClaudeVariables = NO_CLAUDE_VARIABLES,
) -> Prepared:
    """Work out the workflow's environment; ``profile``, else ``PRODIGY_PROFILE``, else the workflow's own is in force.

    ``computed`` is what commands printed when the run was begun; they are not run again. ``claude`` is for Claude alone.

    Raises:
        ProdigyError: as ``preparing.prepare``.
    """
    return await prepare(
        workflow,
        repository=Path(ground.repository.checkout or ground.repository.root),
        inherited=environ,
        profile=profile or environ.get("PRODIGY_PROFILE") or None,
        roots={
            **workflow.parameters,
            "branch": ground.target.branch,
            "workflow": {"name": workflow.name},
        },
        computed=computed,
        claude=claude,
    )


async def child_environment(
    plan: RunPlan, layout: Layout, ground: Ground, forge: Forge, prepared: Prepared
) -> dict[str, str]:
    """What every child inherits or finds declared, with the run's own exclude file and included files written.

    Raises:
        MachineError: ``include-failed``, and as ``write_file``.
    """
    exclude_file = layout.excludes(plan.job_id)
    own = (*own_paths(plan.workflow), *await _include(plan, layout, ground))
    content = excludes.compose(await excludes.users_excludes(ground.git), own)
    write_file(exclude_file, content)
    declared = {**prepared.inherited, **prepared.run.values}
    return environment.for_children(
        prepared.inherited,
        forge.identity,
        prepared.run.values,
        excludes.environment(declared, str(exclude_file)),
    )


async def _include(plan: RunPlan, layout: Layout, ground: Ground) -> tuple[str, ...]:
    """Take the untracked files that worktrees need from the checkout, once per run; their paths."""
    folder, checkout = layout.included(plan.job_id), ground.repository.checkout
    if checkout is not None and not folder.is_dir():
        never = IN_PROJECT if layout.local is not None else ()
        paths = await find_included(ground.git.at(checkout), plan.workflow.worktree.include, never=never)
        await trio.to_thread.run_sync(keep_included, Path(checkout), paths, folder)
    return included_in(folder)


def own_paths(workflow: Workflow) -> tuple[str, ...]:
    """Files that are a run's material and not its result: the one that ``map.input`` names."""
    if workflow.map is None or workflow.map.input.source not in {"auto", "file"}:
        return ()
    text = workflow.map.input.text
    is_path = workflow.map.input.source == "file" or input_kind(text, exists=False) != "command"
    inside = not os.path.isabs(text) and not text.startswith("~")  # noqa: PTH117 - text, not a place on disk
    return (text,) if is_path and inside else ()


def this_process(session: ids.SessionId) -> Metadata:
    """Who records."""
    return Metadata(host=socket.gethostname(), pid=os.getpid(), boot_id=boot_id(), session_id=session)


def random_uuid() -> UUID:
    """A version 4 UUID from the system's randomness."""
    return UUID(bytes=secrets.token_bytes(16), version=4)


def worker_count() -> int:
    """One worker per processor that this process may use."""
    return len(os.sched_getaffinity(0))


Clock = Callable[[], datetime]
