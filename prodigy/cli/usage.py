"""What is wrong with a command line, in Prodigy's words instead of the parser's."""

from collections.abc import Iterable
from typing import Literal, get_args, get_origin

from cyclopts import App
from cyclopts.argument import Argument
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from prodigy.errors import UsageError
from prodigy.workflow.nearest import nearest

_SHORTEST_MEANT = 3
"""Nobody can tell what a single letter was meant to be."""
_KINDS = {int: "a whole number", float: "a number"}


def no_stream(verb: str) -> UsageError:
    """``--jsonl`` where ``verb`` has no records."""
    return UsageError(
        "conflicting-flags",
        f"`prodigy {verb}` answers with one document, not with a stream of records",
        hint="use `--json` instead of `--jsonl`",
    )


def usage_error(error: CycloptsError, known_flags: Iterable[str] = ()) -> UsageError:
    """``error`` as a usage error with its code, message and hint.

    Args:
        error: what the parser found.
        known_flags: flags that hold everywhere, for suggestions besides the verb's own.
    """
    known = set(known_flags)
    match error:
        case UnknownCommandError():
            return _unknown_command(error, known)
        case UnknownOptionError():
            return _unknown_option(error, known)
        case MissingArgumentError():
            return _missing(error)
        case CoercionError() | ValidationError():
            return _bad_value(error)
        case _:
            return _odd(error)


def flags_of(app: App) -> set[str]:
    """Every spelling of every flag that ``app`` itself takes."""
    return {
        name
        for argument in app.assemble_argument_collection()
        for name in argument.names
        if name.startswith("-")
    }


def _verb(error: CycloptsError) -> str:
    return " ".join(("prodigy", *(error.command_chain or ())))


def _help_of(error: CycloptsError) -> str:
    return f"see `{_verb(error)} --help`"


def _suggestion(word: str, known: Iterable[str], error: CycloptsError) -> str:
    close = nearest(word, sorted(known)) if len(word) >= _SHORTEST_MEANT else None
    return f"did you mean `{close}`?" if close else _help_of(error)


def _unknown_command(error: UnknownCommandError, known_flags: Iterable[str]) -> UsageError:
    word = next(iter(error.unused_tokens or ()), "")
    if word.startswith("-"):
        return _unknown_flag(error, word, known_flags)
    verbs = [name for name in error.app or () if not name.startswith("-")]
    return UsageError(
        "unknown-command", f"`{_verb(error)}` has no verb `{word}`", hint=_suggestion(word, verbs, error)
    )


def _unknown_option(error: UnknownOptionError, known_flags: Iterable[str]) -> UsageError:
    own = (name for argument in error.argument_collection for name in argument.names)
    return _unknown_flag(error, error.token.keyword or error.token.value, {*own, *known_flags})


def _unknown_flag(error: CycloptsError, token: str, known: Iterable[str]) -> UsageError:
    flag = token.split("=", 1)[0]
    return UsageError(
        "unknown-flag", f"`{_verb(error)}` has no flag `{flag}`", hint=_suggestion(flag, known, error)
    )


def _typed(error: CycloptsError) -> str | None:
    """The flag at fault, as it was typed; ``None`` for an argument without one."""
    tokens = error.argument.tokens if error.argument is not None else ()
    return next((token.keyword for token in tokens if token.keyword), getattr(error, "keyword", None))


def _name(error: CycloptsError) -> str:
    """The parameter at fault as it was typed, or as the help page calls it."""
    typed = _typed(error)
    if typed is not None or error.argument is None:
        return typed or "a value"
    return _label(error.argument)


def _label(argument: Argument) -> str:
    if argument.field_info.is_positional:
        return str(argument.field_info.name).upper().replace("_", "-")
    return argument.name


def _missing(error: MissingArgumentError) -> UsageError:
    if _typed(error) is None:
        message = f"`{_verb(error)}` needs {_name(error)}"
    else:
        message = f"`{_name(error)}` needs a value"
    return UsageError("missing-argument", message, hint=_help_of(error))


def _bad_value(error: CoercionError | ValidationError) -> UsageError:
    argument = error.argument
    tokens = argument.tokens if argument is not None else ()
    value = next((token.value for token in tokens), "")
    reason = error.exception_message if isinstance(error, ValidationError) else _expected(error)
    return UsageError(
        "bad-value",
        f"`{value}` is no value for `{_name(error)}`" + (f": {reason}" if reason else ""),
        hint=_help_of(error),
    )


def _expected(error: CoercionError) -> str:
    target = error.target_type
    if get_origin(target) is Literal:
        return "it takes " + ", ".join(f"`{choice}`" for choice in get_args(target))
    kind = _KINDS.get(target) if isinstance(target, type) else None
    return f"it takes {kind}" if kind else str(error.msg or "")


def _odd(error: CycloptsError) -> UsageError:
    if isinstance(error, UnusedCliTokensError):
        return _too_many(error)
    if isinstance(error, RepeatArgumentError):
        flag = error.token.keyword
        return UsageError("conflicting-flags", f"`{flag}` is given twice", hint=f"give `{flag}` once")
    return UsageError("bad-value", str(error).rstrip("."), hint=_help_of(error))


def _too_many(error: UnusedCliTokensError) -> UsageError:
    words = " ".join(error.unused_tokens or ())
    return UsageError(
        "bad-value", f"`{_verb(error)}` takes no further argument: `{words}`", hint=_help_of(error)
    )
