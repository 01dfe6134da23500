"""What an attempt was at when its time was up, or its worker was lost.

Such a failure names no step by itself, and a launch of Claude that was cut off could not say what it cost.
"""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import trio
from msgspec import Struct, structs

from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.actors.tasks import TaskFactory
from prodigy.events import ClaudeCutOff, ClaudeIntended, ClaudeMeter, ClaudeUse, Failure, Phase, StepIntended
from prodigy.job.amounts import beyond
from prodigy.job.money import leaf_key
from prodigy.job.standing import alone
from prodigy.job.state import ItemState, JobState, leaves_of
from prodigy.steps.backend import NOTHING_SHOWN, Answer, Call, told
from prodigy.steps.commands import log_name
from prodigy.steps.masking import MASK
from prodigy.steps.output import short_tail
from prodigy.steps.protocol import AgentTask
from prodigy.store.journal import StorageFailed

_LAST_WORDS = 5.0
"""Seconds that the account of what is being stopped may take."""
_TAIL = 4096
"""Bytes of a log that are read."""
_STREAMS = {".out": "stdout", ".err": "stderr"}


def leaf_under_way(state: JobState, item: ItemState) -> StepIntended | None:
    """The leaf of the item's attempt that began last and has not ended."""
    last = None
    for intent in state.intents.values():
        if isinstance(intent, StepIntended) and intent.item_id == item.item_id:
            last = intent
    return last


def placed(failure: Failure, leaf: StepIntended, logs: Path) -> Failure:
    """The failure with the step that was under way, its logs and what it had printed; ``logs``: of the attempt."""
    name = logs / log_name(leaf.step, leaf.kind, leaf.try_)
    files = [file for suffix in (".out", ".err") if (file := name.with_name(name.name + suffix)).exists()]
    told = [
        file for file in files if leaf.kind != "claude" or file.suffix == ".err"
    ]  # else events, not words
    tails = {f"{_STREAMS[file.suffix]}_tail": _tail(file) for file in told}
    place = {"step": leaf.step, "step_name": leaf.name or failure.step_name, "logs": tuple(map(str, files))}
    return structs.replace(failure, **place, **tails)


async def account(
    ledger: Ledger,
    recorder: RecorderRef,
    tasks: TaskFactory,
    whose: Callable[[ClaudeIntended], bool],
) -> None:
    """Record what launches used whose end nobody told, of those that ``whose`` picks; their processes must be gone.

    Once it is recorded, a launch is not accounted for again. One that had succeeded is no launch cut off: where nothing
    else was changing its worktree, its result is the outcome of its leaf, if that is written down as it was.
    """
    for launch in [launch for launch in ledger.state.launches.values() if whose(launch)]:
        log = _stream_log(tasks, launch)
        spawned = launch.intent in ledger.state.spawned
        refused = _is_refused(ledger.state, launch)
        end = await trio.to_thread.run_sync(_end, tasks, launch, log, spawned, refused)
        unfit = _unfit(ledger.state, tasks, launch, end)
        cut_off = ClaudeCutOff(
            phase=launch.phase,
            step=launch.step,
            try_=launch.try_,
            item_id=launch.item_id,
            agent_id=launch.agent_id,
            attempt=launch.attempt,
            intent=launch.intent,
            claude=end.use,
            began=end.began,
            finished=str(log) if end.succeeded and unfit is None else None,
            unfit=unfit,
        )
        await record(recorder, cut_off)


