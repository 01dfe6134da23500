"""What Claude is told to resolve a conflict: the repository's own command, or the text that Prodigy brings along."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

COMMAND = "prodigy-merge-worktree"
_FEW = 20


def merge_prompt(worktree: str, environment: Mapping[str, str], sides: str, paths: Sequence[str]) -> str:
    """The prompt.

    Args:
        worktree: where the merge has been begun.
        environment: Claude's.
        sides: what the two sides are, in one line.
        paths: the files that conflict.
    """
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    about = " ".join(f"{sides} Files in conflict: {', '.join(paths[:_FEW])}{more}.".split())
    if _has_command(worktree, environment):
        return f"/{COMMAND} {about}"
    return _packaged().replace("$ARGUMENTS", about)


def _has_command(worktree: str, environment: Mapping[str, str]) -> bool:
    chosen = environment.get("CLAUDE_CONFIG_DIR")
    users = Path(chosen) if chosen else Path(environment.get("HOME") or "~", ".claude").expanduser()
    folders = (Path(worktree, ".claude"), users)
    return any((folder / "commands" / f"{COMMAND}.md").is_file() for folder in folders)


def _packaged() -> str:
    """The text of the packaged command, without its head."""
    text = (files("prodigy") / "init" / "commands" / f"{COMMAND}.md").read_text("utf-8")
    return text.split("\n---\n", 1)[1].lstrip()
