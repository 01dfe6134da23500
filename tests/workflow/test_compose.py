"""Files that make up one workflow."""

from typing import Any

import pytest

from prodigy.workflow.compose import Composer, Composition, Document, NoLibrary
from prodigy.workflow.nodes import value_of
from prodigy.workflow.problems import Problems
from prodigy.workflow.source import read


class Shelf:
    """Files by name, wherever they are asked for from."""

    def __init__(self, **files: str) -> None:
        self.files = {f"{name}.yml": text for name, text in files.items()}
        self.asked: list[tuple[str, str]] = []

    def find(self, reference, importer):
        self.asked.append((reference, importer))
        text = self.files.get(reference.removeprefix("./"))
        return None if text is None else Document(reference.removeprefix("./"), text.encode())


def composed(text: str, **files: str) -> tuple[Composition, Problems, Shelf]:
    problems = Problems("main.yml")
    shelf = Shelf(**files)
    root = read(text, problems)
    return Composer(problems, shelf, {}).compose(root), problems, shelf


def value(text: str, **files: str) -> Any:
    composition, problems, _ = composed(text, **files)
    assert not problems.invalid, [str(problem) for problem in problems.sorted()]
    return value_of(composition.root)


def told(text: str, **files: str) -> list[tuple[str, str]]:
    _, problems, _ = composed(text, **files)
    return [(problem.code, str(problem.mark)) for problem in problems.sorted()]


def test_a_file_alone_is_itself():
    problems = Problems("main.yml")
    root = read("commands: [{shell: a}]", problems)
    assert Composer(problems, NoLibrary(), {}).compose(root).root is root


def test_named_things_of_an_import_lie_under_ours():
    assert value(
        "imports: [base.yml]\nenv: {A: ours}\ncommands: [1]",
        base="env: {A: theirs, B: theirs}\ntemplates: {t: [2]}\nname: theirs\ntimeout: 5",
    ) == {"env": {"A": "ours", "B": "theirs"}, "commands": [1], "templates": {"t": [2]}}


def test_steps_of_an_import_stand_around_ours():
    """Its setup is done before ours, its steps after ours; a later import comes after an earlier one."""
    found = value(
        "imports: [one.yml, two.yml]\nsetup: {commands: [ours], timeout: 3}\nsteps: [ours]",
        one="setup: [one]\ncommands: [one]",
        two="setup: {steps: [two]}\ntasks: [two]",
    )
    assert flat(found["setup"]["commands"]) == ["one", "two", "ours"]
    assert found["setup"]["timeout"] == 3
    assert flat(found["steps"]) == ["ours", "one", "two"]


def flat(node):
    if isinstance(node, list):
        return [inner for item in node for inner in flat(item)]
    if isinstance(node, dict):
        return flat(node.get("commands", node.get("steps")))
    return [node]


def test_an_aliased_import_keeps_its_names_to_itself():
    composition, problems, _ = composed(
        "imports: [{path: lib.yml, alias: lib}]\ncommands: [1]", lib="templates: {t: [2]}\ncommands: [3]"
    )
    assert not problems.invalid
    assert value_of(composition.root) == {"commands": [1]}
    assert value_of(composition.aliases["lib"])["templates"] == {"t": [2]}


@pytest.mark.parametrize("reference", ["base", "base.yml", "./base.yml"])
def test_a_base_lies_under_everything(reference):
    assert value(
        f"extends: {reference}\nname: ours\nsteps: [mine]\nmap: {{input: x}}\ntimeout: ~",
        base="name: base\ncommands: [theirs]\nmap: {input: y, max_parallel: 3}\ntimeout: 9\ndescription: d",
    ) == {"name": "ours", "steps": ["mine"], "map": {"input": "x", "max_parallel": 3}, "description": "d"}


def test_a_base_is_looked_for_on_the_shelves():
    _, problems, shelf = composed("extends: nowhere\ncommands: [1]")
    assert [path for path, _ in shelf.asked][:2] == ["nowhere", "nowhere.yml"]
    assert "bases/nowhere.yml" in [path for path, _ in shelf.asked]
    assert [problem.code for problem in problems.sorted()] == ["import-not-found"]


def test_bases_have_bases():
    assert value(
        "extends: b.yml\nname: a", b="extends: c.yml\nname: b\nauthor: b", c="author: c\nversion: c"
    ) == {"name": "a", "author": "b", "version": "c"}


def test_what_is_extended_may_be_part_of_an_aliased_import():
    text = "imports: [{path: lib.yml, alias: lib}]\nextends: lib.main\nname: ours"
    assert value(text, lib="workflows: {main: {commands: [1]}}") == {"commands": [1], "name": "ours"}
    assert told(text, lib="workflows: {other: {commands: [1]}}") == [("template-not-found", "main.yml:2:10")]


def test_a_template_file_with_values_and_override():
    text = "template: {source: {file: t.yml}, with: {n: 3}, override: {timeout: 2}}\nname: ours\noverride: {author: o}"
    composition, problems, _ = composed(text, t="name: t\ntimeout: 1\nauthor: t\ncommands: [1]")
    assert not problems.invalid
    assert value_of(composition.root) == {"name": "ours", "timeout": 2, "author": "o", "commands": [1]}
    assert {name: value_of(node) for name, node in composition.given.items()} == {"n": 3}


def test_a_template_of_the_same_file():
    assert value("template: t\ntemplates: {t: {commands: [1]}}")["commands"] == [1]


def test_problems_name_the_file_that_they_are_in():
    assert told("imports: [a.yml]", a="imports: [{path: b.yml, alais: x}]", b="a: [") == [
        ("unknown-key", "a.yml:1:25"),
        ("yaml-syntax", "b.yml:2:1"),
    ]


@pytest.mark.parametrize(
    ("text", "files", "code"),
    [
        ("imports: [a.yml]", {"a": "imports: [b.yml]", "b": "imports: [a.yml]"}, "import-cycle"),
        ("extends: main.yml", {"main": "name: x"}, "import-cycle"),
        ("imports: [{path: a.yml, selective: [x]}]", {"a": "name: a"}, "template-not-found"),
        ("imports: [{path: a.yml, selective: [[x]]}]", {"a": "name: a"}, "wrong-type"),
        ("imports: [{alias: a}]", {}, "missing-key"),
        ("imports: [[a.yml]]", {}, "wrong-type"),
        ("extends: [a]", {}, "wrong-type"),
        ("template: https://x/y.yml", {}, "remote-template"),
        ("template: {source: {url: x}}", {}, "remote-template"),
        ("template: {source: {registry: x}}", {}, "not-yet-supported"),
        ("template: nobody", {}, "not-yet-supported"),
        ("template: {name: x, sauce: y}", {}, "unknown-key"),
        ("template: {with: {a: 1}}", {}, "missing-key"),
        ("override: [1]", {}, "wrong-type"),
        ("override: {commands.1.timeout: 1}\ncommands: [1]", {}, "bad-value"),
        ("override: {commands.x.timeout: 1}\ncommands: [1]", {}, "bad-value"),
        ("override: {name.x: 1}\nname: a", {}, "bad-value"),
        (f"override: {{{'a.' * 400}: 1}}", {}, "bad-value"),
    ],
)
def test_what_cannot_be_composed(text, files, code):
    assert code in [found for found, _ in told(text, **files)]


def test_files_do_not_lead_on_for_ever():
    files = {f"f{n}": f"imports: [f{n + 1}.yml]" for n in range(40)}
    assert [code for code, _ in told("imports: [f0.yml]", **files)] == ["import-cycle"]


