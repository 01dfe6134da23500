from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from msgspec import Struct

from prodigy.workflow import model
from prodigy.workflow.check import check
from prodigy.workflow.model import Deferred, Expr, Handler, Local, Mark, Shell, Step, StepList, Text, Workflow
from prodigy.workflow.problems import Problems as TheProblems
from prodigy.workflow.texts import uses_of

Problems = Callable[[str], tuple[Any, ...]]


def shown(problems: tuple[Any, ...]) -> list[str]:
    return [
        f"{problem.mark.line}:{problem.mark.column} {problem.code} {problem.message}" for problem in problems
    ]


def of_script(problems_of: Problems, script: str) -> list[str]:
    """Codes for a script as the second step of an agent."""
    indented = script.replace("\n", "\n      ")
    return [problem.code for problem in problems_of(
        "mode: mapreduce\nmap:\n  input: [1]\n  agent_template:\n  - {shell: a, id: one}\n"
        f"  - shell: |\n      {indented}\n"
    )]  # fmt: skip


@pytest.mark.parametrize(
    "script",
    [
        "echo ${item.x} ${item} ${item_id} ${item_index} ${item_total} ${agent.id} ${agent.attempt} ${agent.branch}",
        "echo ${shell.output} ${last.exit_code} ${one.stdout} ${one.success} ${step.name} ${step.attempt}",
        "echo ${workflow.name} ${workflow.started_at} ${job_id} ${session_id} ${branch} ${PROJECT_ROOT}",
        "for f in a b; do echo ${f} ${f%.py}; done; read -r line; echo ${line}; x=1 echo ${x} ${y:=2}",
        "echo ${HOME} ${PATH:-x} ${LC_ALL} ${PRODIGY_ITEM_ID} ${undefined:-x} ${undefined+x}",
        ". ./env.sh; echo ${ANYTHING}",
        "arr=(a b); echo ${arr[0]} ${arr[@]}",
        "node -e 'console.log(`${user.name} ${map.total}`)' | cat <<'EOF'\n${other.thing}\nEOF",
        "# ${nonsense.x} in a comment",
        "echo \\${nonsense.x} ${{ nonsense.x }}",
    ],
)
def test_what_is_fine_is_not_mentioned(problems_of: Problems, script: str) -> None:
    assert of_script(problems_of, script) == []


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ("echo ${itm.x}", ["undefined-variable"]),
        ("echo ${items}", ["undefined-variable"]),
        ("echo ${one.stdot}", ["undefined-variable"]),
        ("echo ${map.total}", ["undefined-variable"]),
        ("echo ${error.message}", ["undefined-variable"]),
        ("echo ${error}", ["undefined-variable"]),
        ("echo ${foo.bar} ${foo[0]} ${foo:lines}", ["undefined-variable"] * 3),
        ("echo ${NOT_SET}", ["maybe-undefined"]),
        ("echo ${item.x%.py}", ["bad-reference"]),
        ("echo ${item.x:upercase} ${item.x | uper}", ["unknown-modifier"] * 2),
        ("echo $'${item.x}'", ["bad-reference"]),
        ("echo `echo \\`echo ${item.x}\\``", ["bad-reference"]),
        ("echo ${file:a.txt} ${cmd:awk '{print}' ${item.x}} ${json:a.b:f.json} ${file:${item.path}}", []),
        ("echo ${json:$.a[?(@.b > 2)].c:from:f.json} '${file:other}' ${json:offset}", []),
        ("echo ${file:${itm.path}} ${cmd:cat ${itm.x}} ${json:a:${itm.f}}", ["undefined-variable"] * 3),
        ("echo ${json:$[:f.json}", ["bad-jsonpath"]),
        ("echo ${file:/etc/passwd} ${json:a:../f.json}", ["path-outside-worktree"] * 2),
        ("echo ${date:%Y} ${uuid} ${env.HOME} ${env:HOME} ${git.branch} ${workflow.commits} ${worker.id}", []),
        ("echo ${ARG} ${ARG_2} ${INDEX} ${item_file} ${item_json} ${one.files_changed} ${step.insertions}", []),
        ("echo ${git.brnch} ${workflow.comits} ${one.files_chnged}", ["undefined-variable"] * 3),
        ("echo ${claude.output} ${goal_seek.score} ${validation.gaps}", ["undefined-variable"] * 3),
        ("echo ${claude.output:-none}", []),
        ("echo ${FILE} ${ARGUMENT} $FILE_PATH", ["deprecated-form"] * 3),
        ("echo ${foreach.item} ${index} ${attempt} ${check.output}", ["undefined-variable"] * 4),
        ("echo ${merge.commits} ${setup.x}", ["undefined-variable"] * 2),
        ("echo $'${user.name}' '${map.total}' ${map.key}", ["deprecated-form"]),
        ('sh -c "echo ${item.x}"', ["nested-shell"]),
        ("bash -euc 'echo ${item.x}' x", ["nested-shell"]),
        ("eval echo ${item.x}; ssh host rm ${item.x}; xargs sh -c 'a ${item.x}'", ["nested-shell"] * 3),
        ("trap 'rm ${item.x}' EXIT; trap -- ${item.x} INT; sh -c \"echo $item\"", ["nested-shell"] * 3),
        ("bash <<EOF\n${item.x}\nEOF\nssh host <<'E'\n${item.x}\nE", ["nested-shell"] * 2),
        ("bash -s <<< ${item.x}; . /dev/stdin <<< ${item.x}", ["nested-shell"] * 2),
        ("echo ${item.x} | sh; echo ${item.x} | tee x | bash -e", ["nested-shell"] * 2),
        ("sh -c 'echo \"$1\"' sh ${item.x}", []),
        ("cat <<EOF | bash script.sh ${item.x} || sh run.sh <<E2\n${item.x}\nEOF\n${item.x}\nE2", []),
        ("for w in ${shell.output}; do :; done", ["shell-word-split"]),
        ("for w in ${shell.output:words} ${item.files}; do :; done", []),
        ("echo '$item'", ["single-quoted-variable"]),
        ("echo '$ARG'", []),
        ("echo ${item.x:raw}", ["raw-text"]),
    ],
)  # fmt: skip
def test_scripts_are_checked(problems_of: Problems, script: str, codes: list[str]) -> None:
    assert of_script(problems_of, script) == codes


