"""Workflows made of several files: what ``imports``, ``extends``, ``template`` and ``override`` yield.

Pure: other files are asked of a ``Library``. Works on marked trees, before anything in them means something, so every
problem is shown in the file and at the place where its text stands. Order: imports, base, template, override; what
stands closer to the user wins.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Protocol

from msgspec import Struct, field, structs

from prodigy.workflow.imports import Import, chosen, import_of
from prodigy.workflow.merging import as_document, imported, is_null, member, merged, place
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar
from prodigy.workflow.overrides import overridden
from prodigy.workflow.problems import Problems, quoted
from prodigy.workflow.source import decode, read

MAX_DEPTH = 16
"""Files that may lead to each other in a row."""
SHELVES = ("", "bases/", "templates/", "workflows/")
"""Folders in which a base or template is looked for by its name."""
_SUFFIXES = (".yml", ".yaml", ".json")
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
        self._composed: dict[str, Composition] = {}
        self._imported: set[str] = set()
        """Files whose names and steps the document that is being composed has already."""

    def compose(self, root: Node | None) -> Composition:
        """What a tree yields; a tree without composition keys is returned as it is."""
        composition = Composition(root)
        if not isinstance(root, Mapping) or not any(key.text in _KEYS for key, _ in root.entries):
            return composition
        fields = {
            key.text: (key, value) for key, value in root.entries if key.text in _KEYS and not is_null(value)
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
        """The composed document that a path or name means; ``None`` with the problem recorded.

        It is what it is by itself, whoever asks, and so it is composed once.
        """
        document = self._document(reference, at, shelves)
        if document is None:
            return None
        if document.name not in self._composed:
            before, self._imported = self._imported, set()
            with self.inside(document.name):
                self._composed[document.name] = self.compose(self._read(document))
            self._imported = before
        return self._composed[document.name]

    def _document(self, reference: str, at: Node, shelves: Iterable[str] = ("",)) -> Document | None:
        """The file that a path or name means, unless it leads back to itself."""
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
        return document

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
        items = node.items if isinstance(node, Listing) else [node]
        entries = [entry for item in items if (entry := import_of(item, self.problems)) is not None]
        found = [self._import(entry, composition) for entry in entries]
        return imported([document for document in found if document is not None], root)

    def _import(self, entry: Import, composition: Composition) -> Mapping | None:
        """What lies under our document because of an import."""
        apart = entry.alias is not None or entry.selective is not None
        found = self.open(entry.path.text, entry.path) if apart else self._once(entry.path)
        document = None if found is None else as_document(found.root)
        if found is None or document is None:
            composition.whole = False
            return None
        composition.whole &= found.whole
        if entry.selective is not None:
            document = chosen(document, entry.selective, self.problems)
        if entry.alias is not None:
            composition.aliases[entry.alias] = document
            return None
        composition.aliases |= found.aliases
        return document

    def _once(self, path: Scalar) -> Composition | None:
        """As ``open``, and what it imports besides what has been imported before; empty if it has been itself."""
        document = self._document(path.text, path)
        if document is None:
            return None
        if document.name in self._imported:
            return Composition(Mapping([], *place(path)))
        self._imported.add(document.name)
        with self.inside(document.name):
            return self.compose(self._read(document))

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
        document = as_document(opened.root)
        if document is None:
            self.problems.error("wrong-type", "that file holds no workflow", at)
        return document

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
        return overridden(root, override, self.problems) if isinstance(override, Mapping) else root

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
        return overridden(root, value, self.problems)


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
