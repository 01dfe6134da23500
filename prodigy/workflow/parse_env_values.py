"""Reading the value of one variable: text, a command, a condition, a provider, or several of these by profile.

Pure. Keys that are no words of ours are names of profiles, so there are no unknown keys in a value.
"""

import re
from typing import Final

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.model import EnvValue
from prodigy.workflow.nodes import Mapping, Scalar
from prodigy.workflow.problems import quoted
from prodigy.workflow.vocabulary import acting, snake_case, vocabulary

VALUE: Final = vocabulary(
    "a variable",
    "in the value of a variable",
    acting(
        "value", "secret", "default", "command", "cache", "timeout", "condition", "when_true", "when_false"
    ),
    acting("provider", "key", "version"),
)
"""What is not the name of a profile."""

_SOURCES: Final = ("value", "command", "condition", "provider")
_COMPANIONS: Final = {
    "cache": "command", "timeout": "command", "when_true": "condition", "when_false": "condition",
    "key": "provider", "version": "provider",
}  # fmt: skip
_ELSEWHERE: Final = {
    "vault": '{command: "vault kv get -field=FIELD PATH"}',
    "aws": '{command: "aws secretsmanager get-secret-value --secret-id ID --query SecretString --output text"}',
}  # fmt: skip
_FROM_PROCESS: Final = re.compile(
    r"\$\{\s*(?:env[:.])?([A-Za-z_]\w*)\s*\}|\$([A-Za-z_]\w*)|([A-Za-z_]\w*)", re.ASCII
)


