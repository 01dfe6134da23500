"""``map.variables``: what the results of the agents that succeeded become for the phases after map.

Pure. Made anew from what is recorded whenever a phase asks, so a resumed run sees the same values.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from prodigy.workflow.aggregates import BadAggregate, aggregate, grouped
from prodigy.workflow.expression import evaluate, holds, parse_expression
from prodigy.workflow.model import Aggregate, Expr
from prodigy.workflow.scope import UNDEFINED, ComputedKind, Path, Scope, resolve, resolve_item
from prodigy.workflow.values import TemplateError

_PLACES = {"index": "index", "item_index": "index", "item_id": "item_id"}


class AgentScope(Struct, frozen=True):
    """What the expressions of an aggregate can read of one agent.

    ``item``, ``result`` (one of ``${map.results}``), its place, what its steps captured, the variables around, and last
    the item's own fields.
    """

    result: Mapping[str, Any]
    under: Scope

    def lookup(self, path: Path) -> Any:
        """The value at ``path``."""
        root, *rest = path
        if root == "item":
            return resolve_item(self.result["item"], rest)
        if root == "result":
            return resolve(self.result, rest)
        if root in _PLACES:
            return resolve(self.result[_PLACES[str(root)]], rest)
        for value in (self.captured(path), self.under.lookup(path)):
            if value is not UNDEFINED:
                return value
        return resolve(self.result["item"], path)

    def captured(self, path: Path) -> Any:
        """What the agent's steps captured at ``path``."""
        return resolve(self.result["variables"], path)

    def knows(self, root: str) -> bool:
        """Whether the name has a value."""
        return self.lookup((root,)) is not UNDEFINED or self.under.knows(root)

    def names(self) -> Iterable[str]:
        """The agent's own names, then those around."""
        yield from ("item", "result", *_PLACES)
        yield from self.result["variables"]
        yield from self.under.names()

    def secret(self, path: Path) -> str | None:
        """As around."""
        return self.under.secret(path)

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        """As around."""
        return self.under.computed(kind, argument)


def aggregates(
    rules: Sequence[Aggregate], results: Sequence[Mapping[str, Any]], scope: Scope, *, lenient: bool = False
) -> dict[str, Any]:
    """The values of all aggregates by name.

    Args:
        rules: what to make.
        results: ``${map.results}``, plain and by index; only those that succeeded count.
        scope: the variables around.
        lenient: leave out what cannot be made.

    Raises:
        BadAggregate: one cannot be made of what the agents left.
    """
    agents = [AgentScope(result, scope) for result in results if result["success"]]
    found: dict[str, Any] = {}
    for rule in rules:
        try:
            found[rule.name] = _value(rule, agents)
        except TemplateError as error:
            if not lenient:
                message = f"`{rule.name}` of `map.variables` has no value: {error.message}"
                raise BadAggregate(message) from None
    return found


def _value(rule: Aggregate, agents: Sequence[AgentScope]) -> Any:
    if rule.where is not None:
        condition = parse_expression(rule.where.source)
        agents = [agent for agent in agents if holds(condition, agent)]
    if rule.type == "count" and rule.value is None:
        return aggregate("count", [True] * len(agents), rule.initial)
    values = [_of_agent(rule, agent) for agent in agents]
    if rule.type != "group_by" or rule.by is None:
        return aggregate(rule.type, values, rule.initial)
    return grouped([_evaluated(rule.by, agent) for agent in agents], values, rule.initial)


def _of_agent(rule: Aggregate, agent: AgentScope) -> Any:
    """What one agent gives: what its expression says, else what the agent or its item has under that name."""
    if rule.value is not None:
        return _evaluated(rule.value, agent)
    for value in (agent.captured((rule.name,)), agent.lookup(("item", rule.name))):
        if value is not UNDEFINED:
            return value
    return agent.lookup(("item",)) if rule.type == "group_by" else None


def _evaluated(expression: Expr, agent: AgentScope) -> Any:
    return evaluate(parse_expression(expression.source), agent)
