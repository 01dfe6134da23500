"""A job of 1,000 items against an API that turns launches away three times: none fails, none is charged, few are wasted.

In front of the API stands the fake CLI of the tests; each of its launches is one request.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stress._items import Ground
from stress._report import Report, scaled

KIND = "stress"
PARALLEL = 8
BLOCKS = 3
CLOSED = 15
"""Seconds for which the API turns everybody away."""
WASTE = 1.05
"""Requests that an item may cost, of so many that the blocks do not matter."""
ENOUGH = 500
FAKES = Path(__file__).parents[1] / "tests" / "fakes"


def main() -> int:
    """0 if every law holds."""
    report, items = Report(), scaled(1000, least=40)
    with tempfile.TemporaryDirectory(prefix="prodigy-quota-") as folder:
        ground = Ground(Path(folder), files=40)
        ground.make()
        log = ground.scratch / "launches"
        ground.environ |= {
            "PATH": f"{FAKES}:{ground.environ['PATH']}",
            "FAKE_CLAUDE_LOG": str(log),
            "CLAUDE_CONFIG_DIR": str(ground.scratch / "claude"),
        }
        began = time.monotonic()
        run = ground.prodigy("run", str(flow(ground, items)), "--no-merge", "--json")
        took = time.monotonic() - began
        told, events = json.loads(run.stdout), list(records(ground))
        kinds = Counter(event["event_type"] for event in events)
        requests = len(log.read_text().splitlines())
    wasted = requests - items
    report.figure(
        f"{items} items, {took:.0f} s; {requests} requests, {requests / items:.3f} of the ideal number; "
        f"{kinds['quota_blocked']} blocks, {kinds['claude_parked']} parked"
    )
    report.law("run ended with 0", holds=run.returncode == 0)
    report.law("every item is done", holds=told["items"]["done"] == items)
    report.law("no attempt failed, none was charged", kinds["agent_failed"] + kinds["agent_retrying"])
    report.law("one attempt each", holds={one["attempts"] for one in told["items"]["list"]} == {1})
    report.law("the API did turn launches away", holds=kinds["quota_blocked"] >= BLOCKS)
    report.law("one launch as a probe while it does", list(crowds(events)))
    report.law("no more turned away than were under way", holds=wasted <= PARALLEL * kinds["quota_blocked"])
    if items >= ENOUGH:
        report.law(f"at most {WASTE} of the ideal number of requests", holds=requests <= WASTE * items)
    return report.code


def flow(ground: Ground, items: int) -> Path:
    """A workflow whose agents need the API once each."""
    bucket, room = ground.scratch / "bucket", -(-items // (BLOCKS + 1))
    template = [{"claude": f"/quota {bucket} {room} {CLOSED}\n/sh echo ${{item}} > ${{item}}.txt"}]
    items_ = {"list": list(range(items))}
    phase = {"input": items_, "max_parallel": PARALLEL, "agent_template": template}
    file = ground.scratch / "quota.yml"
    file.write_text(json.dumps({"mode": "mapreduce", "max_concurrent_starts": PARALLEL, "map": phase}))
    return file


def records(ground: Ground) -> Iterator[dict[str, Any]]:
    """The run's records, in order."""
    for path in sorted((ground.scratch / "home").glob("events/*/*/events-*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield json.loads(line)["event"]


def crowds(events: list[Mapping[str, Any]]) -> Iterator[str]:
    """Launches that began during a block although there was a probe already."""
    probes: int | None = None
    for event in events:
        match event["event_type"]:
            case "quota_blocked":
                probes = 0
            case "quota_cleared":
                probes = None
            case "claude_intended" if probes is not None:
                probes += 1
                if probes > 1:
                    yield f"step {event['step']} of {event['item_id']}"
