"""The Claude Code command line: what is launched for a prompt."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from prodigy.crash_points import crash_point
from prodigy.events import ClaudeMeter, ClaudeUse
from prodigy.steps import claude_installation, claude_limits
from prodigy.steps.backend import NOTHING_SHOWN, Call, Launched, Needs, Parked, Shown
from prodigy.steps.claude_refusals import not_begun
from prodigy.steps.claude_session import account_of, estimated, session_file
from prodigy.steps.claude_shown import Excerpt
from prodigy.steps.claude_stream import ClaudeStream
from prodigy.steps.packaged_prompts import with_packaged
from prodigy.steps.runner import Program
from prodigy.workflow.model import ClaudeOptions, Text

MAX_PROMPT = 96 * 1024
"""Bytes of a prompt that still go through argv; Linux refuses single arguments of 128 KiB."""

LINGER = 60.0
"""Seconds that the CLI may be silent after its result before it is ended."""
GO_ON = (
    "You were interrupted from outside; nothing was wrong with what you did. Look at what is there, since files may"
    " not be as you left them, then go on with the task and finish it as it was asked."
)
"""What a conversation that was cut short is told."""
GO_ON_WITHOUT = (
    "You were interrupted from outside; nothing was wrong with what you did. Your worktree was brought back to where it was"
    " before you were at work there: what you changed since, committed or not, is not in its files any more. It is kept under"
    " the ref {ref}. See what it was with `git diff HEAD {ref}`, take a file from there with `git checkout {ref} -- PATH`,"
    " and believe nothing of it that you do not find in the files. Then go on with the task and finish it as it was asked."
)
"""What one is told whose work was put aside."""
RETRIES = 2
"""How often the CLI repeats a request that failed; left alone it does so for minutes."""
SCRATCH = "CLAUDE_CODE_TMPDIR"
"""The variable that names a folder for temporary files."""

_COMMAND = re.compile(r"/([\w.:-]+)(?:\s|$)")
"""A prompt that calls a command; ``/etc/hosts`` does not."""
_OF_THE_CALLER = re.compile(r"CLAUDECODE|CLAUDE_PID|CLAUDE_CODE_.*")
"""Variables by which a session of Claude makes itself known to what it starts."""
_SETTINGS = re.compile(
    r"CLAUDE_CODE_(?:API_KEY|AUTO_|CERT|CLIENT_|DEBUG|DISABLE_|EFFORT|ENABLE_|EXTRA_|FILE_READ_|GIT_BASH|IDLE_|MAX_"
    r"|OAUTH_|OTEL_|PROXY_|RETRY_|SHELL|SIMPLE|SKIP_|STREAM_|SUBAGENT_MODEL|TMPDIR|USE_).*"
)
"""Those of them that a user sets."""


class ClaudeCli:
    """Launches ``claude``; see ``backend.AgentBackend``.

    Args:
        command: program and first arguments.
        background: whether the CLI may go on with tools in the background after its result.
        linger: seconds that it may be silent after its result.
        retries: how often the CLI repeats a request that failed.
    """

    def __init__(
        self,
        command: Sequence[str] = ("claude",),
        *,
        background: bool = False,
        linger: float = LINGER,
        retries: int = RETRIES,
    ) -> None:
        self._command = tuple(command)
        self._background = background
        self._linger = linger
        self._retries = retries

    def check(self, needs: Needs, environment: Mapping[str, str]) -> None:
        """See that the CLI is there and would work."""
        skips = any(map(skips_permissions, needs.options))
        claude_installation.check(self._command, environment, where=needs.where, skips=skips)

    def program(self, call: Call) -> Program:
        """What to execute: the prompt is the last argument, or standard input if it is long."""
        words = _going_on(call) if call.resumes else _prompt(call)
        prompt = words.encode("utf-8", "surrogateescape")
        inline = len(prompt) <= MAX_PROMPT
        argv = (*self._command, *_flags(call), *(("--", words) if inline else ()))
        return Program(
            argv=argv,
            env=self._environment(call),
            stdin=b"" if inline else prompt,
            excerpt=Excerpt() if call.streaming else None,
        )

    def reader(self, call: Call) -> ClaudeStream:
        """Reads what it prints."""
        command = _COMMAND.match(_prompt(call))
        return ClaudeStream(call.session_id, command[1] if command else None, self._linger)

    def parked(self, call: Call, launched: Launched) -> Parked | None:
        """Whether the API or a budget cut it short, or it could not even begin."""
        return claude_limits.parked(launched, call) or not_begun(launched, self._command, call.environment)

    def account(self, environment: Mapping[str, str]) -> str:
        """A digest of what the CLI chooses its account by."""
        return claude_limits.account_of(environment)

    def session_file(self, environment: Mapping[str, str], session_id: str) -> str | None:
        """Absolute path of the CLI's own record of the conversation, if it has begun one."""
        return session_file(environment, session_id)

    def meter(self, environment: Mapping[str, str], session_id: str) -> ClaudeMeter | None:
        """What the CLI's own record of the conversation says by now."""
        file = session_file(environment, session_id)
        return None if file is None else account_of(Path(file)).meter

    def spent(
        self,
        environment: Mapping[str, str],
        use: ClaudeUse,
        before: ClaudeMeter | None = None,
        shown: Shown = NOTHING_SHOWN,
    ) -> ClaudeUse:
        """What a launch without a result used, by the CLI's own record, and by its stream where that is ahead of it."""
        file = session_file(environment, use.session_id)
        return estimated(use, None if file is None else Path(file), before, shown)

    def tidy(self, call: Call) -> None:
        """Remove the folder for temporary files that the conversation was given, unless its user has named one."""
        if SCRATCH not in call.environment:
            with crash_point("claude.tidy"):
                shutil.rmtree(_scratch(call), ignore_errors=True)

    def _environment(self, call: Call) -> dict[str, str]:
        kept = {
            name: value
            for name, value in call.environment.items()
            if not _OF_THE_CALLER.fullmatch(name) or _SETTINGS.fullmatch(name)
        }
        if not self._background:
            kept.setdefault("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1")
        kept.setdefault("CLAUDE_CODE_MAX_RETRIES", str(self._retries))
        kept.setdefault(SCRATCH, str(_scratch(call)))
        return kept


