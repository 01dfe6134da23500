"""What an attempt was at when its time was up, or its worker was lost: such a failure names no step by itself."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from prodigy.events import Failure, StepIntended
from prodigy.job.state import ItemState, JobState
from prodigy.steps.claude_session import session_file
from prodigy.steps.commands import log_name
from prodigy.steps.output import short_tail

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
    place = {"step": leaf.step, "step_name": leaf.name or None, "logs": tuple(map(str, files))}
    return structs.replace(failure, **place, **tails)


def claude_log(environment: Mapping[str, str], item: ItemState, leaf: StepIntended | None) -> str | None:
    """Claude's own account of the launch that was cut off."""
    if leaf is None or leaf.kind != "claude" or item.claude_session is None:
        return None
    return session_file(environment, item.claude_session)


def _tail(file: Path) -> str:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _TAIL))
        return short_tail(opened.read().decode(errors="replace"))
