"""``goal_seek`` in all its forms, from marked nodes to the model.

Pure.
"""

from prodigy.workflow.fields import Field, Fields
from prodigy.workflow.language_steps import GOAL_SEEK, GOAL_SEEK_NAMES
from prodigy.workflow.model import Check, GoalSeek, Step, Text
from prodigy.workflow.nodes import Mapping
from prodigy.workflow.parse_nested import Nested, absorb
from prodigy.workflow.parse_validate import read_check
from prodigy.workflow.problems import quoted

_ATTEMPTS = ("claude", "shell", "command", "commands")
"""What one attempt can be."""
_OF_A_WHOLE_CHECK = frozenset({"threshold", "on_incomplete", "fail_workflow", "max_attempts"})


def read_goal_seek(nested: Nested, entry: Field, fields: Fields) -> GoalSeek:
    """The action; options of the step that stand inside it are added to the step's fields."""
    reader = nested.reader
    inner = reader.inside(entry, GOAL_SEEK)
    absorb(reader, fields, inner.without(GOAL_SEEK_NAMES), "goal_seek")
    below = nested.inside(fields)
    threshold = reader.share(inner.get("threshold"), 0, 100)
    attempts = reader.count(inner.get("max_attempts"), 1)
    return GoalSeek(
        goal=_goal(nested, entry, inner, fields),
        steps=_attempt(below, entry, inner),
        check=_check(below, entry, inner),
        threshold=80.0 if threshold is None else threshold,
        max_attempts=5 if attempts is None else attempts,
        timeout=reader.limit(inner.get("timeout"), None),
        fail_on_incomplete=reader.boolean(inner.get("fail_on_incomplete")) is not False,
        check_first=reader.boolean(inner.get("check_first")) or False,
        convergence=reader.boolean(inner.get("convergence")) is not False,
    )


def _goal(nested: Nested, entry: Field, inner: Fields, fields: Fields) -> Text:
    """What is to be reached; the step's name says it if nothing else does."""
    given = inner.get("goal") or fields.get("name")
    if given is None and not inner.attempted(("goal",)):
        message = "`goal_seek` needs a `goal`"
        nested.reader.problems.error("missing-key", message, entry.key, "say in words what is to be reached")
    return nested.reader.text_node(given) or Text("", nested.mark(entry.value))


def _attempt(below: Nested, entry: Field, inner: Fields) -> tuple[Step, ...]:
    given = [field for name in _ATTEMPTS if (field := inner.get(name)) is not None]
    problems = below.reader.problems
    if not given:
        if not inner.attempted(_ATTEMPTS):
            message = "`goal_seek` needs one of `claude`, `shell`, `command` and `commands`"
            problems.error("missing-key", message, entry.key)
        return ()
    first, *others = given
    for other in others:
        message = f"{quoted(first.key.text)} and {quoted(other.key.text)} both say what one attempt is"
        problems.error("conflicting-keys", message, other.key, "put several steps under `commands:`")
    if first.name == "command":
        return (below.command(first, "shell"),)
    if first.name != "commands":
        return (below.action(first),)
    steps = below.steps(first.value)
    if not steps:
        problems.error("no-steps", f"{quoted(first.key.text)} has no steps", first.key)
    return steps


def _check(below: Nested, entry: Field, inner: Fields) -> Check:
    given = inner.get("validate")
    if given is not None:
        _note_useless(below, given)
        return read_check(below, given)
    if not inner.attempted(("validate",)):
        hint = "a command that tells how far it is, e.g. by printing `score: 80`"
        below.reader.problems.error("missing-key", "`goal_seek` needs `validate`", entry.key, hint)
    return Check(steps=(), mark=below.mark(entry.value))


def _note_useless(below: Nested, check: Field) -> None:
    """Warn of what says when work is complete, where the goal says that."""
    for key, _ in check.value.entries if isinstance(check.value, Mapping) else ():
        if key.text in _OF_A_WHOLE_CHECK:
            message = f"{quoted(key.text)} has no effect in the `validate` of `goal_seek`"
            below.reader.no_effect(key, message, "`goal_seek` has options of its own")
