"""Claude steps: a prompt goes to the Claude CLI, and its last result says whether the step succeeded.

An exit code proves nothing here: the CLI exits with 0 when it is interrupted, and without a result when it could not
start. Only a result that is no error is a success.
"""

from pathlib import Path
from typing import NoReturn
from uuid import uuid4

import trio
from msgspec import structs

from prodigy.events import (
    ClaudeAnswered,
    ClaudeIntended,
    ClaudeParked,
    ClaudeTally,
    ClaudeUse,
    Failure,
    Stream,
)
from prodigy.job.amounts import beyond, together
from prodigy.job.budget import LEAST_USD
from prodigy.steps.backend import AgentBackend, Answer, Call, Launched, told
from prodigy.steps.durable import Done, LeafFailed, Texts
from prodigy.steps.nested import stream_of
from prodigy.steps.output import cut, last_line, short_tail
from prodigy.steps.runner import Ended, Program, Runner
from prodigy.workflow.deferred import seconds, share
from prodigy.workflow.model import Claude, ClaudeOptions, Step, Text

_LEAST = 1.0
"""Seconds that a conversation has at least when it goes on."""
SHORT = 500
"""Characters of what Claude said that an error message holds."""


async def claude(
    runner: Runner, step: Step, action: Claude, path: str, try_: int, backend: AgentBackend
) -> Done:
    """Run a Claude step; its output is the text of Claude's last result.

    Raises:
        LeafFailed: ``claude-error``, what ended the launch early, or a text that cannot be filled in.
    """
    before = runner.door.conversation(path, try_)
    log = runner.door.finished(path, try_)
    if before is not None and log is not None:
        return await _adopted(runner, step, action, before, Path(log), backend)
    left, put_aside = seconds(step.timeout), runner.door.begun.put_aside
    while True:
        call = structs.replace(_call(runner, step, action, before, backend), put_aside=put_aside)
        put_aside = None  # told once
        before = before if call.resumes else None
        call = await _admitted(runner, call, before, backend, path, try_)
        began = trio.current_time()
        launched = await _launch(runner, structs.replace(step, timeout=left), call, backend, path, try_)
        left = None if left is None else max(_LEAST, left - (trio.current_time() - began))
        why = backend.parked(call, launched)
        if why is None:
            await trio.to_thread.run_sync(backend.tidy, call)
            return _outcome(launched, call, together(before, launched.use))
        reported = ClaudeParked(
            **runner.door.place.at(path, try_),
            intent=runner.door.intent(path, try_),
            reason=why.reason,
            claude=launched.use,
            message=why.message,
            until=why.until,
            cause=why.cause,
        )
        await runner.door.recorder.record(reported)
        before = together(before, launched.use)


async def _adopted(
    runner: Runner, step: Step, action: Claude, before: ClaudeUse, log: Path, backend: AgentBackend
) -> Done:
    """The outcome of a launch that had succeeded before, and is paid for."""
    call = structs.replace(_call(runner, step, action, None, backend), session_id=before.session_id)
    answer = told(backend.reader(call), log)
    assert answer is not None, "the coordinator has read it"
    stdout, stderr = (Stream(size=one.stat().st_size, log=str(one)) for one in (log, log.with_suffix(".err")))
    ended = Ended(failure=None, exit_code=0, stdout=stdout, stderr=stderr)
    nothing = structs.asdict(ClaudeTally())
    use = structs.replace(
        answer.use, json_log_location=backend.session_file(call.environment, call.session_id), **nothing
    )
    await trio.to_thread.run_sync(backend.tidy, call)
    return _outcome(Launched(answer, ended, use), call, before)


async def _admitted(
    runner: Runner, call: Call, before: ClaudeUse | None, backend: AgentBackend, path: str, try_: int
) -> Call:
    """Ask whether the launch may begin, and wait until it may."""
    own, spent = call.options.max_budget_usd, 0.0 if before is None else before.cost_usd
    wanted = None if own is None else max(LEAST_USD, share(own) - spent)
    reserved = await runner.door.recorder.admit(
        ClaudeIntended(
            **runner.door.place.at(path, try_),
            intent=runner.door.intent(path, try_),
            session_id=call.session_id,
            model=call.options.model,
            account=backend.account(call.environment),
            resumes=call.resumes,
            wanted_usd=wanted,
            meter=call.meter,
        )
    )
    if reserved is None or (wanted is not None and wanted <= reserved):
        return structs.replace(call, cap_usd=wanted)
    return structs.replace(call, cap_usd=reserved, reserved=True)


async def _launch(
    runner: Runner, step: Step, call: Call, backend: AgentBackend, path: str, try_: int
) -> Launched:
    reader = backend.reader(call)
    patient = step if call.streaming else structs.replace(step, idle_timeout=None)
    program = structs.replace(_checked(backend.program(call)), claude_session=call.session_id)
    heard = trio.Event()

    def listen(chunk: bytes) -> float | None:
        enough = reader.feed(chunk)
        if reader.answered:
            heard.set()
        return enough

    async def tell() -> None:
        await heard.wait()
        at = runner.door.place.at(path, try_)
        await runner.door.recorder.note(ClaudeAnswered(**at, intent=runner.door.intent(path, try_)))

    if not call.streaming:
        heard.set()  # it says nothing before its end
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell)
        try:
            ended = await runner.launch(program, patient, path=path, try_=try_, listen=listen)
        except LeafFailed as failed:  # it could not be started
            ended = Ended(failure=failed.failure, exit_code=None, stdout=Stream(), stderr=Stream())
        nursery.cancel_scope.cancel()
    answer = reader.answer()
    if answer is None or answer.is_interrupted:
        use = backend.spent(call.environment, reader.unanswered(), call.meter, reader.shown())
    else:
        use = _own(call, answer.use)
    use = structs.replace(use, json_log_location=backend.session_file(call.environment, call.session_id))
    return Launched(answer, ended, use, reader.objection, reader.resets_at)


def _own(call: Call, use: ClaudeUse) -> ClaudeUse:
    """What the launch itself used: a result tells the sum of the conversation."""
    return use if call.meter is None else beyond(call.meter.summed, use)


def _outcome(launched: Launched, call: Call, whole: ClaudeUse) -> Done:
    answer, ended = launched.answer, launched.ended
    failure = _failure(answer, ended, wants_value=call.options.json_schema is not None)
    if launched.objection is not None:
        failure = _claude_error(launched.objection, ended)
    done = structs.replace(_done(answer, ended, launched.use), value=_fields(whole))
    return done if failure is None else _fail(failure, done)


def _call(
    runner: Runner, step: Step, action: Claude, before: ClaudeUse | None, backend: AgentBackend
) -> Call:
    environment = runner.environment(step)
    prompt = runner.text(Text(action.prompt, action.mark)) if step.interpolate else action.prompt
    call = Call(
        prompt=prompt,
        session_id=str(uuid4()) if before is None else before.session_id,
        worktree=runner.worktree,
        options=_filled(runner, step.claude),
        environment=environment,
        streaming=environment.get("PRODIGY_CLAUDE_STREAMING", "").lower() != "false",
    )
    if before is None:
        return call
    meter = backend.meter(environment, call.session_id)
    if meter is None:  # it ended before it had begun
        return structs.replace(call, session_id=str(uuid4()))
    return structs.replace(call, resumes=True, meter=meter)


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


def _fail(failure: Failure, done: Done) -> NoReturn:
    raise LeafFailed(
        structs.replace(failure, stdout_tail=short_tail(done.stdout.tail)),
        stdout=done.stdout,
        stderr=done.stderr,
        value=done.value,
        texts=done.texts,
        claude=done.claude,
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
