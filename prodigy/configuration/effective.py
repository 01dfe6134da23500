"""All sources together: which value holds, where it comes from, and what becomes of a workflow.

Pure. A later layer replaces what an earlier one says, key by key. A workflow's own keys stand between the files and the
environment: files are laid under it, variables over it. What has no place of its own in it holds where the workflow says
nothing (``standards``). Of limits and budgets the tighter one of workflow and file holds.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from typing import Any, Final

from msgspec import Struct, structs, to_builtins

from prodigy.configuration.reading import Entry, Layer
from prodigy.configuration.settings import BY_NAME, MAX_PARALLEL, SETTINGS
from prodigy.workflow.merging import merged
from prodigy.workflow.model import Backoff, Budget, Deferred, Limits, Retry, Workflow
from prodigy.workflow.nodes import Mapping, Node, Scalar
from prodigy.workflow.standards import NO_STANDARDS, Standards
from prodigy.workflow.vocabulary import Standing

_SHORT: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("map", "max_parallel"): ("max_parallel", "parallel"),
    ("claude_options", "model"): ("model",),
}
"""Keys at the top of a workflow that mean the same as one further down."""
DEFAULT = "default"
"""The source of what nobody said."""


class Effective(Struct, frozen=True):
    """A value that holds, and every source that says something of it, the one that counts first."""

    key: str
    value: Any
    source: str
    chain: tuple[tuple[str, Any], ...] = ()

    @property
    def shown(self) -> "Effective":
        """The same as people may see it: without the values of secrets."""
        hidden = BY_NAME[self.key].shown
        chain = tuple((source, hidden(value)) for source, value in self.chain)
        return Effective(self.key, hidden(self.value), self.source, chain)


class Configuration:
    """What all sources say.

    Args:
        layers: the sources, lowest first.
    """

    def __init__(self, layers: Sequence[Layer] = ()) -> None:
        self.layers = tuple(layers)

    def get(self, name: str) -> Any:
        """The value of a key, or its default."""
        return self.effective(name).value

    def given(self, name: str) -> Any:
        """The value that somebody gave to a key; ``None`` if nobody did."""
        found = self.effective(name)
        return None if found.source == DEFAULT else found.value

    def effective(self, name: str) -> Effective:
        """The value of a key and where it comes from."""
        return self._among(self.layers, name)

    def _among(self, layers: Sequence[Layer], name: str) -> Effective:
        setting = BY_NAME[name]
        said = [(layer, entry) for layer in layers if (entry := layer.entries.get(setting.name)) is not None]
        chain = [(layer.source, entry.value) for layer, entry in reversed(said)]
        chain.append((DEFAULT, setting.default))
        source, value = chain[0]
        if setting.kind in {"names", "env"} and said:  # name by name, as mappings are merged
            value = {name: one for _, entry in said for name, one in entry.value.items()}
        return Effective(setting.name, value, source, tuple(chain))

    def every(self) -> Iterator[Effective]:
        """All keys that act, in the order of the documentation."""
        for setting in SETTINGS:
            if setting.standing is Standing.ACTING:
                yield self.effective(setting.name)

    @property
    def recorded(self) -> dict[str, Any]:
        """What somebody gave and a run keeps as it was when it was begun, by key, as plain data."""
        kept = (one for one in self.every() if one.source != DEFAULT and not BY_NAME[one.key].anew)
        return {one.key: to_builtins(one.value) for one in kept}

    def changed(self, recorded: MappingOf[str, Any]) -> tuple[str, ...]:
        """The keys of which something else was recorded than is said now."""
        now = self.recorded
        return tuple(key for key in sorted({*now, *recorded}) if now.get(key) != recorded.get(key))

    @property
    def texts(self) -> dict[str, str]:
        """The text of every source, by its name."""
        return {layer.source: layer.text for layer in self.layers}

    # -- what becomes of a workflow --------------------------------------------------------------------------------
    def around(self, root: Mapping) -> Mapping:
        """A workflow's document with the files under it and the environment over it."""
        below = self._document(root, environment=False)
        above = self._document(root, environment=True)
        return merged(merged(below, root), above)

    def _document(self, root: Mapping, *, environment: bool) -> Mapping:
        made = Mapping([], root.line, root.column, root.end_line, root.end_column, root.file)
        names = {key.text for key, _ in root.entries}
        for layer in self.layers:
            if layer.from_environment is not environment:
                continue
            for name, entry in layer.entries.items():
                path = _path(name, names)
                if path and (environment or path != MAX_PARALLEL):
                    made = merged(made, _nested(path, _placed(entry, layer.source)))
        return made

    @property
    def standards(self) -> Standards:
        """What holds for what a workflow leaves open."""
        files = [layer for layer in self.layers if not layer.from_environment]
        merge = self._among(files, "merge.timeout")
        return Standards(
            retry=Retry(
                attempts=self.get("retry.default_attempts"),
                backoff=Backoff(kind=self.get("retry.default_backoff")),
            ),
            max_parallel=self._among(files, "worktree.max_parallel").value,
            step_timeout=self.get("timeouts.step"),
            phase_timeout=self.get("timeouts.phase"),
            merge_timeout=NO_STANDARDS.merge_timeout if merge.source == DEFAULT else merge.value,
        )

    def completed(self, workflow: Workflow) -> Workflow:
        """A workflow that was read with all this around it, with what no document can say."""
        return self._bounded(self._merged_in_time(workflow))

    def _merged_in_time(self, workflow: Workflow) -> Workflow:
        """The workflow with the limit of its final merge; that of a variable counts before its own."""
        variables = [layer for layer in self.layers if layer.from_environment]
        imposed = self._among(variables, "merge.timeout")
        if workflow.merge is not None and imposed.source != DEFAULT:
            merge = structs.replace(workflow.merge, timeout=imposed.value)
            workflow = structs.replace(workflow, merge=merge)
        return structs.replace(workflow, merge_timeout=self.get("merge.timeout"))

    def _bounded(self, workflow: Workflow) -> Workflow:
        """The workflow with no limit and no budget looser than the files say."""
        limits = self._bounds(Limits, "limits")
        budget = self._bounds(Budget, "budget")
        if budget is not None:
            workflow = structs.replace(workflow, budget=_tighter(workflow.budget or Budget(), budget))
        if limits is None:
            return workflow
        bounded: Workflow = _with_limits(workflow, limits)
        return bounded

    def _bounds(self, kind: type, section: str) -> Any:
        """What holds of limits or of a budget because a file says it; ``None``: nothing does."""
        said: dict[str, Any] = {}
        for layer in self.layers:
            for name, entry in layer.entries.items():
                if BY_NAME[name].workflow[:1] == (section,):
                    said[name.removeprefix(f"{section}.")] = None if layer.from_environment else entry.value
        known = {name: value for name, value in said.items() if value is not None}
        return kind(**known) if known else None


