"""The restart policy as a machine: laws over random histories, then OTP's rules one by one."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisors._backoff import Backoff
from supervisors._restart import RestartPolicy
from supervisors._restart_messages import (
    AddChild,
    ChildDown,
    ChildFailed,
    ChildRule,
    ChildUp,
    CloseChild,
    Command,
    Conclude,
    DelayOver,
    DelayStart,
    Event,
    Exit,
    Outcome,
    Over,
    Ready,
    RemoveChild,
    StartAll,
    StartChild,
    StopAll,
    StopChild,
)
from supervisors.specs import AutoShutdown, Intensity, Restart, Strategy

PERIOD = 5.0


class World:
    """Performs a policy's commands on children made of words, and objects to every command that makes no sense."""

    def __init__(self, rules: Sequence[ChildRule], *, dynamic: bool = False, **options: object) -> None:
        self.rules = {rule.id: rule for rule in rules}
        self.order = [rule.id for rule in rules]
        self.policy = RestartPolicy(rules, dynamic=dynamic, **options)  # type: ignore[arg-type]
        self.dynamic = dynamic
        self.strategy = options.get("strategy", Strategy.ONE_FOR_ONE)
        self.now = 0.0
        self.state = dict.fromkeys(self.order, "down")
        self.was_up: set[str] = set()
        self.ended_normally: set[str] = set()
        self.waiting: dict[str, int] = {}
        self.starts: dict[str, list[float]] = {id: [] for id in self.order}
        self.outcome: Outcome | None = None
        self.log: list[Command] = []
        self.over = self.ready = False

    def feed(self, event: Event) -> list[Command]:
        commands = self.policy.apply(event)
        for command in commands:
            self.perform(command)
        return commands

    def perform(self, command: Command) -> None:
        assert not self.over, "nothing follows Over"
        self.log.append(command)
        match command:
            case StartChild(id):
                self.check_start(id)
                self.state[id] = "starting"
                self.starts[id].append(self.now)
                self.waiting.pop(id, None)
                self.ended_normally.discard(id)
            case StopChild(id):
                self.check_stop(id)
                self.state[id] = "stopping"
            case DelayStart(id, attempt):
                assert self.state[id] == "down"
                self.waiting[id] = attempt
            case CloseChild(id):
                assert self.state[id] == "down"
                self.waiting.pop(id, None)
            case Conclude(outcome):
                assert self.outcome is None or outcome is Outcome.FATAL
                self.outcome = outcome
            case Ready():
                assert not self.ready
                self.ready = True
            case Over():
                assert set(self.state.values()) <= {"down"}
                self.over = True

    def check_start(self, id: str) -> None:
        assert self.state[id] == "down", "only what is down is started"
        assert self.outcome is None, "nothing is started once the end is decided"
        if self.strategy is not Strategy.ONE_FOR_ONE:
            assert "stopping" not in self.state.values(), "stops come before starts"
            assert self.live_after(id) == [], "a child is started before those after it"

    def check_stop(self, id: str) -> None:
        assert self.state[id] in {"starting", "up"}, "only what lives is stopped, and once"
        if not self.dynamic:
            assert self.live_after(id) == [], "stops reverse starts"

    def live_after(self, id: str) -> list[str]:
        after = self.order[self.order.index(id) + 1 :]
        return [other for other in after if self.state[other] != "down"]

    # What children do

    def up(self, id: str) -> list[Command]:
        assert self.state[id] in {"starting", "stopping"}
        if self.state[id] == "starting":
            self.state[id] = "up"
        self.was_up.add(id)
        return self.feed(ChildUp(id, self.now))

    def down(self, id: str, exit: Exit = Exit.CRASH) -> list[Command]:
        started = id in self.was_up
        asked = self.state[id] == "stopping"
        self.state[id] = "down"
        self.was_up.discard(id)
        if exit is Exit.NORMAL and not asked:
            self.ended_normally.add(id)
        kind = ChildDown if started else ChildFailed
        return self.feed(kind(id, exit, self.now))

    def wake(self, id: str) -> list[Command]:
        return self.feed(DelayOver(id, self.waiting.pop(id)))

    def settle(self) -> None:
        """Let all starts succeed, all stops end and all pauses pass, until nothing is under way."""
        while True:
            moving = [id for id, state in self.state.items() if state in {"starting", "stopping"}]
            if moving:
                id = moving[0]
                self.up(id) if self.state[id] == "starting" else self.down(id, Exit.NORMAL)
            elif self.waiting and self.outcome is None:
                self.wake(next(iter(self.waiting)))
            else:
                return

    def begin(self) -> "World":
        self.feed(StartAll())
        self.settle()
        self.log.clear()
        return self

    def is_still(self) -> bool:
        return not self.waiting and not {"starting", "stopping"} & set(self.state.values())


