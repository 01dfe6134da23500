"""One entry of ``imports``: the file it names, and what is wanted of it.

Pure. Reads marked trees; the files are found by ``compose``.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct, structs

from prodigy.workflow.merging import canonical, member
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar
from prodigy.workflow.problems import Problems, quoted

_KEYS = ("path", "alias", "selective")
_GROUPS = ("templates", "workflows")
"""What names of another file can be chosen from."""


class Import(Struct, frozen=True):
    """A file to import: under an ``alias`` it keeps its names to itself; ``selective`` are the names wanted of it."""

    path: Scalar
    alias: str | None = None
    selective: tuple[Scalar, ...] | None = None


def import_of(item: Node, problems: Problems) -> Import | None:
    """What one entry says; ``None`` with the problem recorded."""
    if isinstance(item, Scalar) and not item.is_null:
        return Import(item)
    if not isinstance(item, Mapping):
        problems.error("wrong-type", "an import is a path, or a mapping with `path`", item)
        return None
    path: Scalar | None = None
    alias: str | None = None
    selective: tuple[Scalar, ...] | None = None
    for key, value in item.entries:
        if key.text == "selective":
            selective = _names(value, problems)
        elif key.text not in _KEYS:
            meant = nearest(key.text, _KEYS)
            hint = f"did you mean `{meant}`?" if meant else "an import has `path`, `alias` and `selective`"
            problems.error("unknown-key", f"unknown key {quoted(key.text)} in an import", key, hint)
        elif not isinstance(value, Scalar):
            problems.error("wrong-type", f"{quoted(key.text)} is a text", value)
        elif key.text == "path":
            path = value
        else:
            alias = value.text
    if path is None:
        if not any(key.text == "path" for key, _ in item.entries):
            problems.error("missing-key", "an import needs `path`", item)
        return None
    return Import(path, alias, selective)


def _names(node: Node, problems: Problems) -> tuple[Scalar, ...]:
    names: list[Scalar] = []
    for name in node.items if isinstance(node, Listing) else [node]:
        if isinstance(name, Scalar) and not name.is_null:
            names.append(name)
        else:
            problems.error("wrong-type", "`selective` is a list of names", name)
    return tuple(names)


def chosen(document: Mapping, names: Sequence[Scalar], problems: Problems) -> Mapping:
    """Of a document only the templates and workflows with those names."""
    wanted = {name.text for name in names}
    for name in names:
        if member(document, _GROUPS, name.text) is None:
            hints = _hints(document, name.text, problems)
            problems.error(
                "template-not-found",
                f"that file has no template or workflow {quoted(name.text)}",
                name,
                *hints,
            )
    groups = []
    for key, value in _groups(document):
        kept = [pair for pair in value.entries if pair[0].text in wanted]
        if kept:
            groups.append((key, structs.replace(value, entries=kept)))
    return structs.replace(document, entries=groups)


def _hints(document: Mapping, name: str, problems: Problems) -> list[str]:
    there = [inner.text for _, value in _groups(document) for inner, _ in value.entries]
    meant = problems.guesses.nearest(name, there)
    return [f"did you mean `{meant}`?"] if meant else []


def _groups(document: Mapping) -> Iterator[tuple[Scalar, Mapping]]:
    for key, value in document.entries:
        if canonical(key.text) in _GROUPS and isinstance(value, Mapping):
            yield key, value
