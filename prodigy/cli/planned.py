"""A run that is only planned: shown, and not begun."""

import trio

from prodigy.actors import launch
from prodigy.cli.arguments import Arguments
from prodigy.cli.dry_run import Asked, Forecast, forecast, forecast_lines
from prodigy.cli.invocation import Invocation
from prodigy.workflow.load import Loaded

_NO_ARGUMENTS = Arguments()


def show_plan(
    invocation: Invocation,
    source: launch.Source,
    loaded: Loaded,
    arguments: Arguments = _NO_ARGUMENTS,
    profile: str | None = None,
) -> None:
    """Show what would be run; nothing is started and nothing is written.

    Raises:
        ProdigyError: it could not be run.
    """
    shown = trio.run(_foreseen, source, loaded, arguments, profile, invocation)
    invocation.printer.document(shown)
    for line in forecast_lines(shown):
        invocation.printer.line(line)


async def _foreseen(
    source: launch.Source,
    loaded: Loaded,
    arguments: Arguments,
    profile: str | None,
    invocation: Invocation,
) -> Forecast:
    environ = invocation.around.environ
    ground = await launch.survey(invocation.place, environ)
    await launch.admit(ground, source.workflow)
    asked = Asked(
        profile=profile or environ.get("PRODIGY_PROFILE") or None,
        arguments=await arguments.found(ground, environ),
        iterations=arguments.iterations or 1,
    )
    return await forecast(source, ground, asked, loaded.problems)
