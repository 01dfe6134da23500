"""Scripts of rehearsals: what they mean, and that everything wrong with one is told with its place."""

import pytest

from prodigy.rehearsal.reading import read_script
from prodigy.rehearsal.script import Commit, Fail, Hang, Limit, Quota, Say, Tokens, Write
from prodigy.workflow.problems import WorkflowInvalid


def problems(text: str) -> list[str]:
    with pytest.raises(WorkflowInvalid) as raised:
        read_script(text.encode(), "play.yml")
    return [str(problem) for problem in raised.value.problems]


def test_a_script() -> None:
    script = read_script(
        b"""
cost: 0.5
tokens: {input: 7}
quota: {launches: 2, per: 1m}
scenes:
  - {phase: map, item: "src/**", attempt: 2, times: 3, acts: [{say: "a ${item}"}, {fail: no, status: 529}]}
otherwise:
  - {append: f, text: x, cost: 0}
  - {rate_limit: 2s}
  - {hang: stubborn}
  - {commit: done, tokens: {output: 3}}
""",
        "play.yml",
    )
    assert (script.cost, script.tokens, script.quota) == (0.5, Tokens(7, 100), Quota(2, 60.0))
    [scene] = script.scenes
    assert (scene.phase, scene.item, scene.attempt, scene.times) == ("map", "src/**", 2, 3)
    assert scene.acts == (Say(text="a ${item}"), Fail(text="no", status=529))
    assert script.otherwise == (
        Write(path="f", text="x", append=True, cost=0.0),
        Limit(seconds=2.0),
        Hang(stubborn=True),
        Commit(message="done", tokens=Tokens(1000, 3)),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cost: 1", "play.yml:1:1: error[missing-key]: a rehearsal needs `scenes`, or `otherwise`"),
        ("- say: x", "play.yml:1:1: error[wrong-type]: a rehearsal is a mapping with `scenes`"),
        ("", "play.yml:1:1: error[wrong-type]: a rehearsal is a mapping with `scenes`"),
        ("scenes: [{itm: x, acts: []}]", "play.yml:1:11: error[unknown-key]: unknown key `itm` in a scene"),
        ("scenes: [{item: x}]", "play.yml:1:10: error[missing-key]: a scene needs `acts`"),
        ("scenes: [{item: '[z-a]', acts: []}]", "play.yml:1:17: error[bad-value]: `[z-a]` is not a glob"),
        ("scenes: [{prompt: '(', acts: []}]", None),
        ("otherwise: [{say: x, run: y}]", "play.yml:1:13: error[bad-value]: an act does one thing"),
        ("otherwise: [{cost: 1}]", "play.yml:1:13: error[bad-value]: an act does one thing"),
        ("otherwise: [{hang: maybe}]", None),
        ("otherwise: [{wait: soon}]", None),
        ("otherwise: [{say: x, text: y}]", "play.yml:1:22: error[unknown-key]: `text` has no meaning for `say`"),
        ("otherwise: [{wait: 1s, cost: 1}]", "play.yml:1:24: error[unknown-key]: `cost` has no meaning for `wait`"),
        ("otherwise: [{write: f}]", "play.yml:1:14: error[missing-key]: `write` needs a `text`"),
        ("otherwise: [{fail: x, status: 9}]", None),
        ("otherwise: [{say: '${item'}]", None),
        ("otherwise: []\nquota: {per: 1s}", "play.yml:2:1: error[missing-key]: `quota` needs `launches` and `per`"),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, problem: str | None) -> None:
    found = problems(text)
    assert len(found) == 1
    assert problem in {None, found[0]}
