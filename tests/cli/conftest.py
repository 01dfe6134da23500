"""Calls of the command line inside the test's process, on streams that remember."""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from stories import START, Write, write_journal

from prodigy.cli.app import perform
from prodigy.cli.printer import Form, Level, Printer
from prodigy.cli.surroundings import Surroundings
from prodigy.cli.terminal import Choice
from prodigy.events import AnyEvent
from prodigy.store.repos import register

NOW = datetime(2026, 11, 22, 9, 30, 0, tzinfo=UTC)
UTF8 = {"LANG": "C.UTF-8", "TERM": "xterm-256color"}


class Stream(io.StringIO):
    """A text stream that is a terminal or a pipe, as asked."""

    def __init__(self, *, tty: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._tty = tty
        self._encoding = encoding

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


@dataclass
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass
class Desk:
    """Where commands are typed: a home of its own, a folder, an environment."""

    home: Path
    directory: Path
    environ: dict[str, str] = field(default_factory=dict)
    tty: bool = False
    sleep: Callable[[float], None] = time.sleep

    def call(self, *tokens: str) -> Said:
        """Type ``tokens`` after ``prodigy``."""
        out, err = Stream(tty=self.tty), Stream(tty=self.tty)
        environ = {**UTF8, "PRODIGY_HOME": str(self.home), **self.environ}
        code = perform(
            tokens,
            Surroundings(
                stdin=Stream(tty=self.tty),
                stdout=out,
                stderr=err,
                environ=environ,
                directory=self.directory,
                now=lambda: NOW,
                sleep=self.sleep,
            ),
        )
        return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    directory = tmp_path / "here"
    directory.mkdir()
    return Desk(home=tmp_path / "home", directory=directory)


@dataclass
class Spoken:
    """A printer with the two streams it prints to."""

    printer: Printer
    out: Stream
    err: Stream


SpokenFactory = Callable[..., Spoken]


@pytest.fixture
def spoken() -> SpokenFactory:
    def make(
        *,
        tty: bool = False,
        encoding: str = "utf-8",
        form: Form = Form.TEXT,
        level: Level = Level.NORMAL,
        colour: Choice = "auto",
        environ: Mapping[str, str] = UTF8,
    ) -> Spoken:
        out, err = Stream(tty=tty, encoding=encoding), Stream(tty=tty, encoding=encoding)
        return Spoken(Printer(out, err, environ, form=form, level=level, colour=colour), out, err)

    return make


@pytest.fixture
def write(desk: Any) -> Write:
    """Writes a run of the repository ``here`` into the desk's home."""
    git = desk.directory / ".git"
    (git / "objects").mkdir(parents=True)
    (git / "refs").mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    register(desk.home, git, worktree=desk.directory, root_commits=(), now=START)

    def write_run(stem: str, story: Sequence[AnyEvent]) -> None:
        write_journal(desk.home, stem, story)

    return write_run
