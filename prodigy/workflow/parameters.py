"""Parameters: what a workflow or a template declares, and the values it gets.

Pure. ``parameters`` and ``defaults`` of a document are read from marked nodes; values come from the command line, from
a ``with``, from a definition's own default, and last from ``defaults``. What is missing or does not fit is told all at
once.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from prodigy.workflow.expression import BadExpression, evaluate, parse_expression, truth
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Listing, Node, Placed, Scalar, Span, character, number_of, value_of
from prodigy.workflow.nodes import Mapping as MappingNode
from prodigy.workflow.problems import Problems, quoted
from prodigy.workflow.refs import NAME
from prodigy.workflow.scope import UNDEFINED, ComputedKind, Path, resolve
from prodigy.workflow.values import TemplateError
from prodigy.workflow.variables import RESERVED

TYPES: Final = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "any": (),
}
"""What values of a type are; nothing means everything."""
_KEYS: Final = ("name", "type", "description", "default", "required", "validation")
_NO_DEFAULT: Final = object()


class Parameter(Struct, frozen=True):
    """One declared parameter; ``at`` is where its name stands."""

    name: str
    at: Placed
    type: str = "any"
    default: Any = _NO_DEFAULT
    required: bool = False
    validation: str | None = None
    description: str | None = None

    @property
    def has_default(self) -> bool:
        """Whether it has a value of its own."""
        return self.default is not _NO_DEFAULT


class ParameterReader:
    """Reads declarations."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def declared(self, node: Node | None) -> tuple[Parameter, ...]:
        """The parameters of a document: ``{required, optional, definitions}``, or names with definitions."""
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return ()
        if isinstance(node, Listing):
            return self._unique(self._list(node, required=True))
        if not isinstance(node, MappingNode):
            self.problems.error("wrong-type", "`parameters` is a mapping or a list", node)
            return ()
        return self._unique(self._mapping(node))

    def _mapping(self, node: MappingNode) -> Iterator[Parameter]:
        groups = {key.text: value for key, value in node.entries}
        grouped = any(isinstance(groups.get(name), Listing) for name in ("required", "optional"))
        if not grouped and not isinstance(groups.get("definitions"), MappingNode):
            for key, value in node.entries:
                yield self._definition(key, value, required=False)
            return
        for key, value in node.entries:
            if key.text in {"required", "optional"} and isinstance(value, Listing):
                yield from self._list(value, required=key.text == "required")
            elif key.text == "definitions" and isinstance(value, MappingNode):
                for name, definition in value.entries:
                    yield self._definition(name, definition, required=False)
            else:
                hint = "`parameters` has `required`, `optional` and `definitions`"
                self.problems.error(
                    "unknown-key", f"unknown key {quoted(key.text)} in `parameters`", key, hint
                )

    def _list(self, node: Listing, *, required: bool) -> Iterator[Parameter]:
        for item in node.items:
            if isinstance(item, Scalar):
                yield self._named(item, required=required)
                continue
            named = item.entries if isinstance(item, MappingNode) else []
            name = next((value for key, value in named if key.text == "name"), None)
            if not isinstance(name, Scalar):
                self.problems.error("missing-key", "a parameter needs `name`", item)
                continue
            yield self._definition(name, item, required=required)

    def _named(self, name: Scalar, *, required: bool) -> Parameter:
        self._check_name(name)
        return Parameter(name.text, name, required=required)

    def _check_name(self, name: Scalar) -> None:
        if not NAME.fullmatch(name.text):
            hint = "a name starts with a letter or `_` and goes on with letters, digits, `_` and `-`"
            self.problems.error("bad-value", f"{quoted(name.text)} cannot be a parameter", name, hint)
        elif name.text in RESERVED:
            message = f"{quoted(name.text)} is a name of the language and cannot be a parameter"
            self.problems.error("reserved-name", message, name)

    def _definition(self, name: Scalar, node: Node, *, required: bool) -> Parameter:
        """A definition: a mapping, or just the default or the type."""
        self._check_name(name)
        if not isinstance(node, MappingNode):
            if isinstance(node, Scalar) and node.text.lower() in TYPES:
                return Parameter(name.text, name, type=node.text.lower(), required=required)
            return Parameter(name.text, name, default=value_of(node), required=False)
        found: dict[str, Node] = {}
        for key, value in node.entries:
            if key.text not in _KEYS:
                meant = nearest(key.text, _KEYS)
                hint = f"did you mean `{meant}`?" if meant else f"a parameter has {', '.join(_KEYS)}"
                self.problems.error(
                    "unknown-key", f"unknown key {quoted(key.text)} in a parameter", key, hint
                )
            found[key.text] = value
        default = value_of(found["default"]) if "default" in found else _NO_DEFAULT
        needed = found.get("required")
        return Parameter(
            name.text,
            name,
            type=self._type(found.get("type")),
            default=default,
            required=required if needed is None else value_of(needed) is True,
            validation=self._validation(found.get("validation")),
            description=_text(found.get("description")),
        )

    def _type(self, node: Node | None) -> str:
        if node is None:
            return "any"
        kind = node.text.strip().lower() if isinstance(node, Scalar) else ""
        kind = {"bool": "boolean", "int": "integer", "float": "number", "list": "array", "str": "string"}.get(
            kind, kind
        )
        if kind not in TYPES:
            shown = quoted(node.text) if isinstance(node, Scalar) else "this"
            self.problems.error("bad-enum", f"{shown} is not a type", node, f"one of {', '.join(TYPES)}")
            return "any"
        return kind

    def _validation(self, node: Node | None) -> str | None:
        text = _text(node)
        if node is None or text is None:
            return None
        try:
            parse_expression(text, "value")
        except BadExpression as bad:
            at = character(node, text, bad.column - 1)
            self.problems.error(bad.code, f"{quoted(text)}: {bad.message}", at, *filter(None, [bad.hint]))
            return None
        return text

    def _unique(self, parameters: Iterator[Parameter]) -> tuple[Parameter, ...]:
        """Definitions fill in what a mere name in ``required`` or ``optional`` leaves open."""
        found: dict[str, Parameter] = {}
        for one in parameters:
            known = found.get(one.name)
            if known is not None:
                filled = one if one.type != "any" or one.has_default or one.validation else known
                one = Parameter(  # noqa: PLW2901 - the same one, with more said
                    one.name, known.at, filled.type, filled.default, known.required or one.required,
                    filled.validation, filled.description,
                )  # fmt: skip
            found[one.name] = one
        return tuple(found.values())


