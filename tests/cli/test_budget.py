"""What a budget on the command line says."""

import pytest

from prodigy.cli.budget import given_budget
from prodigy.errors import UsageError
from prodigy.workflow.model import Budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("40", Budget(usd=40.0)),
        ("$2.50", Budget(usd=2.5)),
        ("usd=$2.50, launches=300", Budget(usd=2.5, launches=300)),
        ("tokens=2M,wall=2h,soft=0.5", Budget(tokens=2_000_000, wall=7200.0, soft=0.5)),
    ],
)
def test_bounds(text: str, budget: Budget) -> None:
    assert given_budget(text) == budget


@pytest.mark.parametrize("text", ["", "=5", "launches", "usd=", "usd=-1", "euro=5", "usd=5,,", "usd=nan"])
def test_what_is_no_bound(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        given_budget(text)
    assert refused.value.code == "bad-value"
