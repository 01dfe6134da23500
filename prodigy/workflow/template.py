"""Filling in the references of a text.

Pure. A value that has been filled in is never scanned again. Texts are compiled once and kept, because a worker
renders the same few texts for every item.
"""

from collections.abc import Mapping
from typing import Any

from prodigy.workflow.folds import fold
from prodigy.workflow.nearest import nearest
from prodigy.workflow.refs import (
    AnyRef,
    Computed,
    Dollar,
    Fold,
    Malformed,
    Ref,
    Template,
    Unread,
    compile_text,
)
from prodigy.workflow.scope import UNDEFINED, Scope
from prodigy.workflow.values import (
    BadModifier,
    BadReference,
    TemplateError,
    UndefinedVariable,
    filtered,
    is_blank,
    modified,
    text,
    text_of,
)
from prodigy.workflow.variables import NEVER_SET

__all__ = [
    "BadModifier",
    "BadReference",
    "TemplateError",
    "UndefinedVariable",
    "evaluate",
    "render_text",
    "render_value",
    "secret_of",
]

MOST_CHANGES = 8
"""Modifiers and filters of one reference: each ``:json`` of a text may double it."""


def render_text(source: str, scope: Scope) -> str:
    """Plain text with its references filled in.

    Raises:
        TemplateError: a reference that is undefined, malformed, or does not fit its modifiers.
    """
    return _render(compile_text(source), scope)


def render_value(source: str, scope: Scope) -> Any:
    """What a text stands for: one that is a reference, and nothing else, is the value with its type.

    Raises:
        TemplateError: as ``render_text``.
    """
    pieces = compile_text(source).pieces
    if len(pieces) == 1 and isinstance(pieces[0], AnyRef):
        return evaluate(pieces[0], scope)
    return render_text(source, scope)


def secret_of(source: str, scope: Scope) -> str | None:
    """The environment variable that holds what a text stands for, if that is a secret and nothing else."""
    pieces = compile_text(source).pieces
    ref = pieces[0] if len(pieces) == 1 else None
    return scope.secret(ref.path) if isinstance(ref, Ref) and ref.is_path else None


def evaluate(ref: AnyRef, scope: Scope) -> Any:
    """The typed value of a reference, after default, modifiers and filters.

    Raises:
        TemplateError: as ``render_text``.
    """
    if isinstance(ref, Computed):
        return _computed(ref, scope)
    if isinstance(ref, Fold):
        return fold(ref, scope, evaluate)
    value = scope.lookup(ref.path)
    if value is UNDEFINED and ref.path == NEVER_SET:
        value = ""
    if ref.default is not None and is_blank(value):
        return _render(ref.default, scope)
    if value is UNDEFINED and not ref.filters:
        raise undefined(ref, scope)
    if len(ref.modifiers) + len(ref.filters) > MOST_CHANGES:
        message = f"`{ref.name}` is changed more than {MOST_CHANGES} times in one reference"
        raise BadReference(message)
    for modifier in ref.modifiers if value is not UNDEFINED else ():
        value = modified(value, modifier)
    for step in ref.filters:
        value = filtered(value, step)
    if value is UNDEFINED:
        raise undefined(ref, scope)
    return value


def undefined(ref: Ref, scope: Scope) -> UndefinedVariable:
    """The error for a reference that leads nowhere, with the nearest name or field."""
    if not scope.knows(ref.root):
        return UndefinedVariable(ref.name, nearest(ref.root, scope.names()))
    holder = scope.lookup(ref.path[:-1]) if len(ref.path) > 1 else UNDEFINED
    last = ref.path[-1]
    if not isinstance(holder, Mapping) or not isinstance(last, str):
        return UndefinedVariable(ref.name)
    meant = nearest(last, (key for key in holder if isinstance(key, str)))
    prefix = ref.name.removesuffix(last)
    return UndefinedVariable(ref.name, None if meant is None else prefix + meant)


def _computed(ref: Computed, scope: Scope) -> Any:
    is_users = ref.kind == "uuid" and scope.knows(ref.kind)
    value = scope.lookup((ref.kind,)) if is_users else scope.computed(ref.kind, ref.argument)
    if value is UNDEFINED:
        raise UndefinedVariable(ref.source[2:-1].strip())
    return value


def _render(template: Template, scope: Scope) -> str:
    return "".join(piece if isinstance(piece, str) else _fill(piece, scope) for piece in template.pieces)


def _fill(piece: Unread, scope: Scope) -> str:
    if isinstance(piece, Malformed):
        hint = "write `\\${` for a literal `${`"
        raise BadReference(f"`{piece.source}`: {piece.reason}", hint=hint)
    if isinstance(piece, Dollar):
        value = scope.lookup((piece.name,)) if scope.knows(piece.name) else UNDEFINED
        return piece.source if value is UNDEFINED else text_of(value)
    return text(evaluate(piece, scope), piece)
