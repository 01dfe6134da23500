"""Events without secrets: what is recorded of them, and what is given back to those who work on.

What decides or names (ids, refs, paths, kinds) is left alone: it is ours, and made of what was masked before.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from msgspec import Struct, structs

from prodigy.errors import ProdigyError
from prodigy.steps.masking import Masker

Event = TypeVar("Event", bound=Struct)
Problem = TypeVar("Problem", bound=ProdigyError)

DATA: Final = frozenset({"computed", "item", "value", "variables", "fields", "outputs", "structured"})
"""Fields that are used again: they keep a secret's name in the place of its value."""
OURS: Final = frozenset({
    "agent_id", "base_commit", "branch", "branches", "by", "code", "commits", "error_signature", "expected_old", "head",
    "head_after", "head_before", "item_id", "item_ids", "job_id", "json_log_location", "kind", "log", "logs", "merge_target", "new",
    "old", "original_branch", "path", "prodigy_version", "ref", "repository", "rescue_ref", "session_branch",
    "session_id", "sha", "signature", "skipped_by", "step", "target", "target_branch", "template_sha256", "workflow_path",
    "workflow_sha256", "worktree",
})  # fmt: skip
"""Fields that are never masked."""


def masked(event: Event, masker: Masker) -> Event:
    """The event, or any other struct, as it may be recorded; the same object if it holds no secret."""
    return _changed(event, masker) if masker else event


def without_secrets(error: Problem, masker: Masker) -> Problem:
    """The error with the secrets in its words hidden."""
    if masker:
        error.message = masker.text(error.message)
        error.where, error.note, error.hint = masker.data((error.where, error.note, error.hint))
    return error


def revealed(event: Event, masker: Masker) -> Event:
    """The event with the values of secrets back in the data that it carries."""
    if not masker:
        return event
    changed: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        new = _anything(value, lambda part: revealed(part, masker), masker.reveal if name in DATA else _same)
        if new is not value:
            changed[name] = new
    return structs.replace(event, **changed) if changed else event


def _changed(event: Event, masker: Masker) -> Event:
    changed: dict[str, Any] = {}
    for name in _free(type(event)):
        value = getattr(event, name)
        leaf = masker.named if name in DATA else masker.data
        new = _anything(value, lambda part: _changed(part, masker), leaf)
        if new is not value:
            changed[name] = new
    return structs.replace(event, **changed) if changed else event


def _anything(value: Any, struct: Callable[[Any], Any], leaf: Callable[[Any], Any]) -> Any:
    """A value with its structs and its texts changed; the same object if nothing is."""
    if isinstance(value, Struct):
        return struct(value)
    if isinstance(value, dict):
        pairs = [(leaf(key), _anything(held, struct, leaf)) for key, held in value.items()]
        same = all(
            key is was and new is old for (key, new), (was, old) in zip(pairs, value.items(), strict=True)
        )
        return value if same else dict(pairs)
    if isinstance(value, tuple | list):
        elements = [_anything(element, struct, leaf) for element in value]
        same = all(new is old for new, old in zip(elements, value, strict=True))
        return value if same else type(value)(elements)
    return leaf(value)


def _same(value: Any) -> Any:
    return value


@lru_cache(maxsize=256)
def _free(kind: type[Struct]) -> tuple[str, ...]:
    """The fields of a struct that may hold free text."""
    hints = get_type_hints(kind)
    names = (name for name in kind.__struct_fields__ if name not in OURS and not _is_closed(hints[name]))
    return tuple(names)


def _is_closed(hint: Any) -> bool:
    """Whether a type has no room for free text: numbers, times, one of several words, or none of these."""
    if get_origin(hint) is Literal:
        return True
    parts = get_args(hint)
    if parts:
        return all(_is_closed(part) for part in parts if part is not Ellipsis)
    return hint not in (str, Any, object) and not (isinstance(hint, type) and issubclass(hint, Struct))
