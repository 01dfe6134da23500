"""The program that a rehearsed launch runs: it plays one scene, and speaks the Claude CLI's stream of events.

``python -m prodigy.rehearsal.player`` with a ``Part`` on standard input, in the worktree, with the step's environment.
It works at once or never: it asks nobody, and knows no network.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn, assert_never

import msgspec
from msgspec import structs

from prodigy.rehearsal import stage
from prodigy.rehearsal.conversation import Conversation, Rest
from prodigy.rehearsal.part import Part
from prodigy.rehearsal.script import (
    REPLIES,
    Act,
    AnyAct,
    Commit,
    Delete,
    Exit,
    Fail,
    Give,
    Hang,
    Limit,
    Run,
    Say,
    Script,
    Wait,
    Write,
)
from prodigy.rehearsal.setting import Setting, chosen, setting_of
from prodigy.rehearsal.tally import Tally
from prodigy.workflow.environment_scope import Plain
from prodigy.workflow.template import TemplateError, render_text

MODEL = "rehearsal"
"""What answers, where no model is asked for."""
_OTHERWISE = -1
_TOO_MANY = 429


def main() -> NoReturn:
    """Play what standard input says, and exit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    part = msgspec.json.decode(sys.stdin.buffer.read(), type=Part)
    script = msgspec.json.decode(Path(part.script).read_bytes(), type=Script)
    sys.exit(Player(part, script, setting_of(os.environ, part.prompt, part.model)).play())


