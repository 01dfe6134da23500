"""Launches that came to nothing because Claude would do nothing for anybody: no login, no credit, no such model.

Such an end says nothing about what was asked, and the next launch would end the same. What is not listed here is a
failure of its step.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Final

from prodigy.events import Refusal
from prodigy.steps.backend import Answer, Launched, Parked
from prodigy.steps.output import last_line

_BY_STATUS: Final[Mapping[int | None, Refusal]] = {401: "login", 403: "login", 404: "model"}
_BY_WORDS: Final[Mapping[str, Refusal]] = {
    r"not logged in|run /login|invalid api key|disabled organization": "login",
    r"credit balance is too low": "credit",
}
_AT_START: Final[Mapping[str, Refusal]] = {r"unknown option": "version", r"root/sudo": "root"}
"""Words on standard error of a program that ended before it began."""


def refused(answer: Answer) -> Parked | None:
    """Why the API does nothing for anybody; ``None``: it is not that."""
    if not answer.is_error or answer.use.terminal_reason != "api_error":
        return None
    cause = _by(_BY_WORDS, answer.text) or _BY_STATUS.get(answer.use.api_error_status)
    return None if cause is None else Parked("refused", answer.text, cause=cause)


def not_begun(launched: Launched, command: Sequence[str], environment: Mapping[str, str]) -> Parked | None:
    """Why the program does not even begin; ``None``: it did, or this step is to blame.

    Args:
        launched: how it ended.
        command: the program and its first arguments.
        environment: of the launch.
    """
    outside = launched.ended.failure
    if launched.answer is not None or outside is None or launched.ended.stdout.size:
        return None
    if outside.error_class == "spawn-failed":
        gone = shutil.which(command[0], path=environment.get("PATH")) is None
        return Parked("refused", f"there is no `{command[0]}` any more", cause="missing") if gone else None
    said = last_line(launched.ended.stderr.tail)
    cause = _by(_AT_START, said) if outside.error_class == "command-failed" else None
    return None if cause is None else Parked("refused", said, cause=cause)


def _by(causes: Mapping[str, Refusal], said: str) -> Refusal | None:
    return next((cause for words, cause in causes.items() if re.search(words, said, re.IGNORECASE)), None)
