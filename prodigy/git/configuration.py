"""Settings of the configuration in force, several at a time."""

import os

from prodigy.git.cli import Git

_FALSE = frozenset({"", "false", "no", "off", "0"})


async def settings(git: Git, pattern: str) -> dict[str, str]:
    """Keys that an extended regular expression finds, as git spells them, and their values; of several the last.

    A key without ``=`` means ``true``.
    """
    listed = await git.run("config", "-z", "--get-regexp", pattern, ok=(0, 1))
    return dict(map(_setting, listed.fields))


def is_true(value: str | None) -> bool:
    """Whether a value of a yes-or-no setting is yes; one that is not there is not."""
    return value is not None and value.lower() not in _FALSE


def _setting(entry: bytes) -> tuple[str, str]:
    key, newline, value = os.fsdecode(entry).partition("\n")
    return key, value if newline else "true"
