"""The values that a workflow is run with: ``--args``, the files that ``--map`` matches, else ``PRODIGY_ARG``."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from prodigy.actors.launch import Ground
from prodigy.errors import UsageError
from prodigy.git.contents import tracked_files
from prodigy.job.plan import RunPlan
from prodigy.workflow.globs import BadGlob, matches_path
from prodigy.workflow.model import Workflow

_VARIABLE = "PRODIGY_ARG"


class Arguments(Struct, frozen=True, kw_only=True):
    """What the command line says of values and iterations; ``iterations`` is ``None`` if it says nothing."""

    values: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    iterations: int | None = None
    fail_fast: bool = False

    def check(self, workflow: Workflow) -> None:
        """Do nothing if a workflow can be run so.

        Raises:
            UsageError: ``conflicting-flags``: only a plain workflow is run several times.
        """
        if workflow.map is None:
            return
        for flag, given in (("--map", self.patterns), ("--max-iterations", self.iterations)):
            if given:
                message = f"`{flag}` does not go with a workflow that has a map phase"
                raise UsageError("conflicting-flags", message, hint="its items come from `map.input`")

    async def found(self, ground: Ground, environ: Mapping[str, str]) -> tuple[str, ...]:
        """The values: those given, then every file that a pattern matches, once; else what the environment says.

        Raises:
            UsageError: ``no-input``: a pattern matches no file of the commit; ``bad-value``: it is no glob.
        """
        if not self.patterns:
            inherited = (environ[_VARIABLE],) if _VARIABLE in environ else ()
            return self.values or inherited
        paths = await tracked_files(ground.git, ground.repository.head)
        files = dict.fromkeys(path for pattern in self.patterns for path in matching(pattern, paths, "--map"))
        return (*self.values, *files)

    async def on(self, plan: RunPlan, ground: Ground, environ: Mapping[str, str]) -> RunPlan:
        """The plan with the values in it; raises as ``found``."""
        values = await self.found(ground, environ)
        return structs.replace(
            plan,
            arguments=values,
            argument_inherited=bool(values) and not self.values and not self.patterns,
            map_patterns=self.patterns,
            iterations=self.iterations or 1,
            fail_fast=self.fail_fast,
        )


def matching(pattern: str, paths: Iterable[str], name: str) -> list[str]:
    """The paths that a pattern of the command line matches; ``name`` is that of its flag or argument.

    Raises:
        UsageError: ``no-input``: there is none; ``bad-value``: it is no glob.
    """
    glob = pattern.removeprefix("./")
    try:
        found = [path for path in paths if path == glob or matches_path(path, glob)]
    except BadGlob as bad:
        raise UsageError("bad-value", f"`{pattern}` is no value for `{name}`: {bad.message}") from None
    if not found:
        hint = "a path is relative to the repository's root; `*` stays within a folder, `**` does not"
        message = f"`{pattern}` matches no file of the last commit"
        raise UsageError("no-input", message, hint=hint)
    return found