@pytest.mark.parametrize(
    "text",
    [
        "mode: mapreduce\nmap: {input: 'ls ${cmd:pwd}', agent_template: [{shell: a}]}\n",
        "mode: mapreduce\nmap: {input: [1], item_id: 'x${file:a}', agent_template: [{shell: a}]}\n",
        "mode: mapreduce\nmap: {input: [1], env: {A: 'x${file:a}'}, agent_template: [{shell: a}]}\n",
        "env: {A: '${json:a:b.json}'}\ncommands: [{shell: a}]\n",
        "setup: {commands: [{shell: a}], timeout: '${cmd:cat limit}'}\n",
    ],
)
def test_values_are_worked_out_for_steps_alone(problems_of: Problems, text: str) -> None:
    assert [problem.code for problem in problems_of(text)] == ["bad-reference"]


def test_a_steps_own_environment_may_have_values_worked_out(problems_of: Problems) -> None:
    assert problems_of("- {shell: echo $A, env: {A: '${file:a}'}, when: \"${cmd:date} != ''\"}\n") == ()


def test_a_problem_points_at_the_reference_itself(problems_of: Problems) -> None:
    text = (
        "- shell: |\n    echo ${a.x}\n    echo ok ${a.x} ${b.y}\n"
        '- {shell: "echo \\"${c.z}\\" ${c.z}"}\n'
    )  # fmt: skip
    assert [(problem.mark.line, problem.mark.column, problem.end_column) for problem in problems_of(text)] == [
        (2, 10, 16), (3, 13, 19), (3, 20, 26), (4, 19, 25), (4, 28, 34),
    ]  # fmt: skip


