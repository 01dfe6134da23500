"""From words to an exit code: the verbs, the reading of a command line, and what becomes of its failure.

Exit codes: 0 done; 1 the run or the asked-for act failed; 2 bad input; 3 a bug of ours; 130 Ctrl-C. A verb returns
nothing or its exit code, and raises ``ProdigyError`` for what it can explain.
"""

import contextlib
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError

from prodigy.cli import terminal
from prodigy.cli.appearance import Appearance, appearance
from prodigy.cli.configured import Sources
from prodigy.cli.git_folder import main_worktree
from prodigy.cli.help import TwoColumns, help_console
from prodigy.cli.invocation import Invocation, sources_of
from prodigy.cli.options import ARGUMENTS_GROUP, EVERYWHERE, FLAGS_GROUP, VERBS_GROUP, Options, guessed
from prodigy.cli.printer import Level, Printer
from prodigy.cli.surroundings import Surroundings, abandon
from prodigy.cli.usage import flags_of, no_stream, usage_error
from prodigy.cli.version import version_line
from prodigy.errors import InternalError, ProdigyError
from prodigy.paths import PROJECT_FOLDER

STDIN = "/dev/stdin"
"""What ``-`` stands for where a file is expected."""
VERBS = (
    "run",
    "exec",
    "batch",
    "goal-seek",
    "resume",
    "stop",
    "validate",
    "status",
    "ps",
    "progress",
    "report",
    "sessions",
    "dlq",
    "events",
    "logs",
    "worktree",
    "checkpoints",
    "clean",
    "init",
    "demo",
    "config",
    "schema",
    "completion",
)
"""In the order of the help page; each is ``prodigy.cli.verbs.{verb}:app``, hyphens as underscores, imported when it is used."""

_ALIASES = {"resume": ("resume-job",), "goal-seek": ("seek",)}
_OLD_NAMES = {"cook": "run", "improve": "run", "analytics": "report"}
"""What verbs were called once; understood, with a warning."""
_STREAMING = frozenset(
    {"run", "exec", "batch", "goal_seek", "resume", "status", "progress", "events", "logs", "dlq_retry"}
)
"""Verbs that have a stream of records for ``--jsonl``."""
_READER_GONE = 0
_INTERRUPTED = 130
_HELP_WIDTH = 100
_SUMMARY = """Run Claude Code and shell steps as reproducible pipelines.

A workflow file lists the steps, or says what to do for each of many items; its agents work side by side in git
worktrees of their own. Nothing touches your checkout until you merge."""
_EXAMPLES = """Examples:
  prodigy run workflow.yml             run it, then ask whether to merge
  prodigy run workflow.yml --dry-run   show what would happen
  prodigy status                       what runs, what is left to do
  prodigy dlq show latest              why items failed"""

Words = Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]
"""What the global flags leave: the verb and its own arguments."""
_NO_OPTIONS = Options()
Line = tuple[Callable[..., object], inspect.BoundArguments]
"""A function of the program and what to call it with."""


def perform(tokens: Sequence[str], around: Surroundings) -> int:
    """Do what ``tokens`` ask for; every outcome, a bug included, becomes an exit code and a message."""
    # The parser takes a lone hyphen for a flag without a name.
    tokens = [STDIN if word == "-" else word for word in tokens]
    guess = guessed(tokens)
    plain = Appearance(level=guess.level, colour=guess.colour)
    invocation = _invocation(guess, tokens, around, sources_of(guess, around), plain)
    try:
        app = build()
        command, bound = _read(app.meta, tokens, app)
        if command is not _global_flags:
            return _page(app, command, bound, around)
        options: Options = bound.arguments.get("options", _NO_OPTIONS)
        options.check()
        sources = sources_of(options, around)
        look = appearance(options, sources, around.environ)
        invocation = _invocation(options, tokens, around, sources, look)
        return _verb(app, _by_present_names(bound.args, invocation.printer), invocation)
    except ProdigyError as error:
        return _failed(error, invocation)
    except BrokenPipeError:
        abandon(around.stdout)
        return _READER_GONE
    except KeyboardInterrupt:
        return _interrupted(invocation.printer)
    except Exception as bug:  # noqa: BLE001 - the last resort turns every bug into a file and a message
        return _failed(_internal_error(bug, invocation), invocation)


def _invocation(
    options: Options, tokens: Sequence[str], around: Surroundings, sources: Sources, look: Appearance
) -> Invocation:
    printer = Printer(
        around.stdout,
        around.stderr,
        around.environ,
        form=options.form,
        level=look.level,
        colour=look.colour,
        signs=look.signs,
        zone=look.zone,
    )
    return Invocation(printer, options, around, tuple(tokens), sources)


