"""What every child of a run inherits from whoever started the run.

Pure. The caller's whole environment, less what belongs to the caller's own session or repository, and with git told
never to wait for a person.
"""

from collections.abc import Mapping
from typing import Final

from prodigy.errors import UsageError

_CALLERS_OWN = frozenset(
    {
        "CLAUDECODE",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_WORK_TREE",
        "VIRTUAL_ENV",
    }
)
_CALLERS_OWN_PREFIX = "CLAUDE_CODE_SESSION_"
DEPTH: Final = "PRODIGY_DEPTH"
"""How many runs a command of a step is inside of."""
DEEPEST: Final = 3
_UNATTENDED = {"GIT_EDITOR": ":", "GIT_TERMINAL_PROMPT": "0"}
_NO_HOUSEKEEPING = (("gc.auto", "0"), ("maintenance.auto", "false"))


def for_children(environ: Mapping[str, str], *layers: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with ``layers`` over it, later ones winning, and git's housekeeping off."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _CALLERS_OWN and not name.startswith(_CALLERS_OWN_PREFIX)
    }
    kept[DEPTH] = str(depth(environ) + 1)
    for layer in layers:
        kept |= layer
    for key, value in _NO_HOUSEKEEPING:
        kept |= git_setting(kept, key, value)
    return kept | _UNATTENDED


def depth(environ: Mapping[str, str]) -> int:
    """How many runs of Prodigy a process is inside of, by its environment."""
    said = environ.get(DEPTH, "")
    return int(said) if said.isascii() and said.isdecimal() else 0


def require_shallow(environ: Mapping[str, str]) -> None:
    """Nothing, unless a run would be inside of too many others.

    Raises:
        UsageError: ``nesting-too-deep``.
    """
    if depth(environ) >= DEEPEST:
        raise UsageError(
            "nesting-too-deep",
            f"This run would be inside of {depth(environ)} others, which start each other",
            hint=f"`{DEPTH}` counts them; unset it if that is meant",
        )


def git_setting(environ: Mapping[str, str], key: str, value: str) -> dict[str, str]:
    """The variables that add one setting to those that ``environ`` already gives to git."""
    carried = environ.get("GIT_CONFIG_COUNT", "")
    count = int(carried) if carried.isascii() and carried.isdecimal() else 0
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": key,
        f"GIT_CONFIG_VALUE_{count}": value,
    }
