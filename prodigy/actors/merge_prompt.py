"""What Claude is told to resolve a conflict."""

from collections.abc import Sequence

COMMAND = "prodigy-merge-worktree"
_FEW = 20


def merge_prompt(sides: str, paths: Sequence[str]) -> str:
    """The prompt: a command of the repository, or the one that Prodigy brings along.

    Args:
        sides: what the two sides are, in one line.
        paths: the files that conflict.
    """
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    about = " ".join(f"{sides} Files in conflict: {', '.join(paths[:_FEW])}{more}.".split())
    return f"/{COMMAND} {about}"
