"""The stream of events that the Claude CLI prints, read as it comes.

One JSON object a line. Of most lines only the type is decoded. A run can hold several results, when work went on in
the background: the last one decides. Lines that are not JSON are passed over.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct, structs

from prodigy.events import ClaudeAmount, ClaudeUse
from prodigy.job.amounts import KINDS, amount, dearest, tally
from prodigy.steps.backend import Answer, Shown
from prodigy.steps.claude_shown import Replies
from prodigy.workflow.nearest import nearest

MAX_LINE = 64 * 1024 * 1024
"""Bytes of a line that are kept at most; longer ones are passed over."""


class _Head(Struct, frozen=True):
    """What is read of every event."""

    type: str = ""
    subtype: str = ""
    model: str | None = None
    slash_commands: tuple[str, ...] | None = None
    error: Any = None
    rate_limit_info: dict[str, Any] | None = None
    status: str | None = None
    shown: int = 0


class _Block(Struct, frozen=True):
    """A part of a message; ``is_error`` is of the result of a tool."""

    is_error: bool | None = None


class _Message(Struct, frozen=True):
    content: msgspec.Raw = msgspec.Raw(b"[]")


class _Told(Struct, frozen=True):
    """What the model is told: what its tools gave."""

    message: _Message = _Message()


_heads = msgspec.json.Decoder(_Head)
_told = msgspec.json.Decoder(_Told)
_blocks = msgspec.json.Decoder(tuple[_Block, ...] | str)


class ClaudeStream:
    """Takes the CLI's standard output in chunks of any size.

    Args:
        session_id: of the launch.
        command: name of the command that the prompt calls.
        linger: seconds that the CLI may be silent after a result before it is ended.
    """

    def __init__(self, session_id: str, command: str | None = None, linger: float | None = None) -> None:
        self._session_id = session_id
        self._command = command
        self._linger = linger
        self._line: list[bytes] = []
        self._kept = 0
        self._model: str | None = None
        self._result: dict[str, Any] | None = None
        self._last = ""
        self._tool_failures = 0
        self._replies = Replies()
        self.answered = False
        """Whether the model has said anything."""
        self.resets_at: float | None = None
        """When a limit that was reached ends, in seconds since the epoch, if that was told."""
        self.objection: str | None = None
        """Why there is no sense in going on; the launch is to be ended at once."""

    def feed(self, chunk: bytes) -> float | None:
        """Take the next chunk; never raises, whatever it holds.

        Returns:
            In how many seconds of silence the launch has said enough; ``None`` while there is more to wait for.
        """
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._keep(end)
            self._take()
        self._keep(rest)
        if self.objection is not None:
            return 0
        return self._linger if self._last == "result" else None

    def answer(self) -> Answer | None:
        """The account of the last result, once the stream has ended; ``None`` if there was none."""
        self._take()
        if self._result is None:
            return None
        answer = _answer(self._result, self._session_id, self._model)
        failures = max(0, self._tool_failures - answer.use.permission_denials)
        return structs.replace(answer, use=structs.replace(answer.use, tool_failures=failures))

    def unanswered(self) -> ClaudeUse:
        """What is known of a launch without a result."""
        return ClaudeUse(
            session_id=self._session_id, model=self._model, tool_failures=self._tool_failures, estimated=True
        )

    def shown(self) -> Shown:
        """What of the model's replies came by, and whether one was waited for."""
        return self._replies.shown()

    def _keep(self, part: bytes) -> None:
        self._kept += len(part)
        if self._kept <= MAX_LINE:
            self._line.append(part)

    def _take(self) -> None:
        """The line is whole."""
        line = b"".join(self._line) if self._kept <= MAX_LINE else b""
        self._line.clear()
        self._kept = 0
        if not line.lstrip().startswith(b"{"):
            return
        with suppress(msgspec.DecodeError, RecursionError):
            head = _heads.decode(line)
            self._last = head.type
            self._heard(head, line)

    def _heard(self, head: _Head, line: bytes) -> None:
        match head.type, head.subtype:
            case "stream_event", _:
                self._replies.event(line)
                self.answered = self.answered or self._replies.begun
            case "prodigy_shown", _:
                self._replies.note(head.shown)
            case "result", _:
                self._result = msgspec.json.decode(line)
            case "assistant", _ if head.error is None:
                self.answered = True
                self._replies.block(line)
            case "system", "status" if head.status == "requesting":
                self._replies.request()
            case ("system", "api_retry") | ("assistant", _):  # what the CLI says in place of a reply
                self._replies.no_reply()
            case "rate_limit_event", _ if head.rate_limit_info is not None:
                self.resets_at = _resets_at(head.rate_limit_info) or self.resets_at
            case "user", _:
                told = _told.decode(line).message.content
                self._replies.carry(len(told))
                content = _blocks.decode(told)
                self._tool_failures += sum(
                    isinstance(block, _Block) and block.is_error is True for block in content
                )
            case "system", "init":
                self._model = head.model or self._model
                self.objection = _unknown(self._command, head.slash_commands)


