"""The rehearsal as a backend: each prompt has its scene."""

from pathlib import Path

import msgspec
from conformance.backends import BackendContract

from prodigy.rehearsal.backend import Rehearsal
from prodigy.rehearsal.reading import read_script
from prodigy.steps.backend import AgentBackend


class TestRehearsal(BackendContract):
    """A prompt is the acts of its own scene, in YAML's flow style."""

    acts = ""

    def backend(self, folder: Path) -> AgentBackend:
        file = folder.parent / "script.json"
        script = read_script(f"otherwise: {self.acts or '[]'}\n".encode(), "script.yml")
        file.write_bytes(msgspec.json.encode(script))
        return Rehearsal(str(file))

    def playing(self, acts: str) -> str:
        self.acts = acts
        return "please"

    def saying(self, text: str) -> str:
        return self.playing(f"[{{say: first}}, {{say: {text}}}]")

    def writing(self, path: str, text: str) -> str:
        return self.playing(f"[{{write: {path}, text: {text}}}]")

    def failing(self, text: str) -> str:
        return self.playing(f"[{{fail: {text}}}]")

    def silent(self) -> str:
        return self.playing("[{exit: 3}]")

    def hanging(self) -> str:
        return self.playing("[{say: begun}, {hang: true}]")

    def giving(self, value: str) -> str:
        return self.playing(f"[{{value: {value}}}]")

    def limited(self, folder: Path, text: str) -> str:
        return self.playing(f"[{{rate_limit: 1s}}, {{say: {text}}}]")

    def costing(self, replies: int, usd: float) -> str:
        return self.playing("[" + ", ".join([f"{{say: x, cost: {usd}}}"] * replies) + "]")
