"""Workflows made of several files: what ``imports``, ``extends``, ``template`` and ``override`` yield.

Pure: other files are asked of a ``Library``. Works on marked trees, before anything in them means something, so every
problem is shown in the file and at the place where its text stands. Order: imports, base, template, override; what
stands closer to the user wins.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Protocol

from msgspec import Struct, field, structs

from prodigy.workflow.language import WORKFLOW
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar
from prodigy.workflow.problems import Problems, quoted
from prodigy.workflow.source import decode, read

MAX_DEPTH = 16
"""Files that may lead to each other in a row."""
SHELVES = ("", "bases/", "templates/", "workflows/")
"""Folders in which a base or template is looked for by its name."""
_SUFFIXES = (".yml", ".yaml", ".json")
_MERGED_MAPPINGS = ("env", "secrets", "profiles", "defaults", "parameters", "templates", "workflows")
_KEYS = frozenset({"imports", "extends", "template", "override"})


class Document(Struct, frozen=True):
    """A file: its name as people should see it, which is also what files it names are relative to."""

    name: str
    data: bytes


class Library(Protocol):
    """Where other files come from."""

    def find(self, reference: str, importer: str) -> Document | None:
        """The file that a path means in another file, or ``None``: relative to that file, then to the repository."""
        ...


class NoLibrary:
    """For a text that has no place: nothing is found."""

    def find(self, reference: str, importer: str) -> None:
        """Always ``None``."""
        del reference, importer


class Composition(Struct):
    """A composed document.

    ``root`` has no composition keys left but ``templates``, ``parameters``, ``defaults`` and ``workflows``.
    ``aliases`` are imported files that keep their names to themselves. ``given`` are the values that a ``with`` gave.
    It is not ``whole`` where a file or template was not found, so that steps may be missing for that reason.
    """

    root: Node | None
    aliases: dict[str, Mapping] = field(default_factory=dict)
    given: dict[str, Node] = field(default_factory=dict)
    whole: bool = True


class Composer:
    """Composes documents.

    Args:
        problems: where problems go; files are named by their nodes.
        library: finds other files.
        texts: filled with the text of every file that was read, by name.
    """

    def __init__(self, problems: Problems, library: Library, texts: dict[str, str]) -> None:
        self.problems = problems
        self.library = library
        self.texts = texts
        self._chain: list[str] = []

    def compose(self, root: Node | None) -> Composition:
        """What a tree yields; a tree without composition keys is returned as it is."""
        composition = Composition(root)
        if not isinstance(root, Mapping) or not any(key.text in _KEYS for key, _ in root.entries):
            return composition
        fields = {
            key.text: (key, value) for key, value in root.entries if key.text in _KEYS and not _null(value)
        }
        rest = [entry for entry in root.entries if entry[0].text not in _KEYS]
        root = structs.replace(root, entries=rest)
        if "imports" in fields:
            root = self._imports(fields["imports"][1], root, composition)
        if "extends" in fields:
            root = self._extends(fields["extends"][1], root, composition)
        if "template" in fields:
            root = self._template(fields["template"][1], root, composition)
        if "override" in fields:
            root = self._override(fields["override"], root)
        composition.root = root
        return composition

    # -- files -------------------------------------------------------------------------------------------------------
    def open(self, reference: str, at: Node, *, shelves: Iterable[str] = ("",)) -> Composition | None:
        """The composed document that a path or name means; ``None`` with the problem recorded."""
        if reference.startswith(("http://", "https://")):
            hint = "download it into the repository, then name the file"
            self.problems.error(
                "remote-template", f"{quoted(reference)} is not a file of this machine", at, hint
            )
            return None
        document = self._find(reference, at, shelves)
        if document is None:
            return None
        if document.name in self._names() or len(self._chain) >= MAX_DEPTH:
            way = " → ".join([*self._names(), document.name][-5:])
            how = "without end" if document.name in self._names() else f"more than {MAX_DEPTH} deep"
            self.problems.error("import-cycle", f"these files lead to each other {how}: {way}", at)
            return None
        with self.inside(document.name):
            return self.compose(self._read(document))

    @contextmanager
    def inside(self, name: str) -> Generator[None]:
        """While a file is read: problems without a file of their own are its."""
        before, self.problems.file = self.problems.file, name
        self._chain.append(name)
        try:
            yield
        finally:
            self._chain.pop()
            self.problems.file = before

    def _names(self) -> list[str]:
        return self._chain or [self.problems.file]

    def _find(self, reference: str, at: Node, shelves: Iterable[str]) -> Document | None:
        named = reference.endswith(_SUFFIXES)
        tried = [
            f"{shelf}{reference}{suffix}"
            for shelf in (shelves if "/" not in reference else ("",))
            for suffix in (("",) if named else ("", *_SUFFIXES))
        ]
        importer = at.file or self.problems.file
        for path in tried:
            document = self.library.find(path, importer)
            if document is not None:
                return document
        hint = "files are looked for beside this one and in the repository"
        self.problems.error("import-not-found", f"there is no workflow file {quoted(reference)}", at, hint)
        return None

    def _read(self, document: Document) -> Node | None:
        text = decode(document.data, self.problems)
        if text is None:
            return None
        self.texts[document.name] = text
        root = read(text, self.problems, json=document.name.lower().endswith(".json"))
        if root is not None:
            _stamp(root, document.name)
        return root

    # -- imports -----------------------------------------------------------------------------------------------------
    def _imports(self, node: Node, root: Mapping, composition: Composition) -> Mapping:
        """Every import in order; a later one stands over an earlier one, and all under the file itself."""
        for item in node.items if isinstance(node, Listing) else [node]:
            path, alias = self._import(item)
            if path is None:
                continue
            imported = self.open(path.text, path)
            if imported is None or imported.root is None:
                composition.whole = False
                continue
            composition.whole &= imported.whole
            if not isinstance(imported.root, Mapping):
                message = f"{quoted(path.text)} is a list of steps and has no names to import"
                self.problems.error("wrong-type", message, path, "name its workflow under `workflows:`")
            elif alias is not None:
                composition.aliases[alias] = imported.root
            else:
                composition.aliases |= imported.aliases
                root = _imported(imported.root, root)
        return root

    def _import(self, item: Node) -> tuple[Scalar | None, str | None]:
        """Path and alias of one import."""
        if isinstance(item, Scalar) and not item.is_null:
            return item, None
        if not isinstance(item, Mapping):
            self.problems.error("wrong-type", "an import is a path, or a mapping with `path`", item)
            return None, None
        path: Scalar | None = None
        alias: str | None = None
        for key, value in item.entries:
            if key.text == "selective":
                self.problems.error("not-yet-supported", "selective imports are not supported yet", key)
            elif key.text not in {"path", "alias"}:
                hint = "an import has `path` and `alias`"
                self.problems.error("unknown-key", f"unknown key {quoted(key.text)} in an import", key, hint)
            elif not isinstance(value, Scalar):
                self.problems.error("wrong-type", f"{quoted(key.text)} is a text", value)
            elif key.text == "path":
                path = value
            else:
                alias = value.text
        if path is None and not any(key.text == "path" for key, _ in item.entries):
            self.problems.error("missing-key", "an import needs `path`", item)
        return path, alias

    # -- bases and templates -------------------------------------------------------------------------------------------
    def _extends(self, node: Node, root: Mapping, composition: Composition) -> Mapping:
        if not isinstance(node, Scalar):
            self.problems.error("wrong-type", "`extends` is a path or a name", node)
            return root
        base = self._base(node, composition)
        if base is None:
            composition.whole = False
            return root
        return merged(base, root)

    def _base(self, node: Scalar, composition: Composition) -> Mapping | None:
        alias, dot, name = node.text.partition(".")
        if dot and alias in composition.aliases:
            found = member(composition.aliases[alias], ("workflows", "templates"), name)
            if isinstance(found, Mapping):
                return found
            self.problems.error("template-not-found", f"{quoted(alias)} has no workflow {quoted(name)}", node)
            return None
        if node.text in composition.aliases:
            return composition.aliases[node.text]
        opened = self.open(node.text, node, shelves=SHELVES)
        return None if opened is None else self._whole(opened, node, composition)

    def _whole(self, opened: Composition, at: Node, composition: Composition) -> Mapping | None:
        """The mapping that a file holds; a bare list of steps counts as its ``commands``."""
        composition.aliases = opened.aliases | composition.aliases
        composition.whole &= opened.whole
        if isinstance(opened.root, Listing):
            key = Scalar("commands", True, *_place(opened.root))
            return Mapping([(key, opened.root)], *_place(opened.root))
        if not isinstance(opened.root, Mapping):
            self.problems.error("wrong-type", "that file holds no workflow", at)
            return None
        return opened.root

    def _template(self, node: Node, root: Mapping, composition: Composition) -> Mapping:
        """The workflow that a template is, with our own keys over it."""
        fields: dict[str, Node] = {}
        if isinstance(node, Mapping):
            known = ("name", "source", "with", "override")
            for key, value in node.entries:
                if key.text not in known:
                    hint = "a template has `name`, `source`, `with` and `override`"
                    message = f"unknown key {quoted(key.text)} in `template`"
                    self.problems.error("unknown-key", message, key, hint)
                fields[key.text] = value
        else:
            fields["source"] = node
        found = self._template_source(fields.get("source") or fields.get("name"), node, root, composition)
        if found is None:
            composition.whole = False
            return root
        given = fields.get("with")
        if isinstance(given, Mapping):
            composition.given |= {key.text: value for key, value in given.entries}
        elif given is not None:
            self.problems.error("wrong-type", "`with` is a mapping of parameters", given)
        root = merged(found, root)
        override = fields.get("override")
        return merged(root, override) if isinstance(override, Mapping) else root

    def _template_source(
        self, source: Node | None, at: Node, root: Mapping, composition: Composition
    ) -> Mapping | None:
        if isinstance(source, Mapping):
            kinds = {key.text: value for key, value in source.entries}
            if "url" in kinds:
                hint = "download it into the repository, then name the file"
                self.problems.error("remote-template", "templates are files of this machine", source, hint)
                return None
            if "registry" in kinds:
                message = "registry templates are not supported yet"
                self.problems.error("not-yet-supported", message, source)
                return None
            source = kinds.get("file")
        if not isinstance(source, Scalar) or source.is_null:
            self.problems.error("missing-key", "`template` needs a `source`", at)
            return None
        own = member(root, ("templates", "workflows"), source.text)
        if isinstance(own, Mapping):
            return own
        if (
            source.text.startswith(("http://", "https://"))
            or "/" in source.text
            or source.text.endswith(_SUFFIXES)
        ):
            opened = self.open(source.text, source)
            return None if opened is None else self._whole(opened, source, composition)
        message = (
            f"there is no template {quoted(source.text)} in this file, and registries are not supported yet"
        )
        self.problems.error("not-yet-supported", message, source, "name its file: `./NAME.yml`")
        return None

    def _override(self, entry: tuple[Scalar, Node], root: Mapping) -> Mapping:
        _, value = entry
        if not isinstance(value, Mapping):
            self.problems.error("wrong-type", "`override` is a mapping", value)
            return root
        dotted = [name for name, _ in value.entries if "." in name.text]
        for name in dotted:
            message = f"the dotted key {quoted(name.text)} in `override` is not supported yet"
            self.problems.error("not-yet-supported", message, name, "write it as nested mappings")
        plain = [pair for pair in value.entries if pair[0] not in dotted]
        return merged(root, structs.replace(value, entries=plain))


# -- merging trees -----------------------------------------------------------------------------------------------------
def canonical(key: str) -> str:
    """The name that a top-level key stands for."""
    spelling = WORKFLOW.spellings.get(key)
    return key if spelling is None else spelling.key.name


def merged(base: Mapping, over: Mapping, *, top: bool = True) -> Mapping:
    """Two mappings as one: mappings merge, everything else of ``over`` replaces, its nulls remove."""
    name = canonical if top else str
    found = {name(key.text): (key, value) for key, value in base.entries}
    for key, value in over.entries:
        below = found.pop(name(key.text), None)
        if _null(value) and below is not None:
            continue
        if below is not None and isinstance(below[1], Mapping) and isinstance(value, Mapping):
            found[name(key.text)] = (key, merged(below[1], value, top=False))
        else:
            found[name(key.text)] = (key, value)
    return structs.replace(over, entries=list(found.values()))


def _imported(theirs: Mapping, ours: Mapping) -> Mapping:
    """Our document over an imported one: named things merge, its steps go before ours, nothing else comes over."""
    below = {canonical(key.text): (key, value) for key, value in theirs.entries}
    entries = {canonical(key.text): (key, value) for key, value in ours.entries}
    for name in _MERGED_MAPPINGS:
        if name in below:
            key, value = below[name]
            own = entries.get(name)
            if own is None:
                entries[name] = (key, value)
            elif isinstance(own[1], Mapping) and isinstance(value, Mapping):
                entries[name] = (own[0], merged(value, own[1], top=False))
    for name in ("setup", "commands"):
        if name in below:
            key, value = below[name]
            own = entries.get(name)
            before, after = (
                (value, own[1] if own else None) if name == "setup" else (own[1] if own else None, value)
            )
            entries[name] = (own[0] if own else key, _in_a_row(before, after))
    return structs.replace(ours, entries=list(entries.values()))


def _in_a_row(first: Node | None, second: Node | None) -> Node:
    """The steps of one phase, then those of another; a phase's own options stay with whoever has them."""
    if first is None or second is None:
        node = first if second is None else second
        assert node is not None
        return node
    for outer, other, ahead in ((second, first, False), (first, second, True)):
        if isinstance(outer, Mapping):
            for place, (key, value) in enumerate(outer.entries):
                if key.text in {"commands", "steps"}:
                    inner = _in_a_row(value, other) if ahead else _in_a_row(other, value)
                    entries = [*outer.entries[:place], (key, inner), *outer.entries[place + 1 :]]
                    return structs.replace(outer, entries=entries)
    return Listing([first, second], *_place(second))


def member(root: Mapping, groups: Iterable[str], name: str) -> Node | None:
    """What a document holds under a name in one of its groups."""
    for key, value in root.entries:
        if canonical(key.text) in groups and isinstance(value, Mapping):
            for inner, node in value.entries:
                if inner.text == name:
                    return node
    return None


def _stamp(node: Node, file: str) -> None:
    """Say of every node of a tree which file it is from; shared nodes once."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.file:
            continue
        one.file = file
        if isinstance(one, Listing):
            waiting += one.items
        elif isinstance(one, Mapping):
            for key, value in one.entries:
                key.file = file
                waiting.append(value)


def _place(node: Node) -> tuple[int, int, int, int, str]:
    return node.line, node.column, node.end_line, node.end_column, node.file


def _null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.is_null