def test_names_say_where_they_are_known(problems_of: Problems) -> None:
    text = (
        "mode: mapreduce\nsetup: [{shell: '${item.x}', id: s}]\n"
        "map: {input: '${map.total} ', agent_template: [{shell: '${map.total} ${r.output} '}]}\n"
        "reduce: [{shell: '${item.x} ${r.output}', id: r}, {shell: '${r.output} ${error.message} ${r.outptu}'}]\n"
    )
    map_ = "`map` is known in reduce, merge, the workflow's `on_success` and the workflow's `on_failure` only"
    assert [(problem.message, problem.hints) for problem in problems_of(text)] == [
        ("`item.x` is not defined in setup", ("`item` is known in agents or inside `foreach` only",)),
        ("`map.total` is not defined in `map.input`", (map_,)),
        ("`map.total` is not defined in agents", (map_,)),
        ("`r.output` is not defined", ("`r` is set in reduce, and known nowhere else",)),
        ("`item.x` is not defined in reduce", ("`item` is known in agents or inside `foreach` only",)),
        ("`r.output` is not defined", ("`r` is set in reduce, but not before this",)),
        ("`error.message` is not defined in reduce",
         ("`error` is known in the workflow's `on_failure` or inside `on_failure` only",)),
        ("`r.outptu` is not defined", ("did you mean `r.output`?",)),
    ]  # fmt: skip


def test_handlers_know_the_failure_and_nothing_before_them_is_lost(problems_of: Problems) -> None:
    text = (
        "- {shell: a, id: one, on_failure: [{shell: 'echo ${error.message} ${shell.output} ${one.stderr}"
        " ${handler.attempt}', id: two}, {shell: 'echo ${two.output}'}]}\n"
        "- {shell: 'echo ${two.output} ${last.output}'}\n"
    )
    assert problems_of(text) == ()


def test_the_first_step_has_no_last_one(problems_of: Problems) -> None:
    found = problems_of("- shell: echo ${shell.output} ${last.output:-none}\n- shell: echo ${shell.output}\n")
    assert shown(found) == ["1:15 undefined-variable `shell.output` is not defined here"]


def test_ids_are_unique_and_no_names_of_the_language(problems_of: Problems) -> None:
    text = (
        "- {shell: a, id: x}\n- {shell: a, id: item}\n- {shell: b, id: x}\n- {shell: c, id: test}\n"
        "- {shell: '${x.output} ${test.output}'}\n"
    )
    assert shown(problems_of(text)) == [
        "2:18 reserved-name `item` is a name of the language and cannot be an id",
        "3:18 bad-value the id `x` is used twice in this list",
        "4:18 overwrites-builtin the id `test` hides a variable of the same name",
    ]


def test_item_id_and_json_path_are_checked(problems_of: Problems) -> None:
    text = (
        'map:\n  input: [1]\n  json_path: "$.a[?(@.b ==)]"\n  item_id: "${itm.x} ${item.y} $nope ${x%y} ${agent.id}"\n'
        "  agent_template: [{shell: a}]\nmode: mapreduce\n"
    )
    assert [line.split(" `")[0] for line in shown(problems_of(text))] == [
        "3:27 bad-jsonpath",
        "4:13 undefined-variable",
        "4:32 maybe-undefined",
        "4:38 bad-reference",
        "4:45 undefined-variable",
    ]
    assert (
        problems_of('mode: mapreduce\nmap: {input: [1], item_id: "", agent_template: [shell: a]}')[0].code
        == "bad-value"
    )


@pytest.mark.parametrize(
    "given", ["'cat ${branch}'", "{command: 'cat ${x%y} ${job_id}'}", "{file: '${branch}/w.json'}"]
)
def test_an_input_may_use_what_every_phase_knows(problems_of: Problems, given: str) -> None:
    assert problems_of(f"mode: mapreduce\nmap: {{input: {given}, agent_template: [shell: a]}}") == ()