class Values(Struct, frozen=True):
    """What is known before a run, as a scope: parameters, and the ``value`` of a validation."""

    values: dict[str, Any]

    def lookup(self, path: Path) -> Any:
        """See ``scope.Scope``."""
        value = self.values.get(str(path[0]), UNDEFINED)
        return value if value is UNDEFINED else resolve(value, path[1:])

    def knows(self, root: str) -> bool:
        """See ``scope.Scope``."""
        return root in self.values

    def names(self) -> list[str]:
        """See ``scope.Scope``."""
        return list(self.values)

    def secret(self, path: Path) -> None:
        """None of them is a secret."""
        del path

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        """Nothing is computed."""
        del kind, argument
        return UNDEFINED


_WRITTEN_AS_TEXT = frozenset({"integer", "number", "boolean"})
"""Types whose values may stand in quotes, as everywhere in the language."""


def bind(
    parameters: tuple[Parameter, ...],
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    problems: Problems,
    at: Placed | None = None,
    *,
    partial: bool = False,
) -> dict[str, Any]:
    """The value of every parameter and default.

    Args:
        parameters: as declared.
        given: values by name; a ``CliText`` is text of the command line, read as the type wants it.
        defaults: the document's ``defaults``.
        problems: told of ``parameter-missing``, ``parameter-type`` and ``parameter-invalid``.
        at: where values are given, for problems; the declaration if absent.
        partial: whether values may still be missing; they are null then.
    """
    values = _undeclared(parameters, given, defaults, problems, at)
    for parameter in parameters:
        values[parameter.name] = None  # stays so where there is a problem: it is told once
        try:
            value = _value(parameter, given, defaults)
        except LookupError:
            if not partial:
                hint = f"give `--param {parameter.name}=…`"
                message = f"the parameter `{parameter.name}` has no value"
                problems.error("parameter-missing", message, at or parameter.at, hint)
            continue
        if isinstance(value, str) and parameter.type in _WRITTEN_AS_TEXT:
            value = plain(CliText(value), parameter.type)
        if value is None or fits(value, parameter.type):
            values[parameter.name] = value
        else:
            message = f"the parameter `{parameter.name}` is {kind_of_value(value)}, not {parameter.type}"
            problems.error("parameter-type", message, at or parameter.at)
    for parameter in parameters:
        if parameter.validation is not None and values.get(parameter.name) is not None:
            _validate(parameter, values, problems, at)
    return values


