"""Launches of Claude that were cut short by what is not their step's fault, and whose conversations go on later."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from prodigy.events import ClaudeUse
from prodigy.steps.claude_cli import Call
from prodigy.steps.claude_stream import Answer
from prodigy.steps.runner import Ended
from prodigy.workflow.deferred import share

_OUT_OF_MONEY = "budget_exhausted"


class Launched(Struct, frozen=True):
    """A launch that has ended: what it said of itself, how its program ended, what it used."""

    answer: Answer | None
    ended: Ended
    use: ClaudeUse
    objection: str | None = None


class Parked(Struct, frozen=True):
    """Why a conversation is to go on later, and when that may be, if it is known."""

    reason: Literal["quota", "budget"]
    message: str
    until: datetime | None = None


def parked(launched: Launched, call: Call) -> Parked | None:
    """Whether a launch was cut short from outside; ``None``: it is the step's outcome."""
    answer = launched.answer
    if answer is None or not answer.is_error or launched.objection is not None:
        return None
    if answer.use.terminal_reason == _OUT_OF_MONEY and call.cap_usd is not None:
        own = call.options.max_budget_usd
        return None if own is not None and share(own) <= call.cap_usd else Parked("budget", answer.text)
    return None
