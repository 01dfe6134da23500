"""The port behind which the programs stand that ``claude:`` steps run.

A backend knows one such program: how it is started, how what it prints is read, where it keeps its record of a
conversation, and which of its ends are not the step's fault. It starts nothing itself: launches are processes like all
others, with their slots, limits and logs. Backends are made in every worker and in the coordinator, by name and
settings (``backends.opened``), and hold no state that others would have to share.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol

from msgspec import Struct

from prodigy.events import ClaudeMeter, ClaudeUse, Refusal
from prodigy.steps.claude_prices import Tokens
from prodigy.steps.runner import Ended, Program
from prodigy.workflow.model import ClaudeOptions

_CHUNK: Final = 1024 * 1024
"""Bytes of a log that are read at once."""


class Call(Struct, frozen=True, kw_only=True):
    """One launch: ``options`` hold texts that are filled in, ``environment`` is the step's whole environment."""

    prompt: str
    session_id: str
    worktree: str = ""
    """Absolute path of the worktree that it works in."""
    options: ClaudeOptions = ClaudeOptions()
    environment: Mapping[str, str] = {}
    streaming: bool = True
    """Whether events come as they happen, or the result alone."""
    resumes: bool = False
    """Whether it goes on with a conversation that was cut short; the prompt is in there already."""
    put_aside: str | None = None
    """The ref of what it left in the worktree, if that was brought back to what is recorded before it goes on."""
    meter: ClaudeMeter | None = None
    """What its record said before the launch, if it goes on with it."""
    cap_usd: float | None = None
    """What the launch may cost at most."""
    reserved: bool = False
    """Whether that is less than what the step lets it cost."""


class Answer(Struct, frozen=True, kw_only=True):
    """How a launch ended, by its own account; ``use`` is of the whole conversation so far."""

    text: str
    is_error: bool
    use: ClaudeUse
    is_interrupted: bool = False
    """Whether a signal ended it, so that its account lacks what was under way; then its use is estimated like that of a launch
    which said nothing."""


class Said(Struct, frozen=True):
    """What is known of one reply of the model: whose it is, and its tokens by now."""

    model: str | None
    tokens: Tokens


class Shown(Struct, frozen=True, kw_only=True):
    """What a launch has shown of the model's replies, of which its record may lack the last."""

    replies: Mapping[str, Said] = {}
    """By their ids, in their order."""
    latest: str | None = None
    """The last one of the conversation itself, and not of a subagent."""
    carried: int | None = None
    """Bytes that a request, of whose reply nothing came, had beyond that; ``None``: none is waited for."""


NOTHING_SHOWN: Final = Shown()


class Launched(Struct, frozen=True):
    """A launch that has ended: what it said of itself, how its program ended, what it used."""

    answer: Answer | None
    ended: Ended
    use: ClaudeUse
    objection: str | None = None
    resets_at: float | None = None
    """When a limit that was reached ends, in seconds since the epoch, if that was told."""


class Parked(Struct, frozen=True):
    """Why a conversation is to go on later, and when that may be, if it is known.

    After ``refused`` the run rests, and its user is asked for something.
    """

    reason: Literal["quota", "budget", "refused"]
    message: str
    until: datetime | None = None
    cause: Refusal | None = None
    """Of ``refused``: why no other launch would come to anything either."""


class Needs(Struct, frozen=True, kw_only=True):
    """What a run asks of a backend before it begins.

    ``where`` is the place of the first step that needs it; ``options`` are those of all of them, texts not filled in.
    """

    where: str
    options: tuple[ClaudeOptions, ...]


class Reader(Protocol):
    """Reads what a launch prints."""

    @property
    def objection(self) -> str | None:
        """Why the launch makes no sense, as far as is known."""
        ...

    @property
    def answered(self) -> bool:
        """Whether the model has said anything."""
        ...

    @property
    def resets_at(self) -> float | None:
        """When a limit that was reached ends, in seconds since the epoch, if that was told."""
        ...

    def feed(self, chunk: bytes) -> float | None:
        """Take the next chunk; must not raise. Says when the launch has said enough, see ``patience.Listener``."""
        ...

    def answer(self) -> Answer | None:
        """What the launch said of its end, after its last chunk; ``None`` if it said nothing."""
        ...

    def unanswered(self) -> ClaudeUse:
        """What is known of a launch that said nothing of its end."""
        ...

    def shown(self) -> Shown:
        """What of the model's replies came by."""
        ...


class AgentBackend(Protocol):
    """A program that works on a prompt in the current folder, and tells what it does."""

    def check(self, needs: Needs, environment: Mapping[str, str]) -> None:
        """Nothing, if launches can be expected to start; may block. ``environment`` is what steps inherit.

        Raises:
            MachineError: the program is not there, or would refuse to work.
        """
        ...

    def program(self, call: Call) -> Program:
        """What to execute. A conversation that goes on (``call.resumes``) keeps its id."""
        ...

    def reader(self, call: Call) -> Reader:
        """A reader for what it prints on standard output."""
        ...

    def parked(self, call: Call, launched: Launched) -> Parked | None:
        """Whether a launch was cut short by what is not its step's fault; ``None``: it is the step's outcome."""
        ...

    def account(self, environment: Mapping[str, str]) -> str:
        """A short text that is the same for launches that share a quota, and tells no secret."""
        ...

    def session_file(self, environment: Mapping[str, str], session_id: str) -> str | None:
        """Absolute path of the program's own record of a conversation; ``None`` if it has begun none."""
        ...

    def meter(self, environment: Mapping[str, str], session_id: str) -> ClaudeMeter | None:
        """What that record says by now of what the conversation used; ``None`` if there is none."""
        ...

    def spent(
        self,
        environment: Mapping[str, str],
        use: ClaudeUse,
        before: ClaudeMeter | None = None,
        shown: Shown = NOTHING_SHOWN,
    ) -> ClaudeUse:
        """The use of a launch that said nothing of its end.

        By the record, which said ``before`` when it began, and by what was ``shown`` and is not in the record.
        """
        ...

    def tidy(self, call: Call) -> None:
        """Remove what a conversation that has come to its end needed beside its record; may block, must not raise."""
        ...


def told(reader: Reader, log: Path) -> Answer | None:
    """How a launch ended by the log of what it printed; ``None`` if it had not said the last word.

    The log may hold the mask of a secret in a secret's place.
    """
    enough, is_whole = None, False
    with suppress(OSError), log.open("rb") as file:
        while chunk := file.read(_CHUNK):
            enough, is_whole = reader.feed(chunk), chunk.endswith(b"\n")
    return reader.answer() if is_whole and enough is not None and reader.objection is None else None
