"""In which merges a repository wants a say: by hooks, merge drivers, filters, signatures, or settings.

Such merges are git's own, in a worktree; all others need no files. What is asked for every merge costs a look at two
folders as long as the configuration's file is the same.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from prodigy.git.attributes import Attributes, named
from prodigy.git.cli import Git
from prodigy.git.configuration import is_true, settings
from prodigy.git.users_files import users_file

Custom = Literal["hooks", "driver", "filter", "signing", "settings", "wanted"]

MERGE_HOOKS = ("pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-merge")
"""The hooks of ``git merge``."""

COMMIT_HOOKS = (
    "pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "post-index-change", "post-rewrite", "reference-transaction",
)  # fmt: skip
"""The hooks of ``git add`` and ``git commit``."""

REF_HOOK = "reference-transaction"
"""Runs wherever a ref moves."""

_DECISIVE = ("merge.renormalize", "pull.twohead", "diff.algorithm")
"""Settings that ``git merge`` heeds and ``git merge-tree`` need not; it heeds those of renames and conflicts."""

_ASKED = (
    r"^(core\.hookspath|core\.ignorecase|core\.autocrlf|core\.eol|commit\.gpgsign|hook\..*\.(event|command)|merge\.default|merge\..*\.driver"
    r"|filter\..*\.(clean|smudge|process)|merge\.renormalize|pull\.twohead|diff\.algorithm)$"
)


class Settings(Struct, frozen=True):
    """What configuration says about merges."""

    always: frozenset[Custom]
    """What holds for every merge."""
    hooks: str | None
    """Folder of the hooks; ``None`` if each worktree has its own."""
    drivers: frozenset[str]
    filters: frozenset[str]
    default_driver: str | None
    ignores_case: bool
    turns_line_ends: bool
    """Whether checkouts may write other line ends than what was committed, where attributes leave it to settings."""
    outside: tuple[bytes, ...]
    """Attributes that are no files of commits."""


class Customs:
    """What a repository asks for, looked up again when its configuration changes.

    Args:
        git: in the repository.
        common_dir: where its configuration lies.
        always_git: whether its user wants git itself to make every merge.
    """

    def __init__(self, git: Git, common_dir: str, *, always_git: bool = False) -> None:
        self._always_git = always_git
        self._git = git
        self.common_dir = common_dir
        self._seen: tuple[object, Settings] | None = None

    async def of(self, attributes: Attributes) -> frozenset[Custom]:
        """Why a merge into a commit with these attribute files is not to be made without files; nothing: it may be."""
        said = await self._settings()
        found: set[Custom] = set(said.always)
        if self._always_git:
            found.add("wanted")
        texts = (*attributes.values(), *said.outside)
        if said.drivers & (named(texts, "merge") | {said.default_driver}):
            found.add("driver")
        if said.filters & named(texts, "filter"):
            found.add("filter")
        if said.hooks is None or _has_hooks(said.hooks):
            found.add("hooks")
        return frozenset(found)

    async def commits_write(self, attributes: Attributes) -> bool:
        """Whether a program of the user's may run when somebody stages and commits files with these attributes."""
        said = await self._settings()
        if "hooks" in said.always or said.hooks is None:
            return True
        texts = (*attributes.values(), *said.outside)
        return any(_is_hook(said.hooks, name) for name in COMMIT_HOOKS) or bool(
            said.filters & named(texts, "filter")
        )

    async def follow_refs(self) -> bool:
        """Whether a hook may run wherever a ref moves."""
        said = await self._settings()
        return "hooks" in said.always or said.hooks is None or _is_hook(said.hooks, REF_HOOK)

    async def ignores_case(self) -> bool:
        """Whether its files lie where upper and lower case are the same."""
        return (await self._settings()).ignores_case

    async def turns_line_ends(self) -> bool:
        """Whether a setting lets checkouts write other line ends than what was committed."""
        return (await self._settings()).turns_line_ends

    async def attributes_outside(self) -> tuple[bytes, ...]:
        """Attributes that are no files of commits."""
        return (await self._settings()).outside

    async def _settings(self) -> Settings:
        sight = _sight(self.common_dir)
        if self._seen is None or self._seen[0] != sight:
            self._seen = sight, await read_settings(self._git, self.common_dir)
        return self._seen[1]


async def read_settings(git: Git, common_dir: str) -> Settings:
    """What the configuration in force says now."""
    values = await settings(git, _ASKED)
    always: set[Custom] = set()
    if is_true(values.get("commit.gpgsign")):
        always.add("signing")
    if any(key in values for key in _DECISIVE[1:]) or is_true(values.get(_DECISIVE[0])):
        always.add("settings")
    if any(key.startswith("hook.") for key in values):
        always.add("hooks")
    return Settings(
        always=frozenset(always),
        hooks=_hooks_folder(git, values.get("core.hookspath"), common_dir),
        drivers=_middles(values, "merge", {"driver"}),
        filters=_middles(values, "filter", {"clean", "smudge", "process"}),
        default_driver=values.get("merge.default"),
        turns_line_ends=is_true(values.get("core.autocrlf")) or "core.eol" in values,
        ignores_case=is_true(values.get("core.ignorecase")),
        outside=await attributes_outside(git, common_dir),
    )


async def attributes_outside(git: Git, common_dir: str) -> tuple[bytes, ...]:
    """The texts of attribute files that hold for a repository and are no files of commits."""
    users = await users_file(git, "core.attributesFile", "attributes")
    files = [Path(common_dir, "info/attributes"), Path("/etc/gitattributes"), *([users] if users else [])]
    return tuple(file.read_bytes() for file in files if file.is_file())


def _middles(values: Iterable[str], section: str, ends: set[str]) -> frozenset[str]:
    """``x.y`` of each ``section.x.y.end``."""
    words = (key.removeprefix(f"{section}.").rpartition(".") for key in values if key.startswith(section))
    return frozenset(middle for middle, _, end in words if end in ends)


def _hooks_folder(git: Git, configured: str | None, common_dir: str) -> str | None:
    if configured is None:
        return os.path.join(common_dir, "hooks")  # noqa: PTH118 - text in, text out
    home = git.env.get("HOME", "")
    if configured.startswith("~/") and home:
        return home + configured[1:]
    return configured if configured.startswith("/") else None


def _has_hooks(folder: str) -> bool:
    return any(_is_hook(folder, name) for name in MERGE_HOOKS)


def _is_hook(folder: str, name: str) -> bool:
    return os.access(f"{folder}/{name}", os.X_OK)


def _sight(common_dir: str) -> object:
    """What changes when the repository's own configuration does."""
    return tuple(_stamp(f"{common_dir}/{name}") for name in ("config", "config.worktree", "info/attributes"))


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - asked for every merge
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
