"""Amounts of what Claude used: whatever is told, the parts are the whole."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from prodigy.events import ClaudeAmount, ClaudeTally, ClaudeUse
from prodigy.job.amounts import NOTHING, amount, beyond, billed, minus, plus, shares, tally, together

counts = st.integers(0, 10**9)
amounts = st.builds(
    ClaudeAmount,
    cost_usd=st.integers(0, 10**6).map(lambda cents: cents / 100),
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_creation_tokens=counts,
)
by_model = st.dictionaries(st.sampled_from(["opus", "sonnet", "haiku"]), amounts)


def rounded(used: ClaudeAmount) -> ClaudeAmount:
    return structs.replace(used, cost_usd=billed(used.cost_usd))


def use_of(told: ClaudeTally, model: str | None = "opus") -> ClaudeUse:
    return ClaudeUse(session_id="s", model=model, **structs.asdict(told))


@given(by_model, amounts)
def test_the_shares_are_the_whole(models: dict[str, ClaudeAmount], more: ClaudeAmount) -> None:
    """What no model is named for belongs to the launch's own."""
    whole = plus(tally(models), more)
    use = use_of(ClaudeTally(**structs.asdict(whole), by_model=models), "own")
    told = shares(use)
    assert rounded(amount(tally({str(name): part for name, part in told.items()}))) == rounded(whole)
    assert all(told[name] == part for name, part in models.items())
    assert rounded(told.get("own", NOTHING)) == rounded(more)


def test_a_launch_that_used_nothing_is_one_of_its_model() -> None:
    assert shares(ClaudeUse(session_id="s", model="opus")) == {"opus": NOTHING}
    assert shares(ClaudeUse(session_id="s", by_model={"sonnet": NOTHING})) == {"sonnet": NOTHING}


@given(by_model, by_model)
def test_a_sum_and_what_was_before_it_give_the_difference_by_model(
    before: dict[str, ClaudeAmount], added: dict[str, ClaudeAmount]
) -> None:
    whole = together(use_of(tally(before)), use_of(tally(added)))
    own = beyond(tally(before), whole)
    assert rounded(amount(own)) == rounded(amount(tally(added)))
    assert {name: rounded(part) for name, part in own.by_model.items() if rounded(part) != NOTHING} == {
        name: part for name, part in added.items() if part != NOTHING
    }


def test_the_model_of_a_difference_is_its_own() -> None:
    """The dearest of the conversation may have done nothing in its last launch."""
    before = tally({"opus": ClaudeAmount(cost_usd=9.0), "sonnet": ClaudeAmount(cost_usd=1.0)})
    whole = tally({"opus": ClaudeAmount(cost_usd=9.0), "sonnet": ClaudeAmount(cost_usd=1.5)})
    own = beyond(before, use_of(whole))
    assert (own.model, own.by_model) == ("sonnet", {"sonnet": ClaudeAmount(cost_usd=0.5)})


def test_a_sum_of_which_only_the_whole_was_recorded() -> None:
    """As earlier releases did: which models used the rest is then not known."""
    before = ClaudeTally(cost_usd=9.0, input_tokens=5)
    own = beyond(before, use_of(tally({"opus": ClaudeAmount(cost_usd=10.0, input_tokens=7)})))
    assert (own.cost_usd, own.input_tokens, own.by_model) == (1.0, 2, {})


def test_nothing_is_ever_negative() -> None:
    assert minus(ClaudeAmount(cost_usd=1.0), ClaudeAmount(cost_usd=2.0, input_tokens=1)) == NOTHING
