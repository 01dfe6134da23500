"""A scriptable Messages API on loopback, so that the real Claude CLI can be driven without a network or an account.

A *scenario* is a list of steps. A conversation, which the CLI names in a header, takes one step for each of its
requests, and the last one for ever; a scenario that goes `by_turn` takes the step by how often the model has spoken,
so that a request that is sent again is answered the same. Which scenario a request belongs to is said by its path,
`/s/NAME/v1/messages`, else by a marker `[[NAME]]` in what the user said, else it is `default`.

A step is a reply or a fault, or a function from the request to one. The *ledger* has an entry for each request, and
what the reply to it costs at the list prices of the pinned CLI.
"""

import json
import re
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self
from uuid import uuid4

PRICES: Final[Mapping[str, tuple[float, float, float, float]]] = {
    "opus": (4.0, 20.0, 0.2, 5.0),
    "sonnet": (2.0, 10.0, 0.1, 2.5),
}
"""US dollars per million tokens: input, output, read from the cache, written to it."""
ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_request_error", "this request makes no sense"),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "you may not do that"),
    404: ("not_found_error", "there is no such model"),
    429: ("rate_limit_error", "this request would exceed your rate limit"),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


# -- what is said --------------------------------------------------------------------------------------------------
class Usage(NamedTuple):
    """Tokens of one reply."""

    input: int = 1000
    output: int = 50
    cache_read: int = 0
    cache_written: int = 0

    def cost(self, model: str) -> float:
        """US dollars."""
        price = next((price for family, price in PRICES.items() if family in model), PRICES["opus"])
        return sum(tokens * each for tokens, each in zip(self, price, strict=True)) / 1e6

    def told(self) -> dict[str, int]:
        names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        return dict(zip(names, self, strict=True))


USUAL: Final = Usage()


@dataclass(frozen=True)
class Tool:
    """A tool that the model calls."""

    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """The model speaks, then calls tools."""

    text: str = ""
    tools: Sequence[Tool] = ()
    usage: Usage = USUAL
    stop_reason: str | None = None


@dataclass(frozen=True)
class Refusal:
    """An error in place of a reply."""

    status: int
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        kind, usual = ERRORS[self.status]
        return {"type": "error", "error": {"type": kind, "message": self.message or usual}}


@dataclass(frozen=True)
class Fault:
    """The connection misbehaves: before anything is sent, or after the first words.

    `hang`: nothing more comes. `reset`: the connection is torn down. `error`: the stream says that it failed.
    """

    kind: Literal["hang", "reset", "error"]
    mid: bool = False
    usage: Usage = USUAL
    words: str = "I was about to "


@dataclass(frozen=True)
class Request:
    """What a step can depend on."""

    session: str
    model: str
    prompt: str
    """What the user said first."""
    turn: int
    """How often the model has spoken."""
    folder: str
    """Where the CLI works."""
    stream: bool
    tool_result: str
    """What the tools that were called last gave."""


Act = Reply | Refusal | Fault
Step = Act | Callable[[Request], Act]


@dataclass(frozen=True)
class Scenario:
    """What happens in a conversation, request by request."""

    steps: Sequence[Step]
    by_turn: bool = False


@dataclass(frozen=True)
class Entry:
    """One request and what became of it."""

    scenario: str
    request: Request
    act: Act
    cost: float
    """US dollars; 0 for what is not charged."""


def bash(command: str, **options: Any) -> Tool:
    """A call of the CLI's shell."""
    return Tool("Bash", {"command": command, "description": "work", **options})


