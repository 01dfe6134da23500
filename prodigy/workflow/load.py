"""The door: the bytes of a workflow file in, a checked workflow out.

Pure: the caller reads files. All problems of a workflow, in whatever file they stand, are reported together.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, structs

from prodigy.workflow.check import check
from prodigy.workflow.compose import Composer, Composition, Library, NoLibrary
from prodigy.workflow.fields import Reader
from prodigy.workflow.merging import as_document, canonical
from prodigy.workflow.model import EnvValue, EnvVar, StepList, Workflow
from prodigy.workflow.nodes import Listing, Node, Scalar, value_of
from prodigy.workflow.nodes import Mapping as MappingNode
from prodigy.workflow.parameters import ParameterReader, bind
from prodigy.workflow.parse import parse
from prodigy.workflow.problems import Problem, Problems, WorkflowInvalid
from prodigy.workflow.source import decode, read
from prodigy.workflow.standards import NO_STANDARDS, Standards
from prodigy.workflow.subworkflows import SubWorkflowReader, members, with_main
from prodigy.workflow.templates import read_templates
from prodigy.workflow.values import text_of

Around = Callable[[MappingNode], MappingNode]
"""A document with others laid under it and over it."""


class Loaded(Struct, frozen=True):
    """A valid workflow with the warnings and notes about it, by position, and the text of every file of it."""

    workflow: Workflow
    problems: tuple[Problem, ...] = ()
    texts: dict[str, str] = {}


def load_workflow(
    data: bytes,
    name: str,
    *,
    library: Library | None = None,
    parameters: Mapping[str, Any] | None = None,
    around: Around | None = None,
    standards: Standards = NO_STANDARDS,
) -> Loaded:
    """Read, compose, parse and check a workflow file.

    Args:
        data: the file, UTF-8; JSON if ``name`` ends in ``.json``, else YAML.
        name: the file as the user named it; its stem is the workflow's default name.
        library: finds the other files that it names; there are none by default.
        parameters: values given from outside. ``None``: nobody knows yet, so none is missing.
        around: what configuration lays under and over the document of each file that is a workflow of its own.
        standards: what holds for what they do not say.

    Raises:
        WorkflowInvalid: with every problem of the file.
    """
    problems = Problems(name)
    text = decode(data, problems)
    texts = {name: data.decode("utf-8-sig", "replace") if text is None else text}
    workflow = None
    if text is not None:
        loader = _Loader(problems, library or NoLibrary(), texts, parameters, around, standards)
        workflow = loader.load(text)
    if workflow is None or problems.invalid:
        raise WorkflowInvalid(problems.sorted(), texts)
    return Loaded(workflow, problems.sorted(), texts)


class _Loader:
    def __init__(
        self,
        problems: Problems,
        library: Library,
        texts: dict[str, str],
        parameters: Mapping[str, Any] | None,
        around: Around | None,
        standards: Standards,
    ) -> None:
        self.standards = standards
        self.around = around
        self.problems = problems
        self.texts = texts
        self.parameters = parameters
        self.composer = Composer(problems, library, texts)

    def load(self, text: str) -> Workflow | None:
        root = read(text, self.problems, json=self.problems.file.lower().endswith(".json"))
        if root is None and self.problems.invalid:
            return None
        with self.composer.inside(self.problems.file):
            workflow = self._workflow(self.composer.compose(root), self.parameters)
        check(workflow, self.texts, self.problems)
        return workflow

    def _workflow(
        self, composition: Composition, given: Mapping[str, Any] | None, *, partial: bool = False
    ) -> Workflow:
        """The workflow of a composed document, not yet checked; ``partial``: not all values are known yet."""
        root = composition.root
        if self.around is not None and (document := as_document(root)) is not None:
            root = self.around(document)
        if not isinstance(root, MappingNode):
            return parse(root, self.problems, standards=self.standards)
        found = members(root, self.problems)
        if found:
            root = with_main(root, found, self.composer.compose, self.problems)
        self.problems.partial |= not composition.whole
        templates = read_templates(root, composition.aliases, self.problems)
        reader = Reader(self.problems, templates, self.standards)
        values = self._values(root, composition, given, partial=partial or given is None)
        before = SubWorkflowReader(reader, self._open, values).steps(found)
        workflow = parse(
            root,
            self.problems,
            templates,
            runs_others=bool(before) or not composition.whole,
            standards=self.standards,
        )
        if before:
            own = workflow.steps or StepList(steps=(), mark=workflow.mark)
            workflow = structs.replace(workflow, steps=structs.replace(own, steps=(*before, *own.steps)))
        return _with_values(workflow, values, self._defaults(root))

    def _open(self, source: Scalar, given: dict[str, Any], partial: bool) -> Workflow | None:  # noqa: FBT001 - of all callers one
        """Another file as a workflow of its own, with its parameters' values."""
        opened = self.composer.open(source.text, source)
        if opened is None or opened.root is None:
            return None
        file = _file_of(opened.root)
        with self.composer.inside(file or self.problems.file):
            return self._workflow(opened, given, partial=partial)

    def _values(
        self, root: MappingNode, composition: Composition, given: Mapping[str, Any] | None, *, partial: bool
    ) -> dict[str, Any]:
        """The value of every parameter: those of a ``with`` under those from outside."""
        parameters = ParameterReader(self.problems).declared(_member(root, "parameters"))
        within = {name: value_of(node) for name, node in composition.given.items()}
        values = {**within, **(given or {})}
        return bind(parameters, values, self._defaults(root), self.problems, partial=partial)

    def _defaults(self, root: MappingNode) -> dict[str, Any]:
        node = _member(root, "defaults")
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return {}
        if not isinstance(node, MappingNode):
            self.problems.error("wrong-type", "`defaults` is a mapping of values", node)
            return {}
        return {key.text: value_of(value) for key, value in node.entries}


def _with_values(workflow: Workflow, values: dict[str, Any], defaults: dict[str, Any]) -> Workflow:
    """The workflow with its parameters; defaults with upper-case names are environment variables as well."""
    declared = {variable.name for variable in workflow.environment.variables}
    shouted = tuple(
        EnvVar(name=name, values={"": EnvValue(kind="literal", text=text_of(values.get(name, value)))})
        for name, value in defaults.items()
        if name.isupper() and name.isidentifier() and name.isascii() and name not in declared
    )
    environment = workflow.environment
    if shouted:
        environment = structs.replace(environment, variables=(*shouted, *environment.variables))
    return structs.replace(workflow, parameters=values, environment=environment)


def _member(root: MappingNode, name: str) -> Node | None:
    return next((value for key, value in root.entries if canonical(key.text) == name), None)


def _file_of(root: Node) -> str:
    if isinstance(root, Listing | MappingNode):
        return root.file
    return ""
