"""Reading ``env``, ``secrets``, ``env_files`` and ``profiles``: how a workflow's variables get their values.

Pure. How the value of one variable is read: ``parse_env_values``.
"""

import re
from typing import Final

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.model import EnvFile, Environment, EnvVar, Profile
from prodigy.workflow.nodes import Mapping, Scalar
from prodigy.workflow.parse_env_values import ValueReader, plain_value
from prodigy.workflow.problems import quoted
from prodigy.workflow.vocabulary import acting, vocabulary

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
OURS: Final = frozenset({
    "PRODIGY_AGENT_ID", "PRODIGY_ARG", "PRODIGY_ATTEMPT", "PRODIGY_AUTOMATION", "PRODIGY_AUTO_CONFIRM",
    "PRODIGY_AUTO_MERGE", "PRODIGY_COMMAND_TIMEOUT", "PRODIGY_CORRELATION_ID", "PRODIGY_DEPTH", "PRODIGY_DETACHED", "PRODIGY_ERROR_FILE",
    "PRODIGY_ITEM_FILE", "PRODIGY_ITEM_ID", "PRODIGY_ITEM_INDEX", "PRODIGY_ITEM_JSON", "PRODIGY_ITEM_TOTAL",
    "PRODIGY_JOB_ID", "PRODIGY_MAP_FAILED", "PRODIGY_MAP_RESULTS_FILE", "PRODIGY_MAP_SUCCESSFUL",
    "PRODIGY_MAP_TOTAL", "PRODIGY_MERGE_SOURCE", "PRODIGY_MERGE_TARGET", "PRODIGY_PHASE", "PRODIGY_PROJECT_ROOT",
    "PRODIGY_SESSION_ID", "PRODIGY_STEP", "PRODIGY_VALIDATION", "PRODIGY_VALIDATION_GAPS",
    "PRODIGY_VALIDATION_OUTPUT", "PRODIGY_VALIDATION_SCORE", "PRODIGY_WORKER_ID", "PRODIGY_WORKFLOW",
    "PRODIGY_WORKTREE",
})  # fmt: skip
"""Variables that Prodigy sets for every child; a workflow may not."""

FILE: Final = vocabulary("an env file", "under `env_files:`", acting("path", "required"))
PROFILE: Final = vocabulary("a profile", "in a profile", acting("env", "secrets", "env_files", "description"))


def read_environment(reader: Reader, fields: Fields) -> Environment:
    """One layer of variables, from whichever of ``env``, ``secrets`` and ``env_files`` are among the fields."""
    files = (_file(reader, entry) for entry in reader.each(fields.get("env_files")))
    return Environment(
        variables=_variables(reader, fields.get("env"), secret=False),
        secrets=_variables(reader, fields.get("secrets"), secret=True),
        files=tuple(file for file in files if file is not None),
    )


def read_profiles(reader: Reader, entry: Field | None) -> tuple[Profile, ...]:
    """The profiles: each flat, a mapping of variables, or with ``env``, ``secrets`` and ``env_files`` of its own."""
    profiles = []
    for named in reader.named(entry):
        if isinstance(named.value, Scalar) and named.value.is_null:
            profiles.append(Profile(name=named.name))
        elif not isinstance(named.value, Mapping):
            reader.wrong_type(named.value, f"the profile {quoted(named.name)}", "a mapping of variables")
        else:
            profiles.append(_profile(reader, named, named.value))
    return tuple(profiles)


def _profile(reader: Reader, named: Field, node: Mapping) -> Profile:
    """A profile is nested if one of its keys that may hold a layer holds a mapping or list."""
    nested = any(
        key.text in {"env", "secrets", "env_files"} and not isinstance(value, Scalar)
        for key, value in node.entries
    )
    if nested:
        fields = reader.fields(node, PROFILE)
        layer = read_environment(reader, fields)
        description = reader.text(fields.get("description"))
        return Profile(name=named.name, environment=layer, description=description)
    variables, description = [], None
    for field in reader.named(named):
        if field.name == "description":
            description = reader.text(field)
        elif (variable := _variable(reader, field, secret=False)) is not None:
            variables.append(variable)
    return Profile(
        name=named.name, environment=Environment(variables=tuple(variables)), description=description
    )


# -- variables ---------------------------------------------------------------------------------------------------------
def _variables(reader: Reader, entry: Field | None, *, secret: bool) -> tuple[EnvVar, ...]:
    read = (_variable(reader, named, secret=secret) for named in reader.named(entry))
    return tuple(variable for variable in read if variable is not None)


def _variable(reader: Reader, named: Field, *, secret: bool) -> EnvVar | None:
    if not NAME.fullmatch(named.name):
        message = f"{quoted(named.name)} cannot be the name of a variable"
        reader.problems.error("bad-value", message, named.key, "use letters, digits and `_`")
        return None
    if named.name in OURS:
        reader.problems.error(
            "reserved-name", f"{quoted(named.name)} is set by Prodigy for every command", named.key
        )
        return None
    if isinstance(named.value, Scalar) and named.value.is_null:
        reader.empty(named.key)
        return None
    mark = reader.mark(named.key)
    if isinstance(named.value, Mapping):
        values, hidden = ValueReader(reader, named, secret=secret).read(named.value)
        return EnvVar(name=named.name, values=values, secret=hidden, mark=mark)
    value = plain_value(reader, named, secret=secret, names=True)
    return None if value is None else EnvVar(name=named.name, values={"": value}, secret=secret, mark=mark)


# -- files -------------------------------------------------------------------------------------------------------------
def _file(reader: Reader, entry: Field) -> EnvFile | None:
    if not isinstance(entry.value, Mapping):
        path = reader.filled(entry)
        return None if path is None else EnvFile(path=path, mark=reader.mark(entry.value))
    fields = reader.fields(entry.value, FILE)
    path = reader.filled(fields.get("path"))
    required = reader.boolean(fields.get("required"))
    if path is None:
        if not fields.attempted(("path",)):
            reader.problems.error("missing-key", "an env file needs `path`", entry.value)
        return None
    return EnvFile(
        path=path, required=bool(required), explicit=required is not None, mark=reader.mark(entry.value)
    )
