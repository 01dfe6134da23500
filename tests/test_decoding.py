"""Types are learned by one thread at a time; who reads JSON as a type does it in no other way."""

import ast
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from prodigy.decoding import JsonDecoder

ROOT = Path(__file__).parent.parent
PROGRAMS = {"rehearsal/player.py", "rehearsal/tally.py", "steps/keeper.py"}
"""Programs of their own, of one thread."""

TOGETHER = """
import sys, threading
from prodigy.decoding import JsonDecoder
from prodigy.workflow.load import load_workflow
from prodigy.workflow.model import Workflow
import msgspec
sys.setswitchinterval(1e-6)  # threads take turns all the time
text = msgspec.json.encode(load_workflow(sys.stdin.buffer.read(), "w.yml").workflow)
together, read = threading.Barrier(6), []
def learn():
    together.wait()
    read.append(JsonDecoder(Workflow)(text))
threads = [threading.Thread(target=learn) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(read) == 6 and all(one == read[0] for one in read)
"""
FLOW = b"""
mode: mapreduce
setup: [{shell: echo, retry: {attempts: 2}, on_failure: [{shell: echo}]}]
map:
  input: {list: [a]}
  agent_template: [{claude: /say it, validate: {shell: echo, threshold: 80}}, {foreach: [x], do: [{shell: echo}]}]
reduce: [{shell: echo, when: "map.total > 0"}]
"""


@pytest.mark.parametrize("process", range(6))
def test_threads_that_learn_the_same_type_together_do_not_crash(process: int) -> None:
    """It is only ever learned once in a process, so there are several."""
    done = subprocess.run(
        [sys.executable, "-c", TOGETHER], input=FLOW, capture_output=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, (process, done.returncode, done.stderr.decode())


def test_a_decoder_reads_as_its_type_says() -> None:
    class Point(Struct):
        x: int

    decoder = JsonDecoder(Point)
    assert (decoder(b'{"x": 1}'), decoder('{"x": 2}')) == (Point(1), Point(2))
    with pytest.raises(msgspec.ValidationError):
        decoder(b'{"x": "a"}')


def test_types_are_read_with_it_alone() -> None:
    """Nowhere in the program is a type learned in passing, by whichever thread comes by."""
    found = []
    for file in (ROOT / "prodigy").rglob("*.py"):
        name = str(file.relative_to(ROOT / "prodigy"))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "msgspec.json.decode",
                "msgspec.convert",
            }:
                typed = len(node.args) > 1 or any(word.arg == "type" for word in node.keywords)
                found += [f"{name}:{node.lineno}"] if typed and name not in PROGRAMS else []
    assert found == []