def _verb(app: App, tokens: Sequence[str], invocation: Invocation) -> int:
    command, bound = _read(app, tokens, app)
    if "invocation" not in inspect.signature(command).parameters:
        return _page(app, command, bound, invocation.around)
    _check_stream(command, invocation)
    bound.arguments["invocation"] = invocation
    _take_over(tokens, invocation)
    code = command(*bound.args, **bound.kwargs)
    with contextlib.suppress(BrokenPipeError):  # what was done is done, and its exit code says how
        invocation.printer.flush()
    if invocation.printer.reader_gone:
        abandon(invocation.around.stdout)
    return code if isinstance(code, int) else 0


def _by_present_names(tokens: Sequence[str], printer: Printer) -> Sequence[str]:
    """``tokens`` with the verb as it is called today."""
    verb = _OLD_NAMES.get(tokens[0]) if tokens else None
    if verb is None:
        return tokens
    printer.warn(f"deprecated-name: `prodigy {tokens[0]}` is now called `prodigy {verb}`")
    return (verb, *tokens[1:])


def _take_over(tokens: Sequence[str], invocation: Invocation) -> None:
    """What older programs left in the project comes first; where it has no such folder, that is one look."""
    project = main_worktree(invocation.place)
    if project is not None and (project / PROJECT_FOLDER).is_dir():
        from prodigy.cli.legacy import take_over

        take_over(tokens[0], invocation)


def _check_stream(command: Callable[..., object], invocation: Invocation) -> None:
    verb = command.__module__.rpartition(".")[2]
    if invocation.options.jsonl and verb not in _STREAMING:
        raise no_stream(verb.partition("_")[0])


def _page(
    app: App, command: Callable[..., object], bound: inspect.BoundArguments, around: Surroundings
) -> int:
    """Print the page of help, or the version, that ``command`` makes."""
    for verb in VERBS:
        app[verb]  # asking for a verb imports it, and with it what the page says of it
    width = min(terminal.width_of(around.stdout, around.environ) or _HELP_WIDTH, _HELP_WIDTH)
    bound.arguments["console"] = help_console(around.stdout, width)
    command(*bound.args, **bound.kwargs)
    around.stdout.flush()
    return 0


def _read(reader: App, tokens: Sequence[str], program: App) -> Line:
    try:
        command, bound, _ = reader.parse_args(tokens)
    except CycloptsError as error:
        raise usage_error(error, flags_of(program.meta)) from None
    return command, bound


def _failed(error: ProdigyError, invocation: Invocation) -> int:
    with contextlib.suppress(BrokenPipeError):
        invocation.printer.error(error)
        invocation.printer.flush()
    if invocation.printer.reader_gone:
        abandon(invocation.around.stdout)
    return error.exit_code


def _interrupted(printer: Printer) -> int:
    """Say that it was Ctrl-C, below the sign that a terminal shows for it."""
    if printer.talks_to_terminal:
        printer.talk(at=Level.QUIET)
    printer.talk("interrupted", at=Level.QUIET)
    return _INTERRUPTED


def _internal_error(bug: Exception, invocation: Invocation) -> InternalError:
    from prodigy.cli.crash import internal_error

    return internal_error(bug, invocation.home, invocation.argv, invocation.around.now())


def build() -> App:
    """The whole command line; verbs are import paths until they are needed."""
    app = App(
        name="prodigy",
        help=_SUMMARY,
        help_epilogue=_EXAMPLES,
        help_format="plaintext",
        help_formatter=TwoColumns(),
        usage="Usage: prodigy VERB [FLAGS]",
        version=version_line,
        version_format="plaintext",
        default_parameter=Parameter(negative=(), show_default=False, show_env_var=False),
        group_commands=VERBS_GROUP,
        group_arguments=ARGUMENTS_GROUP,
        group_parameters=FLAGS_GROUP,
        print_error=False,
        exit_on_error=False,
    )
    app["--help"].group = (EVERYWHERE,)
    app["--version"].group = (EVERYWHERE,)
    app["--help"].help = "Show the help of any verb."
    app["--version"].help = "Show the versions of Prodigy, Python and git."
    for position, verb in enumerate(VERBS):
        app.command(
            f"prodigy.cli.verbs.{verb.replace('-', '_')}:app",
            name=(verb, *_ALIASES.get(verb, ())),
            sort_key=position,
        )
    app.command(
        "prodigy.cli.verbs.completion:install",
        name="--install-completion",
        group=EVERYWHERE,
        help="The same as `completion install`.",
    )
    app.meta.default(_global_flags)
    return app


def _global_flags(*tokens: Words, options: Options = _NO_OPTIONS) -> None:
    """What may stand before and after every verb. Describes it to the parser; never called."""
