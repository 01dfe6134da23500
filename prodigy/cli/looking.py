"""Looking again and again: on a terminal in place of what was there, elsewhere one look below the other."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prodigy.cli import terminal
from prodigy.cli.invocation import Invocation
from prodigy.cli.printer import Form
from prodigy.errors import UsageError

_NO_WRAPPING, _WRAPPING = "\x1b[?7l", "\x1b[?7h"
_CLEAR_BELOW = "\x1b[0J"
_CLEAR_ALL = "\x1b[H\x1b[2J"


def _never() -> bool:
    return False


def look_again(
    invocation: Invocation, every: float, show: Callable[[], int], ended: Callable[[], bool] = _never
) -> None:
    """Look until Ctrl-C, or until there is nothing more to see.

    Args:
        invocation: who asks.
        every: seconds between two looks.
        show: prints what is to be seen, and says how many lines that took.
        ended: whether what was shown last stays as it is.

    Raises:
        UsageError: ``conflicting-flags``: one document cannot hold many looks.
        KeyboardInterrupt: it was enough.
    """
    printer, around = invocation.printer, invocation.around
    if printer.form is Form.JSON:
        raise UsageError(
            "conflicting-flags",
            "`--json` is one document, and `--watch` never ends",
            hint="use `--jsonl` for a document at each look",
        )
    in_place = printer.form is Form.TEXT and terminal.may_animate(around.stdout, around.environ)
    with _unwrapped(invocation) if in_place else _as_it_is():
        lines = 0
        while True:
            if in_place and lines:
                printer.verbatim(_back(lines))
            lines = show()
            printer.flush()
            if ended():
                return
            around.sleep(every)
            if not in_place:
                printer.line()


def _back(lines: int) -> str:
    """To where the last look began, and everything below it away; all of the screen if it was longer than that."""
    try:
        height = os.get_terminal_size().lines
    except OSError:
        height = 0
    return _CLEAR_ALL if height and lines >= height else f"\x1b[{lines}F{_CLEAR_BELOW}"


@contextmanager
def _unwrapped(invocation: Invocation) -> Iterator[None]:
    """Long lines are cut by the terminal meanwhile: each takes one, as ``_back`` counts them."""
    invocation.printer.verbatim(_NO_WRAPPING)
    try:
        yield
    finally:
        invocation.printer.verbatim(_WRAPPING)
        invocation.printer.flush()


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield
