"""Bad input is one clear error: exit code 2, a stable code, a place and a hint, and nothing left behind."""

import json

import pytest
from worlds import World

CASES = {
    "missing file": (["run", "nowhere.yml"], None, "workflow-not-found"),
    "bad yaml": (["run", "{file}"], "commands: [", "yaml-syntax"),
    "unknown key": (["run", "{file}"], "commands: [{shel: ls}]", "unknown-key"),
    "no map input": (
        ["run", "{file}"],
        "mode: mapreduce\nmap: {agent_template: [{shell: ls}]}",
        "missing-key",
    ),
    "no steps": (["run", "{file}"], "[]", "no-steps"),
    "undefined variable": (["run", "{file}"], "- shell: echo ${item.path}", "undefined-variable"),
    "unknown verb": (["rnu"], None, "unknown-command"),
    "unknown flag": (["run", "--fast"], None, "unknown-flag"),
    "bad value": (["run", "{file}", "--max-parallel", "many"], "- shell: ls", "bad-value"),
    "zero parallel": (["run", "{file}", "--max-parallel", "0"], "- shell: ls", "bad-value"),
    "conflicting flags": (["run", "{file}", "-y", "--no-merge"], "- shell: ls", "conflicting-flags"),
    "missing argument": (["run"], None, "missing-argument"),
    "unknown run": (["dlq", "show", "nothing"], None, "run-not-found"),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_clear_error(world: World, name: str) -> None:
    words, text, code = CASES[name]
    file = world.workflow(text) if text is not None else ""
    done = world.prodigy(*(file if word == "{file}" else word for word in words))
    assert done.returncode == 2, done.stderr
    assert code in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not world.home.exists()
    assert world.leftovers() == []


def test_problems_of_a_workflow_have_their_places(world: World) -> None:
    flow = "mode: mapreduce\nmap: {input: w.json, agent_template: [{shel: ls}], max_paralel: 2}\nreduce: [{shell: 'echo ${map.totl}'}]\n"
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 2
    assert ":2:" in done.stderr
    assert ":3:" in done.stderr
    assert "did you mean `max_parallel`" in done.stderr
    assert "map.total" in done.stderr


def test_no_repository(world: World) -> None:
    done = world.prodigy("run", world.workflow("- shell: ls"), "-p", str(world.folder))
    assert done.returncode == 2
    assert "not-a-git-repository" in done.stderr
    assert not world.home.exists()


def test_unborn_branch(world: World) -> None:
    world.git("checkout", "--quiet", "--orphan", "empty")
    done = world.prodigy("run", world.workflow("- shell: ls"))
    assert done.returncode == 2
    assert "unborn-branch" in done.stderr
    assert not world.home.exists()


def test_errors_are_documents_for_scripts(world: World) -> None:
    done = world.prodigy("run", "nowhere.yml", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "workflow-not-found"


def test_a_map_input_that_is_not_committed_is_explained(world: World) -> None:
    world.write("items.json", "[1]")
    done = world.prodigy(
        "run", world.workflow("mode: mapreduce\nmap: {input: items.json, agent_template: [{shell: ls}]}\n")
    )
    assert done.returncode == 1
    assert "not committed" in done.stderr
