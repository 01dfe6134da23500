"""What git is told on top of the user's configuration: files to leave alone, and who commits.

Rules: the user's own excludes stay in force (the setting has one value, so the files are composed into one). Paths are
anchored and escaped, so exactly they are excluded. The user's name and mail are never replaced, only what is missing.
"""

import os
import re
from collections.abc import Mapping, Sequence

from prodigy.git.cli import Git
from prodigy.git.users_files import users_file
from prodigy.paths import PROJECT_FOLDER

OWN_FOLDER = f"/{PROJECT_FOLDER}/"

_SPECIAL = re.compile(rb"[\\*?\[\] ]")
_LINE_ENDS = re.compile(rb"[\r\n]")
_ROLES = ("AUTHOR", "COMMITTER")


def compose(users: bytes, paths: Sequence[str]) -> bytes:
    """The text of one exclude file: the user's lines, then ours.

    Args:
        users: content of the user's effective excludes file.
        paths: relative to the top of the worktree; with a trailing ``/`` only folders.
    """
    separator = b"" if not users or users.endswith(b"\n") else b"\n"
    return users + separator + b"".join(line + b"\n" for line in (OWN_FOLDER.encode(), *map(pattern, paths)))


def pattern(path: str) -> bytes:
    """The exclude pattern for one path, from the top of the worktree.

    A line end cannot be written in an exclude file; ``?`` stands for it, which fits any one character.
    """
    escaped = _SPECIAL.sub(rb"\\\g<0>", os.fsencode(path).lstrip(b"/"))
    return b"/" + _LINE_ENDS.sub(b"?", escaped)


async def users_excludes(git: Git) -> bytes:
    """The content of the excludes file that is in force for the user; empty if there is none."""
    path = await users_file(git, "core.excludesFile", "ignore")
    if path is None or not path.is_file():
        return b""
    return path.read_bytes()


def environment(environ: Mapping[str, str], exclude_file: str) -> dict[str, str]:
    """What makes git use ``exclude_file``, appended to settings that ``environ`` carries already."""
    carried = environ.get("GIT_CONFIG_COUNT", "")
    count = int(carried) if carried.isascii() and carried.isdecimal() else 0
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": "core.excludesFile",
        f"GIT_CONFIG_VALUE_{count}": exclude_file,
    }


async def identity(git: Git) -> dict[str, str]:
    """Environment that names author and committer where the user did not.

    What git could guess from login and host name does not count as a name.
    """
    listed = await git.run(
        "config", "-z", "--get-regexp", r"^(user|author|committer)\.(name|email)$", ok=(0, 1)
    )
    known = {key for key, _, value in (entry.partition(b"\n") for entry in listed.fields) if value.strip()}
    missing = {}
    for role in _ROLES:
        for part, ours in (("NAME", "Prodigy"), ("EMAIL", "prodigy@localhost")):
            if not _is_named(git.env, known, role, part):
                missing[f"GIT_{role}_{part}"] = ours
    return missing


def _is_named(environ: Mapping[str, str], known: set[bytes], role: str, part: str) -> bool:
    keys = {f"{section}.{part}".lower().encode() for section in ("user", role)}
    variables = [f"GIT_{role}_{part}", *(["EMAIL"] if part == "EMAIL" else [])]
    return bool(keys & known) or any(environ.get(name) for name in variables)