def rules(*restarts: Restart, **options: object) -> list[ChildRule]:
    return [ChildRule(id, restart, **options) for id, restart in zip("abcdefgh", restarts, strict=False)]  # type: ignore[arg-type]


PERMANENT, TRANSIENT, TEMPORARY = Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY
ONE_FOR_ONE, ONE_FOR_ALL, REST_FOR_ONE = (
    Strategy.ONE_FOR_ONE,
    Strategy.ONE_FOR_ALL,
    Strategy.REST_FOR_ONE,
)

# Laws over random histories

backoffs = st.none() | st.just(Backoff(0.5))
children = st.lists(st.tuples(st.sampled_from(Restart), backoffs), min_size=1, max_size=5).map(
    lambda drawn: [
        ChildRule(id, *options)
        for id, options in zip("abcde", [(r, False, b) for r, b in drawn], strict=False)
    ]
)


def one_step(world: World, data: st.DataObject) -> None:
    """Something happens: a child moves, a pause ends, or time passes."""
    moves = [(id, state) for id, state in world.state.items() if state != "down"]
    moves += [(id, "waiting") for id in world.waiting]
    world.now += data.draw(st.sampled_from([0.0, 0.0, 0.1, 1.0, 2.5, PERIOD]))
    if not moves:
        return
    id, state = data.draw(st.sampled_from(moves))
    exits = st.sampled_from([Exit.NORMAL, Exit.CRASH])
    match state:
        case "starting":
            world.up(id) if data.draw(st.integers(0, 3)) else world.down(id, data.draw(exits))
        case "waiting":
            world.wake(id)
        case _:
            world.down(id, data.draw(exits))


def check_window(world: World, limit: Intensity) -> None:
    """No child is started more than ``restarts + 1`` times within one period."""
    for times in world.starts.values():
        for first, last in zip(times, times[limit.restarts + 1 :], strict=False):
            assert last - first > limit.period


def check_healed(world: World) -> None:
    """When nothing is under way, every child is up that should be."""
    if world.outcome is None and world.ready and world.is_still():
        for id, rule in world.rules.items():
            if rule.restart is PERMANENT:
                assert world.state[id] == "up"
            if rule.restart is TRANSIENT and id not in world.ended_normally:
                assert world.state[id] == "up"


@settings(max_examples=400, deadline=None)
@given(rules=children, strategy=st.sampled_from(Strategy), restarts=st.integers(0, 4), data=st.data())
def test_a_fixed_family(
    rules: list[ChildRule], strategy: Strategy, restarts: int, data: st.DataObject
) -> None:
    """Whatever happens: order, window and healing hold, and a stop ends everything."""
    limit = Intensity(restarts, PERIOD)
    world = World(rules, strategy=strategy, intensity=limit)
    world.feed(StartAll())
    for _ in range(data.draw(st.integers(0, 40))):
        one_step(world, data)
        check_healed(world)
    check_window(world, limit)
    if not world.over:
        world.feed(StopAll())
        world.settle()
    assert world.over
    assert world.outcome in {Outcome.STOPPED, Outcome.ESCALATED, Outcome.START_FAILED}


@settings(max_examples=300, deadline=None)
@given(restarts=st.integers(0, 4), data=st.data())
def test_a_family_by_request(restarts: int, data: st.DataObject) -> None:
    """Children come, crash and go in any order; a child that is down for good is forgotten at once."""
    limit = Intensity(restarts, PERIOD)
    world = World([], dynamic=True, intensity=limit)
    world.feed(StartAll())
    assert world.ready
    for number in range(data.draw(st.integers(0, 40))):
        match data.draw(st.sampled_from(["add", "remove", "step", "step", "step"])):
            case "add" if world.outcome is None:
                rule = ChildRule(
                    f"child-{number}", data.draw(st.sampled_from(Restart)), False, data.draw(backoffs)
                )
                world.rules[rule.id] = rule
                world.order.append(rule.id)
                world.state[rule.id] = "down"
                world.starts[rule.id] = []
                assert world.feed(AddChild(rule)) == [StartChild(rule.id)]
            case "remove" if known := [id for id in world.order if id in world.policy]:
                world.feed(RemoveChild(data.draw(st.sampled_from(known))))
            case _:
                one_step(world, data)
        closed = {command.id for command in world.log if isinstance(command, CloseChild)}
        assert not [id for id in closed if id in world.policy]
    check_window(world, limit)
    if not world.over:
        world.feed(StopAll())
        world.settle()
    assert world.over


