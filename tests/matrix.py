"""Every option of a step, as steps that show it and what they leave as a proof, and every place where steps stand.

In the steps of a cell ``PROOF`` is the file for the proof, ``CELL`` a name of its own, ``TAG`` a number for command
lines, ``LONG`` a time in seconds that nobody waits for, ``FLAGS`` a command that prints what Claude was launched with.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from worlds import World

FAKES = Path(__file__).parent / "fakes"
FLAGS = r"tr '\\0' ' ' < /proc/\\$PPID/cmdline"

OPTIONS = r"""
when:
  - [{shell: "echo wrong >> PROOF", when: "1 == 2"}, {shell: "echo right >> PROOF", when: "workflow.name == 'matrix'"}]
  - right
name:
  - [{name: "a name", shell: "true"}, {shell: "echo '${step.name}' > PROOF"}]
  - a name
description:
  - [{description: "what it is for", shell: "true"}, {shell: "echo '${step.name}' > PROOF"}]
  - what it is for
timeout:
  - [{shell: "sleep LONG", timeout: 100ms, on_failure: {shell: "echo ${error.class} > PROOF", retry_original: false}}]
  - timeout
idle_timeout:
  - [{claude: /sh sleep LONG, idle_timeout: 300ms, on_failure: {shell: "echo ${error.class} > PROOF"}}]
  - timeout
grace:
  - - shell: "trap 'sleep 0.3; echo ended > PROOF; exit 1' TERM; sleep LONG & wait"
      timeout: 2s
      grace: 60s
      continue_on_error: true
  - ended
limits:
  - [{shell: "yes | head -c 10000000", limits: {output: 100kB}, on_failure: {shell: "echo ${error.class} > PROOF", retry_original: false}}]
  - limit-exceeded
retry:
  - [{shell: "echo x >> PROOF; test $(wc -l < PROOF) = 3", retry: {attempts: 3, initial_delay: 1ms}}]
  - "x\nx\nx"
retries:
  - [{shell: "echo x >> PROOF; test $(wc -l < PROOF) = 4", retries: 3, retry: {backoff: {fixed: {delay: 1ms}}}}]
  - "x\nx\nx\nx"
retry_on:
  - - shell: "echo x >> PROOF; exit 9"
      retry: {attempts: 3, initial_delay: 1ms, retry_on: [{exit_code: 8}]}
      continue_on_error: true
  - x
retry_fallback:
  - - shell: "echo x >> PROOF; exit 9"
      retry: {attempts: 2, initial_delay: 1ms, on_failure: {fallback: {command: "echo instead >> PROOF"}}}
  - "x\nx\ninstead"
on_failure:
  - - shell: "echo tried >> PROOF; test $(wc -l < PROOF) -ge 3"
      on_failure: ["echo 'repaired ${error.exit_code}' >> PROOF"]
  - "tried\nrepaired 1\ntried"
max_attempts:
  - - shell: "echo tried >> PROOF; test $(wc -l < PROOF) -ge 5"
      on_failure: {shell: "echo repaired >> PROOF"}
      max_attempts: 2
  - "tried\nrepaired\ntried\nrepaired\ntried"
fail_workflow:
  - [{shell: "exit 4", on_failure: {shell: "exit 5", fail_workflow: false}}, {shell: "echo went on > PROOF"}]
  - went on
retry_original:
  - [{shell: "echo tried >> PROOF; false", on_failure: {shell: "echo handled >> PROOF"}, retry_original: false}]
  - "tried\nhandled"
handler_failure_fatal:
  - - foreach: [x]
      do:
        - {shell: "exit 4", on_failure: {shell: "exit 5", fail_workflow: false, handler_failure_fatal: true}}
        - {shell: "echo went on >> PROOF"}
      continue_on_error: true
    - {shell: "echo over >> PROOF"}
  - over
