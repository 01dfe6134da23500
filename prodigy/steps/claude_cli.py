"""The Claude Code command line: what is launched for a prompt."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from prodigy.events import ClaudeMeter, ClaudeUse
from prodigy.steps.claude_session import account_of, estimated, session_file
from prodigy.steps.claude_stream import ClaudeStream
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
RETRIES = 2
"""How often the CLI repeats a request that failed; left alone it does so for minutes."""

_COMMAND = re.compile(r"/([\w.:-]+)(?:\s|$)")
"""A prompt that calls a command; ``/etc/hosts`` does not."""
_OF_THE_CALLER = re.compile(r"CLAUDECODE|CLAUDE_PID|CLAUDE_CODE_.*")
"""Variables by which a session of Claude makes itself known to what it starts."""
_SETTINGS = re.compile(
    r"CLAUDE_CODE_(?:API_KEY|AUTO_|CERT|CLIENT_|DEBUG|DISABLE_|EFFORT|ENABLE_|EXTRA_|FILE_READ_|GIT_BASH|IDLE_|MAX_"
    r"|OAUTH_|OTEL_|PROXY_|RETRY_|SHELL|SIMPLE|SKIP_|STREAM_|SUBAGENT_MODEL|TMPDIR|USE_).*"
)
"""Those of them that a user sets."""


class Call(Struct, frozen=True, kw_only=True):
    """One launch: ``options`` hold texts that are filled in, ``environment`` is the step's whole environment."""

    prompt: str
    session_id: str
    options: ClaudeOptions = ClaudeOptions()
    environment: Mapping[str, str] = {}
    streaming: bool = True
    """Whether events come as they happen, or the result alone."""
    resumes: bool = False
    """Whether it goes on with a conversation that was cut short; the prompt is in there already."""
    meter: ClaudeMeter | None = None
    """What its record said before the launch, if it goes on with it."""
    cap_usd: float | None = None
    """What the launch may cost at most."""
    reserved: bool = False
    """Whether that is less than what the step lets it cost."""


class ClaudeCli:
    """Launches ``claude``; see ``claude.ClaudeBackend``.

    Args:
        command: program and first arguments.
        background: whether the CLI may go on with tools in the background after its result.
        linger: seconds that it may be silent after its result.
    """

    def __init__(
        self, command: tuple[str, ...] = ("claude",), *, background: bool = False, linger: float = LINGER
    ) -> None:
        self._command = command
        self._background = background
        self._linger = linger

    def program(self, call: Call) -> Program:
        """What to execute: the prompt is the last argument, or standard input if it is long."""
        words = GO_ON if call.resumes else call.prompt
        prompt = words.encode("utf-8", "surrogateescape")
        inline = len(prompt) <= MAX_PROMPT
        argv = (*self._command, *_flags(call), *(("--", words) if inline else ()))
        return Program(argv=argv, env=self._environment(call.environment), stdin=b"" if inline else prompt)

    def reader(self, call: Call) -> ClaudeStream:
        """Reads what it prints."""
        command = _COMMAND.match(call.prompt)
        return ClaudeStream(call.session_id, command[1] if command else None, self._linger)

    def session_file(self, call: Call) -> str | None:
        """Absolute path of the CLI's own record of the conversation, if it has begun one."""
        return session_file(call.environment, call.session_id)

    def meter(self, call: Call) -> ClaudeMeter | None:
        """What the CLI's own record of the conversation says by now; ``None`` if it has begun none."""
        file = self.session_file(call)
        return None if file is None else account_of(Path(file)).meter

    def spent(self, call: Call, use: ClaudeUse) -> ClaudeUse:
        """What a launch without a result used, by the CLI's own record."""
        file = self.session_file(call)
        return use if file is None else estimated(use, Path(file), call.meter)

    def _environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        kept = {
            name: value
            for name, value in environment.items()
            if not _OF_THE_CALLER.fullmatch(name) or _SETTINGS.fullmatch(name)
        }
        if not self._background:
            kept.setdefault("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1")
        kept.setdefault("CLAUDE_CODE_MAX_RETRIES", str(RETRIES))
        return kept


def skips_permissions(options: ClaudeOptions) -> bool:
    """Whether a launch with these options asks nobody for permission."""
    return options.permission_mode in {None, "bypass", "bypassPermissions"}


def _flags(call: Call) -> Iterator[str]:
    options = call.options
    yield "--print"
    yield from (
        ("--output-format", "stream-json", "--verbose") if call.streaming else ("--output-format", "json")
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
