"""``retry`` in all its forms, from marked nodes to the model.

Pure. What a mapping leaves open is taken from the defaults, key by key.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import structs

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language_steps import BACKOFF, BACKOFF_KEYS, FALLBACK, RETRY, RETRY_FAILURE, RETRY_ON
from prodigy.workflow.model import Backoff, Retry, RetryOn, Seconds, Step
from prodigy.workflow.nodes import Mapping, Node, Scalar
from prodigy.workflow.problems import quoted
from prodigy.workflow.scalars import is_unlimited
from prodigy.workflow.vocabulary import acting, vocabulary

ReadSteps = Callable[[Node], tuple[Step, ...]]

JITTER = 0.3
"""How far a delay may be from its nominal length where only ``jitter: true`` is said."""
MOST_EXIT_CODE = 255

_KINDS = ("fixed", "linear", "exponential", "fibonacci", "custom")
_FAILURES: tuple[Literal["network", "timeout", "server_error", "rate_limit"], ...] = (
    "network",
    "timeout",
    "server_error",
    "rate_limit",
)


def read_retry(
    reader: Reader, entry: Field, defaults: Retry | None = None, fallback: ReadSteps | None = None
) -> Retry:
    """A number of runs, or a mapping of everything about them.

    Args:
        reader: of values.
        entry: the field.
        defaults: what counts for keys that are not given; ``None``: what does where nobody says it.
        fallback: reads the steps that stand in for one that stays failed; without it ``on_failure`` is of no use
            here, because something else says what becomes of a failure.
    """
    base = reader.standards.retry if defaults is None else defaults
    if isinstance(entry.value, Scalar):
        attempts = reader.count(entry, 1)
        return base if attempts is None else structs.replace(base, attempts=attempts)
    fields = reader.inside(entry, RETRY)
    attempts = reader.count(fields.get("attempts"), 1)
    retry = structs.replace(
        base,
        attempts=base.attempts if attempts is None else attempts,
        backoff=_delays(reader, fields, base.backoff),
        retry_on=_retry_on(reader, fields.get("retry_on")) or base.retry_on,
        budget=reader.limit(fields.get("retry_budget"), base.budget),
    )
    return _then(reader, fields.get("on_failure"), retry, fallback)


def _delays(reader: Reader, fields: Fields, base: Backoff) -> Backoff:
    """Everything about the time between two runs; what stands inside ``backoff`` wins over ``initial_delay``."""
    initial = reader.seconds(fields.get("initial_delay"))
    if initial is not None:
        base = structs.replace(base, initial=initial)
    backoff = _backoff(reader, fields.get("backoff"), base)
    return structs.replace(
        backoff,
        max_delay=_longest(reader, fields.get("max_delay"), base.max_delay),
        jitter=_jitter(reader, fields, base.jitter),
    )


def _longest(reader: Reader, entry: Field | None, default: Seconds) -> Seconds:
    if entry is not None and isinstance(entry.value, Scalar) and is_unlimited(entry.value.text):
        return None
    seconds = reader.seconds(entry)
    return default if seconds is None else seconds


def _jitter(reader: Reader, fields: Fields, base: float) -> float:
    factor = reader.number(fields.get("jitter_factor"), 0, 1)
    switch = reader.boolean(fields.get("jitter"))
    on = base > 0 if switch is None else switch
    entry = fields.get("jitter_factor")
    if entry is not None and not on:
        reader.no_effect(
            entry.key, "`jitter_factor` does not turn jitter on", "write `jitter: true` beside it"
        )
    if not on:
        return 0.0
    return factor if factor is not None else base or JITTER


def _backoff(reader: Reader, entry: Field | None, base: Backoff) -> Backoff:
    """A kind by name, ``{KIND: {…}}`` or ``{type: KIND, …}``."""
    if entry is None:
        return base
    if not isinstance(entry.value, Mapping):
        kind = reader.choice(entry, _KINDS)
        return base if kind is None else _of_kind(reader, kind, Fields({}), base, entry)
    if any(key.text == "type" for key, _ in entry.value.entries):
        return _typed_backoff(reader, entry, entry.value, base)
    found = list(reader.fields(entry.value, BACKOFF).found.values())
    if len(found) != 1:
        names = ", ".join(quoted(kind) for kind in _KINDS)
        message = f"{quoted(entry.key.text)} needs exactly one kind"
        reader.problems.error(
            "conflicting-keys" if found else "missing-key", message, entry.key, f"one of {names}"
        )
        return base
    (inner,) = found
    keys = vocabulary(f"`{inner.name}`", f"under `{inner.name}:`", BACKOFF_KEYS[inner.name])
    if isinstance(inner.value, Scalar) and not inner.value.is_null:
        names = ", ".join(quoted(key.name) for key in BACKOFF_KEYS[inner.name])
        reader.wrong_type(inner.value, quoted(inner.key.text), "a mapping", f"it may have {names}")
        return base
    fields = reader.inside(inner, keys) if isinstance(inner.value, Mapping) else Fields({})
    return _of_kind(reader, inner.name, fields, base, inner)


def _typed_backoff(reader: Reader, entry: Field, node: Mapping, base: Backoff) -> Backoff:
    key, value = next((key, value) for key, value in node.entries if key.text == "type")
    kind = reader.choice(Field("type", key, value), _KINDS)
    if kind is None:
        return base
    keys = vocabulary("`backoff`", "under `backoff:`", acting("type"), BACKOFF_KEYS[kind])
    return _of_kind(reader, kind, reader.fields(node, keys), base, entry)


def _of_kind(reader: Reader, kind: str, fields: Fields, base: Backoff, entry: Field) -> Backoff:
    given = reader.seconds(fields.get("delay") or fields.get("initial"))
    initial = base.initial if given is None else given
    match kind:
        case "linear":
            increment = reader.seconds(fields.get("increment"))
            return structs.replace(base, kind="linear", initial=initial, increment=increment)
        case "exponential":
            factor = reader.share(fields.get("base"), 0)
            return structs.replace(
                base, kind="exponential", initial=initial, factor=2.0 if factor is None else factor
            )
        case "custom":
            return structs.replace(base, kind="custom", delays=_custom(reader, fields, entry))
        case "fixed":
            return structs.replace(base, kind="fixed", initial=initial)
        case _:
            return structs.replace(base, kind="fibonacci", initial=initial)


def _custom(reader: Reader, fields: Fields, entry: Field) -> tuple[float, ...]:
    given = fields.get("delays")
    if given is None and not fields.attempted(("delays",)):
        hint = "for example `custom: {delays: [1s, 5s, 1m]}`"
        reader.problems.error("missing-key", "a custom backoff needs `delays`", entry.key, hint)
    elements = reader.each(given)
    if given is not None and not elements:
        reader.problems.error("bad-value", "`delays` is empty", given.value)
    delays = (reader.fixed_seconds(element) for element in elements)
    return tuple(delay for delay in delays if delay is not None)


def _retry_on(reader: Reader, entry: Field | None) -> tuple[RetryOn, ...]:
    found = (_failure(reader, element) for element in reader.each(entry))
    return tuple(failure for failure in found if failure is not None)


def _failure(reader: Reader, element: Field) -> RetryOn | None:
    if not isinstance(element.value, Mapping):
        kind = reader.choice(element, _FAILURES)
        return None if kind is None else RetryOn(kind=kind)
    fields = reader.fields(element.value, RETRY_ON)
    pattern, codes = fields.get("pattern"), fields.get("exit_code")
    if pattern is not None and codes is not None:
        message = "`pattern` and `exit_code` are two kinds of failure"
        reader.problems.error("conflicting-keys", message, codes.key, "make two entries of the list")
    if pattern is None and codes is None:
        if not fields.attempted(("pattern", "exit_code")):
            message = "an entry of `retry_on` needs `pattern` or `exit_code`"
            reader.problems.error("missing-key", message, element.value)
        return None
    if pattern is not None:
        text = reader.pattern(pattern)
        return None if text is None else RetryOn(kind="pattern", pattern=text)
    numbers = (reader.integer(code, 0, MOST_EXIT_CODE) for code in reader.each(codes))
    return RetryOn(kind="exit_code", exit_codes=tuple(number for number in numbers if number is not None))


def _then(reader: Reader, entry: Field | None, retry: Retry, fallback: ReadSteps | None) -> Retry:
    """What becomes of a step whose last run has failed."""
    if entry is None:
        return retry
    if fallback is None:
        message = "`on_failure` has no effect in this `retry`"
        reader.no_effect(entry.key, message, "`on_item_failure` says what becomes of an item that fails")
        return retry
    if not isinstance(entry.value, Mapping):
        word = reader.choice(entry, ("stop", "continue"))
        return retry if word is None else structs.replace(retry, on_failure=word, fallback=())
    inner = reader.fields(entry.value, RETRY_FAILURE).get("fallback")
    if inner is None:
        return retry
    fields = reader.inside(inner, FALLBACK)
    given = [field for field in (fields.get("commands"), fields.get("command")) if field is not None]
    if len(given) != 1:
        message = "`fallback` needs one of `command` and `steps`"
        reader.problems.error("conflicting-keys" if given else "missing-key", message, inner.key)
        return retry
    return structs.replace(retry, on_failure="fallback", fallback=fallback(given[0].value))
