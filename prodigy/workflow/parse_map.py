"""``map``: where the items come from, which of them are chosen, and what an agent does for each.

Pure.
"""

from typing import Literal

from msgspec import Struct, structs

from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.inherited import Inherited
from prodigy.workflow.language import AGENT_TEMPLATE, INPUT, ITEM_SCHEMA, MAP, VALIDATION
from prodigy.workflow.model import (
    Count,
    Environment,
    ItemValidation,
    MapInput,
    MapPhase,
    Seconds,
    Step,
    TimeoutConfig,
)
from prodigy.workflow.nodes import Listing, Mapping, value_of
from prodigy.workflow.parse_aggregates import read_aggregates
from prodigy.workflow.parse_claude import claude_options
from prodigy.workflow.parse_env import read_environment
from prodigy.workflow.parse_phases import nested, read_steps, with_auto_commit
from prodigy.workflow.parse_policies import (
    read_error_policy,
    read_limits,
    read_on_conflict,
    read_timeout_config,
)
from prodigy.workflow.parse_sort import read_sort
from prodigy.workflow.problems import quoted

INPUT_TIMEOUT = 300.0
"""Seconds that a command which prints the items may take, unless the workflow says otherwise."""
_TYPES = ("string", "number", "integer", "boolean", "array", "object")


class _Agent(Struct, frozen=True):
    """What ``agent_template`` says."""

    steps: tuple[Step, ...] = ()
    timeout: Field | None = None
    environment: Environment = Environment()


def read_map(reader: Reader, entry: Field, top: Fields, inherited: Inherited) -> MapPhase | None:
    """The map phase.

    Args:
        reader: of values.
        entry: the field ``map``.
        top: the fields of the workflow, some of which speak of items.
        inherited: what the workflow gives to its steps.
    """
    if not isinstance(entry.value, Mapping):
        reader.wrong_type(entry.value, "`map`", "a mapping with `input` and `agent_template`")
        return None
    return _Map(reader, entry, reader.fields(entry.value, MAP), top).phase(inherited)


