"""The record of a rehearsed conversation, in the form in which the Claude CLI keeps its own.

One JSON object a line. The first one also says which scene it is; after each reply stands the sum of what the
conversation cost, so that a launch that is killed is paid for to the cent.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from prodigy.rehearsal.script import Tokens


class Rest(Struct, frozen=True, kw_only=True):
    """Where a conversation stood when it was cut short in good order: the act that is next, and the worktree's state."""

    act: int
    worktree: str
    until: float | None = None
    """When a limit ends that this conversation ran into, in seconds since the epoch."""


class _Line(Struct, frozen=True):
    """What is read of a line."""

    script: str | None = None
    scene: int | None = None
    rest: Rest | None = None
    total: float | None = msgspec.field(default=None, name="totalCostUSD")
    usage: dict[str, dict[str, int]] = msgspec.field(default_factory=dict, name="modelUsage")


class Conversation:
    """One conversation, on disk.

    Attributes:
        script: the name of the script that it was begun with.
        scene: the number of its scene; ``None``: what is done where no scene fits.
        cost: US dollars so far.
        tokens: so far.
        rest: where it stood when it was cut short; ``None`` if that is not known.
    """

    def __init__(self, file: Path, session_id: str, model: str) -> None:
        self.file = file
        self.script: str | None = None
        self.scene: int | None = None
        self.cost = 0.0
        self.tokens = Tokens(0, 0)
        self.rest: Rest | None = None
        self._session_id = session_id
        self._model = model
        self._number = 0

    @property
    def begun(self) -> bool:
        """Whether there is a record of it."""
        return self.file.exists()

    def begin(self, prompt: str, script: str, scene: int | None) -> None:
        """Write the first line."""
        self.script, self.scene = script, scene
        said = {"role": "user", "content": prompt}
        self.note({"type": "user", "message": said, "script": script, "scene": scene})

    def read(self) -> None:
        """Take up what is recorded; what a kill left half written is passed over."""
        for line in self._lines():
            self._number += 1
            if line.script is not None:
                self.script, self.scene = line.script, line.scene
            if line.total is not None:
                self.cost, self.rest = line.total, None
                used = line.usage.get(self._model, {})
                self.tokens = Tokens(used.get("inputTokens", 0), used.get("outputTokens", 0))
            if line.rest is not None:
                self.rest = line.rest

    def pay(self, cost: float, tokens: Tokens) -> None:
        """A reply costs something."""
        self.cost = round(self.cost + cost, 9)
        self.tokens = Tokens(self.tokens.input + tokens.input, self.tokens.output + tokens.output)
        self.note({"type": "cost-state", "totalCostUSD": self.cost, "modelUsage": self.usage()})

    def stop(self, rest: Rest) -> None:
        """It is cut short, and knows where it stands."""
        self.rest = rest
        self.note({"type": "rest", "rest": rest})

    def usage(self) -> dict[str, dict[str, int]]:
        """Tokens by model, as results tell them."""
        return {self._model: {"inputTokens": self.tokens.input, "outputTokens": self.tokens.output}}

    def next_id(self) -> str:
        """A name for a message or a call of a tool."""
        self._number += 1
        return f"{self._session_id[:8]}-{self._number}"

    def note(self, entry: dict[str, Any]) -> None:
        """Add a line."""
        line = msgspec.json.encode({**entry, "sessionId": self._session_id}) + b"\n"
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def _lines(self) -> Iterator[_Line]:
        decoder = msgspec.json.Decoder(_Line)
        for line in self.file.read_bytes().split(b"\n"):
            try:
                yield decoder.decode(line)
            except msgspec.DecodeError:
                continue
