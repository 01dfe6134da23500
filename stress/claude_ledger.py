"""Jobs of real Claude CLIs of which somebody is killed all the time: the bill is the ledger of the server.

Each job has a seeded plan of signals to CLIs, workers and the coordinator, and goes on until it is done. Of every
conversation the bill is what the server charged, or it is marked as estimated and differs by one reply at most for each
launch that was cut off. Exits with 0 and says so where the CLI is not there (`make test-claude` fetches it).
"""

import random
import sys
import tempfile
from pathlib import Path

from stress._report import Report, scaled

TESTS = Path(__file__).parents[1] / "tests"
if str(TESTS) not in sys.path:
    sys.path.insert(0, str(TESTS))

from claude.ledger import Job, objections, planned  # noqa: E402 - the folder of the tests is no package
from claude.pinned import CLI, environment  # noqa: E402
from fakes.messages_api import MessagesApi  # noqa: E402
from worlds import made_world  # noqa: E402

KIND = "stress"
JOBS = 40
ITEMS = 8


def main() -> int:
    """0 if the laws of the ledger hold for every job."""
    report = Report()
    if not CLI.exists():
        report.figure("SKIPPED: the Claude CLI is not there; `make test-claude` fetches it")
        return 0
    found: list[str] = []
    charged, billed, estimated, blows = 0.0, 0.0, 0.0, 0
    for number in range(scaled(JOBS, least=2)):
        chance = random.Random(report.seed + number)
        with tempfile.TemporaryDirectory(prefix="prodigy-ledger-") as folder, MessagesApi() as api:
            world = made_world(Path(folder))
            (world.folder / "tmp").mkdir()
            world.environ |= environment(world.folder, api.url, world.environ["PATH"])
            job = Job(world, api, ITEMS, planned(chance, ITEMS, chance.randrange(1, ITEMS)), chance)
            told = job.play()
            found += [f"seed {report.seed + number}: {one}" for one in objections(job, told)]
            blows += len(job.struck)
            charged += api.cost()
            billed += told["cost"]["usd"]
            estimated += told["cost"]["estimated_usd"]
    report.figure(
        f"{blows} signals; charged ${charged:.4f}, billed ${billed:.4f}, ${estimated:.4f} of it estimated; "
        f"{(charged - billed) / charged:.2%} are not billed"
    )
    report.law("every bill is the server's, or an estimate of what was cut off", found)
    return report.code
