"""Whether a path of a workflow certainly leads out of the worktree, as far as its text tells.

Pure. Symbolic links and references are known only when the path is used; it is looked at again then.
"""


def leaves_worktree(path: str) -> bool:
    """Whether ``path`` is absolute, begins in a home folder, or climbs above where it starts.

    What comes after the first reference is not judged.
    """
    if path.startswith(("/", "~/")) or path == "~":
        return True
    depth = 0
    for part in path.split("/"):
        if "$" in part:
            return False
        if part == "..":
            depth -= 1
        elif part not in {"", "."}:
            depth += 1
        if depth < 0:
            return True
    return False