# Restart types


@pytest.mark.parametrize(
    ("restart", "exit", "expected"),
    [
        (PERMANENT, Exit.NORMAL, [StartChild("a")]),
        (PERMANENT, Exit.CRASH, [StartChild("a")]),
        (TRANSIENT, Exit.NORMAL, [CloseChild("a")]),
        (TRANSIENT, Exit.CRASH, [StartChild("a")]),
        (TEMPORARY, Exit.NORMAL, [CloseChild("a")]),
        (TEMPORARY, Exit.CRASH, [CloseChild("a")]),
    ],
)
def test_restart_types(restart: Restart, exit: Exit, expected: list[Command]) -> None:
    """Permanent: always; transient: after a crash; temporary: never."""
    assert World(rules(restart)).begin().down("a", exit) == expected


def test_a_failed_restart_is_retried_whatever_its_exit() -> None:
    """The first start is the user's to see; a restart that fails is one more thing to repair."""
    world = World(rules(TRANSIENT)).begin()
    assert world.down("a") == [StartChild("a")]
    assert world.down("a", Exit.NORMAL) == [StartChild("a")]


def test_a_failed_restart_counts() -> None:
    """Each retry is an entry in the window: three failed restarts use up the default."""
    world = World(rules(PERMANENT)).begin()
    for _ in range(3):
        assert world.down("a") == [StartChild("a")]
    assert world.down("a") == [Conclude(Outcome.ESCALATED, "a"), Over()]


# Strategies


def test_one_for_one_touches_nobody_else() -> None:
    world = World(rules(PERMANENT, PERMANENT, PERMANENT)).begin()
    world.down("b")
    world.settle()
    assert world.log == [StartChild("b")]


def test_one_for_one_repairs_side_by_side() -> None:
    """A slow restart of one child does not delay that of another."""
    world = World(rules(PERMANENT, PERMANENT)).begin()
    assert world.down("a") == [StartChild("a")]
    assert world.down("b") == [StartChild("b")]


def test_one_for_all_stops_in_reverse_and_starts_in_order() -> None:
    world = World(rules(PERMANENT, PERMANENT, PERMANENT), strategy=ONE_FOR_ALL).begin()
    world.down("b")
    world.settle()
    assert world.log == [StopChild("c"), StopChild("a"), StartChild("a"), StartChild("b"), StartChild("c")]


def test_rest_for_one_leaves_earlier_ones_untouched() -> None:
    world = World(rules(*[PERMANENT] * 4), strategy=REST_FOR_ONE).begin()
    world.down("b")
    world.settle()
    assert world.log == [StopChild("d"), StopChild("c"), StartChild("b"), StartChild("c"), StartChild("d")]


def test_a_group_restart_forgets_temporary_children() -> None:
    """They are stopped with the others and not started again."""
    world = World(rules(PERMANENT, TEMPORARY, PERMANENT), strategy=ONE_FOR_ALL).begin()
    world.down("a")
    world.settle()
    assert world.log == [StopChild("c"), StopChild("b"), CloseChild("b"), StartChild("a"), StartChild("c")]


def test_a_group_restart_starts_finished_transient_children_again() -> None:
    """As OTP does: the group is started as if for the first time, temporary ones excepted."""
    world = World(rules(PERMANENT, TRANSIENT), strategy=ONE_FOR_ALL).begin()
    assert world.down("b", Exit.NORMAL) == [CloseChild("b")]
    world.down("a")
    world.settle()
    assert world.log[1:] == [StartChild("a"), StartChild("b")]


def test_a_member_that_dies_before_its_stop_is_not_counted_nor_stopped() -> None:
    """Its end was expected."""
    world = World(
        rules(PERMANENT, PERMANENT, PERMANENT), strategy=ONE_FOR_ALL, intensity=Intensity(1)
    ).begin()
    world.down("c")
    world.down("a")
    world.settle()
    assert world.log == [StopChild("b"), StartChild("a"), StartChild("b"), StartChild("c")]
    assert world.outcome is None


def test_a_death_during_a_group_restart_makes_the_group_anew() -> None:
    """The start under way is stopped, since it may wait for the dead one; the death counts."""
    world = World(rules(PERMANENT, PERMANENT, PERMANENT), strategy=ONE_FOR_ALL).begin()
    world.down("c")
    world.down("b", Exit.NORMAL)
    world.down("a", Exit.NORMAL)
    world.up("a")
    world.log.clear()
    assert world.down("a") == [StopChild("b")]
    world.settle()
    assert world.log == [StopChild("b"), StartChild("a"), StartChild("b"), StartChild("c")]


