"""Every text of a step with references in it, and by which rule each is read.

Pure. The texts of steps that stand inside a step (handlers, ``foreach``, checks) are theirs and not its own.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from msgspec import Struct

from prodigy.workflow.expression import parse_expression
from prodigy.workflow.expression_references import Reference, references
from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.folds import condition_of
from prodigy.workflow.model import (
    Aggregate,
    Check,
    Claude,
    Deferred,
    Environment,
    EnvValue,
    Expr,
    Foreach,
    GoalSeek,
    Items,
    Local,
    Mark,
    Shell,
    Step,
    SubWorkflow,
    Test,
    Text,
    WriteFile,
)
from prodigy.workflow.refs import AnyRef, Computed, Dollar, Fold, Ref, Template, compile_text
from prodigy.workflow.scope import WORKED_OUT, Path, Question
from prodigy.workflow.shell_lexer import read_script

Rule = Literal["shell", "plain", "environment", "condition", "environment condition", "filter", "aggregate"]
"""In the ``environment``, unknown names are the process's; ``filter`` is an expression on an item, ``aggregate`` on an
agent that has ended."""

Moment = Literal["before", "after", "incomplete"]
"""When a text is filled in: before its step runs, after it, or when its check missed the threshold."""


class Written(Struct, frozen=True):
    """One text, where it stands, how it is read and when."""

    source: str
    mark: Mark
    rule: Rule = "plain"
    moment: Moment = "before"


class Uses(Struct, frozen=True):
    """What texts ask for: paths of variables, and computed values by kind and argument."""

    paths: frozenset[Path] = frozenset()
    computed: frozenset[Question] = frozenset()


def uses_of(step: Step) -> Uses:
    """What the step's own texts ask for, defaults of references included.

    A path is listed even if the step never reads it, as when its reference stands in a script that makes no use of
    it; ``when`` counts, and so do the names that a script mentions as ``$NAME``.
    """
    return asked_by((*local_texts(*step.locals), *texts_of(step)))


def asked_by(texts: Iterable[Written]) -> Uses:
    """What texts ask for, and the texts in it."""
    found = [piece for text in texts for piece in _pieces(text)]
    paths = frozenset(piece for piece in found if isinstance(piece, tuple))
    return Uses(
        paths, frozenset((piece.kind, piece.argument) for piece in found if isinstance(piece, Computed))
    )


def deciding_texts(step: Step) -> Iterator[Written]:
    """The texts that are filled in before it is known whether the step runs."""
    yield from local_texts(*step.locals)
    yield from _optional(step.when)


def texts_of(step: Step) -> Iterator[Written]:
    """The step's own texts but those of its local variables, its action's first."""
    if step.interpolate:
        yield from _action_texts(step)
    yield from _optional(step.when, step.working_dir, step.output_file, step.expected_output)
    if step.commit is not None:
        yield from _optional(step.commit.message_template, moment="after")
    yield from _optional(step.claude.system_prompt, step.claude.append_system_prompt)
    if step.environment is not None:
        yield from environment_texts(step.environment)
    if step.validate is not None:
        yield from _check_texts(step.validate)
    yield from deferred_texts(step)


def local_texts(*variables: Local) -> Iterator[Written]:
    """The texts that give a step's own variables their values; each may name the variables before it."""
    yield from _optional(*(local.text for local in variables))


def environment_texts(layer: Environment) -> Iterator[Written]:
    """The texts of the values that a layer of the environment declares."""
    for variable in (*layer.variables, *layer.secrets):
        for value in variable.values.values():
            yield from _value_texts(value)


def aggregate_texts(rule: Aggregate) -> Iterator[Written]:
    """The expressions of one of ``map.variables``."""
    for expression in (rule.value, rule.where, rule.by):
        if expression is not None:
            yield Written(expression.source, expression.mark, "aggregate")


def deferred_texts(part: Struct) -> Iterator[Written]:
    """Typed values given as references, in a part of a workflow and what it is made of; lists are not looked into."""
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, Deferred):
            yield Written(value.source, value.mark)
        elif isinstance(value, Struct) and not isinstance(value, Mark | Text | Expr | Environment):
            yield from deferred_texts(value)


