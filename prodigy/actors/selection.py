"""Which items a map phase works on, from the bytes of its input."""

from pathlib import Path

from prodigy.workflow.model import MapPhase
from prodigy.workflow.scope import Scope
from prodigy.workflow.select import Selection, read_content, select


def choose(phase: MapPhase, content: bytes | None, name: str, scope: Scope | None = None) -> Selection:
    """The items of a phase.

    Args:
        phase: its selection rules; its own list is the input if ``content`` is ``None``.
        content: a file's bytes or a command's output.
        name: the file's name, empty for a command.
        scope: the variables that ``filter`` and ``item_id`` can read besides the item's own.

    Raises:
        BadInput: the content is not what it should be, or the path cannot be followed.
        TemplateError: an ``item_id`` refers to something that an item lacks.
    """
    if content is None:
        return select(phase, list(phase.input.items), scope)
    root = read_content(content, suffix=Path(name).suffix, where=name or None)
    return select(phase, root, scope, from_command=not name)


def left_out(chosen: Selection) -> dict[str, int]:
    """How many items each rule left out, where it left out any."""
    counts = {
        "filter": chosen.filtered,
        "distinct": chosen.duplicates,
        "offset": chosen.before,
        "limit": chosen.beyond,
    }
    return {rule: count for rule, count in counts.items() if count}
