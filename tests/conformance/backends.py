"""The contract of a backend, as tests that any backend can run; ``docs/backends.md`` says how.

Subclass ``BackendContract`` in a file of tests, say which backend is meant, and how its program is brought to do what
the scenes are about. Launches are real processes in a folder of their own; nothing of Prodigy runs beside them.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from prodigy.events import ClaudeUse, Failure, Stream
from prodigy.steps.backend import AgentBackend, Call, Launched, Reader
from prodigy.steps.runner import Ended
from prodigy.workflow.model import ClaudeOptions, Text

PATIENCE = 240
"""Seconds that a launch may take before its test fails."""


class BackendContract:
    """What every backend promises. ``folder`` is empty and the launch's current folder."""

    # -- what a subclass says ------------------------------------------------------------------------------------------
    def backend(self, folder: Path) -> AgentBackend:
        """The backend; what it keeps may go beside ``folder``."""
        raise NotImplementedError

    def environment(self, folder: Path) -> Mapping[str, str]:
        """The whole environment of launches."""
        return dict(os.environ)

    def saying(self, text: str) -> str:
        """A prompt that is answered with ``text``."""
        raise NotImplementedError

    def writing(self, path: str, text: str) -> str:
        """A prompt that is answered when ``text`` has been written to a file."""
        raise NotImplementedError

    def failing(self, text: str) -> str:
        """A prompt that fails for a reason of its own, which is told as ``text``."""
        raise NotImplementedError

    def silent(self) -> str:
        """A prompt whose launch ends without an account of itself."""
        raise NotImplementedError

    def hanging(self) -> str:
        """A prompt that is begun, and never comes to an end."""
        raise NotImplementedError

    def giving(self, value: str) -> str:
        """A prompt that gives a structured value, which is written as JSON."""
        raise NotImplementedError

    def limited(self, folder: Path, text: str) -> str:
        """A prompt whose first launch is turned away; a later one is answered with ``text``."""
        raise NotImplementedError

    def released(self, folder: Path) -> None:
        """The limit is over from now on, if it does not end by itself."""

    def costing(self, replies: int, usd: float) -> str:
        """A prompt that takes so many replies of the model, each for ``usd``."""
        raise NotImplementedError

    # -- launches ------------------------------------------------------------------------------------------------------
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        made = tmp_path / "folder"
        made.mkdir()
        return made

    def call(self, folder: Path, prompt: str, **options: Any) -> Call:
        environment = self.environment(folder)
        return Call(prompt=prompt, session_id=str(uuid4()), environment=environment, **options)

    @contextmanager
    def started(self, folder: Path, call: Call) -> "Iterator[subprocess.Popen[bytes]]":
        program = self.backend(folder).program(call)
        process = subprocess.Popen(
            program.argv,
            cwd=folder,
            env=dict(program.env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(program.stdin)
        process.stdin.close()
        process.stdin = None
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def printed(self, folder: Path, call: Call) -> tuple[bytes, int]:
        with self.started(folder, call) as process:
            out, _ = process.communicate(timeout=PATIENCE)
            return out, process.returncode

    def told(self, folder: Path, call: Call) -> Launched:
        """A launch from its beginning to its end."""
        out, code = self.printed(folder, call)
        reader = self.backend(folder).reader(call)
        reader.feed(out)
        return self.launched(folder, call, reader, code)

    def launched(self, folder: Path, call: Call, reader: Reader, code: int) -> Launched:
        failure = None if code == 0 else Failure(error_class="command-failed", message=f"Exited with {code}")
        ended = Ended(failure=failure, exit_code=code, stdout=Stream(), stderr=Stream())
        answer = reader.answer()
        unanswered = self.backend(folder).spent(call.environment, reader.unanswered())
        use = unanswered if answer is None else answer.use
        return Launched(answer, ended, use, reader.objection, reader.resets_at)

    # -- the contract --------------------------------------------------------------------------------------------------
    def test_an_answer(self, folder: Path) -> None:
        """It is what the model said last, of the conversation that was asked for, with what that used."""
        call = self.call(folder, self.saying("well done"))
        launched = self.told(folder, call)
        assert launched.answer is not None
        assert launched.answer.text == "well done"
        assert not launched.answer.is_error
        assert launched.use.session_id == call.session_id
        assert not launched.use.estimated
        assert self.backend(folder).parked(call, launched) is None

    def test_an_answer_without_events(self, folder: Path) -> None:
        """Asked for the result alone, a launch gives the same answer."""
        launched = self.told(folder, self.call(folder, self.saying("short"), streaming=False))
        assert launched.answer is not None
        assert launched.answer.text == "short"

    def test_work_is_done_in_the_current_folder(self, folder: Path) -> None:
        launched = self.told(folder, self.call(folder, self.writing("made.txt", "by an agent")))
        assert launched.answer is not None
        assert (folder / "made.txt").read_text().rstrip("\n") == "by an agent"

    @pytest.mark.parametrize("size", [1, 7, 100_000])
    def test_chunks_of_any_size(self, folder: Path, size: int) -> None:
        """What is read does not depend on where the pipe cuts it."""
        call = self.call(folder, self.saying("whole"))
        out, _ = self.printed(folder, call)
        reader = self.backend(folder).reader(call)
        for start in range(0, len(out), size):
            reader.feed(out[start : start + size])
        answer = reader.answer()
        assert answer is not None
        assert answer.text == "whole"
        assert reader.answered

    @pytest.mark.parametrize(
        "noise", [b"\xff\xfe\n", b"{half\n", b"[1]\n", b"null\n", b'{"type": 1}\n', b"\0" * 99]
    )
    def test_noise_is_passed_over(self, folder: Path, noise: bytes) -> None:
        reader = self.backend(folder).reader(self.call(folder, self.saying("x")))
        reader.feed(noise)
        assert reader.answer() is None
        assert reader.objection is None

    def test_a_failure_is_told(self, folder: Path) -> None:
        """It is the step's outcome: nobody waits for a better time."""
        call = self.call(folder, self.failing("no such file"))
        launched = self.told(folder, call)
        assert launched.answer is not None
        assert launched.answer.is_error
        assert "no such file" in launched.answer.text
        assert self.backend(folder).parked(call, launched) is None

    def test_no_account(self, folder: Path) -> None:
        """Who says nothing of its end has no answer, and what it used is an estimate."""
        call = self.call(folder, self.silent())
        launched = self.told(folder, call)
        assert launched.answer is None
        assert launched.use.session_id == call.session_id
        assert launched.use.estimated
        assert self.backend(folder).parked(call, launched) is None

    def test_a_structured_value(self, folder: Path) -> None:
        options = ClaudeOptions(json_schema={"type": "object"})
        launched = self.told(folder, self.call(folder, self.giving('{"score": 7}'), options=options))
        assert launched.use.structured == {"score": 7}

    def test_the_record_of_a_conversation(self, folder: Path) -> None:
        """It is there once the conversation has begun, and not before."""
        call = self.call(folder, self.saying("kept"))
        backend = self.backend(folder)
        assert backend.session_file(call.environment, call.session_id) is None
        assert backend.meter(call.environment, call.session_id) is None
        self.told(folder, call)
        file = backend.session_file(call.environment, call.session_id)
        assert file is not None
        assert Path(file).is_absolute()
        assert Path(file).stat().st_size > 0

    def test_a_conversation_that_was_turned_away_goes_on(self, folder: Path) -> None:
        """A limit is no failure; the same conversation is answered later."""
        backend = self.backend(folder)
        call = self.call(folder, self.limited(folder, "at last"))
        launched = self.told(folder, call)
        parked = backend.parked(call, launched)
        assert parked is not None
        assert parked.reason == "quota"
        assert parked.until is not None
        meter = backend.meter(call.environment, call.session_id)
        again = structs.replace(call, resumes=True, meter=meter)
        self.released(folder)
        while backend.parked(again, launched := self.told(folder, again)) is not None:
            continue
        assert launched.answer is not None
        assert launched.answer.text == "at last"
        assert launched.use.session_id == call.session_id

    def test_a_cap_is_kept(self, folder: Path) -> None:
        """Overspent by one reply at most, and told as such; the launch that goes on pays for what was left."""
        backend = self.backend(folder)
        call = self.call(folder, self.costing(4, 0.10), cap_usd=0.15, reserved=True)
        launched = self.told(folder, call)
        parked = backend.parked(call, launched)
        assert parked is not None
        assert parked.reason == "budget"
        assert 0.15 <= launched.use.cost_usd <= 0.25 + 1e-9
        meter = backend.meter(call.environment, call.session_id)
        assert meter is not None
        assert meter.summed.cost_usd == pytest.approx(launched.use.cost_usd)
        more = structs.replace(call, resumes=True, meter=meter, cap_usd=1.0)
        again = self.told(folder, more)
        assert backend.parked(more, again) is None
        assert again.use.cost_usd == pytest.approx(0.40)

    def test_a_cap_of_its_own_is_an_outcome(self, folder: Path) -> None:
        """What the step itself lets it cost is the step's affair."""
        call = self.call(folder, self.costing(4, 0.10), cap_usd=0.15)
        launched = self.told(folder, call)
        assert launched.answer is not None
        assert launched.answer.is_error
        assert self.backend(folder).parked(call, launched) is None

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_it_can_be_ended(self, folder: Path, number: signal.Signals) -> None:
        """By a signal, at any time; what it used is then known from its record."""
        call = self.call(folder, self.hanging())
        reader = self.backend(folder).reader(call)
        with self.started(folder, call) as process:
            assert process.stdout is not None
            while not reader.answered:
                chunk = os.read(process.stdout.fileno(), 65536)
                assert chunk, "it ended by itself"
                reader.feed(chunk)
            process.send_signal(number)
            rest, _ = process.communicate(timeout=PATIENCE)
            reader.feed(rest)
        launched = self.launched(folder, call, reader, process.returncode)
        assert launched.use.session_id == call.session_id
        assert launched.answer is None or launched.answer.is_error

    def test_a_long_prompt(self, folder: Path) -> None:
        """One that no argument of a program can hold gets there all the same."""
        words = "\n".join([self.saying("long"), *["word " * 20] * 3000])
        launched = self.told(folder, self.call(folder, words))
        assert launched.answer is not None
        assert launched.answer.text == "long"

    def test_the_account(self, folder: Path) -> None:
        """The same for the same environment, and no secret is in it."""
        environment = {**self.environment(folder), "ANTHROPIC_API_KEY": "sk-very-secret"}
        backend = self.backend(folder)
        assert backend.account(environment) == backend.account(dict(environment))
        assert "very-secret" not in backend.account(environment)

    def test_texts_of_options(self, folder: Path) -> None:
        """Options are taken, or passed over; none of them keeps a launch from beginning."""
        options = ClaudeOptions(
            model="some-model", append_system_prompt=Text("be brief"), max_turns=5, allowed_tools=("Read",)
        )
        launched = self.told(folder, self.call(folder, self.saying("brief"), options=options))
        assert launched.answer is not None
        assert launched.answer.text == "brief"

    def test_what_is_unknown_stays_an_estimate(self, folder: Path) -> None:
        """Of a conversation that never began nothing is known."""
        use = ClaudeUse(session_id="never", estimated=True)
        assert self.backend(folder).spent(self.environment(folder), use) == use
