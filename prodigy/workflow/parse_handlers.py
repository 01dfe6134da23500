"""What happens after a step: ``on_failure`` and its relatives, ``on_success``, ``on_exit_code``.

Pure.
"""

import re
from typing import Literal

from msgspec import structs

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language_steps import (
    ACTION_NAMES,
    CAPTURE_NAMES,
    FOREACH_HANDLER,
    HANDLER,
    HANDLER_NAMES,
)
from prodigy.workflow.model import Action, Claude, ExitCodes, Handler, Step, Test
from prodigy.workflow.nodes import Mapping, Scalar
from prodigy.workflow.parse_capture import read_captures
from prodigy.workflow.parse_nested import Nested, refuse_options, with_foreach
from prodigy.workflow.problems import quoted

GOING_ON = Handler(max_attempts=0, fail_workflow=False)
"""The failure is recorded, and that is all."""
TEST_ATTEMPTS = 3
MOST_EXIT_CODE = 255

_ROUNDS = ("max_attempts", "fail_workflow", "retry_original")
_CODES = re.compile(r"(!?)\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?", re.ASCII)
_STRATEGIES: tuple[Literal["recovery", "fallback", "cleanup"], ...] = ("recovery", "fallback", "cleanup")
_ALSO_STRATEGIES: dict[str, Literal["recovery", "fallback", "cleanup"]] = {"custom": "recovery"}


def read_repair(nested: Nested, fields: Fields, action: Action) -> Handler | None:
    """``on_failure`` with the options that may stand beside it, and ``continue_on_error``.

    Args:
        nested: the reader of the step itself.
        fields: the step's.
        action: what the step does, which decides some defaults.
    """
    reader = nested.reader
    entry = fields.get("on_failure")
    switch = switch_of(entry)
    if entry is None or switch is False:
        return _without_handler(reader, fields)
    inner = Fields({})
    if isinstance(entry.value, Mapping):
        inner = reader.fields(entry.value, with_foreach(entry.value, HANDLER, FOREACH_HANDLER))
    rounds = _rounds(reader, fields, inner)
    if switch is True:
        handler = _switched_on(reader, rounds)
    else:
        handler = _handler(nested, entry, inner)
        handler = _with_rounds(reader, handler, rounds, action)
    return _going_on(reader, fields, rounds, handler)


def read_exit_codes(nested: Nested, entry: Field | None) -> tuple[ExitCodes, ...]:
    """``on_exit_code``: steps by code, by range (``1-9``), or for all others (``!0``)."""
    found = []
    for item in nested.reader.named(entry):
        match = _CODES.fullmatch(item.name.strip())
        first, last = (int(match[2]), int(match[3] or match[2])) if match else (1, 0)
        if match is None or first > last or last > MOST_EXIT_CODE:
            hint = f"a number from 0 to {MOST_EXIT_CODE}, a range as `1-9`, or `!0` for every other one"
            message = f"{quoted(item.name)} is no exit code"
            nested.reader.problems.error("bad-value", message, item.key, hint)
            continue
        steps = nested.inside().handlers(item.value)
        found.append(ExitCodes(ranges=((first, last),), negated=match[1] == "!", steps=steps))
    return tuple(found)


def switch_of(entry: Field | None) -> bool | None:
    """What ``on_failure: true`` and ``on_failure: false`` say; ``None`` for every other form."""
    if entry is None or not isinstance(entry.value, Scalar):
        return None
    return {"true": True, "false": False}.get(entry.value.text.strip().lower())


def _without_handler(reader: Reader, fields: Fields) -> Handler | None:
    """The options of a repair on a step that has none; its ``max_attempts`` are those of a retry."""
    proof = fields.get("retry_original")
    if proof is not None:
        reader.no_effect(proof.key, "`retry_original` has no effect without `on_failure`")
    rounds = _rounds(reader, fields, Fields({}))
    fails = reader.boolean(rounds.get("fail_workflow")) is not False
    return _going_on(reader, fields, rounds, None if fails else GOING_ON)


