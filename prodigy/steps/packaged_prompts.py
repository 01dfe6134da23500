"""Prompts that Prodigy brings along, for worktrees whose repository has none of that name."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

_CALLED: Final = re.compile(r"\s*/(prodigy-[a-z-]+)(?:\s+(.*))?\s*", re.ASCII | re.DOTALL)
_SUFFIX: Final = ".md"


def packaged_commands() -> tuple[str, ...]:
    """Their names, which are those that ``prodigy init`` writes."""
    names = (file.name for file in (files("prodigy") / "init" / "commands").iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def with_packaged(prompt: str, worktree: str, environment: Mapping[str, str]) -> str:
    """The prompt; if it calls one of ours that is not there, the text of that with its arguments filled in.

    Args:
        prompt: what Claude is to be told.
        worktree: where it works.
        environment: what it inherits, which says where its user's commands are.
    """
    called = _CALLED.fullmatch(prompt)
    if called is None or _is_there(called[1], worktree, environment):
        return prompt
    text = _text(called[1])
    return prompt if text is None else text.replace("$ARGUMENTS", (called[2] or "").strip())


def _is_there(name: str, worktree: str, environment: Mapping[str, str]) -> bool:
    chosen = environment.get("CLAUDE_CONFIG_DIR")
    users = Path(chosen) if chosen else Path(environment.get("HOME") or "/", ".claude")
    return any(
        any((folder / "commands").rglob(f"{name}{_SUFFIX}"))
        or (folder / "skills" / name / "SKILL.md").is_file()
        for folder in (Path(worktree, ".claude"), users.expanduser())
    )


def _text(name: str) -> str | None:
    """The text of a packaged command, without its head."""
    file = files("prodigy") / "init" / "commands" / f"{name}{_SUFFIX}"
    if not file.is_file():
        return None
    return file.read_text("utf-8").split("\n---\n", 1)[1].lstrip()