def input_text(given: Items) -> Written | None:
    """The text that says where the items of a ``foreach`` come from, if it is one."""
    if given.source == "list":
        return None
    is_script = given.source == "command" or (given.source == "auto" and not is_one_reference(given.text))
    return Written(given.text, given.mark, "shell" if is_script else "plain")


def is_one_reference(text: str) -> bool:
    """Whether a text is one ``${…}`` and nothing else, so that it can stand for a typed value."""
    pieces = compile_text(text.strip()).pieces
    return len(pieces) == 1 and isinstance(pieces[0], AnyRef)


def _action_texts(step: Step) -> Iterator[Written]:
    match step.action:
        case Shell() | Test() as action:
            yield Written(action.script, action.mark, "shell")
        case Claude() as action:
            yield Written(action.prompt, action.mark)
        case Foreach() as action:
            given = input_text(action.input)
            if given is not None:
                yield given
            if action.filter is not None:
                yield Written(action.filter.source, action.filter.mark, "filter")
        case GoalSeek() as action:
            yield from _optional(action.goal)
            yield from _check_texts(action.check)
        case WriteFile() as action:
            yield from _optional(action.path, action.content)
            yield from (Written(text, action.path.mark) for text in _strings(action.data))
        case Check() as action:
            yield from _check_texts(action)
        case SubWorkflow() as action:
            yield from _optional(*action.inputs.values())
        case _:
            return


def _check_texts(check: Check) -> Iterator[Written]:
    yield from _optional(check.result_file, moment="after")
    if check.on_incomplete is not None:
        yield from _optional(check.on_incomplete.prompt, moment="incomplete")


def _value_texts(value: EnvValue) -> Iterator[Written]:
    match value.kind:
        case "command":
            yield Written(value.text, value.mark, "shell")
        case "condition":
            if value.condition is not None:
                yield Written(value.condition.source, value.condition.mark, "environment condition")
            yield Written(value.when_true, value.mark, "environment")
            yield Written(value.when_false, value.mark, "environment")
        case "text":
            yield Written(value.text, value.mark, "environment")
        case _:
            return


def _optional(*texts: Text | Expr | None, moment: Moment = "before") -> Iterator[Written]:
    for text in texts:
        if text is not None:
            yield Written(text.source, text.mark, "plain" if isinstance(text, Text) else "condition", moment)


def _strings(data: Any) -> Iterator[str]:
    """Every text in nested data, keys not counted."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, list | tuple):
        for element in data:
            yield from _strings(element)
    elif isinstance(data, dict):
        yield from _strings(list(data.values()))


def _pieces(text: Written) -> Iterator[Path | Computed]:
    """Paths and computed values that one text asks for."""
    match text.rule:
        case "condition" | "environment condition" | "filter":
            yield from _of_expression(text)
        case "shell":
            script = read_script(text.source)
            yield from ((mention.name,) for mention in script.mentions)
            for hole in script.holes:
                if hole.ref is not None:
                    yield from _of_reference(hole.ref)
        case _:
            yield from _of_template(compile_text(text.source))


def _of_expression(text: Written) -> Iterator[Path | Computed]:
    expression = parse_expression(text.source, "item" if text.rule == "filter" else "variables")
    yield from _of_references(expression.references())


def _of_references(found: Iterable[Reference]) -> Iterator[Path | Computed]:
    for reference in found:
        if reference.ref is not None:
            yield from _of_reference(reference.ref)
        elif reference.kind == "variable":
            yield reference.path


def _of_template(template: Template) -> Iterator[Path | Computed]:
    for piece in template.refs():
        if isinstance(piece, Dollar):
            yield (piece.name,)
        elif isinstance(piece, Ref):
            yield piece.path
        elif isinstance(piece, Fold):
            yield piece.path
            yield from _of_condition(piece)
        elif isinstance(piece, Computed):
            yield piece
            if piece.kind in WORKED_OUT:
                yield from _pieces(
                    Written(piece.argument, Mark(), "shell" if piece.kind == "cmd" else "plain")
                )


def _of_condition(fold: Fold) -> Iterator[Path | Computed]:
    """What the condition of a fold asks for besides fields of the element; one that does not parse, nothing."""
    try:
        node = None if fold.where is None else condition_of(fold.where)
    except BadExpression:
        return
    yield from () if node is None else _of_references(references(node))


def _of_reference(ref: AnyRef) -> Iterator[Path | Computed]:
    yield from _of_template(Template((ref,)))