handler_timeout:
  - - {shell: "exit 4", on_failure: {shell: "sleep LONG; echo late >> PROOF", timeout: 100ms, fail_workflow: false}}
    - {shell: "echo went on >> PROOF"}
  - went on
handler_capture:
  - - {shell: "exit 4", on_failure: {shell: "echo repaired", capture: cap_handler, strategy: fallback}}
    - {shell: "echo ${cap_handler} > PROOF"}
  - repaired
strategy:
  - [{shell: "echo tried >> PROOF; false", on_failure: {shell: "echo instead >> PROOF", strategy: fallback}}]
  - "tried\ninstead"
on_success:
  - [{shell: "echo done > PROOF", on_success: [{shell: "echo more >> PROOF"}, {shell: "echo last >> PROOF"}]}]
  - "done\nmore\nlast"
on_exit_code:
  - - shell: "exit 3"
      on_exit_code: {3: {shell: "echo three >> PROOF"}, "4-9": {shell: "echo wrong >> PROOF"}, "!0": {shell: "echo any >> PROOF"}}
      continue_on_error: true
  - "three\nany"
continue_on_error:
  - [{shell: "exit 5", continue_on_error: true}, {shell: "echo ${last.exit_code} ${shell.success} > PROOF"}]
  - 5 false
capture:
  - - {shell: "echo one; echo two >&2", capture: {cap_o: stdout, cap_e: stderr, cap_c: exit_code, cap_p: "/o(n)e/"}}
    - {shell: "echo ${cap_o} ${cap_e} ${cap_c} ${cap_p} > PROOF"}
  - one two 0 n
capture_output:
  - [{shell: "echo one", capture_output: cap_out}, {shell: "echo ${cap_out} ${cap_out.exit_code} > PROOF"}]
  - one 0
capture_format:
  - - {shell: "echo '{\"a\": [1, {\"b\": true}]}'", capture: cap_json, capture_format: json}
    - {shell: "echo ${cap_json.a[1].b} ${cap_json:json} > PROOF"}
  - 'true {"a":[1,{"b":true}]}'
capture_streams:
  - - shell: "for i in 1 2 3 4 5 6 7 8; do echo $i; echo -$i >&2; done"
      capture: cap_both
      capture_streams: both
    - {shell: "echo ${cap_both:words} > PROOF"}
  - "1 -1 2 -2 3 -3 4 -4 5 -5 6 -6 7 -7 8 -8"
output_file:
  - [{shell: "echo kept", output_file: CELL/out.txt}, {shell: "cp CELL/out.txt PROOF"}]
  - kept
id:
  - [{id: an-id, shell: "echo one; exit 0"}, {shell: "echo ${an-id.output} ${an-id.exit_code} > PROOF"}]
  - one 0
outputs:
  - - {id: maker, shell: "mkdir -p CELL; echo x > CELL/report.txt", outputs: {report: "report.*"}}
    - {shell: "echo ${maker.report} > PROOF"}
  - CELL/report.txt
env:
  - [{shell: "echo $OWN-${OWN} > PROOF", env: {OWN: "of ${workflow.name}"}}, {shell: "echo ${OWN:-gone} >> PROOF"}]
  - "of matrix-of matrix\ngone"
clear_env:
  - - {shell: "echo ${OUTSIDE:-none} ${HOME:+home} $OWN > PROOF", clear_env: true, env: {OWN: own}}
    - {shell: "echo $OUTSIDE >> PROOF"}
  - "none home own\noutside"
working_dir:
  - [{shell: "mkdir -p CELL/inner"}, {shell: "basename $PWD > PROOF", working_dir: CELL/inner}]
  - inner
commit_required:
  - - {shell: "true", commit_required: true, on_failure: {shell: "echo ${error.class} > PROOF", retry_original: false}}
    - {shell: "mkdir -p CELL; echo x > CELL/file", commit_required: true}
    - {shell: "git log -1 --name-only --format= >> PROOF"}
  - "commit-missing\nCELL/file"