def test_captures_and_ids_are_known_where_they_reach(problems_of: Problems) -> None:
    """Setup's in every later phase, reduce's in those after it, an agent's only in itself; results of steps nowhere."""
    text = """
mode: mapreduce
setup: [{shell: a, id: s, capture: cs}]
map:
  input: "ls ${cs} ${s.output}"
  item_id: "${cs}-${item.x}"
  max_parallel: "${cs}"
  agent_template:
    - {shell: "a ${cs} ${setup.cs} ${s.stdout}", id: a, capture: ca}
    - {shell: "b ${ca} ${ca.exit_code} ${a.output}"}
reduce:
  - {shell: "c ${setup.s} ${map.results[0].variables.ca}", id: r, capture: cr}
  - {shell: "d ${ca}"}
merge: [{shell: "e ${cr} ${r.output} ${merge.source_branch} ${map.total} ${cs} ${a.output}"}]
on_success: [{shell: "f ${cs} ${map.total}"}]
on_failure: [{shell: "g ${error.message} ${cr} ${shell.output}"}]
"""
    assert shown(problems_of(text)) == [
        "13:16 undefined-variable `ca` is not defined",
        "14:80 undefined-variable `a.output` is not defined",
        "16:48 undefined-variable `shell.output` is not defined here",
    ]


def test_what_lists_inside_a_step_set_reaches_the_steps_after_it_only_from_handlers(
    problems_of: Problems,
) -> None:
    text = """
- shell: a
  on_failure: {shell: "b ${test.attempt} ${error.message}", capture: fixed, id: h}
  on_success: {shell: "c ${shell.output}", capture: fine}
  on_exit_code: {3: {shell: "d ${error.exit_code}", id: three}}
- shell: echo ${fixed} ${h.output} ${fine} ${three.output} ${handler.output}
- foreach: "ls ${fixed}"
  do: [{shell: "e ${item.x} ${index} ${total} ${foreach.item} ${fixed}", capture: inner}, {shell: "f ${inner}"}]
- shell: echo ${foreach.total} ${inner} ${item}
- goal_seek: {goal: g, shell: "h ${attempt} ${goal_seek.score}", validate: "i ${check.output} ${validation.gaps}"}
- validate: {shell: j, on_incomplete: {claude: "k ${validation.gaps} ${validation.gasp}"}}
- shell: echo ${goal_seek.score} ${validation.completion}
"""
    assert shown(problems_of(text)) == [
        "9:32 undefined-variable `inner` is not defined",
        "9:41 undefined-variable `item` is not defined in the steps",
        "11:70 undefined-variable `validation.gasp` is not defined",
    ]


def test_every_text_of_a_step_is_checked(problems_of: Problems) -> None:
    text = """
- shell: a
  timeout: "${x1.y}"
  working_dir: "${x2.y}"
  output_file: "${x3.y}"
  env: {A: "${x4.y} ${HOME}", B: {command: "ls ${x5.y}"}}
  commit_config: {message_template: "${x6.y} ${shell.output}"}
  retry: {attempts: "${x7.y}", on_failure: {fallback: {steps: [{shell: "${x8.y}"}]}}}
  validate: {shell: "${x9.y}", result_file: "${y1.y}", threshold: "${y2.y}"}
  on_failure: {shell: "${y3.y}", max_attempts: "${y4.y}"}
- write_file: {path: "${z1.y}", format: json, content: {a: ["${z2.y}"]}}
- {claude: "${z3.y}", append_system_prompt: "${z4.y}"}
- foreach: "${z5.y}"
  do: {shell: "${z6.y}"}
  parallel: "${z7.y}"
"""
    found = [problem.message for problem in problems_of(text)]
    names = ["x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "y1", "y2", "y3", "y4", "z1", "z2", "z3", "z4",
             "z5", "z6", "z7"]  # fmt: skip
    assert found == [f"`{name}.y` is not defined" for name in names]