def test_rest_for_one_retries_from_the_one_that_failed() -> None:
    """What came up before it in the same restart stays up."""
    world = World(rules(PERMANENT, PERMANENT, PERMANENT), strategy=REST_FOR_ONE).begin()
    world.down("a")
    world.down("c", Exit.NORMAL)
    world.down("b", Exit.NORMAL)
    world.up("a")
    world.log.clear()
    world.down("b")
    world.settle()
    assert world.log == [StartChild("b"), StartChild("c")]


# Start and stop


def test_start_in_order_then_ready() -> None:
    """Each waits for the one before; the supervisor is up with the last."""
    world = World(rules(PERMANENT, PERMANENT))
    assert world.feed(StartAll()) == [StartChild("a")]
    assert world.up("a") == [StartChild("b")]
    assert world.up("b") == [Ready()]


def test_nothing_to_start_is_ready_at_once() -> None:
    assert World([]).feed(StartAll()) == [Ready()]


def test_a_failed_first_start_stops_those_before_it() -> None:
    world = World(rules(PERMANENT, PERMANENT, PERMANENT, PERMANENT))
    world.feed(StartAll())
    world.up("a")
    world.up("b")
    world.log.clear()
    world.down("c")
    world.settle()
    assert world.log == [Conclude(Outcome.START_FAILED, "c"), StopChild("b"), StopChild("a"), Over()]


def test_stop_in_reverse() -> None:
    world = World(rules(PERMANENT, TEMPORARY, TRANSIENT)).begin()
    world.feed(StopAll())
    world.settle()
    assert world.log == [
        Conclude(Outcome.STOPPED), StopChild("c"), StopChild("b"), CloseChild("b"), StopChild("a"), Over(),
    ]  # fmt: skip


def test_stop_during_a_start_stops_the_starting_one_first() -> None:
    world = World(rules(PERMANENT, PERMANENT))
    world.feed(StartAll())
    world.up("a")
    assert world.feed(StopAll()) == [Conclude(Outcome.STOPPED), StopChild("b")]
    assert world.up("b") == []
    assert world.down("b", Exit.NORMAL) == [StopChild("a")]


def test_a_family_by_request_is_stopped_at_once() -> None:
    world = World([], dynamic=True).begin()
    for id in "ab":
        world.order.append(id)
        world.state[id], world.starts[id] = "down", []
        world.feed(AddChild(ChildRule(id)))
        world.up(id)
    assert world.feed(StopAll()) == [Conclude(Outcome.STOPPED), StopChild("a"), StopChild("b")]


# Intensity


def test_the_window_slides_and_includes_its_edge() -> None:
    """Restarts exactly one period old still count, older ones do not."""
    world = World(rules(PERMANENT), intensity=Intensity(1, PERIOD)).begin()
    world.down("a")
    world.settle()
    world.now = PERIOD + 0.1
    assert world.down("a") == [StartChild("a")]
    world.settle()
    world.now = 2 * PERIOD + 0.1
    assert world.down("a") == [Conclude(Outcome.ESCALATED, "a"), Over()]


def test_intensity_is_shared_by_all_children() -> None:
    world = World(rules(PERMANENT, PERMANENT), intensity=Intensity(1)).begin()
    assert world.down("a") == [StartChild("a")]
    assert world.down("b") == [Conclude(Outcome.ESCALATED, "b"), StopChild("a")]


def test_a_group_restart_is_one_entry() -> None:
    """Ten children restarted with one are one restart."""
    world = World(rules(*[PERMANENT] * 5), strategy=ONE_FOR_ALL, intensity=Intensity(1)).begin()
    world.down("c")
    world.settle()
    assert world.outcome is None
    world.down("c")
    assert world.outcome is Outcome.ESCALATED


def test_a_fatal_exit_restarts_nothing() -> None:
    """KeyboardInterrupt in a child is not a crash to be healed, not even during a stop."""
    world = World(rules(PERMANENT, PERMANENT)).begin()
    assert world.down("b", Exit.FATAL) == [Conclude(Outcome.FATAL, "b"), StopChild("a")]
    world = World(rules(PERMANENT, PERMANENT)).begin()
    world.feed(StopAll())
    assert world.down("b", Exit.FATAL) == [Conclude(Outcome.FATAL, "b"), StopChild("a")]


# Auto-shutdown


