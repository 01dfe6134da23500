"""Claude steps: a prompt goes to the Claude CLI, and its last result says whether the step succeeded.

An exit code proves nothing here: the CLI exits with 0 when it is interrupted, and without a result when it could not
start. Only a result that is no error is a success.
"""

from typing import NoReturn, Protocol
from uuid import uuid4

from msgspec import structs

from prodigy.events import ClaudeUse, Failure
from prodigy.steps.claude_cli import Call, ClaudeCli
from prodigy.steps.claude_stream import Answer
from prodigy.steps.durable import Done, LeafFailed, Texts
from prodigy.steps.nested import stream_of
from prodigy.steps.output import cut, last_line, short_tail
from prodigy.steps.runner import Ended, Program, Runner
from prodigy.workflow.model import Claude, ClaudeOptions, Step, Text

SHORT = 500
"""Characters of what Claude said that an error message holds."""


class Reader(Protocol):
    """Reads what a launch prints."""

    @property
    def objection(self) -> str | None:
        """Why the launch makes no sense, as far as is known."""
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


class ClaudeBackend(Protocol):
    """Knows a program that Claude steps run, how to start it and how to read it."""

    def program(self, call: Call) -> Program:
        """What to execute."""
        ...

    def reader(self, call: Call) -> Reader:
        """A reader for what it prints."""
        ...

    def session_file(self, call: Call) -> str | None:
        """Absolute path of the program's own record of the conversation; ``None`` if there is none."""
        ...

    def spent(self, call: Call, use: ClaudeUse) -> ClaudeUse:
        """What a launch used that said nothing of its end."""
        ...


async def claude(
    runner: Runner, step: Step, action: Claude, path: str, try_: int, backend: ClaudeBackend | None = None
) -> Done:
    """Run a Claude step; its output is the text of Claude's last result.

    Raises:
        LeafFailed: ``claude-error``, what ended the launch early, or a text that cannot be filled in.
    """
    backend = backend or ClaudeCli()
    call = _call(runner, step, action)
    reader = backend.reader(call)
    patient = step if call.streaming else structs.replace(step, idle_timeout=None)
    program = structs.replace(_checked(backend.program(call)), claude_session=call.session_id)
    ended = await runner.launch(program, patient, path=path, try_=try_, listen=reader.feed)
    answer = reader.answer()
    use = backend.spent(call, reader.unanswered()) if answer is None else answer.use
    use = structs.replace(use, json_log_location=backend.session_file(call))
    failure = _failure(answer, ended, wants_value=call.options.json_schema is not None)
    if reader.objection is not None:
        failure = _claude_error(reader.objection, ended)
    return _done(answer, ended, use) if failure is None else _fail(failure, answer, ended, use)


def _call(runner: Runner, step: Step, action: Claude) -> Call:
    environment = runner.environment(step)
    prompt = runner.text(Text(action.prompt, action.mark)) if step.interpolate else action.prompt
    return Call(
        prompt=prompt,
        session_id=str(uuid4()),
        options=_filled(runner, step.claude),
        environment=environment,
        streaming=environment.get("PRODIGY_CLAUDE_STREAMING", "").lower() != "false",
    )


def _filled(runner: Runner, options: ClaudeOptions) -> ClaudeOptions:
    """The options with their texts filled in."""
    texts = {
        name: Text(runner.text(text), text.mark)
        for name in ("system_prompt", "append_system_prompt")
        if (text := getattr(options, name)) is not None
    }
    return structs.replace(options, **texts) if texts else options


def _checked(program: Program) -> Program:
    if any("\0" in argument for argument in program.argv):
        message = "A prompt or an option contains a NUL character, which no argument can hold"
        raise LeafFailed(Failure(error_class="bad-value", message=message))
    return program


def _failure(answer: Answer | None, ended: Ended, *, wants_value: bool) -> Failure | None:
    """Why the step failed, or ``None``: what ended the launch from outside counts before what Claude said."""
    outside = ended.failure
    if outside is not None and outside.error_class != "command-failed":
        return outside
    if answer is None:
        return _claude_error(_no_result(ended), ended)
    if answer.is_error:
        said = answer.text.strip() or answer.use.terminal_reason or "it gave no reason"
        return _claude_error(f"Claude failed: {cut(said, SHORT)}", ended)
    if wants_value and answer.use.structured is None:
        return _claude_error("Claude gave no value for `json_schema`", ended)
    return None


def _no_result(ended: Ended) -> str:
    outside = ended.failure
    if outside is None:
        return "Claude ended without a result"
    said = last_line(ended.stderr.tail)
    return f"Claude gave no result: {said or outside.message}"


def _claude_error(message: str, ended: Ended) -> Failure:
    outside = ended.failure
    return Failure(
        error_class="claude-error",
        message=message,
        exit_code=ended.exit_code or None,
        signal=None if outside is None else outside.signal,
        stderr_tail=short_tail(ended.stderr.tail),
        logs=tuple(log for log in (ended.stdout.log, ended.stderr.log) if log is not None),
    )


def _done(answer: Answer | None, ended: Ended, use: ClaudeUse) -> Done:
    text = "" if answer is None else answer.text
    return Done(
        stdout=stream_of(text, ended.stdout.log),
        stderr=ended.stderr,
        value=_fields(use),
        texts=Texts(stdout=text, stderr=ended.stderr.tail, both=text),
        claude=use,
    )


def _fail(failure: Failure, answer: Answer | None, ended: Ended, use: ClaudeUse) -> NoReturn:
    done = _done(answer, ended, use)
    raise LeafFailed(
        structs.replace(failure, stdout_tail=short_tail(done.stdout.tail)),
        stdout=done.stdout,
        stderr=done.stderr,
        value=done.value,
        texts=done.texts,
        claude=use,
    )


def _fields(use: ClaudeUse) -> dict[str, object]:
    """What can be read beside ``${claude.output}``."""
    return {
        "structured": use.structured,
        "session_id": use.session_id,
        "cost_usd": use.cost_usd,
        "turns": use.turns,
        "json_log_location": use.json_log_location,
    }
