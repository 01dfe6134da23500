"""Error policies, timeouts, limits, budgets and commit settings, from every form to the model."""

from typing import Any

import pytest

from prodigy.workflow.fields import Fields, Reader
from prodigy.workflow.language import MAP, WORKFLOW
from prodigy.workflow.model import (
    Backoff,
    Budget,
    CircuitBreaker,
    CommitConfig,
    Deferred,
    ErrorPolicy,
    Limits,
    Mark,
    Retry,
    Text,
    TimeoutConfig,
)
from prodigy.workflow.nodes import Mapping
from prodigy.workflow.parse_policies import (
    read_budget,
    read_commit_config,
    read_error_policy,
    read_limits,
    read_on_conflict,
    read_timeout_config,
)
from prodigy.workflow.problems import Problems
from prodigy.workflow.source import read
from prodigy.workflow.vocabulary import Vocabulary


class Page:
    """A text whose top is read by a vocabulary."""

    def __init__(self, text: str, vocabulary: Vocabulary = WORKFLOW) -> None:
        self.problems = Problems("wf.yml")
        self.reader = Reader(self.problems)
        self.fields = self.add(text, vocabulary)

    def add(self, text: str, vocabulary: Vocabulary) -> Fields:
        root = read(text, self.problems, json=False)
        assert isinstance(root, Mapping)
        return self.reader.fields(root, vocabulary)

    @property
    def codes(self) -> list[str]:
        return [f"{one.mark.line}:{one.mark.column} {one.code}" for one in self.problems.sorted()]


def policy_of(top: str, inner: str = "{}") -> tuple[ErrorPolicy, list[str]]:
    page = Page(top)
    policy = read_error_policy(page.reader, page.fields, page.add(inner, MAP))
    return policy, page.codes


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("{}", ErrorPolicy()),
        ("error_policy: {on_item_failure: skip, max_failures: 3, failure_threshold: 25%}",
         ErrorPolicy(on_item_failure="skip", max_failures=3, failure_threshold=0.25)),
        ("error_policy: {continue_on_failure: false, error_collection: immediate}",
         ErrorPolicy(continue_on_failure=False, error_collection="immediate")),
        ("error_policy: {error_collection: 'batched:10'}", ErrorPolicy(error_collection="batched", batch=10)),
        ("error_policy: {error_collection: {batched: {size: 4}}}",
         ErrorPolicy(error_collection="batched", batch=4)),
        ("error_policy: {on_item_failure: retry}", ErrorPolicy(on_item_failure="retry", retry=Retry(attempts=3))),
        ("error_policy: {retry_config: {max_attempts: 2, backoff: {fixed: {delay: 10ms}}}}",
         ErrorPolicy(retry=Retry(attempts=2, backoff=Backoff(kind="fixed", initial=0.01)))),
        ("error_policy: {retry: 4}", ErrorPolicy(retry=Retry(attempts=4))),
        ("error_policy: {circuit_breaker: {failure_threshold: 2, timeout: 1m, success_threshold: 1}}",
         ErrorPolicy(circuit_breaker=CircuitBreaker(failure_threshold=2, timeout=60.0, success_threshold=1))),
        ("on_item_failure: Stop\nmax_failures: 1\ncircuit_breaker: {}",
         ErrorPolicy(on_item_failure="stop", max_failures=1, circuit_breaker=CircuitBreaker())),
    ],
)  # fmt: skip
def test_every_form_of_a_policy(text: str, policy: ErrorPolicy) -> None:
    assert policy_of(text) == (policy, [])


def test_what_stands_closer_to_the_items_wins_key_by_key() -> None:
    policy, codes = policy_of(
        "error_policy: {max_failures: 3, retry: {attempts: 5, initial_delay: 2s}, failure_threshold: 0.5}",
        "{max_failures: 4, error_policy: {continue_on_failure: false}, retry: {attempts: 2}}",
    )
    assert codes == []
    assert (policy.max_failures, policy.failure_threshold, policy.continue_on_failure) == (4, 0.5, False)
    assert policy.retry == Retry(attempts=2, backoff=Backoff(initial=2.0))


def test_a_copy_beside_the_policy_wins_and_says_so_if_it_differs() -> None:
    policy, codes = policy_of(
        "error_policy: {max_failures: 3, on_item_failure: dlq}\nmax_failures: 5\non_item_failure: dlq"
    )
    assert (policy.max_failures, codes) == (5, ["1:16 no-effect"])


def test_retry_on_failure_counts_the_runs_after_the_first() -> None:
    policy, codes = policy_of("{}", "{retry_on_failure: 2}")
    assert policy.retry == Retry(attempts=3)
    assert codes == ["1:2 deprecated-key"]
    assert policy_of("{}", "{retry_on_failure: 2, retry: 2}")[1] == [
        "1:2 conflicting-keys",
        "1:2 deprecated-key",
    ]


