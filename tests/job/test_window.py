"""The map phase as a machine: whatever happens to agents, every item is settled exactly once."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from prodigy import events
from prodigy.job.state import ItemState
from prodigy.job.window import HOST_LOSSES, Bury, Command, Retry, Settle, Start, Window

FAILURE = events.Failure(error_class="command-failed", message="no")
HOST_LOST = events.Failure(error_class="host-lost", message="gone")


def items(count: int) -> list[ItemState]:
    return [ItemState(index=n, item_id=f"i{n}", item=n) for n in range(count)]


def started(start: Start) -> events.AgentStarted:
    return events.AgentStarted(
        item_id=start.item_id,
        agent_id=f"agent-{start.item_id}-{start.attempt}",
        attempt=start.attempt,
        worktree="/w",
        slot=0,
        base_commit="b",
        branch="x",
    )


def completed(start: Start, *commits: str) -> events.AgentCompleted:
    return events.AgentCompleted(
        item_id=start.item_id, agent_id="a", attempt=start.attempt, duration_ms=1, head="h", commits=commits
    )


def failed(start: Start, error: events.Failure) -> events.AgentFailed:
    return events.AgentFailed(
        item_id=start.item_id, agent_id="a", attempt=start.attempt, duration_ms=1, error=error, signature="s"
    )


def merged(item_id: str) -> events.WorktreeMerged:
    return events.WorktreeMerged(
        intent=1, what="agent", target_branch="t", old="o", new="n", strategy="merge-tree", item_id=item_id
    )


def conflicted(item_id: str) -> events.MergeConflicted:
    return events.MergeConflicted(intent=1, what="agent", target_branch="t", paths=("p",), item_id=item_id)


def buried(item_id: str) -> events.DlqItemAdded:
    return events.DlqItemAdded(item_id=item_id, index=0, item=0, error_signature="s", history=())


def test_no_items_settle_at_once() -> None:
    assert Window([], [], 3).begin() == [Settle()]


def test_starts_in_order_up_to_the_limit() -> None:
    assert Window(items(5), [], 2).begin() == [Start("i0", 1), Start("i1", 1)]


def test_a_finished_agent_makes_room_before_its_merge_is_done() -> None:
    window = Window(items(3), [], 1)
    [first] = window.begin()
    assert isinstance(first, Start)
    window.on(started(first))
    assert window.on(completed(first, "c1")) == [Start("i1", 1)]


def test_a_conflict_runs_the_item_once_more_from_the_tip_then_buries_it() -> None:
    window = Window(items(1), [], 1)
    [first] = window.begin()
    assert isinstance(first, Start)
    window.on(started(first))
    window.on(completed(first, "c"))
    assert window.on(conflicted("i0")) == [Retry("i0", 2, "item")]
    retrying = events.AgentRetrying(item_id="i0", agent_id="a", next_attempt=2, charged_to="item")
    [second] = window.on(retrying)
    assert second == Start("i0", 2, from_tip=True)
    window.on(started(second))
    window.on(completed(second, "c"))
    assert window.on(conflicted("i0")) == [Bury("i0")]
    assert window.on(buried("i0")) == [Settle()]


def test_lost_hosts_are_charged_apart_up_to_a_cap() -> None:
    window = Window(items(1), [], 1)
    commands: list[Command] = window.begin()
    for loss in range(HOST_LOSSES):
        [start] = commands
        assert isinstance(start, Start)
        window.on(started(start))
        assert window.on(failed(start, HOST_LOST)) == [Retry("i0", loss + 2, "host_lost")]
        commands = window.on(
            events.AgentRetrying(item_id="i0", agent_id="a", next_attempt=loss + 2, charged_to="host_lost")
        )
    [start] = commands
    assert isinstance(start, Start)
    window.on(started(start))
    assert window.on(failed(start, HOST_LOST)) == [Bury("i0")]


def test_taken_up_again_with_items_in_every_place() -> None:
    found = items(6)
    found[0].status = "done"
    found[1].status, found[1].attempts = "running", 1
    found[2].status, found[2].attempts = "merging", 1
    found[3].status, found[3].error, found[3].attempts = "pending", FAILURE, 1
    found[4].status = "failed"
    window = Window(found, ["i4"], 2)
    assert window.begin() == [Bury("i3"), Start("i5", 1)]


class World:
    """Answers the window's commands in an order and with outcomes that somebody else chooses."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.pending: list[object] = []
        self.running: set[str] = set()
        self.settled: Counter[str] = Counter()
        self.ends = 0

    def perform(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Settle):
                self.ends += 1
                continue
            if isinstance(command, Start):
                assert command.item_id not in self.running
                self.running.add(command.item_id)
            self.pending.append(command)
        assert len(self.running) <= self.window.max_parallel

    def answer(self, command: object, outcome: str) -> None:
        match command:
            case Start():
                self.run_agent(command, outcome)
            case ("merged", str(item_id)):
                self.settled[item_id] += 1
                self.perform(self.window.on(merged(item_id)))
            case ("conflict", str(item_id)):
                self.perform(self.window.on(conflicted(item_id)))
            case Retry(item_id, attempt, charged_to):
                retrying = events.AgentRetrying(
                    item_id=item_id, agent_id="a", next_attempt=attempt, charged_to=charged_to
                )
                self.perform(self.window.on(retrying))
            case Bury(item_id):
                self.settled[item_id] += 1
                self.perform(self.window.on(buried(item_id)))

    def run_agent(self, start: Start, outcome: str) -> None:
        self.perform(self.window.on(started(start)))
        self.running.discard(start.item_id)
        if outcome == "failed":
            self.perform(self.window.on(failed(start, FAILURE)))
        elif outcome == "lost":
            self.perform(self.window.on(failed(start, HOST_LOST)))
        elif outcome == "nothing":
            self.settled[start.item_id] += 1
            self.perform(self.window.on(completed(start)))
        else:
            self.perform(self.window.on(completed(start, "c")))
            self.pending.append((outcome, start.item_id))


@given(st.integers(0, 12), st.integers(1, 5), st.randoms(use_true_random=False))
def test_every_item_is_settled_once_whatever_happens(count: int, max_parallel: int, random: Random) -> None:
    """Whatever the order and the outcomes, the window never exceeds its limit and ends exactly once."""
    world = World(Window(items(count), [], max_parallel))
    world.perform(world.window.begin())
    while world.pending:
        command = world.pending.pop(random.randrange(len(world.pending)))
        world.answer(command, random.choice(["nothing", "merged", "conflict", "failed", "lost"]))
    assert world.settled == Counter(f"i{n}" for n in range(count))
    assert world.ends == 1
