"""Commands of Claude that a workflow calls and that nobody has written.

Pure: the caller says which there are. Claude takes an unknown one for plain text and says nothing, so a misspelt name
would go unnoticed; it is a warning, because commands may also come from elsewhere.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from prodigy.workflow.layers import within
from prodigy.workflow.locate import Places
from prodigy.workflow.model import Claude, Step, Workflow
from prodigy.workflow.nearest import nearest
from prodigy.workflow.problems import Problems, quoted

BUILT_IN: Final = frozenset({
    "add-dir", "agents", "batch", "bug", "clear", "compact", "config", "context", "cost", "debug", "doctor", "export",
    "help", "hooks", "ide", "init", "insights", "login", "logout", "loop", "mcp", "memory", "model", "permissions",
    "plan", "pr-comments", "release-notes", "resume", "review", "rewind", "security-review", "simplify", "status",
    "statusline", "todos", "usage", "vim",
})  # fmt: skip
"""Commands that Claude has by itself."""

_CALLED: Final = re.compile(r"\s*(/([A-Za-z][A-Za-z0-9_-]*))(?=\s|$)", re.ASCII)


def check_commands(
    workflow: Workflow,
    texts: Mapping[str, str],
    problems: Problems,
    *,
    known: Collection[str],
    packaged: Collection[str],
) -> None:
    """Record every command that is called and not there.

    Args:
        workflow: the workflow.
        texts: its files by name, for pointing at places.
        problems: takes the warnings ``command-not-found``.
        known: names of commands that are there, without the slash.
        packaged: names of those that ``prodigy init`` writes.
    """
    places = Places(texts)
    for step in within(workflow, Step):
        if not isinstance(step.action, Claude):
            continue
        called = _CALLED.match(step.action.prompt)
        if called is None or called[2] in BUILT_IN or called[2] in known:
            continue
        meant = nearest(called[2], [*known, *packaged])
        hint = f"write it into `.claude/commands/{called[2]}.md`"
        if called[2] in packaged:
            hint = "`prodigy init` writes it"
        elif meant is not None:
            hint = f"did you mean `/{meant}`?"
        message = f"Claude has no command {quoted(called[1])} here"
        problems.warning("command-not-found", message, places.find(step.action.mark, called[1]), hint)
