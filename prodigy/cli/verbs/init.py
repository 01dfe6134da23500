"""``prodigy init``: the files that a repository starts with: prompts for Claude, a workflow, its schema."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from prodigy.cli.configured import PROJECT_FILE
from prodigy.cli.git_folder import common_folder
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.verbs.schema import schema_text
from prodigy.cli.written import Written, content_of, denied, tell
from prodigy.configuration.template import configuration_text
from prodigy.errors import MachineError, RunError, UsageError
from prodigy.steps.packaged_prompts import packaged_commands
from prodigy.workflow.nearest import nearest

app = App(
    name="init",
    help_epilogue="""Examples:
  prodigy init
  prodigy init --commands code-review,lint --no-example
  prodigy init --config
  prodigy init --force""",
)

_PREFIX = "prodigy-"
_PROMPTS = Path(".claude/commands")
_EXAMPLE = Path("workflows/example.yml")
_SCHEMA = Path(".prodigy/workflow.schema.json")


class InitDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.init/1"):
    """``prodigy.init/1``."""

    files: tuple[Written, ...]


@app.default
def init(
    *,
    force: Annotated[bool, Parameter(name=("--force", "-f"))] = False,
    commands: Annotated[str | None, Parameter(name=("--commands", "-c"), metavar="NAME,…")] = None,
    no_example: bool = False,
    config: bool = False,
    invocation: Given,
) -> None:
    """Write prompts for Claude, an example workflow and its schema into this repository.

    Args:
        force: Overwrite files that differ; the old ones are kept as NAME.bak.
        commands: Only these prompts.
        no_example: No example workflow.
        config: Also write a file of configuration, every key of it commented out.
        invocation: Who asks.
    """
    prompts = _chosen(commands)
    root = _root(invocation)
    wanted = {_PROMPTS / f"{name}.md": _packaged(f"commands/{name}.md") for name in prompts}
    if not no_example:
        wanted[_EXAMPLE] = _packaged("example.yml")
    wanted[_SCHEMA] = schema_text()
    if config:
        wanted[PROJECT_FILE] = configuration_text()
    found = {path: content_of(root / path) for path in wanted}
    differing = [path for path, content in found.items() if content not in {None, wanted[path]}]
    replace = force or (bool(differing) and _may_overwrite(len(differing), invocation))
    done = tuple(_put(root, path, text, found[path], replace=replace) for path, text in wanted.items())
    _tell(done, invocation)


# -- what is written ---------------------------------------------------------------------------------------------------
def _chosen(commands: str | None) -> tuple[str, ...]:
    known = packaged_commands()
    if commands is None:
        return known
    asked = [name.strip().removeprefix("/") for name in commands.split(",") if name.strip()]
    chosen = [name if name.startswith(_PREFIX) else _PREFIX + name for name in asked]
    for name, given in zip(chosen, asked, strict=True):
        if name not in known:
            meant = nearest(name, known)
            hint = f"did you mean `{meant}`?" if meant else f"there are {', '.join(known)}"
            raise UsageError("bad-value", f"There is no prompt `{given}`", hint=hint)
    return tuple(dict.fromkeys(chosen))


def _packaged(name: str) -> str:
    return (files("prodigy") / "init" / name).read_text("utf-8")


def _put(root: Path, path: Path, text: str, found: str | None, *, replace: bool) -> Written:
    """Bring one file about."""
    if found == text:
        return Written(what=str(path), result="unchanged")
    if found is not None and not replace:
        return Written(what=str(path), result="kept")
    target = root / path
    backup = None if found is None else target.with_name(f"{target.name}.bak")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if backup is not None:
            target.replace(backup)
        target.write_text(text, "utf-8")
    except OSError as error:
        raise denied(target, error) from None
    if backup is None:
        return Written(what=str(path), result="written")
    return Written(what=str(path), result="overwritten", detail=str(backup.relative_to(root)))


# -- where, and whether ------------------------------------------------------------------------------------------------
def _root(invocation: Invocation) -> Path:
    """The repository's main worktree; a new repository if the user wants one."""
    common = common_folder(invocation.place)
    if common is None:
        _make_repository(invocation)
        return invocation.place
    if common.name != ".git":
        message = "This repository has no files of its own: it is bare"
        raise MachineError("bare-repository", message, where=str(common))
    return common.parent


def _make_repository(invocation: Invocation) -> None:
    import subprocess

    if not _agreed("There is no git repository here. Run `git init`?", invocation):
        raise MachineError(
            "not-a-git-repository",
            "This folder is in no git repository",
            where=str(invocation.place),
            hint="git init",
        )
    made = subprocess.run(
        ["git", "init", "--quiet", str(invocation.place)],
        capture_output=True,
        text=True,
        check=False,
        env=dict(invocation.around.environ),
    )
    if made.returncode:
        raise RunError("git-failed", f"`git init` failed: {made.stderr.strip()}")


def _may_overwrite(number: int, invocation: Invocation) -> bool:
    which = "One file differs" if number == 1 else f"{number} files differ"
    return _agreed(f"{which} from what would be written. Overwrite, with a backup?", invocation)


def _agreed(question: str, invocation: Invocation) -> bool:
    """Whether somebody at a terminal says yes."""
    from prodigy.cli.prompt import confirm, may_ask

    if not may_ask(invocation.printer, invocation.around.stdin):
        return False
    import trio

    return trio.run(confirm, question, invocation.printer, invocation.around.stdin) == "yes"


# -- what is said ------------------------------------------------------------------------------------------------------
def _tell(done: tuple[Written, ...], invocation: Invocation) -> None:
    invocation.printer.document(InitDocument(done))
    tell(invocation.printer, done)
    for line in _advice(done):
        invocation.printer.talk(line)


def _advice(done: tuple[Written, ...]) -> Iterator[str]:
    results = {file.result for file in done}
    if "kept" in results:
        yield "kept files differ from ours; `prodigy init --force` replaces them, with backups"
    if results & {"written", "overwritten"}:
        yield "commit these files: worktrees see only what is committed"
