"""A workflow of 1,000 steps is read and checked in less than 10 times what PyYAML's C loader takes to parse it.

Rounds of both alternate; the ratio is the median of the rounds' ratios.
"""

import statistics
import time
from collections.abc import Callable

import yaml

from prodigy.workflow.load import load_workflow
from stress._report import Report, scaled

KIND = "bench"
STEPS, ROUNDS, LIMIT = 1000, 21, 10.0
STEP = """\
  - id: step-{n}
    name: The step number {n}
    shell: |
      set -e
      for file in *.txt; do
        grep -c "${{WORD}}" "$file" >> counts-{n}.txt || true
      done
      echo "${{step-{before}.output}} of ${{workflow.name}}"
    when: "${{LIMIT}} >= {n} and WORD != 'nothing'"
    timeout: 90s
    retry: {{attempts: 3, backoff: fibonacci, initial_delay: 100ms}}
    env: {{NUMBER: "{n}", TITLE: "number $NUMBER"}}
    on_failure:
      claude: "/repair ${{error.message}} in ${{step.name}}"
      max_attempts: 2
"""
HEAD = "name: many\nenv: {WORD: a, LIMIT: '5'}\ncommands:\n  - {id: step-0, shell: 'true'}\n"


def main() -> int:
    """0 if reading is quick."""
    report = Report()
    text = HEAD + "".join(STEP.format(n=n, before=n - 1) for n in range(1, STEPS))
    data = text.encode()
    load_workflow(data, "many.yml")
    pairs = [
        (seconds(lambda: yaml.load(text, yaml.CSafeLoader)), seconds(lambda: load_workflow(data, "many.yml")))
        for _ in range(scaled(ROUNDS, least=3))
    ]
    base, ours = (1000 * statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    shown = f"{STEPS} steps, {len(data) // 1024} KiB: {ours:.0f} ms, CSafeLoader {base:.0f} ms"
    report.law(f"{shown}, {ratio:.1f} times (at most {LIMIT:g})", holds=ratio < LIMIT)
    return report.code


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
