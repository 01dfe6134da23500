"""Ends of launches that say that no other one would come to anything, and ends that do not."""

import pytest

from prodigy.events import ClaudeUse, Failure, Stream
from prodigy.steps.backend import Answer, Launched
from prodigy.steps.claude_refusals import not_begun, refused
from prodigy.steps.runner import Ended

HERE = {"PATH": "/usr/bin:/bin"}


def answer(said: str, status: int | None = None, reason: str = "api_error") -> Answer:
    use = ClaudeUse(session_id="s", api_error_status=status, terminal_reason=reason)
    return Answer(text=said, is_error=True, use=use)


@pytest.mark.parametrize(
    ("said", "status", "cause"),
    [
        ("Not logged in · Please run /login", None, "login"),
        ("Invalid API key · Fix external API key", 401, "login"),
        ("Failed to authenticate: OAuth token revoked. Please log in again.", 403, "login"),
        ("Your ANTHROPIC_API_KEY belongs to a disabled organization", 400, "login"),
        ("Credit balance is too low", 400, "credit"),
        ("There's an issue with the selected model (x). It may not exist", 404, "model"),
        ("API Error: 400 max_tokens: too large", 400, None),
        ("API Error: 500 Internal server error", 500, None),
        ("Prompt is too long", None, None),
    ],
)
def test_what_the_api_says(said: str, status: int | None, cause: str | None) -> None:
    parked = refused(answer(said, status))
    assert (None if parked is None else parked.cause) == cause
    if parked is not None:
        assert (parked.reason, parked.message) == ("refused", said)


def test_what_claude_says_is_not_what_the_api_says() -> None:
    assert refused(answer("The test fails with 401: not logged in", 401, "max_turns")) is None
    spoken = answer("Not logged in", None, "completed")
    assert refused(spoken) is None


def ended(error_class: str, said: str = "", printed: int = 0) -> Launched:
    failure = Failure(error_class=error_class, message="", exit_code=1)  # type: ignore[arg-type]
    streams = {"stdout": Stream(size=printed), "stderr": Stream(tail=said)}
    return Launched(None, Ended(failure=failure, exit_code=1, **streams), ClaudeUse(session_id="s"))


@pytest.mark.parametrize(
    ("launched", "command", "cause"),
    [
        (ended("command-failed", "error: unknown option '--session-id'\n"), "sh", "version"),
        (ended("command-failed", "--dangerously-skip-permissions: not with root/sudo"), "sh", "root"),
        (ended("spawn-failed"), "no-such-claude", "missing"),
        (ended("spawn-failed"), "sh", None),
        (ended("command-failed", "error: unknown option", printed=9), "sh", None),
        (ended("timeout", "error: unknown option"), "sh", None),
        (ended("command-failed", "Error: the settings are no JSON"), "sh", None),
    ],
)
def test_what_does_not_begin(launched: Launched, command: str, cause: str | None) -> None:
    parked = not_begun(launched, (command,), HERE)
    assert (None if parked is None else parked.cause) == cause