def test_expressions_warn_of_what_is_defined_nowhere(problems_of: Problems) -> None:
    text = """
env: {TIER: dev}
commands:
  - {shell: a, id: v, capture: ver}
  - {shell: b, when: "ver == '1' and v.success and TIER == dev and env.CI and nope and ${gone.x} and defined(maybe)"}
  - {shell: c, when: "v.sucess || claude.output || v == ver"}
"""
    assert shown(problems_of(text)) == [
        "5:60 bare-word-operand `dev` is the name of a value here, not text",
        "5:79 maybe-undefined `nope` is not defined",
        "5:88 maybe-undefined `gone.x` is not defined",
        "6:23 maybe-undefined `v.sucess` is not defined",
        "6:35 maybe-undefined `claude.output` is not defined here",
    ]


def test_fields_of_a_filter_are_the_item_s(problems_of: Problems) -> None:
    text = (
        'mode: mapreduce\nmap: {input: [1], filter: "a.b > 1 && item.c == d && ${branch} == ${nope}", '
        "agent_template: [shell: a]}"
    )
    assert shown(problems_of(text)) == [
        "2:49 bare-word-operand `d` is the name of a value here, not text",
        "2:67 maybe-undefined `nope` is not defined",
    ]


def test_secrets_are_told_from_other_variables(problems_of: Problems) -> None:
    text = """
env: {TOKEN: {secret: true, value: "${MY_TOKEN}"}, PLAIN: x, URL: "https://${TOKEN}@host"}
secrets: {KEY: "${env:MY_KEY}"}
commands:
  - shell: "curl -H ${TOKEN} '${KEY}' $KEY ${PLAIN} ${env.TOKEN}"
  - claude: "use ${TOKEN} and $KEY and ${PLAIN} and ${env.KEY}"
  - shell: "cat <<'E'\\n${TOKEN}\\nE"
  - shell: "echo $'${KEY}'"
  - shell: "echo ${TOKEN:json} ${last.output:-a${KEY}} ${last.output:-${KEY}}"
  - {shell: a, env: {KEY: b}}
  - {shell: a, capture: TOKEN}
  - {claude: "${TOKEN}"}
"""
    assert shown(problems_of(text)) == [
        "6:18 secret-in-text `${TOKEN}` puts a secret into a text",
        "6:31 secret-in-text `$KEY` puts a secret into a text",
        "6:53 secret-in-text `${env.KEY}` puts a secret into a text",
        "7:24 bad-reference the secret `${TOKEN}` stands in a quoted heredoc",
        "8:20 bad-reference `${KEY}` stands in $'…'",
        "9:18 bad-reference `${TOKEN:json}` would write a secret into the script",
        "9:32 bad-reference `${last.output:-a${KEY}}` would write a secret into the script",
        "10:22 conflicting-keys `KEY` is a secret of the workflow and cannot be set for one step",
        "11:25 overwrites-builtin the capture `TOKEN` hides the environment variable of the same name",
    ]


def test_names_of_captures(problems_of: Problems) -> None:
    text = """
- {shell: a, capture: {item: stdout, shell.output: stdout, map.x: stdout, branch: stdout, mine.deep: stdout}}
- {shell: "echo ${branch} ${mine.deep}", capture: never}
- {shell: "echo '${used} $used2' ${other[0]}", capture: used}
- {shell: b, when: "used3", capture: other}
"""
    assert shown(problems_of(text)) == [
        "2:24 reserved-name `item` is a name of the language and cannot be a capture",
        "2:38 overwrites-builtin the capture `shell.output` hides the output of the last `shell` step",
        "2:60 reserved-name `map` is a name of the language and cannot be a capture",
        "2:75 overwrites-builtin the capture `branch` hides a variable of the same name",
        "3:51 unused-capture the capture `never` is never used",
        "4:34 undefined-variable `other[0]` is not defined",
        "4:57 unused-capture the capture `used` is never used",
        "5:21 maybe-undefined `used3` is not defined",
    ]


@pytest.mark.parametrize(
    "reader", ["${map.results}", "cat ${map.results_file}", "cat $PRODIGY_MAP_RESULTS_FILE"]
)
def test_captures_of_agents_are_used_by_whoever_reads_the_results(problems_of: Problems, reader: str) -> None:
    text = (
        "mode: mapreduce\nmap: {input: [1], agent_template: [{shell: a, capture: x}]}\n"
        f"reduce: [{{shell: '{reader}'}}]"
    )
    assert problems_of(text) == ()
    assert [problem.code for problem in problems_of(text.replace(reader, "b"))] == ["unused-capture"]


