"""One question to the person at the terminal; everybody else is never asked.

The question goes to stderr, the answer is read from the terminal on stdin, waiting as trio waits: a cancelled run takes
its question back at once, and no thread is left reading.
"""

import contextlib
import os
import termios
from typing import Literal, TextIO

import trio

from prodigy.cli.printer import Form, Level, Printer
from prodigy.cli.terminal import is_terminal

Answer = Literal["yes", "no", "eof", "no-tty"]

_CHUNK = 1024
_NEVER_ASK = ("PRODIGY_AUTOMATION", "CI")
_YES = frozenset({"y", "yes"})


def may_ask(printer: Printer, stdin: TextIO) -> bool:
    """Whether somebody is there: both ends are terminals, the output is for people, and nothing says automation."""
    return (
        printer.form is Form.TEXT
        and is_terminal(stdin)
        and printer.talks_to_terminal
        and not any(printer.environ.get(name) for name in _NEVER_ASK)
    )


async def confirm(question: str, printer: Printer, stdin: TextIO) -> Answer:
    """Ask ``question [y/N]`` and wait for a line.

    Returns:
        ``yes`` for ``y`` and ``yes`` in any case; ``eof`` when the terminal ends; ``no-tty`` without asking where
        nobody is there; ``no`` for everything else, an empty line included.
    """
    if not may_ask(printer, stdin):
        return "no-tty"
    _forget_typed(stdin.fileno())
    printer.question(f"{question} [y/N] ")
    line = None
    try:
        line = await _line_from(stdin.fileno())
    finally:
        if line is None:
            printer.talk(at=Level.SILENT)
    if line is None:
        return "eof"
    return "yes" if line.strip().lower() in _YES else "no"


def _forget_typed(terminal: int) -> None:
    """What was typed before the question is no answer to it."""
    with contextlib.suppress(termios.error):
        termios.tcflush(terminal, termios.TCIFLUSH)


async def _line_from(terminal: int) -> str | None:
    """The next line, or ``None`` where the terminal ends before one."""
    typed = b""
    while not typed.endswith(b"\n"):
        await trio.lowlevel.wait_readable(terminal)
        try:
            chunk = os.read(terminal, _CHUNK)
        except OSError:  # the terminal hung up
            return None
        if not chunk:
            return None
        typed += chunk
    return typed.decode(errors="replace")