def _resets_at(info: Mapping[str, Any]) -> float | None:
    return _number(info, "resetsAt") or None if info.get("status") == "rejected" else None


def _unknown(command: str | None, known: tuple[str, ...] | None) -> str | None:
    """What to say of a command that the CLI does not list; it would take it for plain words."""
    if command is None or not known or command in known:
        return None
    meant = nearest(command, known)
    hint = f"; did you mean `/{meant}`?" if meant else "; those of the repository have to be committed"
    return f"Claude knows no command `/{command}` here{hint}"


def _answer(result: Mapping[str, Any], session_id: str, model: str | None) -> Answer:
    by_model = _by_model(result)
    use = ClaudeUse(
        session_id=_text(result, "session_id") or session_id,
        model=dearest(by_model) or model,
        **structs.asdict(_all(result, by_model)),
        by_model=by_model,
        turns=int(_number(result, "num_turns")),
        structured=result.get("structured_output"),
        api_error_status=int(_number(result, "api_error_status")) or None,
        terminal_reason=_text(result, "terminal_reason"),
        permission_denials=len(denials)
        if isinstance(denials := result.get("permission_denials"), list)
        else 0,
    )
    failed = result.get("is_error", result.get("subtype") != "success")
    return Answer(
        text=_said(result),
        is_error=failed is not False,
        use=use,
        is_interrupted=result.get("subtype") == "error_during_execution",
    )


def _said(result: Mapping[str, Any]) -> str:
    """The result's text, else its errors, else what kind of end it was."""
    text = _text(result, "result")
    if text is not None:
        return text
    errors = result.get("errors")
    told = [error for error in errors if isinstance(error, str)] if isinstance(errors, list) else []
    return "\n".join(told) or (_text(result, "subtype") or "" if result.get("is_error") else "")


_BY_MODEL = ("costUSD", "inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
_OF_RUN = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _by_model(result: Mapping[str, Any]) -> dict[str, ClaudeAmount]:
    """What each model used, subagents included, where the result tells that."""
    told = result.get("modelUsage")
    known = told if isinstance(told, dict) else {}
    return {name: _amount(use, _BY_MODEL) for name, use in known.items() if isinstance(use, dict)}


def _all(result: Mapping[str, Any], by_model: Mapping[str, ClaudeAmount]) -> ClaudeAmount:
    """The whole amount: of the last of several results ``usage`` holds but a part."""
    usd, usage = _number(result, "total_cost_usd"), result.get("usage")
    if by_model:
        return structs.replace(amount(tally(by_model)), cost_usd=usd)
    return structs.replace(_amount(usage if isinstance(usage, dict) else {}, ("", *_OF_RUN)), cost_usd=usd)


def _amount(told: Mapping[str, Any], keys: Sequence[str]) -> ClaudeAmount:
    usd, *tokens = (_number(told, key) for key in keys)
    return ClaudeAmount(cost_usd=usd, **dict(zip(KINDS, map(int, tokens), strict=True)))


def _text(value: Mapping[str, Any], key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) else None


def _number(value: Mapping[str, Any], key: str) -> float:
    found = value.get(key)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else 0