# -- the server ----------------------------------------------------------------------------------------------------
class MessagesApi:
    """The server; a context manager. Scenarios can be added while it runs."""

    def __init__(self, scenarios: Mapping[str, Scenario | Sequence[Step]] | None = None) -> None:
        self.ledger: list[Entry] = []
        self._scenarios: dict[str, Scenario] = {"default": Scenario([Reply("Hello.")])}
        for name, scenario in (scenarios or {}).items():
            self[name] = scenario
        self._served: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._server.bugs = []
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __setitem__(self, name: str, scenario: Scenario | Sequence[Step]) -> None:
        self._scenarios[name] = scenario if isinstance(scenario, Scenario) else Scenario(scenario)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for bug in self._server.bugs:
            raise bug

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def url_of(self, scenario: str) -> str:
        """The URL whose requests all belong to a scenario."""
        return f"{self.url}/s/{scenario}"

    def cost(self, session: str | None = None) -> float:
        """US dollars charged to a conversation, or to all."""
        with self._lock:
            return sum(entry.cost for entry in self.ledger if session in {None, entry.request.session})

    def sessions(self) -> set[str]:
        with self._lock:
            return {entry.request.session for entry in self.ledger}

    def await_requests(self, count: int, seconds: float = 60) -> None:
        """Wait until so many requests came; the limit is a failure, not a measurement."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.ledger) >= count, seconds)
        assert came, f"{len(self.ledger)} of {count} requests came"

    def take(self, named: str | None, request: Request, said: str) -> Act:
        """What to do about a request, which is entered into the ledger."""
        marker = re.search(r"\[\[([\w.-]+)\]\]", said)
        name = named or (marker[1] if marker else "default")
        with self._changed:
            scenario = self._scenarios.get(name)
            if scenario is None:
                return Refusal(400, f"there is no scenario {name}")
            count = self._served[name, request.session]
            self._served[name, request.session] += 1
            index = request.turn if scenario.by_turn else count
            step = scenario.steps[min(index, len(scenario.steps) - 1)]
            act = step(request) if callable(step) else step
            self.ledger.append(Entry(name, request, act, _cost(act, request.model)))
            self._changed.notify_all()
            return act


def _cost(act: Act, model: str) -> float:
    return act.usage.cost(model) if isinstance(act, Reply) else 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    bugs: list[BaseException]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what tests are about; anything else is a bug of the scenario."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.bugs.append(error)


def _handler_of(api: MessagesApi) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        pass

    Handler.api = api
    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: MessagesApi

    def log_message(self, format: str, *args: Any) -> None:
        """The ledger says it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = re.fullmatch(r"(?:/s/([\w.-]+))?/v1/messages(?:\?.*)?", self.path)
        if path is None:
            self._refuse(Refusal(404))
            return
        asked = json.loads(body)
        request, said = _request(asked, self.headers.get("x-claude-code-session-id") or "")
        match self.api.take(path[1], request, said):
            case Reply() as reply:
                self._reply(reply, request)
            case Refusal() as refusal:
                self._refuse(refusal)
            case Fault() as fault:
                self._fail(fault, request)

    # -- replies ---------------------------------------------------------------------------------------------------
    def _reply(self, reply: Reply, request: Request) -> None:
        blocks = list(_blocks(reply))
        stop = reply.stop_reason or ("tool_use" if reply.tools else "end_turn")
        message = _message(request.model, reply.usage)
        if not request.stream:
            usage = reply.usage.told()
            self._json(200, {**message, "content": blocks, "stop_reason": stop, "usage": usage})
            return
        self._begin_stream()
        self._event("message_start", message=message)
        for index, block in enumerate(blocks):
            self._event("content_block_start", index=index, content_block=_emptied(block))
            for delta in _deltas(block):
                self._event("content_block_delta", index=index, delta=delta)
            self._event("content_block_stop", index=index)
        self._event("message_delta", delta={"stop_reason": stop}, usage=reply.usage.told())
        self._event("message_stop")
        self._end_stream()

    def _refuse(self, refusal: Refusal) -> None:
        self._json(refusal.status, refusal.body(), refusal.headers)

    # -- faults ----------------------------------------------------------------------------------------------------
    def _fail(self, fault: Fault, request: Request) -> None:
        if fault.kind == "error":
            self._fail_in_words(fault, request)
            return
        if fault.mid:
            self._begin(fault, request)
        if fault.kind == "hang":
            self._wait_until_alone()
        self._reset()

    def _fail_in_words(self, fault: Fault, request: Request) -> None:
        overloaded = Refusal(529)
        if not request.stream:
            self._refuse(overloaded)
            return
        self._begin(fault, request)
        self._event("error", error=overloaded.body()["error"])
        self._end_stream()

    def _begin(self, fault: Fault, request: Request) -> None:
        """The first words of a reply that never ends; the CLI falls back on plain requests, so these break as well."""
        if not request.stream:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "9999")
            self.end_headers()
            self.wfile.write(b'{"id":')
            return
        self._begin_stream()
        self._event("message_start", message=_message(request.model, fault.usage))
        self._event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        self._event("content_block_delta", index=0, delta={"type": "text_delta", "text": fault.words})

    def _wait_until_alone(self) -> None:
        """Say nothing until the client has gone or the server ends."""
        self.connection.settimeout(0.1)
        while not self.api.closing.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def _reset(self) -> None:
        """End the connection the way a proxy that crashes does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    # -- plumbing --------------------------------------------------------------------------------------------------
    def _json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _event(self, kind: str, **data: Any) -> None:
        event = f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    def _end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")


# -- messages ------------------------------------------------------------------------------------------------------
def _request(asked: Mapping[str, Any], session: str) -> tuple[Request, str]:
    """The request, and all that the user said in it."""
    messages = asked.get("messages", [])
    said = [_text(message["content"]) for message in messages if message["role"] == "user"]
    where = re.search(r"Primary working directory: ([^\\\"\n]+)", json.dumps(asked))
    request = Request(
        session=session,
        model=asked.get("model", ""),
        prompt=said[0] if said else "",
        turn=sum(message["role"] == "assistant" for message in messages),
        folder=where[1].strip() if where else ".",
        stream=bool(asked.get("stream")),
        tool_result="\n".join(_tool_results(messages)),
    )
    return request, "\n".join(said)


def _tool_results(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages[-2:]:
        content = message["content"]
        for block in content if isinstance(content, list) else []:
            if block.get("type") == "tool_result":
                yield _text(block.get("content") or "")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content if block.get("type") == "text")


def _message(model: str, usage: Usage) -> dict[str, Any]:
    """A message of which nothing is written yet."""
    return {
        "id": f"msg_{uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage.told(), "output_tokens": 1},
    }


def _blocks(reply: Reply) -> Iterator[dict[str, Any]]:
    if reply.text:
        yield {"type": "text", "text": reply.text}
    for tool in reply.tools:
        yield {"type": "tool_use", "id": f"toolu_{uuid4().hex}", "name": tool.name, "input": dict(tool.input)}


def _emptied(block: Mapping[str, Any]) -> dict[str, Any]:
    return {**block, **({"text": ""} if block["type"] == "text" else {"input": {}})}


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A block in pieces of 4 KiB."""
    is_text = block["type"] == "text"
    whole = block["text"] if is_text else json.dumps(block["input"])
    kind, name = ("text_delta", "text") if is_text else ("input_json_delta", "partial_json")
    for start in range(0, len(whole), 4096):
        yield {"type": kind, name: whole[start : start + 4096]}
