"""What an attempt was at when its time was up, or its worker was lost.

Such a failure names no step by itself, and a launch of Claude that was cut off could not say what it cost.
"""

from collections.abc import Callable
from pathlib import Path

import trio
from msgspec import structs

from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.actors.tasks import TaskFactory
from prodigy.events import ClaudeCutOff, ClaudeMeter, ClaudeUse, Failure, StepIntended, StepSpawned
from prodigy.job.state import ItemState, JobState
from prodigy.steps.commands import log_name
from prodigy.steps.output import short_tail
from prodigy.steps.protocol import AgentTask

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
    whose: Callable[[StepSpawned], bool],
) -> None:
    """Record what launches used whose end nobody told, of those that ``whose`` picks; their processes must be gone.

    Once it is recorded, a launch is not accounted for again.
    """
    for spawned in [launch for launch in ledger.state.launches.values() if whose(launch)]:
        before = ledger.state.money.meters.get(spawned.intent)
        use = await trio.to_thread.run_sync(_use, tasks, spawned.claude_session or "", before)
        cut_off = ClaudeCutOff(
            phase=spawned.phase,
            step=spawned.step,
            try_=spawned.try_,
            item_id=spawned.item_id,
            agent_id=spawned.agent_id,
            attempt=spawned.attempt,
            intent=spawned.intent,
            claude=use,
        )
        await record(recorder, cut_off)


def _use(tasks: TaskFactory, session: str, before: ClaudeMeter | None) -> ClaudeUse:
    """What a launch used by its conversation's own log, given what that said before; nothing, if there is none."""
    file = tasks.backend.session_file(tasks.environment, session)
    use = ClaudeUse(session_id=session, json_log_location=file, estimated=True)
    return tasks.backend.spent(tasks.environment, use, before)


def claude_log(tasks: TaskFactory, task: AgentTask, item: ItemState, leaf: StepIntended | None) -> str | None:
    """Claude's own account of the launch of a task that was cut off."""
    if leaf is None or leaf.kind != "claude" or item.claude_session is None:
        return None
    return tasks.backend.session_file(task.environment, item.claude_session)


def _tail(file: Path) -> str:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _TAIL))
        return short_tail(opened.read().decode(errors="replace"))
