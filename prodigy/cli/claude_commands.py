"""Which commands Claude finds: those of the repository, those of the user, and those that Prodigy brings along."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path


def packaged_commands() -> tuple[str, ...]:
    """Names of the prompts that ``prodigy init`` writes."""
    folder = files("prodigy") / "init" / "commands"
    names = (file.name for file in folder.iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in names if name.endswith(".md")))


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