def _undeclared(
    parameters: tuple[Parameter, ...],
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    problems: Problems,
    at: Placed | None,
) -> dict[str, Any]:
    """The values of names that only ``defaults`` have; others that are given belong to nothing."""
    declared = {parameter.name for parameter in parameters}
    values = {name: value for name, value in defaults.items() if name not in declared}
    for name, value in given.items():
        if name in values:
            values[name] = plain(value, "any")
        elif name not in declared:
            meant = problems.guesses.nearest(name, [*declared, *defaults])
            hint = f"did you mean `{meant}`?" if meant else "declare it under `parameters:`"
            place = at or (parameters[0].at if parameters else Span())
            problems.error("parameter-invalid", f"there is no parameter `{name}`", place, hint)
    return values


def _value(parameter: Parameter, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    """The value that comes first; raises ``LookupError`` when a required one has none."""
    if parameter.name in given:
        return plain(given[parameter.name], parameter.type)
    if parameter.has_default:
        return parameter.default
    if parameter.name not in defaults and parameter.required:
        raise LookupError(parameter.name)
    return defaults.get(parameter.name)


def _validate(parameter: Parameter, values: dict[str, Any], problems: Problems, at: Placed | None) -> None:
    assert parameter.validation is not None
    scope = Values(values | {"value": values[parameter.name]})
    try:
        valid = truth(evaluate(parse_expression(parameter.validation, "value"), scope))
    except TemplateError as error:
        problems.error("parameter-invalid", f"`{parameter.validation}`: {error}", at or parameter.at)
        return
    if not valid:
        shown = quoted(json.dumps(values[parameter.name], ensure_ascii=False))
        message = f"{shown} is no value for the parameter `{parameter.name}`"
        problems.error(
            "parameter-invalid", message, at or parameter.at, f"it must satisfy `{parameter.validation}`"
        )


class CliText(str):
    """A value as the command line gives it: text that may mean a number, a boolean, a list."""

    __slots__ = ()


def plain(value: Any, type_: str) -> Any:
    """A given value as data; text of the command line becomes what it looks like and the type allows."""
    if not isinstance(value, CliText):
        return value
    text = str(value)
    if type_ == "string":
        return text
    if type_ in {"array", "object"}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    if text in {"true", "false"} and type_ in {"any", "boolean"}:
        return text == "true"
    number = number_of(text) if type_ != "boolean" else None
    return text if number is None else number


def fits(value: Any, type_: str) -> bool:
    """Whether a value is of a type; a boolean is no number, a whole float is an integer."""
    kinds = TYPES[type_]
    if not kinds:
        return True
    if isinstance(value, bool):
        return type_ == "boolean"
    return isinstance(value, kinds) or (
        type_ == "integer" and isinstance(value, float) and value.is_integer()
    )


def kind_of_value(value: Any) -> str:
    """What people call the type of a value."""
    for name in ("boolean", "integer", "number", "string", "array", "object"):
        if fits(value, name):
            return name
    return "null"


def _text(node: Node | None) -> str | None:
    return node.text if isinstance(node, Scalar) and not node.is_null else None