def test_milliseconds_of_older_files() -> None:
    policy, codes = policy_of("circuit_breaker: {recovery_timeout_ms: 1500}")
    assert policy.circuit_breaker == CircuitBreaker(timeout=1.5)
    assert codes == ["1:19 deprecated-key"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("on_item_failure: dlg", ["1:18 bad-enum"]),
        ("on_item_failure: {custom: notify}", ["1:18 no-effect"]),
        ("on_item_failure: {costum: notify}", ["1:18 no-effect", "1:19 unknown-key"]),
        ("on_item_failure: {}", ["1:18 missing-key"]),
        ("max_failures: 0", ["1:15 bad-value"]),
        ("failure_threshold: 2", ["1:20 bad-value"]),
        ("error_collection: batched", ["1:19 bad-value"]),
        ("error_collection: 'batched:x'", ["1:19 wrong-type"]),
        ("error_collection: {batched: {}}", ["1:1 missing-key"]),
        ("error_collection: {batched: {sise: 4}}", ["1:30 unknown-key"]),
        ("circuit_breaker: {half_open_requests: 0, success_threshold: none}", ["1:39 bad-value", "1:61 wrong-type"]),
        ("circuit_breaker: 5", ["1:18 wrong-type"]),
        ("error_policy: {max_failuers: 2}", ["1:16 unknown-key"]),
        ("error_policy: {backoff: fixed}", ["1:16 unknown-key"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_policy(text: str, codes: list[str]) -> None:
    assert policy_of(text)[1] == codes


def timeouts_of(text: str) -> tuple[TimeoutConfig, list[str]]:
    page = Page(f"timeout_config: {text}", MAP)
    return read_timeout_config(page.reader, page.fields.get("timeout_config")), page.codes


def test_timeouts() -> None:
    assert timeouts_of(
        "{agent_timeout_secs: 20, command_timeouts: {claude: 10m, shell: 5, shell_1: 7}, timeout_policy: PerAgent,"
        " cleanup_grace_period_secs: 3, timeout_action: graceful-terminate, enable_monitoring: true}"
    ) == (
        TimeoutConfig(
            agent_timeout=20.0,
            commands={"claude": 600.0, "shell": 5.0, "shell_1": 7.0},
            policy="per_agent",
            grace=3.0,
            action="graceful_terminate",
        ),
        [],
    )


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("{command_timeouts: {shel_0: 5}}", ["1:37 unknown-key"]),
        ("{command_timeouts: {shel: 5}}", ["1:37 unknown-key"]),
        ("{command_timeouts: [5]}", ["1:36 wrong-type"]),
        ("{timeout_policy: whenever}", ["1:34 bad-enum"]),
        ("{enable_monitoring: false}", ["1:18 no-effect"]),
        ("{input: 5}", ["1:18 unknown-key"]),
    ],
)
def test_what_is_wrong_with_timeouts(text: str, codes: list[str]) -> None:
    assert timeouts_of(text)[1] == codes


def test_limits_go_over_those_around_them_key_by_key() -> None:
    text = "limits: {memory: 2GiB, cpu_time: 1m, wall: '${W}', processes: 9, output: 1k, open_files: $N}"
    page = Page(text)
    outer = read_limits(page.reader, page.fields.get("limits"), None)
    assert outer == Limits(
        memory=2**31,
        cpu_time=60.0,
        wall=Deferred("${W}", "duration", Mark("wf.yml", 1, text.index("'${W}") + 1), 0.001),
        processes=9,
        output=1000,
        open_files=Deferred("$N", "integer", Mark("wf.yml", 1, text.index("$N") + 1), 1),
    )
    inner = read_limits(
        page.reader, page.add("limits: {cpu_time: none, output: 2k}", MAP).get("limits"), outer
    )
    assert inner is not None
    assert (inner.memory, inner.cpu_time, inner.output) == (2**31, None, 2000)
    assert read_limits(page.reader, None, outer) is outer
    assert page.codes == []


def budget_of(text: str) -> tuple[Budget | None, list[str]]:
    page = Page(f"budget: {text}")
    return read_budget(page.reader, page.fields.get("budget")), page.codes


def test_budgets() -> None:
    assert budget_of("{usd: 12.5, tokens: 1000, wall: 2h, launches: 40, soft: 80%}") == (
        Budget(usd=12.5, tokens=1000, wall=7200.0, launches=40, soft=0.8),
        [],
    )
    assert budget_of("{soft: 0.5}") == (Budget(soft=0.5), ["1:1 no-effect"])
    assert budget_of("{uds: 5}")[1] == ["1:10 unknown-key"]
    assert budget_of("{usd: -1}")[1] == ["1:15 bad-value"]


def commits_of(text: str, outer: CommitConfig | None = None) -> tuple[CommitConfig | None, list[str]]:
    page = Page(f"commit_config: {text}")
    return read_commit_config(page.reader, page.fields.get("commit_config"), outer), page.codes


def test_commit_settings() -> None:
    outer = CommitConfig(sign=True, squash=True)
    assert commits_of(
        "{message_template: 'x ${step.name}', message_pattern: '^x', author: Ann <a@b.c>, squash: false,"
        " include_files: '*.py', exclude_files: [a, b]}",
        outer,
    ) == (
        CommitConfig(
            message_template=Text("x ${step.name}", Mark("wf.yml", 1, 35)),
            message_pattern="^x",
            author="Ann <a@b.c>",
            sign=True,
            include_files=("*.py",),
            exclude_files=("a", "b"),
        ),
        [],
    )


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("{author: Ann}", ["1:25 bad-value"]),
        ("{author: <a@b.c>}", ["1:25 bad-value"]),
        ("{message_pattern: '['}", ["1:35 bad-regex"]),
        ("{message: x}", ["1:17 unknown-key"]),
    ],
)
def test_what_is_wrong_with_commit_settings(text: str, codes: list[str]) -> None:
    assert commits_of(text)[1] == codes


@pytest.mark.parametrize(
    ("text", "found"),
    [("claude", ("claude", [])), ("DLQ", ("dlq", [])), ("ask", (None, ["1:14 bad-enum"]))],
)
def test_conflicts(text: str, found: Any) -> None:
    page = Page(f"on_conflict: {text}")
    assert (read_on_conflict(page.reader, page.fields.get("on_conflict")), page.codes) == found