def test_outputs_of_setup_are_captures(problems_of: Problems) -> None:
    text = """
setup:
  commands: [{shell: a, id: one}]
  capture_outputs: {a: 0, b: one, c: one, item: one}
commands: [{shell: "echo ${a} ${setup.b} ${setup.f}"}]
"""
    assert [problem.code for problem in problems_of(text)] == [
        "unused-capture", "reserved-name", "undefined-variable",
    ]  # fmt: skip


def test_names_from_env_files_may_be_anything(problems_of: Problems) -> None:
    step = "commands: [{shell: 'echo ${FROM_FILE}'}]"
    assert [problem.code for problem in problems_of(step)] == ["maybe-undefined"]
    assert problems_of(f"env_files: [.env]\n{step}") == ()


def test_untouched_text_is_not_checked(problems_of: Problems) -> None:
    assert problems_of("- {shell: 'echo ${nope.x}', interpolate: false}") == ()


def test_problems_name_the_file_that_a_step_came_from() -> None:
    """A step of another file is looked for in that file's text."""
    texts = {"a.yml": "commands: []\n", "b.yml": "\n- shell: echo ${nope.x}\n"}
    step = Step(action=Shell("echo ${nope.x}", Mark("b.yml", 2, 10)), mark=Mark("b.yml", 2, 3))
    workflow = Workflow(name="w", mode="sequential", steps=StepList(steps=(step,)))
    problems = TheProblems("a.yml")
    check(workflow, texts, problems)
    assert [str(problem) for problem in problems.sorted()] == [
        "b.yml:2:15: error[undefined-variable]: `nope.x` is not defined"
    ]


def test_a_thousand_steps_are_checked_in_a_bounded_number_of_looks() -> None:
    """Names of earlier steps are not copied for every step: the work grows with the text alone."""
    steps = tuple(
        Step(action=Shell(f"echo ${{s{number - 1}.output}}", Mark()), id=f"s{number}")
        for number in range(1000)
    )
    problems = TheProblems("w")
    check(Workflow(name="w", mode="sequential", steps=StepList(steps=steps[1:])), {}, problems)
    assert [problem.message for problem in problems.sorted()] == ["`s0.output` is not defined"]


def test_variables_of_one_step_are_known_in_it_alone() -> None:
    """Their values see what the list knows, and not each other."""
    inner = Step(action=Shell("${who} ${n}", Mark()))
    step = Step(
        action=Shell("echo ${who}", Mark()),
        locals=(Local(name="who", text=Text("${who} ${job_id}")), Local(name="n", data=2)),
        on_failure=Handler(steps=(inner,)),
    )
    problems = TheProblems("w")
    both = StepList(steps=(step, Step(action=Shell("echo ${n.x}", Mark()))))
    check(Workflow(name="w", mode="sequential", steps=both), {}, problems)
    assert [problem.message for problem in problems.sorted()] == [
        "`n.x` is not defined",
        "`who` is not defined",
    ]
    assert ("job_id",) in uses_of(step).paths


def test_every_kind_of_text_in_the_model_is_known_to_the_checker() -> None:
    """A new text in the model must be given a rule in ``texts`` (or here, if it is no step's)."""
    found = {
        f"{name}.{key}"
        for name, part in vars(model).items()
        if isinstance(part, type) and issubclass(part, Struct)
        for key, kind in get_type_hints(part).items()
        if "model.Text" in str(kind) or "model.Expr" in str(kind)
    }
    assert found == {
        "CommitConfig.message_template", "ClaudeOptions.system_prompt", "ClaudeOptions.append_system_prompt",
        "EnvValue.condition", "Foreach.filter", "Incomplete.prompt", "Check.result_file", "GoalSeek.goal",
        "WriteFile.path", "WriteFile.content", "SubWorkflow.inputs", "Local.text", "Aggregate.value", "Aggregate.where", "Aggregate.by", "Step.when", "Step.working_dir",
        "Step.output_file", "Step.expected_output", "MapPhase.filter",
    }  # fmt: skip