class _Over(Exception):
    """The launch ends here, with an exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Player:
    """One launch."""

    def __init__(self, part: Part, script: Script, setting: Setting) -> None:
        self._part = part
        self._script = script
        self._setting = setting
        self._name = Path(part.script).name
        self._tally = Tally(Path(part.folder))
        model = part.model or MODEL
        file = Path(part.folder, f"{part.session_id}.jsonl")
        self._conversation = Conversation(file, part.session_id, model)
        self._model = model
        self._said = ""
        self._value: Any = None
        self._paid = 0.0
        self._replies = 0

    def play(self) -> int:
        """Play from the beginning, or from where the conversation stood; the exit code."""
        try:
            scene = self._begun()
            self._tell({"type": "system", "subtype": "init", "model": self._model, "cwd": str(Path.cwd())})
            acts = self._acts(scene)
            start = self._start()
            self._pass_quota(start)
            for number in range(start, len(acts)):
                self._act(number, acts)
            self._result(text=self._said)
        except _Over as over:
            return over.code
        return 0

    # -- which scene ---------------------------------------------------------------------------------------------------
    def _begun(self) -> int | None:
        """The scene of the conversation, which is chosen when it begins."""
        conversation = self._conversation
        if self._part.resumes:
            if not conversation.begun:
                raise self._refused(f"No conversation found with session ID: {self._part.session_id}")
            conversation.read()
            if conversation.script == self._name:
                return conversation.scene
        elif conversation.begun:
            raise self._refused(f"Session ID {self._part.session_id} is already in use.")
        played = self._tally.played(self._setting.key)
        scene = chosen(self._script, self._setting, lambda number: len(played.get(number, ())))
        self._tally.play(self._setting.key, _OTHERWISE if scene is None else scene, self._part.session_id)
        conversation.begin(self._part.prompt, self._name, scene)
        return scene

    def _refused(self, message: str) -> _Over:
        sys.stderr.write(f"Error: {message}\n")
        return _Over(1)

    def _acts(self, scene: int | None) -> tuple[AnyAct, ...]:
        if scene is not None:
            return self._script.scenes[scene].acts
        if self._script.otherwise is not None:
            return self._script.otherwise
        about = self._setting
        item = "" if about.item_id is None else f", item `{about.item_id}`"
        message = f"No scene is for phase `{about.phase}`, step `{about.step}`{item}, attempt {about.attempt}"
        raise self._failed(message, reason="no_scene")

    def _start(self) -> int:
        """The act to begin with: where the conversation stood, if the worktree is as it was left then."""
        rest = self._conversation.rest
        return 0 if rest is None or rest.worktree != stage.standing() else rest.act

    # -- acts ----------------------------------------------------------------------------------------------------------
    def _act(self, number: int, acts: tuple[AnyAct, ...]) -> None:
        act = acts[number]
        match act:
            case Say():
                self._said = self._text(act.text)
                self._reply({"type": "text", "text": self._said}, act)
            case Write() | Delete() | Run() | Commit():
                self._do(act)
            case Give():
                self._value = act.value
                self._reply({"type": "text", "text": msgspec.json.encode(act.value).decode()}, act)
            case Wait():
                time.sleep(act.seconds)
            case Limit():
                self._turned_away_by(act, number)
            case Fail():
                raise self._failed(self._text(act.text), status=act.status)
            case Hang():
                _hang(stubborn=act.stubborn)
            case Exit():
                raise _Over(act.code)
            case _:
                assert_never(act)
        if isinstance(act, REPLIES) and any(isinstance(later, REPLIES) for later in acts[number + 1 :]):
            self._keep_to_cap(number + 1)

    def _do(self, act: Write | Delete | Run | Commit) -> None:
        """A tool is called, and gives something."""
        names = [name for name in ("path", "text", "message") if hasattr(act, name)]
        deed = structs.replace(act, **{name: self._text(getattr(act, name)) for name in names})
        tool, given = stage.tool_of(deed)
        call = self._conversation.next_id()
        self._reply({"type": "tool_use", "id": call, "name": tool, "input": given}, act)
        result = stage.done(deed)
        block = {
            "type": "tool_result",
            "tool_use_id": call,
            "content": result.text,
            "is_error": result.failed,
        }
        self._heard({"type": "user", "message": {"role": "user", "content": [block]}})

    def _text(self, text: str) -> str:
        """A text with its references filled in."""
        try:
            return render_text(text, Plain(self._setting.roots()))
        except TemplateError as error:
            raise self._failed(f"The script says `{text}`: {error.message}") from None

    def _reply(self, block: dict[str, Any], act: Act) -> None:
        """The model answers, which costs something."""
        tokens = act.tokens or self._script.tokens
        cost = self._script.cost if act.cost is None else act.cost
        usage = {"input_tokens": tokens.input, "output_tokens": tokens.output}
        message = {
            "id": self._conversation.next_id(),
            "role": "assistant",
            "model": self._model,
            "content": [block],
        }
        self._tell({"type": "assistant", "message": {**message, "usage": usage}})
        self._conversation.note({"type": "assistant", "message": message})
        self._conversation.pay(cost, tokens)
        self._paid += cost
        self._replies += 1

    # -- limits --------------------------------------------------------------------------------------------------------
    def _pass_quota(self, act: int) -> None:
        quota = self._script.quota
        until = None if quota is None else self._tally.full_until(quota, time.time())
        if until is not None:
            rest = self._conversation.rest
            raise self._turned_away(until, act, None if rest is None else rest.until)

    def _turned_away_by(self, limit: Limit, act: int) -> None:
        """Once for each conversation, as long as its time lasts."""
        rest = self._conversation.rest
        known = rest.until if rest is not None and rest.act == act else None
        until = time.time() + limit.seconds if known is None else known
        if known is None or time.time() < until:
            raise self._turned_away(until, act, until)

    def _turned_away(self, until: float, act: int, own: float | None) -> _Over:
        """The API lets nothing through; ``own`` is the end of a limit that is this conversation's alone."""
        self._conversation.stop(Rest(act=act, worktree=stage.standing(), until=own))
        limit = {"status": "rejected", "resetsAt": until}
        self._tell({"type": "rate_limit_event", "rate_limit_info": limit})
        return self._failed("API Error: 429 rate limited", status=_TOO_MANY)

    def _keep_to_cap(self, act: int) -> None:
        cap = self._part.cap_usd
        if cap is not None and self._paid >= cap:
            self._conversation.stop(Rest(act=act, worktree=stage.standing()))
            raise self._failed(f"Reached maximum budget (${cap:g})", reason="budget_exhausted")

    # -- what is told --------------------------------------------------------------------------------------------------
    def _failed(self, text: str, *, status: int | None = None, reason: str = "api_error") -> _Over:
        self._result(
            text=text, is_error=True, subtype="error", terminal_reason=reason, api_error_status=status
        )
        return _Over(1)

    def _result(self, *, text: str, is_error: bool = False, subtype: str = "success", **more: Any) -> None:
        usage = {
            "input_tokens": self._conversation.tokens.input,
            "output_tokens": self._conversation.tokens.output,
        }
        result = {
            "type": "result",
            "subtype": subtype,
            "is_error": is_error,
            "result": text,
            "num_turns": self._replies,
            "total_cost_usd": self._conversation.cost,
            "usage": usage,
            "modelUsage": self._conversation.usage(),
            **more,
        }
        if self._value is not None:
            result["structured_output"] = self._value
        self._tell(result, always=True)

    def _heard(self, event: dict[str, Any]) -> None:
        self._tell(event)
        self._conversation.note(event)

    def _tell(self, event: dict[str, Any], *, always: bool = False) -> None:
        """Print an event; without a stream, the result alone is one."""
        if always or self._part.streaming:
            line = msgspec.json.encode({**event, "session_id": self._part.session_id})
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()


def _hang(*, stubborn: bool) -> NoReturn:
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