class _Map:
    def __init__(self, reader: Reader, owner: Field, fields: Fields, top: Fields) -> None:
        self.reader = reader
        self.problems = reader.problems
        self.owner = owner
        self.fields = fields
        self.top = top

    def phase(self, inherited: Inherited) -> MapPhase:
        reader, get = self.reader, self.fields.get
        limits = read_limits(reader, get("limits"), inherited.limits)
        claude = claude_options(reader, self.fields).over(inherited.claude)
        agent = self._agent(structs.replace(inherited, limits=limits, claude=claude))
        item_id = get("item_id")
        limit, timeouts = self._timeouts(agent)
        parallel = self._max_parallel()
        return MapPhase(
            input=self._input(),
            agent_template=agent.steps,
            json_path=reader.json_path(get("json_path")) or "",
            filter=reader.expr(get("filter"), "item"),
            sort_by=read_sort(reader, get("sort_by")),
            distinct=self._distinct(get("distinct")),
            max_parallel=parallel or reader.standards.max_parallel,
            parallel_named=parallel is not None,
            max_items=reader.count(get("max_items"), 0),
            offset=reader.count(get("offset"), 0) or 0,
            item_id=reader.filled(item_id),
            item_id_mark=reader.mark(item_id.value if item_id else self.owner.value),
            input_timeout=reader.limit(get("input_timeout"), INPUT_TIMEOUT),
            agent_timeout=limit,
            timeout=reader.standards.phase_timeout,
            timeouts=timeouts,
            policy=read_error_policy(reader, self.top, self.fields),
            validation=self._validation(get("validation")),
            base=reader.choice(get("base"), ("map_start", "tip")) or "map_start",
            on_conflict=read_on_conflict(reader, get("on_conflict"))
            or read_on_conflict(reader, self.top.get("on_conflict")),
            limits=limits,
            variables=read_aggregates(reader, get("variables")),
            environment=_layered(read_environment(reader, self.fields), agent.environment),
            mark=reader.mark(self.owner.value),
        )

    # -- how items are chosen --------------------------------------------------------------------------------------
    def _distinct(self, entry: Field | None) -> str:
        """The path to the field whose values have to differ."""
        from prodigy.workflow.ordering import parse_field

        text = self.reader.filled(entry)
        if entry is None or text is None:
            return ""
        try:
            parse_field(text)
        except BadExpression as error:
            self.reader.bad_expression(entry, text, error)
        return text.strip()

    def _max_parallel(self) -> Count | None:
        """``map.max_parallel``, which older files have at the top level."""
        inner, outer = self.fields.get("max_parallel"), self.top.get("map.max_parallel")
        if inner is not None and outer is not None:
            message = f"{quoted(outer.key.text)} is given here and under `map:`"
            self.problems.error("conflicting-keys", message, outer.key, "keep the one under `map:`")
        return self.reader.count(inner or outer, 1)

    def _validation(self, entry: Field | None) -> ItemValidation | None:
        if entry is None:
            return None
        reader = self.reader
        fields = reader.inside(entry, VALIDATION)
        schema = reader.inside(fields.get("schema"), ITEM_SCHEMA)
        if not fields.attempted(("schema",)):
            self.problems.error("missing-key", "`map.validation` needs `schema`", entry.key)
        types = {one.name: reader.choice(one, _TYPES) for one in reader.given(schema.get("field_types"))}
        return ItemValidation(
            required_fields=reader.texts(schema.get("required_fields")),
            field_types={name: kind for name, kind in types.items() if kind is not None},
            on_failure=reader.choice(fields.get("on_failure"), ("dlq", "skip", "stop")) or "dlq",
        )

    # -- what an agent does ----------------------------------------------------------------------------------------
    def _agent(self, inherited: Inherited) -> _Agent:
        entry = self.fields.get("agent_template")
        if entry is None:
            if not self.fields.attempted(("agent_template",)):
                hint = "the steps that one agent runs for its item"
                self.problems.error("missing-key", "`map` needs `agent_template`", self.owner.key, hint)
            return _Agent()
        node, options = nested(self.reader, entry, AGENT_TEMPLATE, nested_is_old=True)
        if node is None:
            return _Agent()
        steps = read_steps(self.reader, node, with_auto_commit(self.reader, options, inherited))
        if not steps:
            self.problems.error("no-steps", "`agent_template` has no steps", entry.key)
        return _Agent(steps, options.get("timeout"), read_environment(self.reader, options))

    def _timeouts(self, agent: _Agent) -> tuple[Seconds, TimeoutConfig]:
        """The limit of one attempt, and ``timeout_config``, in which the same limit may stand."""
        reader = self.reader
        own = self.fields.get("agent_timeout_secs")
        if own is not None and agent.timeout is not None:
            message = f"{quoted(own.key.text)} and `timeout` of `agent_template` mean the same"
            self.problems.error("conflicting-keys", message, agent.timeout.key, "keep one of them")
        entry = self.fields.get("timeout_config")
        config = read_timeout_config(reader, entry)
        limit = reader.limit(own or agent.timeout, None)
        if (
            entry is not None
            and config.agent_timeout is not None
            and limit not in {None, config.agent_timeout}
        ):
            message = "the agent's limit in `timeout_config` gives way to the one outside of it"
            reader.no_effect(entry.key, message, "keep one of them")
        return limit, config

    # -- where items come from -------------------------------------------------------------------------------------
    def _input(self) -> MapInput:
        entry = self.fields.get("input")
        if entry is None:
            if not self.fields.attempted(("input",)):
                hint = "a file, a command that prints the items, or a list"
                self.problems.error("missing-key", "`map` needs `input`", self.owner.key, hint)
            return MapInput(source="list")
        if isinstance(entry.value, Mapping):
            return self._input_mapping(entry.value)
        return self._input_of(entry, "auto")

    def _input_mapping(self, node: Mapping) -> MapInput:
        fields = self.reader.fields(node, INPUT)
        given = list(fields.found.values())
        if len(given) > 1:
            names = " and ".join(quoted(entry.key.text) for entry in given)
            message = f"`map.input` has {names}"
            self.problems.error("conflicting-keys", message, given[1].key, "keep one of them")
        if not given:
            if not fields.suspected:
                message = "`map.input` needs one of `list`, `file` and `command`"
                self.problems.error("missing-key", message, node)
            return MapInput(source="list")
        entry = given[0]
        if entry.name == "list":
            if not isinstance(entry.value, Listing):
                self.reader.wrong_type(entry.value, "`map.input.list`", "a list")
            return self._input_of(entry, "auto")
        return self._input_of(entry, "file" if entry.name == "file" else "command")

    def _input_of(self, entry: Field, source: Literal["auto", "file", "command"]) -> MapInput:
        """A list stands for itself; a text is read later, by what ``source`` says."""
        mark = self.reader.mark(entry.value)
        if isinstance(entry.value, Listing) and source == "auto":
            items = tuple(value_of(item) for item in entry.value.items)
            return MapInput(source="list", items=items, mark=mark)
        return MapInput(source=source, text=self.reader.filled(entry) or "", mark=mark)


def _layered(outer: Environment, inner: Environment) -> Environment:
    """Two layers as one; where both have a variable, the inner one's counts."""
    own = {variable.name for variable in inner.variables}
    kept = tuple(variable for variable in outer.variables if variable.name not in own)
    return structs.replace(outer, variables=kept + inner.variables)
