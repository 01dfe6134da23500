"""Amounts of what Claude used: added, taken from each other, and told by model.

Pure. The CLI tells sums of whole conversations, over all models that worked in one: a launch pays for the difference.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Final

from msgspec import structs

from prodigy.events import ClaudeAmount, ClaudeTally, ClaudeUse

KINDS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")
"""Of tokens."""
_AMOUNT: Final = ClaudeAmount.__struct_fields__
_COUNTS: Final = ("turns", "tool_failures", "permission_denials")
NOTHING: Final = ClaudeAmount()

Used = ClaudeAmount | ClaudeUse
"""What has the fields of an amount."""


def tokens(used: Used) -> int:
    """All tokens, cached ones too."""
    return used.input_tokens + used.output_tokens + used.cache_read_tokens + used.cache_creation_tokens


def billed(usd: float) -> float:
    """A sum of US dollars without what adding binary fractions leaves behind: to the billionth."""
    return round(usd, 9)


def amount(used: Used) -> ClaudeAmount:
    """The amount alone."""
    return ClaudeAmount(**{name: getattr(used, name) for name in _AMOUNT})


def plus(one: Used, other: Used) -> ClaudeAmount:
    """Both."""
    return ClaudeAmount(**{name: getattr(one, name) + getattr(other, name) for name in _AMOUNT})


def minus(whole: Used, part: Used) -> ClaudeAmount:
    """What the whole is more than the part, of each kind; never less than nothing."""
    return ClaudeAmount(**{name: max(0, getattr(whole, name) - getattr(part, name)) for name in _AMOUNT})


def tally(by_model: Mapping[str, ClaudeAmount]) -> ClaudeTally:
    """What all models used."""
    whole = reduce(plus, by_model.values(), NOTHING)
    return ClaudeTally(**structs.asdict(whole), by_model=dict(by_model))


def merged(one: Mapping[str, ClaudeAmount], other: Mapping[str, ClaudeAmount]) -> dict[str, ClaudeAmount]:
    """Both, by model."""
    return {model: plus(one.get(model, NOTHING), other.get(model, NOTHING)) for model in {**one, **other}}


def dearest(by_model: Mapping[str, ClaudeAmount]) -> str | None:
    """The model that cost most, if any is known to have cost something."""
    model = max(by_model, key=lambda name: by_model[name].cost_usd, default=None)
    return model if model is not None and by_model[model].cost_usd > 0 else None


def shares(use: ClaudeUse) -> dict[str | None, ClaudeAmount]:
    """What each model used, which together is all of it; what is told of none is that of the launch's own.

    A launch that used nothing is one of its own model all the same.
    """
    known: dict[str | None, ClaudeAmount] = dict(use.by_model.items())
    rest = minus(use, tally(use.by_model))
    if not known or tokens(rest) or billed(rest.cost_usd):
        known[use.model] = plus(known.get(use.model, NOTHING), rest)
    return known


def together(before: ClaudeUse | None, then: ClaudeUse) -> ClaudeUse:
    """What two launches of one conversation used, told as by the second."""
    if before is None:
        return then
    counts = {name: getattr(before, name) + getattr(then, name) for name in _COUNTS}
    by_model = merged(before.by_model, then.by_model)
    return structs.replace(then, **counts, **structs.asdict(plus(before, then)), by_model=by_model)


def beyond(before: ClaudeTally, whole: ClaudeUse) -> ClaudeUse:
    """What the last launch of a conversation used, given a sum and what it was before; never less than nothing.

    Where it is not known which models used what was before, it is not known of the rest either.
    """
    is_known = bool(before.by_model) or amount(before) == NOTHING
    by_model = {
        model: added
        for model, used in whole.by_model.items()
        if is_known and (added := minus(used, before.by_model.get(model, NOTHING))) != NOTHING
    }
    model = dearest(by_model) or whole.model
    return structs.replace(whole, **structs.asdict(minus(whole, before)), by_model=by_model, model=model)