@pytest.mark.parametrize(
    ("base", "ours", "found"),
    [
        ("map: {max_items: 5}", "map: {limit: 2}", {"map": {"limit": 2}}),
        ("map: {retry: {max_attempts: 5}}", "map: {retry: {attempts: 2}}", {"map": {"retry": {"attempts": 2}}}),
        ("retry: {initial_delay_ms: 5}", "retry_config: {initial_delay: 2s}", {"retry_config": {"initial_delay": "2s"}}),
        ("setup: {steps: [1], timeout: 1}", "setup: {commands: [2]}", {"setup": {"commands": [2], "timeout": 1}}),
        ("error_policy: {retry: {attempts: 1}}", "error_policy: {retry_config: ~}", {"error_policy": {}}),
        ("workflows: {a: {steps: [1]}}", "sub_workflows: {a: {commands: [2]}}", {"sub_workflows": {"a": {"commands": [2]}}}),
        ("env: {steps: a}", "env: {commands: b}", {"env": {"steps": "a", "commands": "b"}}),
    ],
)  # fmt: skip
def test_two_spellings_of_a_key_are_one_key_at_every_level(base, ours, found):
    assert value(f"extends: b.yml\n{ours}", b=base) == found


def test_a_key_that_a_base_gives_twice_is_not_dropped_silently():
    found, _, _ = composed("extends: b.yml", b="commands: [1]\nsteps: [2]")
    assert [key.text for key, _ in found.root.entries] == ["commands", "steps"]


def test_a_file_is_imported_once_by_whatever_ways():
    """What two imports both import adds its steps once, under both of them."""
    found = value(
        "imports: [a.yml, b.yml]\nsteps: [ours]",
        a="imports: [base.yml]\ncommands: [a]",
        b="imports: [base.yml]\ncommands: [b]\nenv: {X: b}",
        base="setup: [base]\ncommands: [base]\nenv: {X: base, Y: base}",
    )
    assert flat(found["steps"]) == ["ours", "a", "base", "b"]
    assert flat(found["setup"]) == ["base"]
    assert found["env"] == {"X": "b", "Y": "base"}


def test_an_imported_list_of_steps_adds_its_steps():
    found = value("imports: [a.yml]\ncommands: [ours]", a="[1, 2]")
    assert found["commands"] == ["ours", 1, 2]


def test_of_a_selective_import_only_the_names_come_over():
    text = "imports: [{path: lib.yml, selective: [t, w]}]\ncommands: [1]"
    library = "templates: {t: [2], u: [3]}\nsub_workflows: {w: {steps: [4]}}\ncommands: [5]\nenv: {A: b}"
    assert value(text, lib=library) == {
        "commands": [1],
        "templates": {"t": [2]},
        "sub_workflows": {"w": {"steps": [4]}},
    }
    _, problems, _ = composed(
        "imports: [{path: lib.yml, selective: [tempalte]}]", lib="templates: {template: [2]}"
    )
    assert [(problem.code, problem.hints) for problem in problems.sorted()] == [
        ("template-not-found", ("did you mean `template`?",))
    ]


def test_dotted_keys_of_override_lead_into_the_tree():
    text = """
    steps: [{shell: a, timeout: 1}, {shell: b, timeout: 2}]
    map: {limit: 3}
    override: {commands.1.timeout: 9, steps.0.timeout: ~, map.max_items: 4, env.DEEP.value: x, setup.timeout: ~}
    """
    assert value(text) == {
        "steps": [{"shell": "a"}, {"shell": "b", "timeout": 9}],
        "map": {"limit": 4},
        "env": {"DEEP": {"value": "x"}},
    }


def test_files_that_name_each_other_often_are_read_once():
    files = {
        f"f{n}": f"imports: [{{path: f{n + 1}.yml, alias: a}}, {{path: f{n + 1}.yml, alias: b}}]"
        for n in range(14)
    }
    _, problems, shelf = composed("imports: [f0.yml]", **files, f14="name: x")
    assert not problems.invalid
    assert len(shelf.asked) < 40


def test_a_later_import_lies_over_an_earlier_one():
    found = value("imports: [one.yml, two.yml]", one="env: {A: one, B: one}", two="env: {A: two}")
    assert found == {"env": {"A": "two", "B": "one"}}