def _rounds(reader: Reader, fields: Fields, inner: Fields) -> Fields:
    """The options of the rounds, whether they stand beside ``on_failure`` or inside it."""
    found: dict[str, Field] = {}
    for name in _ROUNDS:
        beside, inside = fields.get(name), inner.get(name)
        if beside is not None and inside is not None:
            message = f"{quoted(name)} is given beside `on_failure` and inside it"
            reader.problems.error("conflicting-keys", message, beside.key, "keep one of them")
        given = inside or beside
        if given is not None:
            found[name] = given
    return Fields(found)


def _switched_on(reader: Reader, rounds: Fields) -> Handler:
    """``on_failure: true``: going on, after as many further runs as are asked for."""
    attempts = reader.count(rounds.get("max_attempts"), 1)
    return GOING_ON if attempts is None else structs.replace(GOING_ON, max_attempts=attempts)


def _with_rounds(reader: Reader, handler: Handler, rounds: Fields, action: Action) -> Handler:
    attempts = reader.count(rounds.get("max_attempts"), 1)
    if attempts is None:
        attempts = TEST_ATTEMPTS if isinstance(action, Test) else 1
    proof = rounds.get("retry_original")
    if proof is not None and handler.strategy != "recovery":
        reader.no_effect(proof.key, f"`retry_original` has no effect with `strategy: {handler.strategy}`")
    proves = reader.boolean(proof)
    if proves is None:
        proves = not (handler.steps and isinstance(action, Claude))
    return structs.replace(
        handler,
        max_attempts=attempts,
        fail_workflow=reader.boolean(rounds.get("fail_workflow")) is not False,
        retry_original=proves,
    )


def _going_on(reader: Reader, fields: Fields, rounds: Fields, handler: Handler | None) -> Handler | None:
    entry = fields.get("continue_on_error")
    if entry is None or not reader.boolean(entry):
        return handler
    if reader.boolean(rounds.get("fail_workflow")):
        message = f"{quoted(entry.key.text)} goes on after a failure, `fail_workflow` does not"
        reader.problems.error("conflicting-keys", message, entry.key, "keep one of them")
    return GOING_ON if handler is None else structs.replace(handler, fail_workflow=False)


def _handler(nested: Nested, entry: Field, inner: Fields) -> Handler:
    """The handler without what is said about its rounds."""
    below = nested.inside()
    if not isinstance(entry.value, Mapping):
        return Handler(steps=_listed(below, entry))
    reader = nested.reader
    capturing = read_captures(reader, Fields({n: f for n, f in inner.found.items() if n in CAPTURE_NAMES}))
    steps = _steps(below, entry.value, inner)
    if steps and not capturing.keep_output:
        steps = (*steps[:-1], structs.replace(steps[-1], keep_output=False))
    return Handler(
        steps=steps,
        timeout=reader.limit(inner.get("timeout"), None),
        strategy=reader.choice(inner.get("strategy"), _STRATEGIES, _ALSO_STRATEGIES) or "recovery",
        handler_failure_fatal=reader.boolean(inner.get("handler_failure_fatal")) or False,
        captures=capturing.captures,
    )


def _steps(below: Nested, node: Mapping, inner: Fields) -> tuple[Step, ...]:
    """The steps of a handler's mapping: its ``commands``, its own actions, or none."""
    commands = inner.get("commands")
    own = inner.without(HANDLER_NAMES)
    if commands is None and own.attempted(ACTION_NAMES):
        return below.actions(node, own)
    refuse_options(below.reader, own)
    return () if commands is None else _listed(below, commands)


def _listed(below: Nested, entry: Field) -> tuple[Step, ...]:
    steps = below.handlers(entry.value)
    if not steps:
        below.reader.problems.error("no-steps", f"{quoted(entry.key.text)} has no steps", entry.value)
    return steps
