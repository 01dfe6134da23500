"""What Claude's tokens cost, for launches that could not give an account of themselves.

List prices, and so only good for estimates; what a result says of its cost always counts before them.
"""

from typing import Final

from msgspec import Struct


class Tokens(Struct, frozen=True):
    """Numbers of tokens; ``cache_long`` are those of ``cache_creation`` that are kept for an hour."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_creation: int = 0
    cache_long: int = 0

    def context(self) -> int:
        """All that the request after this reply carries again."""
        return self.input + self.output + self.cache_read + self.cache_creation


class Price(Struct, frozen=True):
    """US dollars per million tokens. What is kept for an hour is written at twice the price of input."""

    input: float
    output: float
    cache_read: float
    cache_creation: float

    def of(self, tokens: Tokens) -> float:
        """US dollars."""
        return (
            tokens.input * self.input
            + tokens.output * self.output
            + tokens.cache_read * self.cache_read
            + (tokens.cache_creation - tokens.cache_long) * self.cache_creation
            + tokens.cache_long * 2 * self.input
        ) / 1_000_000


_USUAL: Final = Price(4, 20, 0.2, 5)
_PRICES: Final = (
    ("claude-fable", Price(8, 40, 0.2, 10)),
    ("claude-opus-4", Price(5, 25, 0.5, 6.25)),
    ("claude-opus", _USUAL),
    ("claude-sonnet-4", Price(3, 15, 0.3, 3.75)),
    ("claude-sonnet", Price(2, 10, 0.1, 2.5)),
    ("claude-haiku-4", Price(1, 5, 0.1, 1.25)),
    ("claude-haiku", Price(0.5, 0.5, 0.05, 0.625)),
)
"""By the beginning of a model's name; the first that fits counts."""


def price_of(model: str | None) -> Price:
    """The price of a model; of one that is not known, that of the CLI's usual one."""
    known = (price for beginning, price in _PRICES if (model or "").startswith(beginning))
    return next(known, _USUAL)
