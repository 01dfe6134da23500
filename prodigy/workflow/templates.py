"""Templates of steps: what ``templates:`` declares and ``template:`` with ``with:`` uses.

Pure. A use stands for the template's steps, each with the template's parameters as variables of its own. Values are
never pasted into the steps' texts.
"""

from collections.abc import Mapping

from msgspec import Struct

from prodigy.workflow.merging import canonical
from prodigy.workflow.model import Local, Mark, Text
from prodigy.workflow.nodes import Listing, Node, Scalar, value_of
from prodigy.workflow.nodes import Mapping as MappingNode
from prodigy.workflow.parameters import Parameter, ParameterReader
from prodigy.workflow.problems import Problems, quoted


class StepTemplate(Struct, frozen=True):
    """A list of steps with parameters."""

    steps: Node
    parameters: tuple[Parameter, ...] = ()


Templates = Mapping[str, StepTemplate]
"""Templates by the name that a use says."""


def read_templates(
    root: MappingNode, aliases: Mapping[str, MappingNode], problems: Problems
) -> dict[str, StepTemplate]:
    """The templates of a document by name; those of an aliased import under ``ALIAS.NAME``."""
    found = _group(root, "", problems)
    for alias, imported in aliases.items():
        found |= _group(imported, f"{alias}.", problems)
    return found


def _group(root: MappingNode, prefix: str, problems: Problems) -> dict[str, StepTemplate]:
    found: dict[str, StepTemplate] = {}
    for key, value in root.entries:
        if canonical(key.text) != "templates":
            continue
        if not isinstance(value, MappingNode):
            problems.error("wrong-type", "`templates` is a mapping of names", value)
            continue
        for name, node in value.entries:
            template = _template(name, node, problems)
            if template is not None:
                found[prefix + name.text] = template
    return found


def _template(name: Scalar, node: Node, problems: Problems) -> StepTemplate | None:
    if isinstance(node, Listing):
        return StepTemplate(node)
    if not isinstance(node, MappingNode):
        problems.error("wrong-type", f"the template {quoted(name.text)} is no list of steps", node)
        return None
    fields = {key.text: value for key, value in node.entries}
    steps = fields.get("commands") or fields.get("steps")
    if steps is None:
        return StepTemplate(node)  # one step, or a whole workflow that a file's `template:` names
    return StepTemplate(steps, ParameterReader(problems).declared(fields.get("parameters")))


class Use(Struct, frozen=True):
    """What a use stands for: the template's steps, and the variables that each of them gets."""

    steps: Node
    locals: tuple[Local, ...]


def use(name: Scalar, given: Node | None, templates: Templates, problems: Problems) -> Use | None:
    """What the use of a template by ``name`` ``with`` values stands for; ``None`` with the problem recorded.

    A template that may stand in a file that could not be read is no further problem.
    """
    template = templates.get(name.text)
    if template is None and problems.partial:
        return None
    if template is None:
        meant = problems.guesses.nearest(name.text, templates)
        hint = f"did you mean `{meant}`?" if meant else "declare it under `templates:`"
        problems.error("template-not-found", f"there is no template {quoted(name.text)}", name, hint)
        return None
    if given is not None and not isinstance(given, MappingNode):
        problems.error("wrong-type", "`with` is a mapping of parameters", given)
        return None
    values = {} if given is None else {key.text: (key, value) for key, value in given.entries}
    declared = {parameter.name for parameter in template.parameters}
    for key, _ in values.values():
        if key.text not in declared:
            meant = problems.guesses.nearest(key.text, declared)
            hint = f"did you mean `{meant}`?" if meant else "declare it under the template's `parameters:`"
            message = f"the template {quoted(name.text)} has no parameter {quoted(key.text)}"
            problems.error("parameter-invalid", message, key, hint)
    local = []
    for parameter in template.parameters:
        if parameter.name in values:
            local.append(_local(parameter.name, values[parameter.name][1], problems))
        elif parameter.required and not parameter.has_default:
            message = f"the template {quoted(name.text)} needs the parameter `{parameter.name}`"
            problems.error("parameter-missing", message, name)
            local.append(Local(name=parameter.name))
        else:
            local.append(
                Local(name=parameter.name, data=parameter.default if parameter.has_default else None)
            )
    return Use(template.steps, tuple(local))


def _local(name: str, node: Node, problems: Problems) -> Local:
    value = value_of(node)
    if isinstance(value, str):
        mark = Mark(node.file or problems.file, node.line, node.column)
        return Local(name=name, text=Text(value, mark))
    return Local(name=name, data=value)
