"""The backend ``rehearsal``: launches are players of a script, real processes that cost nothing."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from prodigy.errors import MachineError
from prodigy.events import ClaudeMeter, ClaudeUse
from prodigy.rehearsal.part import Part
from prodigy.steps.backend import NOTHING_SHOWN, Call, Launched, Needs, Parked, Shown
from prodigy.steps.claude_limits import parked
from prodigy.steps.claude_session import account_of, estimated
from prodigy.steps.claude_stream import ClaudeStream
from prodigy.steps.runner import Program
from prodigy.store.atomic import private_folder

CONVERSATIONS = "rehearsal"
"""The folder beside the script in which conversations are kept."""


class Rehearsal:
    """Plays a script; see ``steps.backend.AgentBackend``.

    Args:
        script: absolute path of the script as it was read, a file of JSON.
    """

    def __init__(self, script: str) -> None:
        self._script = Path(script)
        self._folder = self._script.parent / CONVERSATIONS

    def check(self, needs: Needs, environment: Mapping[str, str]) -> None:  # noqa: ARG002 - the port's
        """See that the script is there."""
        if not self._script.is_file():
            raise MachineError(
                "rehearsal-lost",
                "What was to be rehearsed is not there any more",
                where=str(self._script),
                hint="give it again: `--backend rehearsal --script FILE`",
            )

    def program(self, call: Call) -> Program:
        """A player, told its part on standard input."""
        part = Part(
            script=str(self._script),
            folder=str(private_folder(self._folder, durable=False)),
            prompt=call.prompt,
            session_id=call.session_id,
            resumes=call.resumes,
            model=call.options.model,
            streaming=call.streaming,
            cap_usd=call.cap_usd,
        )
        argv = (sys.executable, "-P", "-m", "prodigy.rehearsal.player")
        return Program(argv=argv, env=call.environment, stdin=msgspec.json.encode(part))

    def reader(self, call: Call) -> ClaudeStream:
        """Players speak the Claude CLI's stream; they end after their result."""
        return ClaudeStream(call.session_id)

    def parked(self, call: Call, launched: Launched) -> Parked | None:
        """Whether the script, or a budget, cut it short."""
        return parked(launched, call)

    def tidy(self, call: Call) -> None:
        """There is nothing but the record."""

    def account(self, environment: Mapping[str, str]) -> str:  # noqa: ARG002 - the port's
        """All rehearsals share one."""
        return CONVERSATIONS

    def session_file(self, environment: Mapping[str, str], session_id: str) -> str | None:  # noqa: ARG002 - the port's
        """The record of a conversation, once it has begun."""
        file = self._folder / f"{session_id}.jsonl"
        return str(file) if file.is_file() else None

    def meter(self, environment: Mapping[str, str], session_id: str) -> ClaudeMeter | None:
        """What the record says by now."""
        file = self.session_file(environment, session_id)
        return None if file is None else account_of(Path(file)).meter

    def spent(
        self,
        environment: Mapping[str, str],
        use: ClaudeUse,
        before: ClaudeMeter | None = None,
        shown: Shown = NOTHING_SHOWN,  # noqa: ARG002 - the port's
    ) -> ClaudeUse:
        """What a killed launch used, by the record, which has each reply before it is said."""
        file = self.session_file(environment, use.session_id)
        return use if file is None else estimated(use, Path(file), before)


def rehearsal(settings: Mapping[str, Any]) -> Rehearsal:
    """The backend; its one setting is ``script``."""
    return Rehearsal(settings["script"])
