"""Variables of the environment that speak of settings, by their names.

Pure data; who only asks whether there are any imports nothing else.
"""

from collections.abc import Iterable
from typing import Final

VARIABLE: Final = "PRODIGY__"
"""What names of variables begin with that hold a setting: ``PRODIGY__BUDGET__USD``."""
LOCAL_STORAGE: Final = "PRODIGY_USE_LOCAL_STORAGE"
OLD: Final = {
    "PRODIGY_AUTO_COMMIT": "auto_commit",
    "PRODIGY_CLAUDE_API_KEY": "claude_api_key",
    "PRODIGY_LOG_LEVEL": "log_level",
    LOCAL_STORAGE: "storage.local",
}
"""Variables that older programs read for a setting; those of today count before them."""
UNREAD: Final = (
    "PRODIGY_AUTO_CLEANUP",
    "PRODIGY_CONFIRM_CLEANUP",
    "PRODIGY_DRY_RUN",
    "PRODIGY_EDITOR",
    "PRODIGY_MAX_CONCURRENT",
    "PRODIGY_NO_COMMIT_VALIDATION",
    "PRODIGY_RETENTION_DAYS",
    "PRODIGY_STORAGE_",
    "PRODIGY_TEST_",
)
"""Variables of older programs, or how they begin, that nobody reads any more."""


def is_setting(name: str) -> bool:
    """Whether a variable speaks of a setting."""
    return name.startswith(VARIABLE) or name in OLD


def unread(names: Iterable[str]) -> list[str]:
    """Those of the variables that only older programs read."""
    return sorted(name for name in names if name.startswith(UNREAD))


def in_order(names: list[str]) -> list[str]:
    """Names of such variables, those that count least first."""
    return sorted(names, key=lambda name: (name not in OLD, name))
