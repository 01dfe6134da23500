"""What a run spends: the rules of the fold for launches of Claude, from their admission to their bill.

Pure. A launch is *under way* from ``claude_intended`` until its end is told; what is reserved for it counts as spent
meanwhile. A conversation may take several launches: each pays for what it added.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from prodigy import events
from prodigy.events import ClaudeAmount, ClaudeUse, Record
from prodigy.job.amounts import KINDS, amount, shares, together, tokens
from prodigy.job.state import JobState, Leaves, Quota, Repeated, Spending, StepSpending, first_line, leaves_of

SAMPLES = 200
"""How many of the latest launches say what the next one will cost."""
_ITEM: Final = re.compile(r"\[\d+\]")


def leaf_key(phase: events.Phase, step: str, try_: int) -> str:
    """The name under which what belongs to one leaf is kept: ``phase/path/try``."""
    return f"{phase}/{step}/{try_}"


# -- rules ---------------------------------------------------------------------------------------------------------
def _claude_intended(state: JobState, event: events.ClaudeIntended, _: Record) -> None:
    state.money.launches += 1
    spending, intent = _of_step(state, event), state.intents.get(event.intent)
    if intent is not None and not spending.name:
        alone = event.item_id is None and _ITEM.search(event.step) is None
        spending.name = intent.name or (first_line(intent.command) if alone else "")
    state.money.under_way[event.intent] = event.reserved_usd or 0.0
    state.launches[event.intent] = event
    state.parked.discard(event.intent)
    conversations = _conversations(state, event)
    key = leaf_key(event.phase, event.step, event.try_)
    owner(state, event).finished.pop(key, None)
    whose = state if event.item_id is None else state.items.change(event.item_id)
    whose.put_aside = None
    known = conversations.get(key)
    if known is None or known.session_id != event.session_id:
        if known is not None and (known.cost_usd or tokens(known)):  # it is lost
            state.repeated.append(
                Repeated(phase=event.phase, step=event.step, item_id=event.item_id, kind="claude")
            )
        conversations[key] = ClaudeUse(session_id=event.session_id, model=event.model)


def _claude_parked(state: JobState, event: events.ClaudeParked, record: Record) -> None:
    launch = state.launches.get(event.intent)
    boot = record.metadata.boot_id if record.metadata is not None else state.boot_id
    owner(state, event).waiting[leaf_key(event.phase, event.step, event.try_)] = boot
    pay(state, event, event.claude)
    match event.reason:
        case "quota":
            state.parked.add(event.intent)
        case "refused":
            state.turned_down = event
            if launch is not None:  # whoever takes the run up sends a probe first
                _quota(state, launch).until = record.timestamp
        case "budget":
            pass


def _quota_blocked(state: JobState, event: events.QuotaBlocked, record: Record) -> None:
    quota = _quota(state, event)
    quota.since = quota.since or record.timestamp
    quota.until, quota.row = event.until, event.row
    if event.given_up:
        state.given_up = event


def _quota_cleared(state: JobState, event: events.QuotaCleared, _: Record) -> None:
    quota = _quota(state, event)
    quota.since, quota.until, quota.row = None, None, 0


def _parallelism_changed(state: JobState, event: events.ParallelismChanged, _: Record) -> None:
    _quota(state, event).width = event.to


def _quota(
    state: JobState,
    event: events.ClaudeIntended | events.QuotaBlocked | events.QuotaCleared | events.ParallelismChanged,
) -> Quota:
    known = state.quota((event.account, event.model))
    if known is None:
        known = Quota(account=event.account, model=event.model)
        state.quotas.append(known)
    return known


def _claude_answered(_state: JobState, _event: events.ClaudeAnswered, _: Record) -> None:
    """Told to the governor, and to people."""


def _claude_cut_off(state: JobState, event: events.ClaudeCutOff, _: Record) -> None:
    pay(state, event, event.claude if event.began else None)
    if event.began:
        begun_again(state, event)
        if state.before is not None and event.intent < state.taken_up:  # an earlier process has spent it
            spent = state.before.cost_usd + event.claude.cost_usd
            state.before = replace(state.before, cost_usd=spent)
    else:
        state.money.launches -= 1
    if event.finished is not None:
        owner(state, event).finished[leaf_key(event.phase, event.step, event.try_)] = event.finished


def begun_again(state: JobState, event: events.StepSpawned | events.ClaudeCutOff) -> None:
    """A leaf's worktree is no more as a launch that ended in order has left it."""
    owner(state, event).waiting.pop(leaf_key(event.phase, event.step, event.try_), None)


def _budget_set(state: JobState, event: events.BudgetSet, _: Record) -> None:
    state.money.caps = event.caps


