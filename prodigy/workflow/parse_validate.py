"""``validate`` and ``on_incomplete`` in all their forms, from marked nodes to the model.

Pure.
"""

from msgspec import Struct

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language_steps import (
    ACTION_NAMES,
    FOREACH_INCOMPLETE,
    INCOMPLETE,
    INCOMPLETE_NAMES,
    VALIDATE,
)
from prodigy.workflow.model import Check, Count, Incomplete, Seconds, Step
from prodigy.workflow.nodes import Mapping
from prodigy.workflow.parse_nested import Nested, refuse_options, with_foreach
from prodigy.workflow.problems import quoted

_BY_RANK = ("commands", "claude", "shell", "command")
"""What checks: the first that is given counts."""


class Overrides(Struct, frozen=True):
    """What options beside ``validate`` say about it."""

    timeout: Field | None = None
    ignore_failure: bool = False


def read_overrides(reader: Reader, fields: Fields) -> Overrides:
    """What a step's other options say about its ``validate``."""
    ignored = reader.boolean(fields.get("ignore_validation_failure")) or False
    return Overrides(fields.get("validation_timeout"), ignored)


class _Rounds(Struct, frozen=True):
    """What ``validate`` itself says about the rounds of ``on_incomplete``."""

    max_attempts: Field | None = None
    fail_workflow: Field | None = None


def read_check(below: Nested, entry: Field, overrides: Overrides | None = None) -> Check:
    """A list of steps, one text, or a mapping of everything about the check.

    Args:
        below: reads steps one level deeper than the step that is checked.
        entry: the field.
        overrides: options that stand beside it.
    """
    overrides = overrides or Overrides()
    mark = below.mark(entry.value)
    if not isinstance(entry.value, Mapping):
        steps = below.handlers(entry.value)
        timeout = below.reader.limit(overrides.timeout, None)
        fail = not overrides.ignore_failure
        return Check(steps=steps, timeout=timeout, fail_workflow=fail, mark=mark)
    fields = below.reader.fields(entry.value, VALIDATE)
    reader, get = below.reader, fields.get
    threshold = reader.share(get("threshold"), 0, 100)
    incomplete = _incomplete(below, fields, overrides)
    return Check(
        steps=_steps(below, entry, fields),
        threshold=100.0 if threshold is None else threshold,
        result_file=reader.text_node(get("result_file")),
        timeout=_timeout(reader, get("timeout"), overrides.timeout),
        on_incomplete=incomplete,
        fail_workflow=_fails(reader, get("fail_workflow"), overrides)
        if incomplete is None
        else incomplete.fail_workflow,
        expected_schema=_schema(reader, get("expected_schema")),
        mark=mark,
    )


def _timeout(reader: Reader, inner: Field | None, beside: Field | None) -> Seconds:
    if inner is not None and beside is not None:
        message = f"{quoted(beside.key.text)} is given beside `validate`, which has a `timeout`"
        reader.problems.error("conflicting-keys", message, beside.key, "keep one of them")
    return reader.limit(inner or beside, None)


def _fails(reader: Reader, entry: Field | None, overrides: Overrides) -> bool:
    """Whether a result below the threshold fails the step."""
    return reader.boolean(entry) is not False and not overrides.ignore_failure


def _schema(reader: Reader, entry: Field | None) -> object:
    if entry is not None and not isinstance(entry.value, Mapping):
        reader.wrong_type(entry.value, "`expected_schema`", "a mapping, a JSON Schema")
        return None
    return reader.data(entry)


def _steps(below: Nested, entry: Field, fields: Fields) -> tuple[Step, ...]:
    given = [field for name in _BY_RANK if (field := fields.get(name)) is not None]
    if not given:
        if not fields.attempted(_BY_RANK):
            message = f"{quoted(entry.key.text)} needs one of `shell`, `claude` and `commands`"
            below.reader.problems.error("missing-key", message, entry.key)
        return ()
    first, *others = given
    for other in others:
        message = f"{quoted(other.key.text)} has no effect beside {quoted(first.key.text)}"
        below.reader.no_effect(other.key, message)
    if first.name == "commands":
        return _filled(below, first)
    if first.name == "command":
        below.reader.deprecated(
            first.key, "`command` in `validate` is an old form", "write `shell` or `claude`"
        )
        return (below.command(first, "slash"),)
    return (below.action(first),)


def _filled(below: Nested, entry: Field) -> tuple[Step, ...]:
    steps = below.handlers(entry.value)
    if not steps:
        below.reader.problems.error("no-steps", f"{quoted(entry.key.text)} has no steps", entry.key)
    return steps


def _incomplete(below: Nested, check: Fields, overrides: Overrides) -> Incomplete | None:
    """``on_incomplete``, with what ``validate`` itself says about its rounds."""
    entry = check.get("on_incomplete")
    outer = _Rounds(check.get("max_attempts"), check.get("fail_workflow"))
    if entry is None:
        if outer.max_attempts is not None:
            message = "`max_attempts` has no effect without `on_incomplete`"
            below.reader.no_effect(outer.max_attempts.key, message)
        return None
    if not isinstance(entry.value, Mapping):
        return Incomplete(
            steps=_filled(below, entry),
            max_attempts=_attempts(below.reader, outer.max_attempts),
            fail_workflow=_fails(below.reader, outer.fail_workflow, overrides),
        )
    vocabulary = with_foreach(entry.value, INCOMPLETE, FOREACH_INCOMPLETE)
    fields = below.reader.fields(entry.value, vocabulary)
    reader = below.reader
    return Incomplete(
        steps=_repair(below, entry, entry.value, fields),
        prompt=reader.text_node(fields.get("prompt")),
        max_attempts=_attempts(reader, _either(reader, fields, "max_attempts", outer.max_attempts)),
        fail_workflow=_fails(
            reader, _either(reader, fields, "fail_workflow", outer.fail_workflow), overrides
        ),
        commit_required=reader.boolean(fields.get("commit_required")) or False,
    )


def _repair(below: Nested, entry: Field, node: Mapping, fields: Fields) -> tuple[Step, ...]:
    commands = fields.get("commands")
    own = fields.without(INCOMPLETE_NAMES)
    if commands is not None:
        refuse_options(below.reader, own)
        return _filled(below, commands)
    if own.attempted(ACTION_NAMES):
        return below.actions(node, own)
    if not fields.attempted(("commands",)):
        message = f"{quoted(entry.key.text)} needs one of `claude`, `shell` and `commands`"
        below.reader.problems.error("missing-key", message, entry.key)
    return ()


def _either(reader: Reader, fields: Fields, name: str, outer: Field | None) -> Field | None:
    inner = fields.get(name)
    if inner is not None and outer is not None:
        message = f"{quoted(name)} is given in `validate` and in `on_incomplete`"
        reader.problems.error("conflicting-keys", message, inner.key, "keep one of them")
    return inner or outer


def _attempts(reader: Reader, entry: Field | None) -> Count:
    found = reader.count(entry, 1)
    return 2 if found is None else found
