"""Git's command line behind one small port, the same for the coordinator and for workers.

Rules: nothing here starts a process; a `GitRunner` does. Whatever the caller's environment and configuration say, our
calls never prompt, never open an editor, never collect garbage, never speak another language and never write what
only saves time (``GIT_OPTIONAL_LOCKS=0``). No trio and no pygit2: workers import this module.
"""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Protocol, Self

from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.errors import MachineError, RunError

_STDERR_TAIL = 4000

_LOCAL_TO_A_REPOSITORY = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INDEX_VERSION",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    },
)
"""A caller that is itself a git hook or alias has these; they would send our commands to its repository."""

_UNATTENDED = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": ":",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}

_SETTINGS = (
    "gc.auto=0",
    "maintenance.auto=false",
    "core.fsmonitor=false",
    "core.fsync=reference",  # besides what is synced anyway
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
)

_WRITING = frozenset(
    {
        "add", "branch", "checkout", "checkout-index", "clean", "commit", "commit-tree", "config", "fetch", "merge", "merge-tree", "pack-refs",
        "read-tree", "reset", "restore", "rm", "stash", "switch", "symbolic-ref", "update-index", "update-ref",
        "worktree", "write-tree",
    }
)  # fmt: skip
"""Verbs after which a repository may be another one; what only reads is no effect."""

_LOCK_HELD = re.compile(
    rb"Unable to create .*\.lock'|could not lock config file|unable to lock ", re.IGNORECASE
)


class GitResult(Struct, frozen=True):
    """How a git command ended and what it wrote."""

    code: int
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def text(self) -> str:
        r"""Standard output without its last newline, readable: bytes that are not UTF-8 show as ``\xff``."""
        return readable(self.stdout.removesuffix(b"\n"))

    @property
    def path(self) -> str:
        """Standard output as one path, exact."""
        return os.fsdecode(self.stdout.removesuffix(b"\n"))

    @property
    def fields(self) -> list[bytes]:
        """The parts of NUL-terminated output."""
        return self.stdout.split(b"\0")[:-1]

    @property
    def complaint(self) -> str:
        """The tail of standard error."""
        return readable(self.stderr[-_STDERR_TAIL:]).strip()

    @property
    def lock_held(self) -> bool:
        """Whether another git process stood in the way; trying again may succeed."""
        return self.code != 0 and _LOCK_HELD.search(self.stderr) is not None


class GitRunner(Protocol):
    """Whatever can run git commands in a folder."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        stdin: bytes = b"",
    ) -> GitResult:
        """Run ``git *argv`` to its end; any exit code is a result.

        Raises:
            FileNotFoundError: git, or the folder ``cwd``, does not exist.
        """
        ...


class GitFailed(RunError):
    """A git command ended with an exit code that its caller has no meaning for."""

    def __init__(self, argv: Sequence[str], cwd: str, result: GitResult) -> None:
        verb = argv[0] if argv else "git"
        lines = result.complaint.splitlines() or [f"exit code {result.code}"]
        super().__init__(
            "git-failed",
            f"git {verb} failed: {lines[-1]}",
            where=cwd,
            note="\n".join(lines) if len(lines) > 1 else None,
        )
        self.argv = tuple(argv)
        self.result = result


class Git:
    """Git in one folder: environment, settings and the meaning of exit codes.

    Args:
        runner: what starts the processes.
        cwd: the folder that commands run in.
        env: the caller's whole environment; what would redirect git to another repository is left out.
        settings: further ``key=value`` configuration of each command.
    """

    __slots__ = ("cwd", "env", "runner", "settings")

    def __init__(
        self,
        runner: GitRunner,
        cwd: str,
        env: Mapping[str, str],
        settings: tuple[str, ...] = _SETTINGS,
    ) -> None:
        self.runner = runner
        self.cwd = cwd
        self.env = {
            key: value for key, value in env.items() if key not in _LOCAL_TO_A_REPOSITORY
        } | _UNATTENDED
        self.settings = settings

    def at(self, cwd: str) -> Self:
        """The same git in another folder."""
        return type(self)(self.runner, cwd, self.env, self.settings)

    def inside(self, worktree: str) -> Self:
        """Git in a worktree of ours, never in a repository above it.

        A step may have deleted the worktree's ``.git``; git would then walk up and act on whatever repository holds
        our folders, such as the user's dotfiles in their home.
        """
        ceiling = {"GIT_CEILING_DIRECTORIES": os.path.dirname(os.path.abspath(worktree))}  # noqa: PTH100, PTH120 - text in, text out; no disk
        return type(self)(self.runner, worktree, {**self.env, **ceiling}, self.settings)

    def having(self, *settings: str) -> Self:
        """The same git with more ``key=value`` settings."""
        return type(self)(self.runner, self.cwd, self.env, (*self.settings, *settings))

    def under(self, env: Mapping[str, str]) -> Self:
        """The same git with more environment."""
        return type(self)(self.runner, self.cwd, {**self.env, **env}, self.settings)

    async def run(
        self,
        *argv: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        ok: Collection[int] | None = (0,),
    ) -> GitResult:
        """Run ``git *argv``.

        Args:
            argv: the verb and its arguments.
            stdin: what the command reads.
            env: environment for this command only; may name an index file.
            ok: the exit codes that are answers; ``None`` takes any.

        Raises:
            GitFailed: another exit code; a folder that does not exist counts as one (128).
            MachineError: ``git-not-usable``, git is not installed.
        """
        result = await self._start(argv, stdin, {**self.env, **env} if env else self.env)
        if ok is not None and result.code not in ok:
            raise GitFailed(argv, self.cwd, result)
        return result

    async def _start(self, argv: Sequence[str], stdin: bytes, env: Mapping[str, str]) -> GitResult:
        options = [word for setting in self.settings for word in ("-c", setting)]
        try:
            with crash_point(f"git.{argv[0]}") if argv[0] in _WRITING else nullcontext():
                return await self.runner.run([*options, *argv], cwd=self.cwd, env=env, stdin=stdin)
        except (FileNotFoundError, NotADirectoryError) as missing:
            if is_folder(self.cwd):
                raise MachineError(
                    "git-not-usable",
                    "git is not installed or not on PATH",
                    hint="install git 2.39 or newer",
                ) from missing
            return GitResult(128, b"", b"fatal: cannot change to '%b'" % os.fsencode(self.cwd))


def is_folder(path: str) -> bool:
    """Whether there is a folder; one stat, short enough for an event loop."""
    return os.path.isdir(path)  # noqa: PTH112 - a path in git's own form


def readable(raw: bytes) -> str:
    """Bytes from git as text that every encoder takes."""
    return raw.decode("utf-8", "backslashreplace")
