"""``retry``: every form, over every default."""

import pytest
from step_reading import codes_of, commands_of, step_of

from prodigy.workflow.inherited import Inherited
from prodigy.workflow.model import Backoff, Deferred, Mark, Retry, RetryOn


def retry_of(text: str, defaults: Retry | None = None) -> Retry:
    retry = step_of(f"- {{shell: a, retry: {text}}}", Inherited(retry=defaults)).retry
    assert retry is not None
    return retry


@pytest.mark.parametrize(
    ("text", "backoff"),
    [
        ("4", Backoff()),
        ("{backoff: fixed}", Backoff(kind="fixed")),
        ("{backoff: Linear}", Backoff(kind="linear")),
        ("{backoff: fibonacci, initial_delay: 5}", Backoff(kind="fibonacci", initial=5)),
        ("{backoff: {fixed: {delay: 500ms}}}", Backoff(kind="fixed", initial=0.5)),
        ("{backoff: {linear: {initial: 1, increment: 2s}}}", Backoff(kind="linear", initial=1, increment=2)),
        ("{backoff: {exponential: {initial: 2, base: 3}}}", Backoff(initial=2, factor=3)),
        ("{backoff: {exponential: {multiplier: 1.5}}}", Backoff(factor=1.5)),
        ("{backoff: {fibonacci: {initial: 3}}}", Backoff(kind="fibonacci", initial=3)),
        ("{backoff: {fibonacci: }}", Backoff(kind="fibonacci")),
        ("{backoff: {custom: {delays: [1s, 1m, 2]}}}", Backoff(kind="custom", delays=(1, 60, 2))),
        ("{backoff: {type: custom, delays: 5}}", Backoff(kind="custom", delays=(5,))),
        ("{backoff: {type: linear, initial: 4}}", Backoff(kind="linear", initial=4)),
        ("{backoff: {fixed: {delay: 5}}, initial_delay: 9}", Backoff(kind="fixed", initial=5)),
        ("{initial_delay_ms: 250, max_delay_ms: 5000}", Backoff(initial=0.25, max_delay=5)),
        ("{max_delay: none}", Backoff(max_delay=None)),
        ("{max_delay: 0}", Backoff(max_delay=0)),
        ("{jitter: true}", Backoff(jitter=0.3)),
        ("{jitter: true, jitter_factor: 0.5}", Backoff(jitter=0.5)),
        ("{jitter: false}", Backoff()),
    ],
)
def test_every_form_of_a_backoff(text: str, backoff: Backoff) -> None:
    assert retry_of(text).backoff == backoff


def test_everything_else() -> None:
    assert retry_of("4") == Retry(attempts=4)
    retry = retry_of(
        "{attempts: 2, retry_budget: 5m, retry_on: [network, timeout, server_error, RateLimit, {pattern: 'E\\d+'},"
        " {exit_code: 7}, {exit_code: [1, 2]}]}"
    )
    assert (retry.attempts, retry.budget) == (2, 300)
    assert retry.retry_on == (
        *(RetryOn(kind=kind) for kind in ("network", "timeout", "server_error", "rate_limit")),
        RetryOn(kind="pattern", pattern="E\\d+"),
        RetryOn(kind="exit_code", exit_codes=(7,)),
        RetryOn(kind="exit_code", exit_codes=(1, 2)),
    )
    assert retry_of("{initial_delay: '${D}'}").backoff.initial == Deferred(
        "${D}", "duration", Mark("wf.yml", 1, 37)
    )


@pytest.mark.parametrize(
    ("text", "word", "commands"),
    [
        ("stop", "stop", []),
        ("continue", "continue", []),
        ("{fallback: {command: make other}}", "fallback", [("shell", "make other")]),
        ("{fallback: {command: 'claude: /other'}}", "fallback", [("claude", "/other")]),
        ("{fallback: {steps: [a, {claude: b}]}}", "fallback", [("shell", "a"), ("claude", "b")]),
    ],
)
def test_what_becomes_of_a_step_that_stays_failed(
    text: str, word: str, commands: list[tuple[str, str]]
) -> None:
    retry = retry_of(f"{{on_failure: {text}}}")
    assert (retry.on_failure, commands_of(retry.fallback)) == (word, commands)


def test_keys_that_are_not_given_come_from_the_defaults() -> None:
    defaults = Retry(
        attempts=7,
        backoff=Backoff(kind="fixed", initial=9, max_delay=90, jitter=0.7),
        retry_on=(RetryOn(kind="network"),),
        budget=60,
        on_failure="continue",
    )
    assert retry_of("{}", defaults) == defaults
    assert retry_of("2", defaults).backoff == defaults.backoff
    assert retry_of("{backoff: linear}", defaults).backoff == Backoff(
        kind="linear", initial=9, max_delay=90, jitter=0.7
    )
    assert retry_of("{initial_delay: 1}", defaults).backoff.initial == 1
    assert retry_of("{jitter: false}", defaults).backoff.jitter == 0
    assert retry_of("{jitter_factor: 0.1}", defaults).backoff.jitter == 0.1
    changed = retry_of("{retry_on: timeout, retry_budget: none, on_failure: stop}", defaults)
    assert (changed.retry_on, changed.budget, changed.on_failure) == (
        (RetryOn(kind="timeout"),),
        None,
        "stop",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0", ["1:21 bad-value"]),
        ("[1]", ["1:21 wrong-type"]),
        ("many", ["1:21 wrong-type"]),
        ("{atempts: 2}", ["1:22 unknown-key"]),
        ("{initial_delay_ms: 5}", ["1:22 deprecated-key"]),
        ("{jitter_factor: 0.5}", ["1:22 no-effect"]),
        ("{jitter: true, jitter_factor: 2}", ["1:51 bad-value"]),
        ("{backoff: square}", ["1:31 bad-enum"]),
        ("{backoff: {}}", ["1:22 missing-key"]),
        ("{backoff: {fixed: {delay: 1}, linear: {initial: 1}}}", ["1:22 conflicting-keys"]),
        ("{backoff: {fixed: {delays: 1}}}", ["1:40 unknown-key"]),
        ("{backoff: {type: square}}", ["1:38 bad-enum"]),
        ("{backoff: custom}", ["1:22 missing-key"]),
        ("{backoff: {custom: {delays: []}}}", ["1:49 bad-value"]),
        ("{backoff: {fixed: {delay: -1}}}", ["1:47 bad-value"]),
        ("{retry_on: [network, disk]}", ["1:42 bad-enum"]),
        ("{retry_on: [{}]}", ["1:33 missing-key"]),
        ("{retry_on: [{pattern: '('}]}", ["1:44 bad-regex"]),
        ("{retry_on: [{pattern: a, exit_code: 1}]}", ["1:46 conflicting-keys"]),
        ("{retry_on: [{exit_code: 300}]}", ["1:45 bad-value"]),
        ("{on_failure: fallback}", ["1:34 bad-enum"]),
        ("{on_failure: {fallback: {}}}", ["1:35 missing-key"]),
        ("{on_failure: {fallback: {command: a, steps: [b]}}}", ["1:35 conflicting-keys"]),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(text: str, found: list[str]) -> None:
    assert codes_of(f"- {{shell: a, retry: {text}}}") == found