def _path(name: str, names: set[str]) -> tuple[str, ...]:
    """Where a setting belongs in a workflow with these keys, in their spelling; nowhere, if there is no room for it."""
    path = BY_NAME[name].workflow
    if path[:1] == ("map",) and "map" not in names:
        return ()
    short = next((key for key in _SHORT.get(path, ()) if key in names), None)
    return path if short is None else (short,)


def _placed(entry: Entry, source: str) -> Entry:
    """The entry with the name of its source in its nodes, so that problems are shown there; whole numbers in digits."""
    if isinstance(entry.node, Scalar) and type(entry.value) is int:
        entry = structs.replace(entry, node=structs.replace(entry.node, text=str(entry.value)))
    return structs.replace(
        entry, key=structs.replace(entry.key, file=source), node=_named(entry.node, source)
    )


def _named(node: Node, source: str) -> Node:
    if isinstance(node, Scalar):
        return structs.replace(node, file=source)
    if isinstance(node, Mapping):
        entries = [(structs.replace(key, file=source), _named(value, source)) for key, value in node.entries]
        return structs.replace(node, entries=entries, file=source)
    return structs.replace(node, items=[_named(item, source) for item in node.items], file=source)


def _nested(path: tuple[str, ...], entry: Entry) -> Mapping:
    key = entry.key
    node = entry.node
    for name in reversed(path):
        spot = (key.line, key.column, key.end_line, key.end_column, key.file)
        node = Mapping([(Scalar(name, True, *spot), node)], *spot)
    assert isinstance(node, Mapping)
    return node


def _tighter(own: Any, other: Any) -> Any:
    """Two sets of bounds as one: the lower of each; one that is a reference stays, as nobody knows it yet."""
    lower: dict[str, Any] = {}
    for name in other.__struct_fields__:
        mine, theirs = getattr(own, name), getattr(other, name)
        if theirs is not None and not isinstance(mine, Deferred):
            lower[name] = theirs if mine is None else min(mine, theirs)
    return structs.replace(own, **lower)


def _with_limits(value: Any, limits: Limits) -> Any:
    """``value`` with no limits in it looser than these."""
    match value:
        case Limits():
            return _tighter(value, limits)
        case Struct():
            parts = {name: getattr(value, name) for name in value.__struct_fields__}
            changed = {
                name: new for name, part in parts.items() if (new := _with_limits(part, limits)) is not part
            }
            return structs.replace(value, **changed) if changed else value
        case tuple():
            return tuple(_with_limits(part, limits) for part in value)
        case _:
            return value
