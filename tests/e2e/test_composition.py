"""Workflows made of several files, as users run them."""

import json

import pytest
from worlds import World


def flow(world: World, text: str, **others: str) -> str:
    """A workflow file; `others` stand beside it as `NAME.yml`."""
    for name, content in others.items():
        world.workflow(content, f"{name}.yml")
    return world.workflow(text)


def test_imported_steps_stand_around_ours_and_their_names_are_ours(world: World) -> None:
    path = flow(
        world,
        """
        imports: [other.yml, {path: tools.yml, alias: tools}]
        env: {WHO: us}
        setup: [{shell: echo our setup >> said}]
        commands: [{shell: echo our $WHO $WHAT >> said}, {template: tools.greet, with: {who: "${WHAT}"}}]
        """,
        other="""
        env: {WHO: them, WHAT: thing}
        setup: [{shell: echo their setup >> said}]
        commands: [{shell: echo their $WHO >> said}]
        """,
        tools="templates: {greet: {parameters: [who], commands: [{shell: 'echo hello ${who} >> said'}]}}",
    )
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 0, done.stderr
    said = (world.repository / "said").read_text().splitlines()
    assert said == ["their setup", "our setup", "our us thing", "hello thing", "their us"]


def test_a_base_is_changed_removed_and_added_to(world: World) -> None:
    path = flow(
        world,
        """
        extends: base
        env: {GONE: null, KEPT: ours}
        map: {max_items: 2}
        """,
        base="""
        mode: mapreduce
        env: {GONE: here, KEPT: base, MORE: more}
        map:
          input: {list: [a, b, c]}
          agent_template: [{shell: "echo ${GONE:-gone} $KEPT $MORE > ${item}"}]
        """,
    )
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 0, done.stderr
    found = {
        name: (world.repository / name).read_text() for name in "abc" if (world.repository / name).exists()
    }
    assert found == {"a": "gone ours more\n", "b": "gone ours more\n"}


def test_templates_in_templates_keep_types_and_see_the_values_around_them(world: World) -> None:
    path = flow(
        world,
        r"""
        templates:
          outer:
            parameters: [x, {name: list, type: array}]
            commands:
              - {template: inner, with: {y: "${x}-${last.exit_code:-none}", all: "${list}"}}
              - {shell: "echo outer ${x} >> said", capture: told}
          inner:
            parameters: [y, all, {name: z, default: "$(touch pwned)"}]
            commands:
              - foreach: "${all}"
                do: [{shell: "echo ${item} ${y} \"${z}\" >> said"}]
              - shell: test -e missing
                on_failure: {shell: "echo handler ${y} >> said; touch missing"}
        commands:
          - {shell: "true"}
          - {template: outer, with: {x: "it's", list: [1, 2]}}
          - {shell: "echo ${x:-out of sight} >> said; test ! -e pwned"}
        """,
    )
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "said").read_text().splitlines() == [
        "1 it's-0 $(touch pwned)",
        "2 it's-0 $(touch pwned)",
        "handler it's-0",
        "outer it's",
        "out of sight",
    ]


def test_a_template_file_with_values_and_changes(world: World) -> None:
    path = flow(
        world,
        "template: {source: ./made.yml, with: {n: 4}, override: {env: {WHO: us}}}",
        made="""
        parameters: {required: [{name: n, type: number}], optional: [{name: m, type: array, default: [x, "y z"]}]}
        env: {WHO: them}
        commands: [{shell: "printf '%s\\\\n' $WHO ${n} ${m} > said"}]
        """,
    )
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "said").read_text() == "us\n4\nx\ny z\n"
    given = world.workflow(json.dumps({"m": ["from a file"], "n": 1}), "values.json")
    again = world.prodigy("run", path, "-y", "--param-file", given, "--param", "n=5")
    assert again.returncode == 0, again.stderr
    assert (world.repository / "said").read_text() == "us\n5\nfrom a file\n"


def test_a_workflow_in_a_workflow_sees_what_it_is_given(world: World) -> None:
    path = flow(
        world,
        """
        env: {OURS: ours}
        workflows:
          first: {source: sub.yml, parameters: {n: 3}, inputs: {who: "${OURS}"}, outputs: [told]}
          second: {source: broken.yml, continue_on_error: true}
        commands:
          - {shell: "echo ${first.told} ${first.success} ${second.success} >> said"}
        """,
        sub="""
        parameters: {n: {type: number}}
        env: {THEIRS: theirs}
        commands: [{shell: "echo $THEIRS ${who} ${n}", capture: told}, {shell: "echo ${told} >> said"}]
        """,
        broken="[{shell: exit 7}, {shell: echo never >> said}]",
    )
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "said").read_text() == "theirs ours 3\ntheirs ours 3 true false\n"


def test_mistakes_are_told_in_the_file_where_they_stand(world: World) -> None:
    path = flow(
        world,
        "imports: [other.yml, none.yml]\ncommands: [{shel: a}]\n",
        other="commands:\n  - {shell: a, timeot: 3}\n  - {shell: 'echo ${map.total}'}\n",
    )
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 2
    heads = [line.split(": ")[:2] for line in done.stderr.splitlines() if ": error[" in line]
    assert [(place.rpartition("/")[2], code) for place, code in heads] == [
        ("other.yml:2:16", "error[unknown-key]"),
        ("other.yml:3:19", "error[undefined-variable]"),
        ("workflow.yml:1:22", "error[import-not-found]"),
        ("workflow.yml:2:13", "error[unknown-key]"),
    ]
    assert world.journals() == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("imports: [other.yml]", "import-cycle"),
        ("templates: {a: [{template: b}], b: [{template: a}]}\ncommands: [{template: a}]", "import-cycle"),
        ("template: https://host/x.yml", "remote-template"),
        ("imports: [{path: tools.yml, selective: [a]}]\ncommands: [{shell: a}]", "template-not-found"),
        ("workflows: {a: {source: tools.yml, parallel: true}}", "not-yet-supported"),
        ("override: {commands.1.timeout: 5}\ncommands: [{shell: a}]", "bad-value"),
        ("template: {source: {registry: a}}", "not-yet-supported"),
    ],
)
def test_what_cannot_be_composed(world: World, text: str, code: str) -> None:
    path = flow(world, text, other="imports: [workflow.yml]\n", tools="commands: [{shell: a}]\n")
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 2
    heads = [line for line in done.stderr.splitlines() if ": error[" in line]
    assert [head.partition(": error[")[2].partition("]")[0] for head in heads] == [code]
