"""Workflows that the command line says whole: a step, a step for each of many files, a goal.

They are written down as any other, so that they are checked, kept with their run, resumed and retried like any other.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from prodigy.actors.launch import Source
from prodigy.cli.invocation import Invocation
from prodigy.cli.reading import Reading, shown_problems
from prodigy.workflow.load import load_workflow
from prodigy.workflow.yaml_text import yaml_text

_PREFIX: Final = re.compile(r"\s*(claude|shell):\s*")
_ITEM: Final = re.compile(r"\$\{\s*item\b|\$item\b")


def command(text: str) -> dict[str, str]:
    """A command as a step: `claude:` or `shell:` in front of it says which, else `/` means Claude."""
    if (prefix := _PREFIX.match(text)) is not None:
        return {prefix[1]: text[prefix.end() :]}
    words = text.strip()
    return {"claude" if words.startswith("/") else "shell": words}


def for_item(text: str) -> dict[str, str]:
    """A command as a step for each item; one that does not say where the item belongs has it at its end."""
    [(kind, words)] = command(text).items()
    return {kind: words if _ITEM.search(words) else f"{words.rstrip()} ${{item}}"}


def composed(name: str, content: Mapping[str, Any], invocation: Invocation) -> Reading:
    """A workflow as if its file had been read.

    Args:
        name: of the workflow, and in brackets the name of its file.
        content: its top level, without the name; ``None`` is what was not given.
        invocation: shows what is wrong.

    Raises:
        WorkflowInvalid: every problem has been shown.
    """
    data = yaml_text({"name": name, **_given(content)}).encode("utf-8", "surrogateescape")
    file = f"<{name}>"
    configuration = invocation.configuration
    with shown_problems(invocation.printer):
        loaded = load_workflow(
            data, file, parameters={}, around=configuration.around, standards=configuration.standards
        )
    workflow = configuration.completed(loaded.workflow)
    return Reading(data, loaded, Source(workflow, file, hashlib.sha256(data).hexdigest()))


def _given(value: Any) -> Any:
    """The same without what is ``None``."""
    match value:
        case Mapping():
            return {key: _given(part) for key, part in value.items() if part is not None}
        case list() | tuple():
            return [_given(part) for part in value]
        case _:
            return value
