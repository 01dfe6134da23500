"""What becomes of failures, and what may be used: error policies, timeouts, limits, budgets, commits.

Pure. Each function reads one mapping; what it leaves open comes from what stands around it.
"""

from typing import Any

from msgspec import structs

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language import (
    BATCH,
    BUDGET,
    CIRCUIT_BREAKER,
    COMMIT_CONFIG,
    ERROR_COLLECTION,
    ERROR_POLICY,
    LIMITS,
    ON_ITEM_FAILURE,
    TIMED_KINDS,
    TIMEOUT_CONFIG,
)
from prodigy.workflow.model import (
    Budget,
    CircuitBreaker,
    CommitConfig,
    ErrorPolicy,
    Limits,
    Retry,
    TimeoutConfig,
)
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Mapping, value_of
from prodigy.workflow.parse_retry import read_retry
from prodigy.workflow.problems import quoted

_BATCHED = "batched:"
_ON_CONFLICT = ("claude", "rerun", "dlq")


# -- items that fail -----------------------------------------------------------------------------------------------
def read_error_policy(reader: Reader, *levels: Fields) -> ErrorPolicy:
    """The policy of several levels, the outermost first, each key of an inner one replacing an outer's.

    On each level ``error_policy`` counts less than the same keys beside it.
    """
    policy = ErrorPolicy()
    for fields in levels:
        inside = reader.inside(fields.get("error_policy"), ERROR_POLICY)
        beside = _beside(fields)
        _warn_of_both(reader, inside, beside)
        for told in (inside, beside):
            policy = structs.replace(policy, **_told(reader, told, policy))
        policy = _old_retry(reader, fields, policy)
    if policy.on_item_failure == "retry" and policy.retry is None:
        return structs.replace(policy, retry=reader.standards.retry)
    return policy


def _beside(fields: Fields) -> Fields:
    """The keys of a policy that stand beside ``error_policy``; ``retry`` of ``map`` is one of them."""
    found = {name: entry for name, entry in fields.found.items() if name in ERROR_POLICY.spellings}
    retry = found.pop("retry", None)
    return Fields(found if retry is None else found | {"retry_config": retry})


def _warn_of_both(reader: Reader, inside: Fields, beside: Fields) -> None:
    for name, entry in beside.found.items():
        inner = inside.get(name)
        if inner is not None and value_of(inner.value) != value_of(entry.value):
            message = f"{quoted(inner.key.text)} in `error_policy` gives way to the one beside it"
            reader.no_effect(inner.key, message, "keep one of them")


def _told(reader: Reader, fields: Fields, outer: ErrorPolicy) -> dict[str, Any]:
    """The fields of ``ErrorPolicy`` that are given."""
    get = fields.get
    retry = get("retry_config")
    told: dict[str, Any] = {
        "on_item_failure": _on_item_failure(reader, get("on_item_failure")),
        "retry": None if retry is None else read_retry(reader, retry, outer.retry),
        "continue_on_failure": reader.boolean(get("continue_on_failure")),
        "max_failures": reader.integer(get("max_failures"), 1),
        "failure_threshold": reader.fraction(get("failure_threshold")),
        "circuit_breaker": _circuit_breaker(reader, get("circuit_breaker")),
        **_error_collection(reader, get("error_collection")),
    }
    return {name: value for name, value in told.items() if value is not None}


def _on_item_failure(reader: Reader, entry: Field | None) -> str | None:
    if entry is None or not isinstance(entry.value, Mapping):
        return reader.choice(entry, ("dlq", "retry", "skip", "stop"))
    fields = reader.fields(entry.value, ON_ITEM_FAILURE)
    if fields.get("custom") is not None:
        reader.no_effect(entry.value, "custom handling of items is not part of Prodigy: they go to the DLQ")
    elif not fields.suspected:
        reader.problems.error("missing-key", "`on_item_failure` says nothing", entry.value, "use `dlq`")
    return "dlq"


def _old_retry(reader: Reader, fields: Fields, policy: ErrorPolicy) -> ErrorPolicy:
    """``retry_on_failure: N``, which counts the runs after the first."""
    entry = fields.get("retry_on_failure")
    if entry is None:
        return policy
    hint = "write `retry: {attempts: N}`, which counts the first run too"
    reader.deprecated(entry.key, f"{quoted(entry.key.text)} is an old spelling", hint)
    if "retry" in fields.found:
        message = f"{quoted(entry.key.text)} and `retry` mean the same"
        reader.problems.error("conflicting-keys", message, entry.key, "keep `retry`")
    again = reader.integer(entry, 0)
    return policy if again is None else structs.replace(policy, retry=Retry(attempts=again + 1))


def _error_collection(reader: Reader, entry: Field | None) -> dict[str, Any]:
    """When failures are told: at the end, at once, or so many at a time."""
    if entry is None:
        return {}
    if isinstance(entry.value, Mapping):
        fields = reader.fields(entry.value, ERROR_COLLECTION)
        inner = reader.inside(fields.get("batched"), BATCH)
        size = inner.get("size")
        if size is None and not fields.suspected | inner.suspected:
            message = "`error_collection` needs the size of a batch"
            reader.problems.error("missing-key", message, entry.key, "write `batched:10`")
        return {"error_collection": "batched", "batch": reader.integer(size, 1)}
    text = (reader.text(entry) or "").strip().lower()
    if text.startswith(_BATCHED):
        size = Field("batched", entry.key, structs.replace(entry.value, text=text.removeprefix(_BATCHED)))
        return {"error_collection": "batched", "batch": reader.integer(size, 1)}
    if text == "batched":
        reader.problems.error("bad-value", "a batch needs a size", entry.value, "write `batched:10`")
        return {}
    return {"error_collection": reader.choice(entry, ("aggregate", "immediate")), "batch": 0}