auto_commit:
  - - {shell: "echo x > CELL.txt", auto_commit: false}
    - {shell: "git status --porcelain CELL.txt > PROOF; git add CELL.txt; git commit -qm own"}
  - "?? CELL.txt"
commit_config:
  - - name: writer
      shell: "echo x > CELL.txt"
      commit_config: {message_template: "by ${step.name}", author: "Bo <bo@localhost>", include_files: ["*.txt"]}
    - {shell: "git log -1 --format='%s, %an' > PROOF"}
  - by writer, Bo
validate:
  - - shell: "true"
      validate: {shell: "test -f CELL.txt", on_incomplete: {shell: "echo '${validation.completion}' > CELL.txt"}}
    - {shell: "cp CELL.txt PROOF"}
  - "0"
skip_validation:
  - [{shell: "echo ran >> PROOF", validate: {shell: "false"}, skip_validation: true}, {shell: "echo went on >> PROOF"}]
  - "ran\nwent on"
validation_timeout:
  - - shell: "true"
      validate: {shell: "sleep LONG", on_incomplete: {shell: "echo late >> PROOF", fail_workflow: false}}
      validation_timeout: 100ms
    - {shell: "echo went on >> PROOF"}
  - "late\nlate\nwent on"
ignore_validation_failure:
  - [{shell: "echo ran >> PROOF", validate: {shell: "false"}, ignore_validation_failure: true}, {shell: "echo went on >> PROOF"}]
  - "ran\nwent on"
detach:
  - - {shell: "echo agent $$ >> PROOF; exec sleep LONG 0.0TAG", detach: agent}
    - {shell: "echo run $$ >> PROOF; exec sleep LONG 0.0TAG", detach: run}
    - {shell: "echo forever $$ >> PROOF; exec sleep LONG 0.0TAG", detach: forever}
    - shell: |
        until test $(grep -c . PROOF) = 3; do sleep 0.02; done
        up=$(sort PROOF | while read kind pid; do kill -0 $pid && echo $kind; test $kind != forever || kill $pid; done)
        echo "$up" > PROOF
  - "agent\nforever\nrun"
interpolate:
  - [{shell: "echo '${workflow.name}' > PROOF", interpolate: false}]
  - "${workflow.name}"
shell_program:
  - [{shell: "echo ${BASH_VERSION:+bash} > PROOF", shell_program: bash}]
  - bash
claude_options:
  - - claude: "/sh tr '\\0' ' ' < /proc/\\$PPID/cmdline | grep -o -e '--m[a-z-]* [a-z0-9]*' > PROOF"
      claude_options: {model: opus}
  - "--model opus"
model:
  - [{claude: "/sh FLAGS | grep -o -e '--mode[l] [a-z]*' > PROOF", model: opus}]
  - "--model opus"
max_turns:
  - [{claude: "/sh FLAGS | grep -o -e '--max-turn[s] [0-9]*' > PROOF", max_turns: 7}]
  - "--max-turns 7"
allowed_tools:
  - [{claude: "/sh FLAGS | grep -o -e '--allowed-tool[s] [A-Z][a-z]* [A-Z][a-z]*' > PROOF", allowed_tools: [Read, Edit]}]
  - "--allowed-tools Read Edit"
disallowed_tools:
  - [{claude: "/sh FLAGS | grep -o -e '--disallowed-tool[s] [A-Z][a-z]*' > PROOF", disallowed_tools: [Bash]}]
  - "--disallowed-tools Bash"
append_system_prompt:
  - [{claude: "/sh FLAGS | grep -o -e '--append-system-promp[t] [a-z ]*' > PROOF", append_system_prompt: "be brief in ${workflow.name}"}]
  - "--append-system-prompt be brief in matrix "
permission_mode:
  - [{claude: "/sh FLAGS | grep -o -e '--permission-mod[e] [a-z]*' > PROOF", permission_mode: plan}]
  - "--permission-mode plan"
