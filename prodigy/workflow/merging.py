"""Two marked trees as one: a document over another one, before anything in them means something.

Pure. Keys are compared by their canonical names at every level, so that two spellings of one key are one key.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingOf

from msgspec import Struct, structs

from prodigy.workflow import language as around
from prodigy.workflow import language_steps as steps
from prodigy.workflow.language import WORKFLOW
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar
from prodigy.workflow.vocabulary import Vocabulary, vocabulary

NAMED = ("env", "secrets", "profiles", "defaults", "parameters", "templates", "workflows")
"""Keys of a document under which there are names that others can import."""


class Level(Struct, frozen=True):
    """How the keys of one mapping are spelt, and those of the mappings below it.

    ``below`` is by canonical name; ``each`` is for mappings whose keys are names of the author's own.
    """

    vocabulary: Vocabulary | None = None
    below: "MappingOf[str, Level]" = {}
    each: "Level | None" = None

    def name(self, key: str) -> str:
        """The name that a key stands for."""
        spelling = self.vocabulary.spellings.get(key) if self.vocabulary is not None else None
        return key if spelling is None else spelling.key.name

    def under(self, name: str) -> "Level":
        """The level of the mapping that a canonical name has as its value."""
        return self.each or self.below.get(name, PLAIN)


PLAIN = Level()
"""Keys that have one spelling."""
_BACKOFFS = {
    kind: Level(vocabulary(kind, "under `backoff:`", keys)) for kind, keys in steps.BACKOFF_KEYS.items()
}
_RETRY = Level(steps.RETRY, {"backoff": Level(steps.BACKOFF, _BACKOFFS)})
_BREAKER = {"circuit_breaker": Level(around.CIRCUIT_BREAKER)}
_POLICY = {"error_policy": Level(around.ERROR_POLICY, {"retry_config": _RETRY, **_BREAKER}), **_BREAKER}
_MAP = Level(
    around.MAP,
    {
        "agent_template": Level(around.AGENT_TEMPLATE),
        "timeout_config": Level(around.TIMEOUT_CONFIG),
        "retry": _RETRY,
        **_POLICY,
    },
)
_SETUP = Level(around.SETUP, {"capture_outputs": Level(each=Level(around.PHASE_OUTPUT))})
_DOCUMENT = {
    "setup": _SETUP,
    "map": _MAP,
    "reduce": Level(around.REDUCE),
    "merge": Level(around.MERGE),
    "retry_defaults": _RETRY,
    **_POLICY,
}
DOCUMENT = Level(WORKFLOW, {**_DOCUMENT, "workflows": Level(each=Level(WORKFLOW, _DOCUMENT))})
"""A workflow file."""


def canonical(key: str) -> str:
    """The name that a top-level key stands for."""
    return DOCUMENT.name(key)


def merged(base: Mapping, over: Mapping, level: Level = DOCUMENT) -> Mapping:
    """Two mappings as one: mappings merge, everything else of ``over`` replaces, its nulls remove."""
    found = _by_name(base, level)
    for name, (key, value) in _by_name(over, level).items():
        below = found.pop(name, None)
        if is_null(value) and below is not None:
            continue
        if below is not None and isinstance(below[1], Mapping) and isinstance(value, Mapping):
            found[name] = (key, merged(below[1], value, level.under(name)))
        else:
            found[name] = (key, value)
    return structs.replace(over, entries=list(found.values()))


def _by_name(node: Mapping, level: Level) -> dict[str, tuple[Scalar, Node]]:
    """The entries by canonical name; a key that one mapping gives twice stays there twice, to be reported."""
    found: dict[str, tuple[Scalar, Node]] = {}
    for entry in node.entries:
        name = level.name(entry[0].text)
        found[f"{name}\0{entry[0].text}" if name in found else name] = entry
    return found


def imported(documents: Sequence[Mapping], ours: Mapping) -> Mapping:
    """Our document over imported ones, a later over an earlier one.

    Named things merge; their setup is done before ours, their steps after ours, each in the order of the imports.
    Nothing else comes over.
    """
    entries = _by_name(ours, DOCUMENT)
    theirs = [_by_name(document, DOCUMENT) for document in documents]
    for below in reversed(theirs):
        for name in (*NAMED, "setup"):
            if name in below:
                entries[name] = _joined(name, below[name], entries.get(name))
    for below in theirs:
        if "commands" in below:
            key, value = entries.get("commands", (below["commands"][0], None))
            entries["commands"] = (key, _in_a_row(value, below["commands"][1]))
    return structs.replace(ours, entries=list(entries.values()))


def _joined(name: str, theirs: tuple[Scalar, Node], ours: tuple[Scalar, Node] | None) -> tuple[Scalar, Node]:
    """The value of a key of an imported document together with ours."""
    if ours is None:
        return theirs
    key, value = ours
    if name == "setup":
        return key, _in_a_row(theirs[1], value)
    if isinstance(value, Mapping) and isinstance(theirs[1], Mapping):
        return key, merged(theirs[1], value, DOCUMENT.under(name))
    return ours


def _in_a_row(first: Node | None, second: Node | None) -> Node:
    """The steps of one phase, then those of another; a phase's own options stay with whoever has them."""
    if first is None or second is None:
        node = first if second is None else second
        assert node is not None
        return node
    for outer, other, ahead in ((second, first, False), (first, second, True)):
        if isinstance(outer, Mapping):
            for position, (key, value) in enumerate(outer.entries):
                if key.text in {"commands", "steps"}:
                    inner = _in_a_row(value, other) if ahead else _in_a_row(other, value)
                    entries = [*outer.entries[:position], (key, inner), *outer.entries[position + 1 :]]
                    return structs.replace(outer, entries=entries)
    items = [
        step for part in (first, second) for step in (part.items if isinstance(part, Listing) else [part])
    ]
    return Listing(items, *place(second))


def as_document(root: Node | None) -> Mapping | None:
    """What a file holds as a document: a bare list of steps is its ``commands``."""
    if isinstance(root, Listing):
        return Mapping([(Scalar("commands", True, *place(root)), root)], *place(root))
    return root if isinstance(root, Mapping) else None


def member(root: Mapping, groups: Iterable[str], name: str) -> Node | None:
    """What a document holds under a name in one of its groups."""
    for key, value in root.entries:
        if canonical(key.text) in groups and isinstance(value, Mapping):
            for inner, node in value.entries:
                if inner.text == name:
                    return node
    return None


def place(node: Node) -> tuple[int, int, int, int, str]:
    """Where a node stands, as what is made in its stead is told."""
    return node.line, node.column, node.end_line, node.end_column, node.file


def is_null(node: Node) -> bool:
    """Whether a node is a scalar without a value."""
    return isinstance(node, Scalar) and node.is_null
