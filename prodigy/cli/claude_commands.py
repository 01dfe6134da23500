"""Which commands Claude finds: those of the repository, and those of the user."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from prodigy.steps.packaged_prompts import packaged_commands
from prodigy.workflow.layers import within
from prodigy.workflow.model import Claude, Step, Workflow


def found_commands(repository: Path, environ: Mapping[str, str]) -> frozenset[str] | None:
    """Names of the commands and skills that are there; ``None`` if plugins may bring others, which cannot be told."""
    home = Path(environ.get("HOME") or "/")
    users = Path(environ.get("CLAUDE_CONFIG_DIR") or home / ".claude")
    if (users / "plugins").is_dir():
        return None
    return frozenset(name for folder in (repository / ".claude", users) for name in _in(folder))


def _in(folder: Path) -> Iterator[str]:
    yield from (file.stem for file in (folder / "commands").rglob("*.md"))
    yield from (file.parent.name for file in (folder / "skills").glob("*/SKILL.md"))


def lacking_commands(workflow: Workflow, repository: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names of commands that a workflow calls, that Prodigy brings along, and that are not there."""
    found = found_commands(repository, environ)
    if found is None:
        return ()
    prompts = (step.action.prompt for step in within(workflow, Step) if isinstance(step.action, Claude))
    called = dict.fromkeys(
        prompt.split()[0].removeprefix("/") for prompt in prompts if prompt.strip().startswith("/")
    )
    return tuple(name for name in called if name in packaged_commands() and name not in found)
