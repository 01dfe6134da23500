"""A file of configuration to begin with: every key that acts, commented out, with what holds without it.

Pure.
"""

from typing import Any

import msgspec

from prodigy.configuration.setting import Setting
from prodigy.configuration.settings import SETTINGS
from prodigy.workflow.vocabulary import Standing

_HEAD = """# What holds for every run in this repository, where its workflow and the command line say nothing else.
# `prodigy config show` shows what is in force, `prodigy config validate` what is wrong here.
"""
_INDENT = "  "


def configuration_text() -> str:
    """The whole file."""
    parts, before = [_HEAD, "\n"], list[str]()
    for setting in SETTINGS:
        if setting.standing is not Standing.ACTING or setting.is_secret:
            continue
        *sections, _ = setting.name.split(".")
        if sections[:1] != before[:1]:
            parts.append("\n")
        for depth, section in enumerate(sections):
            if sections[: depth + 1] != before[: depth + 1]:
                parts.append(f"# {_INDENT * depth}{section}:\n")
        parts.append(f"# {_INDENT * len(sections)}{_line(setting)}\n")
        before = sections
    return "".join(parts)


def _line(setting: Setting) -> str:
    key = f"{setting.name.rpartition('.')[2]}: {_written(setting.default)}".rstrip()
    about = f"{setting.about}: {', '.join(setting.words)}" if setting.words else setting.about
    return f"{key.ljust(28)}  # {about}"


def _written(value: Any) -> str:
    """A default as it would be written; nothing where there is none."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:g}"
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode()
