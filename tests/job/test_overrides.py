"""What the command line puts over a workflow."""

from prodigy.job.overrides import Overrides, overridden
from prodigy.workflow.load import load_workflow
from prodigy.workflow.model import Claude, Step, Workflow

PLAIN = "[{claude: /a}, {claude: /b, model: opus}, {shell: 'false', on_failure: {claude: /repair}}]"


def loaded(text: str) -> Workflow:
    return load_workflow(text.encode(), "w.yml").workflow


def models(steps: tuple[Step, ...]) -> list[str | None]:
    return [
        model
        for step in steps
        for model in (
            *([step.claude.model] if isinstance(step.action, Claude) else []),
            *(models(step.on_failure.steps) if step.on_failure is not None else []),
        )
    ]


def test_a_model_is_for_steps_that_name_none_however_deep_they_stand() -> None:
    flow = overridden(loaded(PLAIN), Overrides(model="haiku"))
    assert flow.steps is not None
    assert models(flow.steps.steps) == ["haiku", "opus", "haiku"]


def test_the_workflows_own_model_stays() -> None:
    flow = overridden(loaded(f"model: sonnet\ncommands: {PLAIN}"), Overrides(model="haiku"))
    assert flow.steps is not None
    assert models(flow.steps.steps) == ["sonnet", "opus", "sonnet"]


def test_bounds_and_conflicts() -> None:
    text = """
    mode: mapreduce
    map: {input: {list: [1]}, max_parallel: 4, on_conflict: dlq, agent_template: [{shell: a}]}
    """
    chosen = overridden(loaded(text), Overrides(max_parallel=2, max_items=1, on_conflict="rerun"))
    assert chosen.map is not None
    assert (chosen.map.max_parallel, chosen.map.max_items, chosen.map.on_conflict) == (2, 1, "rerun")


def test_nothing_asked_for_changes_nothing() -> None:
    flow = loaded(PLAIN)
    assert overridden(flow, Overrides()) == flow
