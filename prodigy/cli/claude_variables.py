"""The variables that only Claude gets, as configured: read anew by each process, and recorded nowhere."""

from prodigy.actors.preparing import ClaudeVariables
from prodigy.cli.backend import CLAUDE
from prodigy.cli.invocation import Invocation
from prodigy.configuration.setting import names_secret
from prodigy.errors import MachineError
from prodigy.job.plan import needs_claude
from prodigy.workflow.model import Workflow

KEY = "ANTHROPIC_API_KEY"
"""Where Claude looks for its key."""


def claude_variables(invocation: Invocation, workflow: Workflow, backend: str) -> ClaudeVariables:
    """What is configured for Claude; nothing where another program takes its place, or none is needed.

    Raises:
        MachineError: ``claude-not-usable``: the variable that should hold its key is not set.
    """
    if backend != CLAUDE or not needs_claude(workflow):
        return ClaudeVariables()
    configuration = invocation.configuration
    values: dict[str, str] = dict(configuration.get("claude.env") or {})
    key: str | None = configuration.get("claude_api_key")
    named: str | None = configuration.get("claude.api_key_env")
    if named is not None:
        key = invocation.around.environ.get(named)
        if not key:
            raise MachineError(
                "claude-not-usable",
                f"`claude.api_key_env` names `{named}`, and there is no such variable",
                where=configuration.effective("claude.api_key_env").source,
                hint=f"export {named}=…",
            )
    if key is not None:
        values[KEY] = key
    return ClaudeVariables(values, frozenset(name for name in values if names_secret(name)))
