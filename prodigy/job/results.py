"""What became of each item, as the reduce phase reads it: ``${map.results}``.

Pure. One entry per item, at the item's index.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from prodigy import ids
from prodigy.ids import AgentId
from prodigy.job.state import ItemState, JobState

ResultStatus = Literal["success", "failed", "skipped"]


class ItemResult(Struct, frozen=True, kw_only=True):
    """One item's result; ``duration`` in seconds, over all attempts."""

    index: int
    item_id: str
    item: Any
    status: ResultStatus
    success: bool
    output: str
    error: str | None
    exit_code: int | None
    commits: tuple[str, ...]
    files_changed: tuple[str, ...]
    duration: float
    attempts: int
    cost_usd: float
    branch: str | None
    json_log_location: str | None
    variables: dict[str, Any]


class ClaudeUsed(Struct, frozen=True):
    """What an attempt spent on Claude, failed launches included, and the log of the last launch."""

    cost_usd: float = 0.0
    json_log_location: str | None = None


def claude_used(item: ItemState) -> ClaudeUsed:
    """What the attempt that runs spent so far, and the log that its last launch with an outcome left."""
    outcomes = item.leaves.outcomes.values() if item.leaves is not None else ()
    launches = [outcome.claude for outcome in outcomes if outcome.claude is not None]
    logs = [launch.json_log_location for launch in launches if launch.json_log_location is not None]
    return ClaudeUsed(item.spent_usd, logs[-1] if logs else None)


def item_results(state: JobState) -> Iterator[ItemResult]:
    """All items by index, each when it is asked for; what neither succeeded nor failed counts as skipped."""
    job = state.started.job_id if state.started else ""
    return (_result(job, item) for item in state.items.by_index())


def map_variables(state: JobState, results_file: str) -> dict[str, Any]:
    """The value of ``map`` in the phases after map; rates in per cent, durations in seconds.

    ``results_file`` is where ``store.projections`` writes the same results for values too long for a command line.
    """
    results = list(item_results(state))
    plain: list[dict[str, Any]] = msgspec.to_builtins(results)
    total, successful = len(results), sum(result.success for result in results)
    failed = sum(result.status == "failed" for result in results)
    seconds = sum(result.duration for result in results)
    return {
        "total": total,
        "successful": successful,
        "success_count": successful,
        "failed": failed,
        "failure_count": failed,
        "skipped": total - successful - failed,
        "success_rate": 100 * successful / total if total else 100.0,
        "failure_rate": 100 * failed / total if total else 0.0,
        "results": plain,
        "results_json": msgspec.json.encode(plain).decode(),
        "results_file": results_file,
        "outputs": [result.output for result in results],
        "total_duration_secs": seconds,
        "average_duration_secs": seconds / total if total else 0.0,
        "cost_usd": state.cost_usd,
    }


def _result(job: str, item: ItemState) -> ItemResult:
    status = _status(item)
    return ItemResult(
        index=item.index,
        item_id=item.item_id,
        item=item.item,
        status=status,
        success=status == "success",
        output=item.output,
        error=item.error.message if item.error else None,
        exit_code=item.error.exit_code if item.error else 0 if status == "success" else None,
        commits=item.commits,
        files_changed=item.files_changed,
        duration=item.duration_ms / 1000,
        attempts=item.attempts,
        cost_usd=item.cost_usd,
        branch=ids.agent_branch(job, AgentId(item.agent_id)) if item.agent_id else None,
        json_log_location=item.json_log_location,
        variables=item.variables or {},
    )


def _status(item: ItemState) -> ResultStatus:
    match item.status:
        case "done":
            return "success"
        case "failed":
            return "failed"
        case _:
            return "skipped"