def test_uses_say_what_a_step_asks_for() -> None:
    step = Step(
        action=Shell("echo ${a.b:-${c}} $d ${date:%Y} '${uuid}' ${f%x} # ${g}", Mark()),
        when=Expr("h.i and ${j.k} == 'x'"),
        working_dir=Text("${l}/$m/${uuid}"),
        on_failure=Handler(steps=(Step(action=Shell("${n}", Mark())),), timeout=Deferred("${o}", "duration")),
    )
    uses = uses_of(step)
    assert uses.paths == {
        ("a", "b"), ("c",), ("d",), ("f",), ("g",), ("h", "i"), ("j", "k"), ("l",), ("m",), ("o",),
    }  # fmt: skip
    assert uses.computed == {("date", "%Y"), ("uuid", "")}


# -- what may come from elsewhere --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "env_files: [.env]\ncommands:\n- {claude: '/x ${A} $B', working_dir: '${C}', timeout: '${D}'}\n",
        "commands:\n- {claude: '/x ${A:-b} ${a.b:-c} ${A|default:d}'}\n- {shell: 'echo ${a.b:-c}'}\n",
        "env: {A: {condition: \"${OURS} == 'x' && THEIRS\", when_true: a, when_false: b}}\ncommands: [{shell: a}]\n",
        "- claude: /x\n  on_failure: {claude: '/y ${shell.output}'}\n",
        "- shell: echo ${step.files_changed} ${step.commit_count}\n",
    ],
    ids=["env files", "defaults", "condition on the process", "the failed step as shell", "no step yet"],
)
def test_names_that_may_have_a_value_are_fine(problems_of: Problems, text: str) -> None:
    assert shown(problems_of(text)) == []


def test_a_default_does_not_hide_a_misspelt_name(problems_of: Problems) -> None:
    (problem,) = problems_of(
        "mode: mapreduce\nmap: {input: [1], agent_template: [{claude: '/x ${itme.a:-b}'}]}\n"
    )
    assert (problem.code, problem.hints) == ("undefined-variable", ("did you mean `item.a`?",))


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("imports: [gone.yml]", "import-not-found"),
        ("extends: gone", "import-not-found"),
        ("template: gone", "not-yet-supported"),
    ],
)
def test_names_that_a_missing_part_may_declare_are_no_further_problem(
    problems_of: Problems, head: str, code: str
) -> None:
    body = "commands:\n- {use: lint}\n- {claude: '/x ${A} $B ${lint.output}'}\n- {shell: 'echo ${C} ${base.x}'}\n"
    assert [problem.code for problem in problems_of(f"{head}\n{body}")] == [code]
    assert [problem.code for problem in problems_of(f"{head}\n")] == [code]


def test_names_that_a_refused_part_may_declare_are_no_further_problem(problems_of: Problems) -> None:
    text = "goals: [{achieve: a, check: b}]\non_success: [{claude: '/x ${n}'}, {shell: 'echo ${n.x}'}]\n"
    assert [problem.code for problem in problems_of(text)] == ["not-yet-supported"]


AGGREGATES = (
    "mode: mapreduce\nmap:\n  input: [1]\n  agent_template: [{shell: a, capture: score}]\n"
    "  variables: {n: count, by_team: {type: group_by, by: item.team}, score: sum}\n"
)


def test_aggregates_are_known_when_all_agents_have_ended(problems_of: Problems) -> None:
    text = AGGREGATES + (
        "reduce: [{shell: 'echo ${n} ${map.n} ${by_team.x[0]} $score ${count:by_team[*]}'}]\n"
        "merge: [{claude: '/x ${n}'}]\non_success: [{shell: 'echo ${map.score}'}]\n"
        "on_failure: [{shell: 'echo ${n}', when: n > 2}]\n"
    )
    assert problems_of(text) == ()