json_schema:
  - [{claude: "/sh FLAGS | grep -o -e '--json-schem[a] {[a-z:\"]*}' > PROOF\n/value {}", json_schema: {type: object}}]
  - '--json-schema {"type":"object"}'
effort:
  - [{claude: "/sh FLAGS | grep -o -e '--effor[t] [a-z]*' > PROOF", effort: low}]
  - "--effort low"
claude:
  - [{claude: "/say hello ${workflow.name}"}, {shell: "echo ${claude.output}, ${claude.cost_usd} > PROOF"}]
  - hello matrix, 0.01
test:
  - [{test: {command: "echo x >> PROOF; test $(wc -l < PROOF) = 2", on_failure: {shell: "true"}}}]
  - "x\nx"
foreach:
  - [{foreach: [a, b], do: [{shell: "echo ${item}${index} >> PROOF"}]}]
  - "a0\nb1"
goal_seek:
  - - {goal_seek: {goal: g, shell: "echo x >> PROOF", validate: "test $(wc -l < PROOF) = 2", threshold: 100}, id: sought}
    - {shell: "echo ${sought.attempts} ${sought.score} >> PROOF"}
  - "x\nx\n2 100"
write_file:
  - - write_file: {path: CELL/f.json, create_dirs: true, format: json, content: {n: "${workflow.iteration}", s: ["${workflow.name}"]}}
    - {shell: "python3 -c 'import json; print(json.load(open(\"CELL/f.json\")))' > PROOF"}
  - "{'n': 1, 's': ['matrix']}"
"""

TABLE: dict[str, Any] = yaml.safe_load(OPTIONS)

Steps = list[dict[str, Any]]
MARK = {"x-frame": True}
"""On mappings that belong to a frame and not to a cell."""
FRAMES: dict[str, Callable[[Steps], Steps]] = {
    "steps": lambda cell: cell,
    "handler": lambda cell: [
        {"shell": "exit 1", "on_failure": {"commands": cell, "strategy": "fallback", **MARK}, **MARK}
    ],
    "foreach": lambda cell: [{"foreach": ["only"], "do": cell, **MARK}],
    "goal_seek": lambda cell: [
        {"goal_seek": {"goal": "all", "commands": cell, "validate": "true", "max_attempts": 1}, **MARK}
    ],
    "validate": lambda cell: [{"validate": {"commands": [*cell, {"shell": "true"}]}, **MARK}],
    "setup": lambda cell: cell,
    "agent": lambda cell: cell,
    "reduce": lambda cell: cell,
    "merge": lambda cell: cell,
}
"""Where steps stand: what surrounds the steps of a cell there."""
SEQUENTIAL = ("steps", "handler", "foreach", "goal_seek", "validate")


@dataclass(frozen=True)
class Matrix:
    """Where proofs go, and what cells are told."""

    proofs: Path
    tag: str
    long: int = 600

    def cell(self, frame: str, option: str) -> tuple[str, Steps, str]:
        """The name of a cell, its steps in their frame, and the proof that they leave."""
        cell, proof = TABLE[option]
        name = f"{frame}.{option}"
        text = (
            json.dumps(cell)
            .replace("PROOF", str(self.proofs / name))
            .replace("CELL", name)
            .replace("TAG", str(int(self.tag.removeprefix("tag-"), 16)))
            .replace("LONG", str(self.long))
            .replace("FLAGS", FLAGS)
        )
        return name, FRAMES[frame](json.loads(text)), str(proof).replace("CELL", name) + "\n"

    def found(self) -> dict[str, str]:
        """The proofs that are there by the names of their cells."""
        return {path.name: path.read_text() for path in self.proofs.iterdir()}


def prepared(world: World) -> Path:
    """The folder of proofs; the stand-in for Claude is found from now on."""
    folder = world.folder / "proofs"
    folder.mkdir()
    world.environ |= {
        "PATH": f"{FAKES}:{world.environ['PATH']}",
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
        "OUTSIDE": "outside",
    }
    return folder
