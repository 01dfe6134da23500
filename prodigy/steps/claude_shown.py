"""What the stream of a launch has shown of the model's replies, while they are written.

The CLI's own record of a conversation gets a reply once it is whole, and some moments later. So of a launch that is
killed, this is what the API charges for and the record lacks: a reply that was on its way, and a request of which
nothing had come back.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from prodigy.steps.backend import Said, Shown
from prodigy.steps.claude_prices import Tokens

CHARACTERS: Final = 3
"""Of a token: fewer than it usually has, so that what is guessed is rather too much."""
NOTED: Final = 4096
"""Bytes of a block that is being written after which the log is told how much of it there is."""
_HELD: Final = 64 * 1024
"""Bytes of a line that is not whole which are held back; longer ones are no pieces."""
_PIECE: Final = b'"content_block_'
_NOTE: Final = b'{"type":"prodigy_shown","shown":%d}\n'


class Usage(Struct, frozen=True):
    """Tokens of one reply, as the API tells them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation: dict[str, Any] | None = None

    def tokens(self) -> Tokens:
        """The same as they are priced."""
        long = (self.cache_creation or {}).get("ephemeral_1h_input_tokens", 0)
        return Tokens(
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            long if isinstance(long, int) else 0,
        )


class _Piece(Struct, frozen=True):
    """What a block or a reply goes on with."""

    text: str = ""
    thinking: str = ""
    partial_json: str = ""


class _Begun(Struct, frozen=True):
    """A reply of which nothing is written yet."""

    id: str
    model: str | None = None
    usage: Usage = Usage()


class _Event(Struct, frozen=True):
    """What the API says while it replies."""

    type: str = ""
    message: _Begun | None = None
    delta: _Piece = _Piece()
    usage: Usage | None = None


class _Line(Struct, frozen=True):
    type: str = ""
    event: _Event = _Event()


class _Whole(Struct, frozen=True):
    """A block of a reply that is written, of whoever says it, with the usage that the reply began with."""

    id: str
    model: str | None = None
    usage: Usage = Usage()
    content: msgspec.Raw = msgspec.Raw()


class _Spoken(Struct, frozen=True):
    message: _Whole


_lines = msgspec.json.Decoder(_Line)
_spoken = msgspec.json.Decoder(_Spoken)


class _Reply(Struct):
    """A reply as it grows: what the API has told of its tokens, and how many characters of it came."""

    model: str | None
    tokens: Tokens
    characters: int = 0

    def said(self) -> Said:
        """It by now; the API tells the output when it is whole, until then its length does."""
        guess = self.characters // CHARACTERS
        output = self.tokens.output if self.tokens.output > 1 else max(self.tokens.output, guess)
        return Said(self.model, msgspec.structs.replace(self.tokens, output=output))


class Replies:
    """Takes what a stream says of requests and replies.

    Subagents' replies come block by block, without what the API says in between.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Reply] = {}
        self._own: set[str] = set()
        self._writing: _Reply | None = None
        self._carried = 0
        self._asked = False

    @property
    def begun(self) -> bool:
        """Whether the model has said anything."""
        return bool(self._known)

    def shown(self) -> Shown:
        """What is known by now."""
        replies = {name: reply.said() for name, reply in self._known.items()}
        latest = next((name for name in reversed(self._known) if name in self._own), None)
        return Shown(replies=replies, latest=latest, carried=self._carried if self._asked else None)

    def request(self) -> None:
        """A request is sent."""
        self._asked = True

    def no_reply(self) -> None:
        """It was turned away, or broke; whether it is sent again shows when it is answered."""
        self._asked = False

    def carry(self, size: int) -> None:
        """The next request carries so many bytes more than what was said."""
        self._carried += size

    def note(self, size: int) -> None:
        """So much came of a reply that the log has not."""
        if self._writing is not None:
            self._writing.characters += size

    def event(self, line: bytes) -> None:
        """Something the API said."""
        event = _lines.decode(line).event
        match event.type:
            case "message_start" if event.message is not None:
                begun = event.message
                self._writing = self._known[begun.id] = _Reply(begun.model, begun.usage.tokens())
                self._own.add(begun.id)
                self._asked, self._carried = False, 0
            case "content_block_delta":
                piece = event.delta
                self.note(len(piece.text) + len(piece.thinking) + len(piece.partial_json))
            case "message_delta" if self._writing is not None and event.usage is not None:
                self._writing.tokens = _most(self._writing.tokens, event.usage.tokens())

    def block(self, line: bytes) -> None:
        """A block is written."""
        message = _spoken.decode(line).message
        if message.id in self._own:
            return
        reply = self._known.setdefault(message.id, _Reply(message.model, message.usage.tokens()))
        reply.characters += len(message.content)


class Excerpt:
    """What of a stream its log keeps: all but the pieces of blocks, in whose place it is told how much there was.

    Whole lines; what follows the last of them is held back if it may be such a piece.
    """

    def __init__(self) -> None:
        self._held = b""
        self._left_out = 0

    def __call__(self, chunk: bytes) -> bytes:
        """What to write."""
        *lines, rest = (self._held + chunk).split(b"\n")
        kept = [b"%s\n" % line if self._is_kept(line) else self._told() for line in lines]
        is_short = len(rest) < _HELD and rest.startswith(b"{")
        self._held = rest if is_short else b""
        return b"".join([*kept, b"" if is_short else rest])

    def _is_kept(self, line: bytes) -> bool:
        if b'"message_start"' in line:
            self._left_out = 0
        if _PIECE not in line or b'"stream_event"' not in line:
            return True
        try:
            found = _lines.decode(line)
        except msgspec.DecodeError:
            return True
        if found.type != "stream_event" or not found.event.type.startswith("content_block_"):
            return True
        piece = found.event.delta
        self._left_out += len(piece.text) + len(piece.thinking) + len(piece.partial_json)
        return False

    def _told(self) -> bytes:
        if self._left_out < NOTED:
            return b""
        note, self._left_out = _NOTE % self._left_out, 0
        return note


# -- what it is worth --------------------------------------------------------------------------------------------------
FIRST_REQUEST: Final = 15_000
"""Tokens that the first request of a conversation has at least: the CLI's own words and tools."""


def unrecorded(shown: Shown, recorded: Mapping[str, Tokens | None], context: "Context") -> list[Said]:
    """What was shown and is not recorded, and what the request that nothing was shown of is taken for.

    Args:
        shown: by the stream.
        recorded: tokens of replies by the record; ``None`` of those that it has whole.
        context: of the conversation, by the record.
    """
    found = [
        Said(said.model, _more(said.tokens, known))
        for name, said in shown.replies.items()
        if (known := recorded.get(name, Tokens())) is not None
    ]
    if shown.carried is None:
        return found
    more = shown.carried // CHARACTERS
    before = None if shown.latest is None else shown.replies[shown.latest]
    if before is not None:
        asked = Said(before.model, Tokens(cache_read=before.tokens.context(), cache_creation=more))
    else:
        asked = Said(context.model, Tokens(cache_creation=context.tokens + more))
    return [*found, asked]


class Context(Struct, frozen=True):
    """What a request carries that begins a conversation or goes on with one, by its record."""

    tokens: int = FIRST_REQUEST
    model: str | None = None
    latest: str | None = None
    """The conversation's last reply."""


def _more(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(*(max(0, a - b) for a, b in _pairs(one, other)))


def _most(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(*(max(a, b) for a, b in _pairs(one, other)))


def _pairs(one: Tokens, other: Tokens) -> "zip[tuple[int, int]]":
    return zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