def _scratch(call: Call) -> Path:
    """Where the CLI keeps what it prints for itself; left alone it shares a folder with all others, and never removes it."""
    return Path(call.environment.get("TMPDIR") or "/tmp", f"prodigy-{call.session_id}")  # noqa: S108 - made by the CLI, private


def _going_on(call: Call) -> str:
    return GO_ON if call.put_aside is None else GO_ON_WITHOUT.format(ref=call.put_aside)


def _prompt(call: Call) -> str:
    """What Claude is told: our own text for a command of ours that the worktree lacks."""
    return with_packaged(call.prompt, call.worktree, call.environment)


def claude_cli(settings: Mapping[str, Any]) -> ClaudeCli:
    """The backend ``claude``; its settings are named as the arguments of ``ClaudeCli``."""
    return ClaudeCli(**settings)


def skips_permissions(options: ClaudeOptions) -> bool:
    """Whether a launch with these options asks nobody for permission."""
    return options.permission_mode in {None, "bypass", "bypassPermissions"}


def _flags(call: Call) -> Iterator[str]:
    options = call.options
    yield "--print"
    yield from (
        ("--output-format", "stream-json", "--verbose", "--include-partial-messages")
        if call.streaming
        else ("--output-format", "json")
    )
    yield from ("--resume" if call.resumes else "--session-id", call.session_id)
    if skips_permissions(options):
        yield "--dangerously-skip-permissions"
    else:
        yield from _flag("permission-mode", options.permission_mode)
    yield from _flag("model", options.model)
    yield from _flag("fallback-model", options.fallback_model)
    yield from _flag("max-turns", options.max_turns)
    yield from _flag("max-budget-usd", call.cap_usd)
    yield from _flag("effort", options.effort)
    yield from _flag("system-prompt", options.system_prompt)
    yield from _flag("append-system-prompt", options.append_system_prompt)
    yield from _flag("json-schema", options.json_schema)
    yield from _flag("agents", options.agents)
    yield from _flag("settings", options.settings)
    yield from _flag("setting-sources", options.setting_sources)
    yield from _flags_of_lists(options)
    if options.strict_mcp_config:
        yield "--strict-mcp-config"
    yield from options.extra_args or ()


def _flags_of_lists(options: ClaudeOptions) -> Iterator[str]:
    """Options that take values up to the next flag."""
    if options.tools is not None:
        yield from ("--tools", *(options.tools or ("",)))
    for name, values in (
        ("allowed-tools", options.allowed_tools),
        ("disallowed-tools", options.disallowed_tools),
        ("add-dir", options.add_dir),
        ("mcp-config", options.mcp_config),
    ):
        if values:
            yield from (f"--{name}", *values)


def _flag(name: str, value: object) -> Iterator[str]:
    match value:
        case None:
            return
        case str():
            text = value
        case Text():
            text = value.source
        case float():
            text = f"{value:.15g}"
        case _:
            text = msgspec.json.encode(value).decode()
    yield from (f"--{name}", text)