def test_aggregates_are_known_nowhere_else_and_misspelt_ones_not_at_all(problems_of: Problems) -> None:
    text = AGGREGATES.replace("shell: a,", "shell: 'echo ${by_team.x} ${n}',") + (
        "setup: [{claude: '/x ${n}'}]\nreduce: [{shell: 'echo ${by_taem.x} ${map.scor} ${by_team} ${score}'}]\n"
    )
    late = (
        "is known when all agents have ended: reduce, merge, the workflow's `on_success` and the workflow's"
        " `on_failure`"
    )
    assert [(problem.code, problem.hints) for problem in problems_of(text)] == [
        ("undefined-variable", (f"`by_team` {late}",)),
        ("undefined-variable", (f"`n` {late}",)),
        ("undefined-variable", (f"`n` {late}",)),
        ("undefined-variable", ("did you mean `by_team.x`?",)),
        ("undefined-variable", ("did you mean `map.score`?",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        ("n: {type: sum, value: score}", []),
        ("n: {type: sum, value: result.variables.score}", []),
        ("score: sum", []),
        ("n: {type: sum, value: size}", ["unused-capture"]),
        ("n: {type: sum, value: result.duraton, where: score}", ["maybe-undefined"]),
        ("n: {type: sum, value: '${limt}', where: score}", ["maybe-undefined"]),
        ("n: {type: sum, value: '${item.x}', where: score}", []),
        ("item: {type: sum, value: score}", ["reserved-name"]),
        ("total: {type: sum, value: score}", ["overwrites-builtin"]),
        ("limit: {type: sum, value: score}", ["overwrites-builtin"]),
    ],
)
def test_expressions_and_names_of_aggregates(problems_of: Problems, rule: str, codes: list[str]) -> None:
    text = (
        "mode: mapreduce\nparameters: {limit: {default: 2}}\n"
        "map: {input: [1], agent_template: [{shell: a, capture: score}], variables: {%s}}\n"
    )
    assert [problem.code for problem in problems_of(text % rule)] == codes


def test_a_name_of_the_environment_is_pointed_to(problems_of: Problems) -> None:
    (problem,) = problems_of("- claude: /x ${DEPLOY_TARGET}\n")
    (hint,) = problem.hints
    assert "`env.DEPLOY_TARGET`" in hint


def test_a_script_is_told_once_of_a_name(problems_of: Problems) -> None:
    assert shown(problems_of("- shell: echo ${NOT_SET} ${NOT_SET} ${ARGS} ${ARGS}\n")) == [
        "1:15 maybe-undefined `NOT_SET` is no variable of Prodigy, and the script does not set it",
        "1:37 undefined-variable `ARGS` is not defined",
    ]


def test_names_of_older_workflows_are_not_suggested(problems_of: Problems) -> None:
    assert of_script(problems_of, "echo ${FILES}") == ["maybe-undefined"]


@pytest.mark.parametrize(
    "script",
    ["export $(grep -v '^#' .env | xargs); echo ${A}", "echo ${GITHUB_TOKEN} ${CARGO_HOME} ${GOPATH}"],
)
def test_names_that_the_environment_usually_has_are_not_mentioned(problems_of: Problems, script: str) -> None:
    assert of_script(problems_of, script) == []


def test_the_places_of_many_equal_texts_are_found_in_order(problems_of: Problems) -> None:
    text = "- claude: /x ${a b} ${c d} ${a b}\n"
    assert [problem.mark.column for problem in problems_of(text)] == [14, 21, 28]


@pytest.mark.parametrize(("length", "column"), [(100, 119), (10_000, 3)])
def test_a_key_is_looked_for_near_its_step(problems_of: Problems, length: int, column: int) -> None:
    """Far behind it the step itself is shown, so that thousands of such problems cost little."""
    text = "- {shell: ls, id: twice}\n- {shell: '" + "x" * length + "', id: twice}\n"
    (problem,) = problems_of(text)
    assert (problem.mark.line, problem.code) == (2, "bad-value")
    assert problem.mark.column == column
