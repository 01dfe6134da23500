"""How what is printed looks, and how much of it there is: by the command line, else as configured.

Known before anything is printed. What is wrong with the configuration is told by whoever needs the rest of it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Final

from msgspec import Struct

from prodigy.cli.configured import Sources
from prodigy.cli.options import Options
from prodigy.cli.printer import Level
from prodigy.cli.terminal import Choice
from prodigy.errors import MachineError

_MENTIONED: Final = re.compile(rb"\b(?:ui|log_level)\b")
"""What stands in every file that says anything of this."""
_VARIABLES: Final = ("PRODIGY__UI__", "PRODIGY__LOG_LEVEL", "PRODIGY_LOG_LEVEL")
_LEVELS: Final = {
    "error": Level.QUIET,
    "warn": Level.NORMAL,
    "info": Level.VERBOSE,
    "debug": Level.OUTPUT,
    "trace": Level.EVERYTHING,
}


class Appearance(Struct, frozen=True):
    """``zone`` is the one that times are shown in; ``None``: the reader's."""

    level: Level = Level.NORMAL
    colour: Choice = "auto"
    signs: Choice = "auto"
    """Beyond ASCII."""
    zone: tzinfo | None = None


def appearance(options: Options, sources: Sources, environ: Mapping[str, str]) -> Appearance:
    """What flags say, and for the rest what is configured."""
    flags = Appearance(level=options.level, colour=options.colour)
    try:
        silent = not sources.mention(_MENTIONED) and not any(name.startswith(_VARIABLES) for name in environ)
        found = None if silent else sources.found.configuration
    except MachineError:
        found = None
    if found is None:
        return flags
    level = _LEVELS[found.get("log_level")]
    if options.verbose:
        level = max(level, flags.level)
    colour = found.effective("ui.color")
    forced = bool(environ.get("NO_COLOR") or environ.get("FORCE_COLOR")) and colour.source not in environ
    return Appearance(
        level=flags.level if options.quiet else level,
        colour=flags.colour if flags.colour != "auto" or forced else colour.value,
        signs=found.get("ui.unicode"),
        zone=UTC if found.get("ui.times") == "utc" else None,
    )