@asynccontextmanager
async def paid_at_the_end(pay: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """A block whose launches are paid for when it is cancelled: once it has ended their processes are gone."""
    try:
        yield
    except BaseException:
        if trio.current_effective_deadline() == -math.inf:
            with trio.move_on_after(_LAST_WORDS, shield=True), suppress(StorageFailed):
                await pay()
        raise


def finished(state: JobState, phase: Phase, item: ItemState | None) -> dict[str, str]:
    """The logs of launches that had succeeded when they were cut off, by the keys of their leaves in a phase."""
    mine = f"{phase}/"
    known = leaves_of(state if item is None else item).finished
    return {key.removeprefix(mine): log for key, log in known.items() if key.startswith(mine)}


def in_order(state: JobState, phase: Phase, item: ItemState | None) -> bool:
    """Whether a worktree is as a launch of Claude left it that had come to its end: its result counts, or it goes on."""
    if finished(state, phase, item):
        return True
    waiting = leaves_of(state if item is None else item).waiting
    whose = None if item is None else item.item_id
    beside = tuple(one for one in state.intents.values() if (one.phase, one.item_id) == (phase, whose))
    return any(
        waiting[key] == state.boot_id and alone(beside, leaf)
        for leaf in beside
        if (key := leaf_key(phase, leaf.step, leaf.try_)) in waiting
    )


class _End(Struct, frozen=True):
    """How a launch that was cut off had ended, as far as can be known."""

    use: ClaudeUse
    answer: Answer | None = None
    began: bool = True

    @property
    def succeeded(self) -> bool:
        """Whether it had said so itself."""
        return self.answer is not None and not self.answer.is_error


def _is_refused(state: JobState, launch: ClaudeIntended) -> bool:
    """Whether Claude works for nobody who asks as this launch did."""
    quota = state.quota((launch.account, launch.model))
    return state.turned_down is not None and quota is not None and quota.until is not None


def _end(tasks: TaskFactory, launch: ClaudeIntended, log: Path, spawned: bool, refused: bool) -> _End:  # noqa: FBT001 - facts
    """By its own last word in the log of its stream, else by its conversation's own record.

    Of one that is not known to have been ``spawned``, the log may be that of the launch before it. A first request that
    nobody answered is free where the others of its kind are ``refused``.
    """
    backend, session = tasks.backend, launch.session_id
    environment = tasks.environment_of(launch.phase)
    file = backend.session_file(environment, session)
    if not spawned and backend.meter(environment, session) == launch.meter:
        return _End(ClaudeUse(session_id=session, json_log_location=file), began=False)
    before = launch.meter or ClaudeMeter()
    reader = backend.reader(Call(prompt="", session_id=session))
    answer = told(reader, log)
    if answer is not None and not answer.is_interrupted:
        use = structs.replace(beyond(before.summed, answer.use), json_log_location=file)
        return _End(use, answer)
    use = ClaudeUse(session_id=session, json_log_location=file, estimated=True)
    shown = reader.shown() if spawned else NOTHING_SHOWN
    if refused and not shown.replies:
        shown = NOTHING_SHOWN
    return _End(backend.spent(environment, use, before, shown), answer)


def _stream_log(tasks: TaskFactory, launch: ClaudeIntended) -> Path:
    name = log_name(launch.step, "claude", launch.try_)
    return tasks.logs_of(launch.phase, launch.item_id, launch.attempt) / f"{name}.out"


def _unfit(state: JobState, tasks: TaskFactory, launch: ClaudeIntended, end: _End) -> str | None:
    """Why the result of a launch that had succeeded is not its leaf's outcome; ``None`` if it is."""
    if end.answer is None or end.answer.is_error:
        return None
    if tasks.hides_secrets and MASK.encode() in msgspec.json.encode(
        (end.answer.text, end.answer.use.structured)
    ):
        return f"its log may have `{MASK}` in the place of a secret"
    return None if _is_whole(state, launch) else "its worktree may not be as it left it"


def _is_whole(state: JobState, launch: ClaudeIntended) -> bool:
    """Whether its worktree still is as it left it, and nobody else was changing that.

    A machine that went down may have lost files whose loss nobody would notice.
    """
    leaf, process = state.intents.get(launch.intent), state.spawned.get(launch.intent)
    if leaf is None or process is None or leaf.kind != "claude" or process.boot_id != state.boot_id:
        return False
    beside = (one for one in state.intents.values() if (one.phase, one.item_id) == (leaf.phase, leaf.item_id))
    return alone(tuple(beside), leaf)


def claude_log(tasks: TaskFactory, task: AgentTask, item: ItemState, leaf: StepIntended | None) -> str | None:
    """Claude's own account of the launch of a task that was cut off."""
    if leaf is None or leaf.kind != "claude" or item.claude_session is None:
        return None
    return tasks.backend.session_file({**task.environment, **task.for_claude}, item.claude_session)


def _tail(file: Path) -> str:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _TAIL))
        return short_tail(opened.read().decode(errors="replace"))
