"""A file of configuration to begin with: every key that acts, commented out, with what holds without it.

Pure.
"""

from itertools import groupby
from typing import Any

import msgspec

from prodigy.configuration.settings import SETTINGS, Setting
from prodigy.workflow.vocabulary import Standing

_HEAD = """# What holds for every run in this repository, where its workflow and the command line say nothing else.
# `prodigy config show` shows what is in force, `prodigy config validate` what is wrong here.
"""


def configuration_text() -> str:
    """The whole file."""
    acting = [setting for setting in SETTINGS if setting.standing is Standing.ACTING]
    parts = [_HEAD]
    for section, settings in groupby(acting, key=lambda setting: setting.name.rpartition(".")[0]):
        indent = "  " if section else ""
        parts.append("\n")
        parts += [f"# {section}:\n"] if section else []
        parts += [f"# {indent}{_line(setting)}\n" for setting in settings]
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
