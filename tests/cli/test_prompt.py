"""Questions: asked only of a person, answered only by a clear yes."""

import contextlib
import os
import pty
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import pytest
import trio

from prodigy.cli.printer import Form, Printer
from prodigy.cli.prompt import confirm

QUESTION = "Merge session-x to main?"
PLAIN = {"NO_COLOR": "1"}


class Person:
    """The other side of a pseudo terminal."""

    def __init__(self) -> None:
        self.keyboard, slave = pty.openpty()
        self.stdin: TextIO = open(slave, closefd=True)  # noqa: PTH123, SIM115 - a descriptor; closed by the fixture
        self.stderr: TextIO = open(os.dup(slave), "w")  # noqa: PTH123, SIM115 - as above
        self.seen = b""

    async def sees(self, text: bytes) -> None:
        while text not in self.seen:
            await trio.lowlevel.wait_readable(self.keyboard)
            self.seen += os.read(self.keyboard, 1024)

    def types(self, keys: bytes) -> None:
        os.write(self.keyboard, keys)

    def hangs_up(self) -> None:
        os.close(self.keyboard)
        self.keyboard = os.open(os.devnull, os.O_RDONLY)

    def close(self) -> None:
        os.close(self.keyboard)
        for stream in (self.stdin, self.stderr):
            with contextlib.suppress(OSError):  # what could not be written before a hang-up
                stream.close()


@pytest.fixture
def person() -> Iterator[Person]:
    one = Person()
    yield one
    one.close()


async def ask(person: Person, environ: Mapping[str, str], form: Form = Form.TEXT) -> str:
    printer = Printer(person.stderr, person.stderr, environ, form=form)
    return await confirm(QUESTION, printer, person.stdin)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (b"y\n", "yes"),
        (b"YES\n", "yes"),
        (b" y \n", "yes"),
        (b"\n", "no"),
        (b"n\n", "no"),
        (b"yeah\n", "no"),
        (b"\xff\n", "no"),
        (b"\x04", "eof"),
        (b"y\x04\x04", "eof"),
    ],
)
async def test_the_answer_of_a_person(person: Person, keys: bytes, answer: str) -> None:
    answers: list[str] = []

    async def asking() -> None:
        answers.append(await ask(person, PLAIN))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asking)
        await person.sees(b"Merge session-x to main? [y/N] ")
        person.types(keys)
    assert answers == [answer]


async def test_what_was_typed_before_the_question_is_no_answer(person: Person) -> None:
    person.types(b"y\n")
    await person.sees(b"y")  # the terminal's echo: the line has arrived

    async def asking() -> None:
        assert await ask(person, PLAIN) == "no"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asking)
        await person.sees(b"[y/N] ")
        person.types(b"\n")


async def test_a_cancelled_question_leaves_a_clean_line(person: Person) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, person, PLAIN)
            await person.sees(b"[y/N] ")
            scope.cancel()
    assert scope.cancelled_caught
    await person.sees(b"[y/N] \r\n")


async def test_a_terminal_that_hangs_up_is_an_end(person: Person) -> None:
    answers: list[str] = []

    async def asking() -> None:
        answers.append(await ask(person, PLAIN))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asking)
        await person.sees(b"[y/N] ")
        person.hangs_up()
    assert answers == ["eof"]


@pytest.mark.parametrize(
    ("environ", "form"),
    [
        ({"CI": "true"}, Form.TEXT),
        ({"PRODIGY_AUTOMATION": "true"}, Form.TEXT),
        ({}, Form.JSON),
        ({}, Form.JSONL),
    ],
)
async def test_nobody_is_asked_where_automation_is_said(
    person: Person, environ: dict[str, Any], form: Form
) -> None:
    assert await ask(person, environ, form) == "no-tty"


async def test_nobody_is_asked_in_a_pipe(person: Person, tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("y\n")
    with (tmp_path / "answers").open() as pipe:
        printer = Printer(person.stderr, person.stderr, {})
        assert await confirm(QUESTION, printer, pipe) == "no-tty"
    with (tmp_path / "log").open("w") as log:
        printer = Printer(log, log, {})
        assert await confirm(QUESTION, printer, person.stdin) == "no-tty"
