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
        problems: takes the warnings ``command-not-found``, and a note where Prodigy has a text of its own.
        known: names of commands that are there, without the slash.
        packaged: names of those that Prodigy brings along.
    """
    places = Places(texts)
    for step in within(workflow, Step):
        if not isinstance(step.action, Claude):
            continue
        called = _CALLED.match(step.action.prompt)
        if called is None or called[2] in BUILT_IN or called[2] in known:
            continue
        at, message = (
            places.find(step.action.mark, called[1]),
            f"Claude has no command {quoted(called[1])} here",
        )
        if called[2] in packaged:
            problems.note(
                "command-not-found", f"{message}, and is told Prodigy's", at, "`prodigy init` writes it"
            )
            continue
        meant = nearest(called[2], [*known, *packaged])
        hint = f"did you mean `/{meant}`?" if meant else f"write it into `.claude/commands/{called[2]}.md`"
        problems.warning("command-not-found", message, at, hint)