def significant(auto_shutdown: AutoShutdown, *restarts: Restart) -> World:
    return World(rules(*restarts, significant=True), auto_shutdown=auto_shutdown).begin()


def test_any_significant_child_ends_the_supervisor() -> None:
    world = significant(AutoShutdown.ANY_SIGNIFICANT, TRANSIENT, TRANSIENT)
    assert world.down("a", Exit.NORMAL) == [CloseChild("a"), Conclude(Outcome.FINISHED, "a"), StopChild("b")]


def test_the_last_significant_child_ends_the_supervisor() -> None:
    """A crash of a temporary one is an end like any other; one that is being restarted is not down."""
    world = significant(AutoShutdown.ALL_SIGNIFICANT, TRANSIENT, TEMPORARY, TRANSIENT)
    assert world.down("a", Exit.NORMAL) == [CloseChild("a")]
    assert world.down("c", Exit.CRASH) == [StartChild("c")]
    assert world.down("b", Exit.CRASH) == [CloseChild("b")]
    world.settle()
    assert world.down("c", Exit.NORMAL) == [CloseChild("c"), Conclude(Outcome.FINISHED, "c"), Over()]


def test_insignificant_children_end_nothing() -> None:
    world = World(rules(TRANSIENT), auto_shutdown=AutoShutdown.ANY_SIGNIFICANT).begin()
    assert world.down("a", Exit.NORMAL) == [CloseChild("a")]


def test_a_significant_child_that_finishes_during_the_start() -> None:
    """Those still to be started count as alive; with any_significant the supervisor was up for a moment."""
    both = rules(TRANSIENT, TRANSIENT, significant=True)
    patient = World(both, auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    patient.feed(StartAll())
    patient.up("a")
    assert patient.down("a", Exit.NORMAL) == [CloseChild("a")]
    hasty = World(both, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    hasty.feed(StartAll())
    hasty.up("a")
    expected = [CloseChild("a"), Ready(), Conclude(Outcome.FINISHED, "a"), StopChild("b")]
    assert hasty.down("a", Exit.NORMAL) == expected


# Backoff


def test_attempts_grow_and_are_forgiven() -> None:
    """Each crash in a row waits for a higher attempt, failed starts too; calm resets, failing for long does not."""
    rule = ChildRule("a", backoff=Backoff(forgive_after=60))
    world = World([rule], intensity=Intensity(99, 1000)).begin()
    assert world.down("a") == [DelayStart("a", 1)]
    assert world.wake("a") == [StartChild("a")]
    world.now = 100
    assert world.down("a") == [DelayStart("a", 2)]
    world.wake("a")
    world.up("a")
    world.now = 159
    assert world.down("a") == [DelayStart("a", 3)]
    world.wake("a")
    world.up("a")
    world.now = 219
    assert world.down("a") == [DelayStart("a", 1)]


def test_a_pause_that_was_overtaken_means_nothing() -> None:
    """A group restart starts a waiting child in its turn; the end of its old pause is stale."""
    waiting = ChildRule("b", backoff=Backoff())
    world = World([ChildRule("a"), waiting], strategy=REST_FOR_ONE).begin()
    assert world.down("b") == [DelayStart("b", 1)]
    assert world.down("a") == [StartChild("a")]
    assert world.feed(DelayOver("b", 1)) == []
    assert world.up("a") == [StartChild("b")]


def test_a_stop_does_not_wait_for_a_pause() -> None:
    world = World([ChildRule("a"), ChildRule("b", backoff=Backoff())]).begin()
    world.down("b")
    assert world.feed(StopAll()) == [Conclude(Outcome.STOPPED), StopChild("a")]
    assert world.feed(DelayOver("b", 1)) == []


# By request


def test_a_failed_first_start_by_request_is_forgotten() -> None:
    """It is the asker's to see: it is not counted and ends nothing."""
    world = World([], dynamic=True, intensity=Intensity(0)).begin()
    world.state["a"], world.starts["a"] = "down", []
    world.feed(AddChild(ChildRule("a")))
    assert world.down("a") == [CloseChild("a")]
    assert "a" not in world.policy


def test_removing_a_waiting_child_forgets_it_at_once() -> None:
    world = World([], dynamic=True).begin()
    world.state["a"], world.starts["a"] = "down", []
    world.feed(AddChild(ChildRule("a", backoff=Backoff())))
    world.up("a")
    assert world.down("a") == [DelayStart("a", 1)]
    assert world.feed(RemoveChild("a")) == [CloseChild("a")]
    assert world.feed(DelayOver("a", 1)) == []
