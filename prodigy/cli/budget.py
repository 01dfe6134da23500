"""``--budget usd=5,tokens=2M,wall=2h,launches=300``, or ``--budget 5``: what a run may spend."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

from cyclopts import Parameter

from prodigy.errors import UsageError
from prodigy.workflow.model import Budget
from prodigy.workflow.scalars import ScalarError, duration, number, size

BudgetFlag = Annotated[str | None, Parameter(name="--budget", metavar="BOUNDS")]
_HINT = "write `--budget usd=5,tokens=2M,wall=2h,launches=300`, or some of it"
_READERS: Final[dict[str, Callable[[str], float]]] = {
    "usd": lambda text: number(text.removeprefix("$"), 0),
    "tokens": size,
    "wall": lambda text: duration(text, 1),
    "launches": size,
    "soft": lambda text: number(text, 0, 1),
}


def given_budget(text: str | None) -> Budget | None:
    """The bounds of the flag; ``None`` without it.

    Raises:
        UsageError: ``bad-value``.
    """
    return None if text is None else Budget(**dict(_bounds(text)))


def _bounds(text: str) -> Iterator[tuple[str, Any]]:
    for part in text.split(","):
        name, given, value = (word.strip() for word in part.rpartition("="))
        if not given:  # a number alone is money
            name = "usd"
        if name not in _READERS or not value:
            raise UsageError("bad-value", f"`{part}` is no bound of a budget", hint=_HINT)
        try:
            yield name, _READERS[name](value)
        except ScalarError as error:
            raise UsageError(
                "bad-value", f"`{part}` is no bound of a budget: {error.message}", hint=_HINT
            ) from None
