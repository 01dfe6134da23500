"""The last lines of a run: what it did, where its work is, what to type next.

A state comes in, lines come out; only the whole output of a step is read from its log.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from prodigy.cli.lines.claude import spent
from prodigy.cli.lines.letters import retried_text
from prodigy.cli.printer import Part, Span, Tone
from prodigy.cli.text import counted, dollars, duration, local_time, readable_size
from prodigy.errors import InternalError, ProdigyError, RunError
from prodigy.events import (
    BudgetExhausted,
    ClaudeParked,
    Failure,
    HostShort,
    QuotaBlocked,
    Refusal,
    WritingRefused,
)
from prodigy.job.items import item_text
from prodigy.job.state import Before, JobState, Repeated
from prodigy.job.summary import JobSummary, item_counts, next_command, summarize
from prodigy.paths import worth_reading

Line = tuple[Part, ...]

_LABEL_WIDTH = 9
_FIRST_STEP: Final = re.compile(r"steps/1/\d+")
_SHORT_SHA = 10
_OUTPUT_LINES = 3
_FEW = 3
_TONES: dict[str, Tone] = {
    "completed": "good",
    "failed": "bad",
    "paused": "warning",
    "interrupted": "warning",
    "budget-exhausted": "warning",
}
_REMEDIES: Final[Mapping[Refusal, str]] = {
    "login": "log in (`claude`, then `/login`) or give a key that is valid",
    "credit": "see that the account has credit",
    "model": "name another model, with `--model` or in the workflow (`--reload` takes that)",
    "version": "update the Claude CLI (`claude update`), or leave out the option",
    "root": "set `IS_SANDBOX=1` if this is a container made for it, or run as another user",
    "missing": "install the Claude CLI again",
}
_MORE: Final = (
    "what a step may use is said by its `limits`, or for all of them by `limits` of the configuration"
)
_WHY_NOT_MERGED = {
    "no": "",
    "eof": " (no answer)",
    "no-tty": " (no terminal to ask)",
    "flag-no": " (--no-merge)",
}


def result_lines(state: JobState, repo: str, now: datetime) -> Iterator[Line]:
    """The result block of a run that ended or stopped: session, items, commits, merge, next."""
    summary = summarize(state, repo)
    took = duration(_taken(state, state.ended_at or now))
    between = "in" if state.status == "completed" else "after"
    yield (
        Span(summary.session_id, "strong"),
        Span(f"  {state.status}", _TONES.get(state.status, "plain")),
        f" {between} {took}",
    )
    if summary.kind == "mapreduce":
        yield _labelled("items", _items(state))
    if state.retry is not None and state.retry.ended is not None:
        yield _labelled("retried", retried_text(state.retry.ended))
    if state.before is not None:
        yield _labelled("resumed", _resumed(state, state.before))
    if len(state.repeated) > state.repeated_before:
        yield _labelled("again", _repeated(state))
    yield _labelled("commits", _commits(state, summary.branch))
    if state.money.usd:
        estimated = f", ${state.estimated_usd:.2f} of it estimated" if state.estimated_usd else ""
        cap = None if state.money.caps is None else state.money.caps.usd
        yield _labelled("claude", f"{dollars(state.money.usd, cap=cap)}{estimated}, {_launches(state)}")
    yield _labelled("merge", _merge(state, summary))
    following = next_command(summary)
    if summary.waiting:  # its merge has a line of its own
        yield _labelled("next", f"prodigy dlq retry {summary.tail}")
    elif following is not None and not summary.unmerged:
        yield _labelled("next", following)


def _taken(state: JobState, end: datetime) -> float:
    """Seconds that the last retry took, else those that processes have worked at the run."""
    if state.retry is None:
        return state.money.active(end)
    return (end - state.retry.started_at) / timedelta(seconds=1)


def output_lines(state: JobState) -> Iterator[str]:
    """What the first step of a plain workflow printed last, or what Claude answered to it."""
    outcomes = [outcome for key, outcome in state.outcomes.items() if _FIRST_STEP.fullmatch(key)]
    for outcome in outcomes[-1:]:
        if outcome.claude is None and outcome.stdout.log is not None:
            yield from _log_lines(Path(outcome.stdout.log), outcome.stdout.tail)
        else:
            yield from outcome.stdout.tail.splitlines()


def _log_lines(log: Path, tail: str) -> Iterator[str]:
    """The whole of an output; its tail, if its log is gone."""
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            yield from (line.rstrip("\n") for line in lines)
    except OSError:
        yield from tail.splitlines()


def run_error(state: JobState, zone: tzinfo | None = None) -> ProdigyError | None:
    """Why the run failed, as the error to show, with times in ``zone``; ``None`` for a run that did not."""
    if state.status == "budget-exhausted" and state.money.exhausted is not None:
        return _out_of_budget(state, state.money.exhausted)
    if state.status == "paused" and (resting := _at_rest(state, zone)) is not None:
        return resting
    failure = state.error
    if failure is None:
        return None
    if failure.error_class == "internal":
        return InternalError("internal-error", failure.message)
    if state.started is not None and state.dead_letters and failure.step is None:
        hint = f"see why with `prodigy dlq show {state.short_name}`"
        return RunError("step-failed", failure.message, hint=hint)
    log = worth_reading(failure.logs)
    note = "this came from the command, not from prodigy" if failure.error_class == "command-failed" else None
    full = f"full log: `{log}`" if log else None
    return RunError(
        "limit-exceeded" if failure.limit else "step-failed",
        "\n".join((failure.message, *_tail(failure))),
        note="; ".join(filter(None, (note, full))) or None,
        hint=_MORE if failure.error_class == "limit-exceeded" else None,
    )


def _out_of_budget(state: JobState, exhausted: BudgetExhausted) -> RunError:
    return RunError(
        "budget-exhausted",
        f"The budget does not let the run go on: {spent(exhausted)} used",
        note="; ".join(
            filter(None, ("what is finished is kept; nothing of it is paid again", _needed(state, exhausted)))
        ),
        hint=f"go on with more: `prodigy resume {state.short_name} --budget {exhausted.kind}=…` (it counts the whole job)",
    )


def _needed(state: JobState, exhausted: BudgetExhausted) -> str:
    """What the whole job would cost, going by what is done."""
    ended = state.counts["done"] + state.counts["merging"]
    if exhausted.kind != "usd" or not ended or not state.money.usd:
        return ""
    return f"at this rate all {state.total:,} items cost about ${state.money.usd * state.total / ended:.2f}"


def _at_rest(state: JobState, zone: tzinfo | None) -> RunError | None:
    if state.turned_down is not None:
        return _does_not_work(state, state.turned_down)
    if state.given_up is not None:
        return _turned_away(state, state.given_up, zone)
    if state.refused is not None:
        return _refused_by_disk(state, state.refused)
    return None if state.no_room is None else _no_room(state, state.no_room)


def _turned_away(state: JobState, block: QuotaBlocked, zone: tzinfo | None) -> RunError:
    until = local_time(block.until, zone) if block.known else None
    return RunError(
        "quota-blocked",
        f"{block.model or 'Claude'} is turned away by the API" + (f" until {until}" if until else ""),
        note="that is longer than `governor.quota_wait_max`; no item is charged, and conversations go on where they are",
        hint=f"once there is quota again: `prodigy resume {state.short_name}`",
    )


def _does_not_work(state: JobState, refused: ClaudeParked) -> RunError:
    return RunError(
        "claude-refused",
        f"Claude does not work: {refused.message}",
        note="no other launch would come to anything; no item has failed by it, and nothing was charged for it",
        hint=f"{_REMEDIES[refused.cause] if refused.cause else 'once it works'}, then `prodigy resume {state.short_name}`",
    )


def _refused_by_disk(state: JobState, refused: WritingRefused) -> RunError:
    return RunError(
        "not-writable",
        f"Nothing can be written in {refused.path}: {refused.reason}",
        note="what is finished is kept, and no item is charged for it",
        hint=f"once it can be, go on: `prodigy resume {state.short_name}`",
    )


def _no_room(state: JobState, short: HostShort) -> RunError:
    free, floor = readable_size(short.free), readable_size(short.floor)
    return RunError(
        "host-short",
        f"There is too little {short.what} for another agent: {free} free, less than {floor}",
        note=f"for longer than `host.wait_max`, going by `host.min_free_{short.what}`; what is finished is kept",
        hint=f"once there is more, go on: `prodigy resume {state.short_name}`",
    )


def _launches(state: JobState) -> str:
    return f"{counted(state.money.launches, 'launch', 'launches')}, {state.money.tokens:,} tokens"


def _labelled(label: str, text: str) -> Line:
    return Span(label.ljust(_LABEL_WIDTH), "dim"), text


def _items(state: JobState) -> str:
    counts = item_counts(state)
    left = counts.running + counts.waiting + counts.merging
    unchanged = sum(item.unchanged for item in state.items.values())
    parts = (
        f"{counts.done:,} done{f' ({unchanged:,} without a change)' if unchanged else ''}",
        f"{len(state.dead_letters):,} in DLQ",
        f"{counts.skipped:,} skipped",
        f"{left:,} not finished" if left else "",
    )
    return f"{', '.join(filter(None, parts))} (of {counts.total:,})"


def _resumed(state: JobState, before: Before) -> str:
    """What this process did, apart from what was there before."""
    parts = (
        counted(len(state.command_timings) - before.steps, "effect"),
        counted(state.counts["done"] - before.done, "item") if state.total else "",
        counted(state.commits - before.commits, "commit") if state.commits >= before.commits else "",
        f"${state.money.usd - before.cost_usd:.2f}" if state.money.usd else "",
    )
    earlier = (
        f"{before.done:,} done" if state.total else "",
        counted(before.commits, "commit"),
        f"${before.cost_usd:.2f}" if state.money.usd else "",
    )
    return f"{', '.join(filter(None, parts))} since; {', '.join(filter(None, earlier))} before"


def _repeated(state: JobState) -> str:
    """What was paid for a second time since the run was last taken up."""
    repeated = state.repeated[state.repeated_before :]
    named = [_name_of(one, state) for one in repeated[:_FEW]]
    more = len(repeated) - len(named)
    return f"cut off, and paid again: {', '.join(named)}{f' and {more:,} more' if more else ''}"


def _name_of(one: Repeated, state: JobState) -> str:
    item = state.items.get(one.item_id) if one.item_id is not None else None
    whose = item_text(item.item, item.item_id) if item is not None else one.phase
    return f"{whose} step {one.step}" if one.step is not None else f"{whose} as a whole"


def _commits(state: JobState, branch: str) -> str:
    if not state.commits:
        return "none"
    return f"{state.commits:,}, {counted(len(state.files_changed), 'file')}, on {branch}"


def _merge(state: JobState, summary: JobSummary) -> str:
    command = f"prodigy worktree merge {summary.tail}"
    match state.merge:
        case "merged":
            return f"merged into {state.merged_into} ({(state.merge_commit or '')[:_SHORT_SHA]})"
        case "nothing":
            return "nothing to merge"
        case "declined":
            return f"not merged{_WHY_NOT_MERGED.get(state.merge_answer or '', '')}: {command}"
        case "failed":
            last = state.merges[-1] if state.merges else None
            why = (last.message or ", ".join(last.paths)) if last else ""
            return f"not possible ({why}), the branch is kept: {command}"
        case "pending":
            return f"not merged, the branch is kept{f': {command}' if summary.unmerged else ''}"


def _tail(failure: Failure) -> Iterator[str]:
    output = (failure.stderr_tail or failure.stdout_tail).rstrip().splitlines()
    if output:
        last = output[-_OUTPUT_LINES:]
        yield f"output (last {counted(len(last), 'line')} of {len(output)}):"
        yield from (f"  {line}" for line in last)