def _budget_warned(state: JobState, event: events.BudgetWarned, _: Record) -> None:
    state.money.warned[event.kind] = event


def _budget_exhausted(state: JobState, event: events.BudgetExhausted, _: Record) -> None:
    state.money.exhausted = event


Launched = events.StepCompleted | events.StepFailed | events.ClaudeCutOff | events.ClaudeParked


def pay(state: JobState, event: Launched, use: ClaudeUse | None) -> None:
    """A launch has ended; it is paid for whether its outcome counts or is forgotten."""
    state.launches.pop(event.intent, None)
    launched = state.money.under_way.pop(event.intent, None) is not None
    if use is None:
        return
    _count(state, event, use, launched=launched)
    if use.estimated:
        state.estimated_usd += use.cost_usd
    item = None if event.item_id is None else state.items.change(event.item_id)
    if item is not None and event.phase == "map":
        item.spent_usd += use.cost_usd  # the end of the attempt tells of it
        return
    state.cost_usd += use.cost_usd
    if item is not None:
        item.cost_usd += use.cost_usd


def _count(state: JobState, event: Launched, use: ClaudeUse, *, launched: bool) -> None:
    money = state.money
    money.usd += use.cost_usd
    money.tokens += tokens(use)
    conversations = _conversations(state, event)
    key = leaf_key(event.phase, event.step, event.try_)
    known = conversations.get(key)
    if not launched and known is None:  # as earlier releases recorded it
        money.launches += 1
        launched = True
    whole = amount(use)
    for spending in (money.whole, _of_step(state, event)):
        _add(spending, whole, launched=launched)
    for model, part in shares(use).items():
        _add(money.by_model.setdefault(model or "", Spending()), part, launched=launched)
    if use.cost_usd > 0:
        money.samples.append((use.cost_usd, tokens(use)))
        del money.samples[:-SAMPLES]
    if known is not None and known.session_id == use.session_id:
        conversations[key] = together(known, use)


def _of_step(state: JobState, event: Launched | events.ClaudeIntended) -> StepSpending:
    """What the step of a leaf spends, for all items of the loops that it stands in."""
    step = _ITEM.sub("[]", event.step)
    fresh = StepSpending(phase=event.phase, step=step)
    return state.money.by_step.setdefault(f"{event.phase}/{step}", fresh)


def _add(spending: Spending, used: ClaudeAmount, *, launched: bool) -> None:
    spending.launches += launched
    spending.usd += used.cost_usd
    for name in KINDS:
        setattr(spending, name, getattr(spending, name) + getattr(used, name))


def conversation(state: JobState, event: events.ClaudeIntended) -> ClaudeUse | None:
    """The conversation that a leaf began with Claude, and what it used so far."""
    known = leaves_of(state if event.item_id is None else state.items[event.item_id])
    return known.conversations.get(leaf_key(event.phase, event.step, event.try_))


def _conversations(state: JobState, event: Launched | events.ClaudeIntended) -> dict[str, ClaudeUse]:
    return owner(state, event).conversations


def owner(state: JobState, event: events.StepEvent | events.WorkRewound) -> JobState | Leaves:
    """The leaves among which that of an event is."""
    return state if event.item_id is None else state.items.change(event.item_id).opened


def begin_clock(state: JobState, record: Record) -> None:
    """A process takes the run up: from now on it runs, since the last record of the one before it did not."""
    money = state.money
    if money.awake_since is not None and state.updated_at is not None:
        money.wall += (state.updated_at - money.awake_since).total_seconds()
    money.awake_since = record.timestamp
    ask_again(state, record.timestamp)
    state.parked.clear()
    money.warned.clear()
    money.under_way = {
        intent: reserved for intent, reserved in money.under_way.items() if intent in state.launches
    }


def ask_again(state: JobState, at: datetime) -> None:
    """Somebody wants it anew: what was refused before is found out again.

    Time spent between two processes is nobody's wait; whoever gave up may send a probe at once.
    """
    state.money.exhausted = state.turned_down = state.no_room = None
    for quota in state.quotas:
        quota.since = None
        if state.given_up is not None and quota.until is not None:
            quota.until = min(quota.until, at)
    state.given_up = None


MONEY_RULES: Final[Mapping[type[events.Event], Callable[[JobState, Any, Record], None]]] = {
    events.ClaudeIntended: _claude_intended,
    events.ClaudeAnswered: _claude_answered,
    events.ClaudeParked: _claude_parked,
    events.ClaudeCutOff: _claude_cut_off,
    events.QuotaBlocked: _quota_blocked,
    events.QuotaCleared: _quota_cleared,
    events.ParallelismChanged: _parallelism_changed,
    events.BudgetSet: _budget_set,
    events.BudgetWarned: _budget_warned,
    events.BudgetExhausted: _budget_exhausted,
}
