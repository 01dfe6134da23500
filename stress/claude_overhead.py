"""A Claude step costs at most 5 % more CPU than the Claude CLI itself: the real CLI, against an API on loopback.

Each step edits and commits a file. Of all processes of a run together, git included, what the CLI and its children took is left out, and what a run of one
step takes for being a run. Exits with 0 and says so where the CLI is not there (`make test-claude` fetches it).
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from stress._items import Ground
from stress._report import Report, scaled

TESTS = Path(__file__).parents[1] / "tests"
if str(TESTS) not in sys.path:
    sys.path.insert(0, str(TESTS))

from claude.pinned import CLI, environment  # noqa: E402 - the folder of the tests is no package
from fakes.messages_api import MessagesApi, Reply, Scenario, bash  # noqa: E402

KIND = "bench"
STEPS = 12
ROUNDS = 3
MOST = 0.05
WRAPPER = f"""#!/bin/sh
"{CLI}" "$@"
code=$?
times >> "$CLI_TIMES"
exit $code
"""


class Cost(NamedTuple):
    """CPU seconds of a run: of the CLI with what it starts, and of everything else."""

    cli: float
    ours: float


def main() -> int:
    """0 if the promise is kept."""
    report = Report()
    if not CLI.exists():
        report.figure("SKIPPED: the Claude CLI is not there; `make test-claude` fetches it")
        return 0
    steps = scaled(STEPS, least=3)
    work = Scenario(
        [Reply("I work.", [bash("echo on >> notes.txt && git add . && git commit -qm on")]), Reply("Done.")],
        by_turn=True,
    )
    with tempfile.TemporaryDirectory(prefix="prodigy-claude-") as folder, MessagesApi({"work": work}) as api:
        ground = Ground(Path(folder), files=200)
        ground.make()
        prepare(ground, api)
        play(ground, 1)  # whatever is done once only
        rounds = [(play(ground, 1), play(ground, 1 + steps)) for _ in range(scaled(ROUNDS))]
    cli = statistics.median((many.cli - one.cli) / steps for one, many in rounds)
    ours = statistics.median((many.ours - one.ours) / steps for one, many in rounds)
    report.figure(f"{steps} steps: the CLI {1000 * cli:.0f} ms CPU a step, Prodigy {1000 * ours:.1f} ms")
    report.law(f"{ours / cli:.1%} of the CLI (at most {MOST:.0%})", holds=ours <= MOST * cli)
    return report.code


def prepare(ground: Ground, api: MessagesApi) -> None:
    """An environment that leads to the API and nowhere else, with a CLI that tells what it took."""
    wrapper = ground.scratch / "bin/claude"
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    (ground.scratch / "tmp").mkdir()
    ground.environ |= environment(ground.scratch, api.url, ground.environ["PATH"])
    ground.environ |= {
        "PATH": f"{wrapper.parent}:{ground.environ['PATH']}",
        "CLI_TIMES": str(ground.scratch / "times"),
    }


def play(ground: Ground, steps: int) -> Cost:
    """Run so many steps, one after the other."""
    file, times = ground.scratch / "flow.yml", ground.scratch / "times"
    file.write_text(json.dumps([{"claude": f"[[work]] {number}"} for number in range(steps)]))
    times.unlink(missing_ok=True)
    before = cpu()
    run = ground.prodigy("run", str(file), "--no-merge")
    if run.returncode:
        raise subprocess.CalledProcessError(run.returncode, run.args, run.stdout, run.stderr)
    lines = [sum(map(seconds, line.split())) for line in times.read_text().splitlines()]
    wrappers, cli = sum(lines[::2]), sum(lines[1::2])
    return Cost(cli, cpu() - before - cli - wrappers)


def cpu() -> float:
    """CPU seconds of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(told: str) -> float:
    """A time as the shell's ``times`` writes it: ``0m1.250000s``."""
    minutes, _, rest = told.rstrip("s").partition("m")
    return 60 * int(minutes) + float(rest)
