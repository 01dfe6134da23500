"""The Claude CLI as a backend; the program is its stand-in, ``tests/claude`` asks the real one."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from conformance.backends import BackendContract

from prodigy.steps.backend import AgentBackend
from prodigy.steps.claude_cli import ClaudeCli

FAKES = Path(__file__).parents[1] / "fakes"


class TestClaude(BackendContract):
    def backend(self, folder: Path) -> AgentBackend:
        return ClaudeCli((str(FAKES / "claude"),))

    def environment(self, folder: Path) -> Mapping[str, str]:
        return {**os.environ, "CLAUDE_CONFIG_DIR": str(folder.parent / "config")}

    def saying(self, text: str) -> str:
        return f"/say {text}"

    def writing(self, path: str, text: str) -> str:
        return f"/sh echo {text} > {path}"

    def failing(self, text: str) -> str:
        return f"/error {text}"

    def silent(self) -> str:
        return "/silent"

    def hanging(self) -> str:
        return "/sh echo begun\n/hang"

    def giving(self, value: str) -> str:
        return f"/value {value}"

    def limited(self, folder: Path, text: str) -> str:
        bucket = folder.parent / "bucket"
        bucket.write_text(f"[1, {time.time()}]")
        return f"/quota {bucket} 1 1000\n/say {text}"

    def released(self, folder: Path) -> None:
        (folder.parent / "bucket").write_text("[0, 0]")

    def costing(self, replies: int, usd: float) -> str:
        return f"/replies {replies} {usd}"
