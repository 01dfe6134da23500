"""The flags that every verb takes, before it or after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from prodigy.cli.printer import Form, Level
from prodigy.cli.terminal import Choice
from prodigy.errors import UsageError

EVERYWHERE = Group("Everywhere", sort_key=100)
"""Stands last on every help page."""
VERBS_GROUP = Group("Verbs", sort_key=1)
ARGUMENTS_GROUP = Group("Arguments", sort_key=2)
FLAGS_GROUP = Group("Flags", sort_key=3)
TimeFlag = Annotated[str | None, Parameter(metavar="TIME")]
MergeFlag = Literal["flag-yes", "flag-no"]
ProgressChoice = Literal["auto", "live", "plain", "none"]
BackendFlag = Annotated[str | None, Parameter(name="--backend", metavar="NAME")]
ScriptFlag = Annotated[str | None, Parameter(name="--script", metavar="FILE")]
Positive = Annotated[int, Parameter(validator=lambda _type, value: _at_least_one(value))]


def _at_least_one(value: int) -> None:
    if value is not None and value < 1:
        raise ValueError("must be at least 1")


@Parameter(name="*", group=EVERYWHERE)
@dataclass(frozen=True, slots=True)
class Options:
    """The global flags as given.

    Args:
        verbose: Say more; repeat for the output of steps and for every event.
        quiet: Say only errors, questions and the result.
        json: Print exactly one JSON document, also on failure; never ask.
        jsonl: Print a stream of JSON records, where a verb has one; never ask.
        color: Colour the output.
        no_color: The same as `--color never`.
        progress: How a run shows where it stands.
        path: Act on the repository of this folder.
    """

    verbose: Annotated[int, Parameter(name=("--verbose", "-v"), count=True)] = 0
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"))] = False
    json: bool = False
    jsonl: bool = False
    color: Choice = "auto"
    no_color: bool = False
    progress: ProgressChoice = "auto"
    path: Annotated[Path | None, Parameter(name=("--path", "-p"), metavar="DIR")] = None

    @property
    def form(self) -> Form:
        """What stdout carries."""
        if self.json:
            return Form.JSON
        return Form.JSONL if self.jsonl else Form.TEXT

    @property
    def level(self) -> Level:
        """How much is said on stderr."""
        return Level.QUIET if self.quiet else Level(min(self.verbose, Level.EVERYTHING))

    @property
    def colour(self) -> Choice:
        """The choice of colour from both flags."""
        return "never" if self.no_color else self.color

    def check(self) -> None:
        """Raise ``conflicting-flags`` where two flags contradict each other."""
        for one, other, together in (
            ("--json", "--jsonl", self.json and self.jsonl),
            ("--quiet", "--verbose", self.quiet and self.verbose > 0),
            ("--no-color", "--color always", self.no_color and self.color == "always"),
        ):
            if together:
                raise UsageError(
                    "conflicting-flags",
                    f"`{one}` and `{other}` exclude each other",
                    hint=f"give `{one}` or `{other}`",
                )


def guessed(tokens: Sequence[str]) -> Options:
    """The flags that decide how a failure is shown, from a command line that could not be read as a whole."""
    words = tokens[: tokens.index("--")] if "--" in tokens else tokens
    return Options(json="--json" in words, jsonl="--jsonl" in words, no_color="--no-color" in words)


def merge_answer(*, yes: bool, no_merge: bool) -> MergeFlag | None:
    """What `--yes` and `--no-merge` answer ahead to the question of the final merge.

    Raises:
        UsageError: ``conflicting-flags``.
    """
    if yes and no_merge:
        raise UsageError(
            "conflicting-flags", "`--yes` and `--no-merge` exclude each other", hint="give one of them"
        )
    return "flag-yes" if yes else "flag-no" if no_merge else None


def seconds(text: str, flag: str) -> float:
    """The seconds of a duration such as ``15m``, which is the value of ``flag``.

    Raises:
        UsageError: ``bad-value``.
    """
    from prodigy.workflow.scalars import ScalarError, duration

    try:
        return duration(text)
    except ScalarError as error:
        raise UsageError("bad-value", f"`{text}` is no value for `{flag}`", hint=str(error)) from None


def given_time(text: str | None, flag: str) -> float | None:
    """The seconds of a flag that bounds a time, above zero; ``None`` without it.

    Raises:
        UsageError: ``bad-value``.
    """
    found = None if text is None else seconds(text, flag)
    if found == 0:
        raise UsageError("bad-value", f"`{flag}` of 0 lets nothing run", hint="leave it out for no limit")
    return found