class ValueReader:
    """Reads the mapping that a variable's value is.

    Args:
        reader: reads fields and reports problems.
        named: the variable.
        secret: whether it is declared under ``secrets``.
    """

    def __init__(self, reader: Reader, named: Field, *, secret: bool) -> None:
        self.reader = reader
        self.problems = reader.problems
        self.named = named
        self.declared = self.secret = secret

    def read(self, node: Mapping) -> tuple[dict[str, EnvValue], bool]:
        """The values by profile, and whether they are secret."""
        fields, profiles = self._split(node)
        marked = self.reader.boolean(fields.get("secret"))
        provided = fields.get("provider") is not None or any(map(_is_provided, profiles))
        self.secret = self.secret or (provided if marked is None else marked)
        sources = [entry for name in _SOURCES if (entry := fields.get(name)) is not None]
        if len(sources) > 1 or (sources and (profiles or fields.get("default") is not None)):
            self._conflict(sources, profiles)
        if sources:
            value = self._from(sources[0], fields)
            return ({"": value} if value is not None else {}), self.secret
        self._alone(fields, None)
        return self._by_profile(fields, profiles), self.secret

    def _split(self, node: Mapping) -> tuple[Fields, list[Field]]:
        """Words of ours, and the values by profile."""
        ours = [(key, value) for key, value in node.entries if key.text in VALUE.spellings]
        inner = Mapping(ours, node.line, node.column, node.end_line, node.end_column, node.file)
        profiles = [
            entry
            for entry in self.reader.named(Field(self.named.name, self.named.key, node))
            if entry.name not in VALUE.spellings
        ]
        return self.reader.fields(inner, VALUE), profiles

    def _by_profile(self, fields: Fields, profiles: list[Field]) -> dict[str, EnvValue]:
        default = fields.get("default")
        entries = [*([default] if default is not None else []), *profiles]
        if not entries:
            hint = "`value`, `command`, `condition`, `provider`, or values by profile"
            self.problems.error(
                "missing-key", f"{quoted(self.named.name)} has no value", self.named.key, hint
            )
        values: dict[str, EnvValue] = {}
        for entry in entries:
            if isinstance(entry.value, Scalar) and entry.value.is_null:
                self.reader.empty(entry.key)
                continue
            value = self._of_profile(entry)
            if value is not None:
                values["" if entry is default else entry.name] = value
        return values

    def _of_profile(self, entry: Field) -> EnvValue | None:
        """A scalar, or a mapping with one source."""
        if not isinstance(entry.value, Mapping):
            return plain_value(self.reader, entry, secret=self.secret, names=self.declared)
        fields = self.reader.fields(entry.value, VALUE)
        sources = [found for name in _SOURCES if (found := fields.get(name)) is not None]
        if len(sources) != 1:
            message = f"{quoted(entry.key.text)} needs one of `value`, `command`, `condition` and `provider`"
            code = "conflicting-keys" if sources else "missing-key"
            self.problems.error(code, message, entry.key)
            return None
        return self._from(sources[0], fields)

    def _from(self, source: Field, fields: Fields) -> EnvValue | None:
        self._alone(fields, source.name)
        match source.name:
            case "value":
                return plain_value(self.reader, source, secret=self.secret, names=False)
            case "command":
                return self._command(source, fields)
            case "condition":
                return self._condition(source, fields)
            case _:
                return self._provider(source, fields)

    def _command(self, source: Field, fields: Fields) -> EnvValue | None:
        text = self.reader.filled(source)
        if text is None:
            return None
        cache = self.reader.boolean(fields.get("cache"))
        timeout = self.reader.fixed_limit(fields.get("timeout"), 30.0)
        return EnvValue(
            kind="command",
            text=text,
            cache=cache is not False,
            timeout=timeout,
            mark=self.reader.mark(source.value),
        )

    def _condition(self, source: Field, fields: Fields) -> EnvValue | None:
        condition = self.reader.expr(source)
        when_true, when_false = fields.get("when_true"), fields.get("when_false")
        if when_true is None and when_false is None and not fields.suspected:
            self.problems.error("missing-key", "`condition` needs `when_true` or `when_false`", source.key)
        if condition is None:
            return None
        return EnvValue(
            kind="condition",
            condition=condition,
            when_true=self.reader.text(when_true) or "",
            when_false=self.reader.text(when_false) or "",
            mark=self.reader.mark(source.value),
        )

    def _provider(self, source: Field, fields: Fields) -> EnvValue | None:
        name = snake_case(source.value.text) if isinstance(source.value, Scalar) else "custom"
        if name not in {"env", "file", "command"}:
            self._unknown_provider(source, name)
            return None
        key = fields.get("key")
        if key is None:
            self.problems.error("missing-key", f"the provider {quoted(name)} needs `key`", source.key)
            return None
        version = fields.get("version")
        if version is not None:
            self.reader.no_effect(version.key, f"`version` means nothing to the provider {quoted(name)}")
        text = self.reader.filled(key)
        if text is None:
            return None
        mark = self.reader.mark(key.value)
        match name:
            case "env":
                return EnvValue(kind="env", text=text, mark=mark)
            case "file":
                return EnvValue(kind="file", text=text, mark=mark)
            case _:
                return EnvValue(kind="command", text=text, mark=mark)

    def _unknown_provider(self, source: Field, name: str) -> None:
        command = _ELSEWHERE.get(name, '{command: "a command that prints the value"}')
        message = f"there is no provider {quoted(name)}; providers are `env`, `file` and `command`"
        self.problems.error("provider-unknown", message, source.value, f"write {command}")

    def _alone(self, fields: Fields, source: str | None) -> None:
        """Report options of another way to get a value than the one that is given."""
        for name, owner in _COMPANIONS.items():
            entry = fields.get(name)
            if entry is not None and owner != source:
                self.reader.no_effect(entry.key, f"{quoted(name)} has no effect without {quoted(owner)}")

    def _conflict(self, sources: list[Field], profiles: list[Field]) -> None:
        if len(sources) > 1:
            message = f"{quoted(sources[1].key.text)} beside {quoted(sources[0].key.text)}"
            self.problems.error("conflicting-keys", message, sources[1].key, "a variable has one source")
            return
        hint = "write `default:` for the value of all other profiles"
        if profiles:
            hint += f"; {quoted(profiles[0].name)} was taken for the name of a profile"
        message = f"{quoted(sources[0].key.text)} beside values by profile"
        self.problems.error("conflicting-keys", message, sources[0].key, hint)


def _is_provided(entry: Field) -> bool:
    return isinstance(entry.value, Mapping) and any(key.text == "provider" for key, _ in entry.value.entries)


def plain_value(reader: Reader, entry: Field, *, secret: bool, names: bool) -> EnvValue | None:
    """A scalar: text for a variable; for a secret, the name of a variable of the process, or the secret itself.

    Args:
        reader: reports problems.
        entry: the scalar.
        secret: whether it is one.
        names: whether a bare word is the name of a variable, and any other text the secret itself.
    """
    text = reader.text(entry)
    if text is None:
        return None
    mark = reader.mark(entry.value)
    if not secret:
        return EnvValue(text=text, mark=mark)
    named = _FROM_PROCESS.fullmatch(text.strip())
    if named is not None and (names or named[3] is None):
        return EnvValue(kind="env", text=named[1] or named[2] or named[3], mark=mark)
    if "$" in text and not names:
        return EnvValue(text=text, mark=mark)
    hint = "take it from the environment (`${NAME}`), a file or a command"
    reader.problems.warning("secret-in-text", "the secret itself stands in the workflow", entry.value, hint)
    return EnvValue(kind="literal", text=text, mark=mark)