def _circuit_breaker(reader: Reader, entry: Field | None) -> CircuitBreaker | None:
    if entry is None:
        return None
    fields = reader.inside(entry, CIRCUIT_BREAKER)
    counts = {
        name: reader.integer(fields.get(name), 1)
        for name in ("failure_threshold", "success_threshold", "half_open_requests")
    }
    told = {**counts, "timeout": reader.fixed_seconds(fields.get("timeout"))}
    return structs.replace(
        CircuitBreaker(), **{name: value for name, value in told.items() if value is not None}
    )


def read_on_conflict(reader: Reader, entry: Field | None) -> Any:
    """``OnConflict``, or ``None`` where nothing is said."""
    return reader.choice(entry, _ON_CONFLICT)


# -- time ----------------------------------------------------------------------------------------------------------
def read_timeout_config(reader: Reader, entry: Field | None) -> TimeoutConfig:
    """``timeout_config`` of ``map``."""
    fields = reader.inside(entry, TIMEOUT_CONFIG)
    get = fields.get
    monitoring = get("enable_monitoring")
    if monitoring is not None and reader.boolean(monitoring) is False:
        reader.no_effect(monitoring.key, "timeouts are always watched: `enable_monitoring` has no effect")
    standard = TimeoutConfig()
    return TimeoutConfig(
        agent_timeout=reader.limit(get("agent_timeout_secs"), None),
        commands=_command_timeouts(reader, get("command_timeouts")),
        policy=reader.choice(get("timeout_policy"), ("per_agent", "per_command", "hybrid"))
        or standard.policy,
        grace=reader.fixed_seconds(get("cleanup_grace_period_secs")),
        action=reader.choice(get("timeout_action"), ("dlq", "skip", "fail", "graceful_terminate"))
        or standard.action,
    )


def _command_timeouts(reader: Reader, entry: Field | None) -> dict[str, float]:
    """Seconds by kind of step, or by kind and place (``shell_0``)."""
    found: dict[str, float] = {}
    for limit in reader.given(entry):
        kind, _, number = limit.name.rpartition("_")
        of_one_step = number.isdecimal() and kind in TIMED_KINDS
        if not of_one_step and limit.name not in TIMED_KINDS:
            meant = nearest(limit.name, TIMED_KINDS)
            hint = f"did you mean {quoted(meant)}?" if meant else f"use one of {', '.join(TIMED_KINDS)}"
            message = f"{quoted(limit.name)} is no kind of step"
            reader.problems.error("unknown-key", message, limit.key, hint)
        seconds = reader.fixed_limit(limit, None)
        if seconds is not None:
            found[limit.name] = seconds
    return found


# -- what may be used ------------------------------------------------------------------------------------------
def read_limits(reader: Reader, entry: Field | None, outer: Limits | None) -> Limits | None:
    """``limits`` over those around it, key by key."""
    if entry is None:
        return outer
    fields = reader.inside(entry, LIMITS)
    get = fields.get
    given = Limits(
        memory=reader.size(get("memory")),
        cpu_time=reader.limit(get("cpu_time"), None),
        wall=reader.limit(get("wall"), None),
        processes=reader.count(get("processes"), 1),
        output=reader.size(get("output")),
        open_files=reader.count(get("open_files"), 1),
    )
    return structs.replace(outer or Limits(), **{name: getattr(given, name) for name in fields.found})


def read_budget(reader: Reader, entry: Field | None) -> Budget | None:
    """``budget``: at least one bound."""
    if entry is None:
        return None
    fields = reader.inside(entry, BUDGET)
    get = fields.get
    soft = reader.fraction(get("soft"))
    budget = Budget(
        usd=reader.share(get("usd"), 0),
        tokens=reader.count(get("tokens"), 1),
        wall=reader.limit(get("wall"), None),
        launches=reader.count(get("launches"), 1),
        soft=Budget().soft if soft is None else soft,
    )
    if not fields.found.keys() - {"soft"} and not fields.suspected:
        reader.no_effect(
            entry.key, "`budget` bounds nothing", "give it `usd`, `tokens`, `wall` or `launches`"
        )
    return budget


# -- commits -------------------------------------------------------------------------------------------------------
def read_commit_config(
    reader: Reader, entry: Field | None, outer: CommitConfig | None
) -> CommitConfig | None:
    """``commit_config`` over the one around it, key by key."""
    if entry is None:
        return outer
    fields = reader.inside(entry, COMMIT_CONFIG)
    get = fields.get
    given = CommitConfig(
        message_template=reader.text_node(get("message_template")),
        message_pattern=reader.pattern(get("message_pattern")),
        author=_author(reader, get("author")),
        sign=reader.boolean(get("sign")) or False,
        include_files=reader.texts(get("include_files")),
        exclude_files=reader.texts(get("exclude_files")),
        squash=reader.boolean(get("squash")) or False,
    )
    return structs.replace(outer or CommitConfig(), **{name: getattr(given, name) for name in fields.found})


def _author(reader: Reader, entry: Field | None) -> str | None:
    """``Name <address>``, as git wants it."""
    text = reader.filled(entry)
    if entry is None or text is None:
        return None
    name, bracket, rest = text.strip().partition("<")
    if not name.strip() or not bracket or not rest.endswith(">") or "\n" in text:
        reader.problems.error(
            "bad-value", f"{quoted(text)} is no author", entry.value, "write `Name <address>`"
        )
    return text.strip()
