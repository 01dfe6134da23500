"""What commits hold, and what they bring into a repository, for whoever has to look for something in it.

What they bring is only what is new: messages, names of files, and added lines as the files hold them, byte for byte.
What a commit removes, or leaves as it was, is not there.
"""

import os

from prodigy.git.cli import Git, readable

_SHOW = (
    "log", "--patch", "--text", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--diff-merges=first-parent", "--src-prefix=", "--dst-prefix=", "--format=%w(0,1,1)%B",
)  # fmt: skip
"""Messages are indented, so that none of their lines looks like one of a patch."""
_ADDED_FILES = (
    "log", "--name-only", "-z", "--diff-filter=A", "--no-renames", "--diff-merges=first-parent", "--format=",
)  # fmt: skip
_REMOVED = b"-"
_ADDED = b"+"


async def added_content(git: Git, base: str, tip: str) -> bytes:
    """Everything that the commits of ``tip`` which ``base`` lacks have added, one after the other.

    Args:
        git: in the repository.
        base: a commit.
        tip: a commit.
    """
    shown = (await git.run(*_SHOW, f"{base}..{tip}")).stdout
    kept = (line for line in shown.split(b"\n") if not line.startswith(_REMOVED))
    return b"\n".join(line.removeprefix(_ADDED) for line in kept)


async def added_files(git: Git, base: str, tip: str) -> frozenset[str]:
    """Paths of the files that any commit of ``tip`` which ``base`` lacks adds, as the disk has them."""
    shown = await git.run(*_ADDED_FILES, f"{base}..{tip}", "--")
    return frozenset(os.fsdecode(path) for path in shown.fields)


async def untracked_files(git: Git) -> tuple[str, ...]:
    """Paths of the files of a checkout that git neither tracks nor ignores, relative to its root."""
    listed = (await git.run("ls-files", "--others", "--exclude-standard", "-z")).fields
    return tuple(readable(path) for path in listed)


async def tracked_files(git: Git, commit: str) -> tuple[str, ...]:
    """Paths of all files of a commit, sorted, relative to the repository's root; submodules are none."""
    listed = (await git.run("ls-tree", "-r", "-z", "--full-tree", commit)).fields
    entries = (entry.partition(b"\t") for entry in listed)
    return tuple(readable(path) for about, _, path in entries if b" commit " not in about)
