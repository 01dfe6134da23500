"""Static checks of a typed workflow: names, and every reference in every text.

Pure. Needs the files' texts only to point at the reference itself.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from prodigy.workflow.check_names import NameChecker
from prodigy.workflow.check_text import TextChecker
from prodigy.workflow.declared import declared_by, declared_in
from prodigy.workflow.known import Known
from prodigy.workflow.locate import Places, point
from prodigy.workflow.model import (
    Aggregate,
    Check,
    Deferred,
    Environment,
    Foreach,
    GoalSeek,
    MapPhase,
    Mark,
    Step,
    StepList,
    SubWorkflow,
    Workflow,
)
from prodigy.workflow.problems import Problems
from prodigy.workflow.scope import Path
from prodigy.workflow.texts import (
    Written,
    aggregate_texts,
    deferred_texts,
    environment_texts,
    is_one_reference,
    local_texts,
    texts_of,
)
from prodigy.workflow.variables import RESULTS, STEP_RESULT, Phase

_RESULTS: frozenset[Path] = frozenset(
    {("map", "results"), ("map", "results_json"), ("map", "results_file"), ("map",)}
)
"""Paths by which the captures of agents are read all at once."""


def check(workflow: Workflow, texts: Mapping[str, str], problems: Problems) -> None:
    """Record every problem of a workflow.

    Args:
        workflow: the workflow.
        texts: the files it was read from, under the names that marks give them.
        problems: takes what is found.
    """
    _Checker(workflow, Places(texts), problems).check()


class _Checker:
    def __init__(self, workflow: Workflow, places: Places, problems: Problems) -> None:
        self.workflow = workflow
        self.problems = problems
        self.texts = TextChecker(places, problems)
        self.declared = declared_in(workflow)
        self.declared.guesses = problems.guesses
        self.declared.partial = problems.partial
        self.names = NameChecker(self.declared, places, problems)

    def check(self) -> None:
        workflow = self.workflow
        self.environment(workflow)
        self.steps(workflow.worktree.setup, Known("worktree", self.declared))
        setup = None if workflow.setup is None else self.phase("setup", workflow.setup, None)
        if workflow.steps is not None:
            self.phase("steps", workflow.steps, setup)
        if workflow.map is not None:
            self.map(workflow.map, setup)
        reduce = None if workflow.reduce is None else self.phase("reduce", workflow.reduce, setup)
        if workflow.merge is not None:
            self.phase("merge", workflow.merge, setup, after=reduce)
        self.steps(workflow.verify, self.known("verify", setup))
        self.steps(workflow.on_success, self.known("on_success", setup, reduce))
        self.steps(workflow.on_failure, self.known("on_failure", setup, reduce))
        used = self.texts.used
        self.names.unused(
            {str(path[0]) for path in used} | _field_names(used), all_agents=bool(used & _RESULTS)
        )

    # -- phases ----------------------------------------------------------------------------------------------------
    def environment(self, workflow: Workflow) -> None:
        """The workflow's own layer and those of its profiles."""
        known = Known("environment", self.declared)
        for part in (workflow.timeout, workflow.budget):
            self.deferred(part, known)
        for layer in (workflow.environment, *(profile.environment for profile in workflow.profiles)):
            self.layer(layer, known)

    def deferred(self, part: object, known: Known) -> None:
        """Values that are given as references, in a value or part of the workflow; they are filled in before any step."""
        known = known.without_steps()
        if isinstance(part, Deferred):
            self.texts.check(Written(part.source, part.mark), known)
        elif isinstance(part, Struct):
            for text in deferred_texts(part):
                self.texts.check(text, known)

    def layer(self, layer: Environment, known: Known) -> None:
        for text in environment_texts(layer):
            self.texts.check(text, known.without_steps())

    def known(self, phase: Phase, setup: Known | None, after: Known | None = None) -> Known:
        """The beginning of a step list, where the captures and ids of ``after`` are known."""
        known = Known(phase, self.declared, setup=setup)
        if after is not None:
            known.take_names(after)
        return known

    def phase(self, phase: Phase, part: StepList, setup: Known | None, after: Known | None = None) -> Known:
        """Check a phase; what is known at its end is returned."""
        known = self.known(phase, setup, after)
        _declare(known, part.environment)
        self.layer(part.environment, known)
        self.deferred(part, known)
        self.steps(part.steps, known)
        for output in part.outputs:
            self.names.capture(output, known)
        return known

    def map(self, phase: MapPhase, setup: Known | None) -> None:
        given = phase.input
        known = Known("input", self.declared, setup=setup)
        if given.source != "list":
            is_script = given.source == "command" or (
                given.source == "auto" and not is_one_reference(given.text)
            )
            self.texts.check(Written(given.text, given.mark, "shell" if is_script else "plain"), known)
        self.deferred(phase, known)
        items = Known("item id", self.declared, setup=setup)
        if phase.item_id is not None:
            self.item_id(phase.item_id, phase.item_id_mark, items)
        if phase.filter is not None:
            self.texts.check(Written(phase.filter.source, phase.filter.mark, "filter"), known)
        agents = Known("agents", self.declared, setup=setup)
        _declare(agents, phase.environment)
        self.layer(phase.environment, agents)
        self.steps(phase.agent_template, agents)
        for rule in phase.variables:
            self.aggregate(rule, agents)

    def aggregate(self, rule: Aggregate, agents: Known) -> None:
        """One of ``map.variables``; without an expression it reads the agents' capture of its name."""
        self.names.aggregate(rule.name, rule.mark)
        if rule.value is None and rule.name in agents.names_set:
            self.texts.references.note((rule.name,))
        for text in aggregate_texts(rule):
            self.texts.check(text, agents)

    def item_id(self, text: str, mark: Mark, known: Known) -> None:
        self.texts.check(Written(text, mark), known)
        if not text.strip():
            self.problems.error("bad-value", "`item_id` is empty", point(mark))

    # -- steps -----------------------------------------------------------------------------------------------------
    def steps(self, steps: Sequence[Step], known: Known) -> None:
        """Check steps in order; ``known`` grows by what they set."""
        seen: dict[str, Mark] = {}
        for step in steps:
            if self.problems.full:
                return
            self.step(step, known, seen)

    def step(self, step: Step, known: Known, seen: dict[str, Mark]) -> None:
        if step.id is not None:
            self.names.id(step.id, step.mark, seen)
        place = self.place(step, known)
        self.own_texts(step, place)
        self.action(step, place, known)
        known.ran(step.kind)
        self.results(step, known)
        self.around(step, place, known)

    def place(self, step: Step, known: Known) -> Known:
        """What the step itself knows: what its list does, its local variables and its environment."""
        if step.environment is None and not step.locals:
            return known
        place = known.inside()
        for local in step.locals:
            for text in local_texts(local):
                self.texts.check(text, place)
            place.define(local.name)
        if step.environment is not None:
            _declare(place, step.environment)
            self.names.environment(step.environment)
        return place

    def own_texts(self, step: Step, place: Known) -> None:
        """Check the step's own texts, some of which are filled in when it has run."""
        late: Known | None = None
        for text in texts_of(step):
            if text.moment == "before":
                self.texts.check(text, place)
                continue
            if late is None:
                late = _after(step, place)
            self.texts.check(text, late if text.moment == "after" else late.inside("incomplete"))

    def results(self, step: Step, known: Known) -> None:
        """What the step leaves behind."""
        if step.id is not None:
            own = (output.name for output in step.outputs)
            known.define(step.id, STEP_RESULT.union(RESULTS.get(step.kind, ()), own))
        for capture in step.captures:
            self.names.capture(capture, known)
        if isinstance(step.action, SubWorkflow):
            known.define(step.action.name, STEP_RESULT.union(step.action.outputs))
            self.texts.used.update((name,) for name in step.action.outputs)

    def action(self, step: Step, place: Known, known: Known) -> None:
        """The steps that an action holds."""
        match step.action:
            case Foreach() as action:
                self.steps(action.steps, place.inside("foreach"))
            case GoalSeek() as action:
                self.steps(action.steps, place.inside("goal_seek"))
                self.rounds(action.check, place.inside("goal_seek"))
                known.ran("validation")
            case Check() as action:
                self.rounds(action, place)
                known.ran("validation")
            case SubWorkflow() as action:
                self.sub_workflow(action)
            case _:
                return

    def rounds(self, check: Check, place: Known) -> None:
        """A check's steps, and those against a result that is not complete; what they set stays among them."""
        self.steps(check.steps, place.inside())
        if check.on_incomplete is not None:
            self.steps(check.on_incomplete.steps, place.inside("incomplete"))

    def sub_workflow(self, action: SubWorkflow) -> None:
        declared = declared_by(action.environment)
        declared.parameters = frozenset({*action.parameters, *action.inputs})
        declared.elsewhere = self.declared.elsewhere
        declared.guesses = self.declared.guesses
        known = Known("sub-workflow", declared)
        self.layer(action.environment, known)
        self.steps(action.steps, known)

    def around(self, step: Step, place: Known, known: Known) -> None:
        """Handlers and checks of a step, which know how it went."""
        if step.validate is not None:
            self.rounds(step.validate, place)
            known.ran("validation")
        if step.on_success:
            self.inner(place.inside(), known, step.on_success)
        for codes in step.on_exit_code:
            self.inner(place.inside("handler"), known, codes.steps)
        if step.retry is not None and step.retry.fallback:
            self.inner(place.inside("handler"), known, step.retry.fallback)
        if step.on_failure is not None:
            test = step.kind in {"shell", "test"}
            inside = place.inside("handler", "test handler") if test else place.inside("handler")
            self.inner(inside, known, step.on_failure.steps)
            known.ran("handler")
            for capture in step.on_failure.captures:
                self.names.capture(capture, known)

    def inner(self, place: Known, known: Known, steps: Sequence[Step]) -> None:
        """A list beside a step's action, whose names reach the steps that follow."""
        self.steps(steps, place)
        known.take(place)


def _after(step: Step, place: Known) -> Known:
    """The place of a step's own texts that are filled in when it has run."""
    late = place.inside()
    late.ran(step.kind)
    if step.id is not None:
        late.define(step.id)
    for capture in step.captures:
        late.define(capture.name.partition(".")[0])
    return late


def _declare(known: Known, layer: Environment) -> None:
    """Names of a layer are known in its place."""
    declared = declared_by(layer)
    known.environment |= declared.environment
    known.secrets |= declared.secrets


def _field_names(used: set[Path]) -> set[str]:
    """The captures that are read as ``${setup.NAME}``."""
    return {str(path[1]) for path in used if path[0] in {"setup", "map"} and len(path) > 1}
