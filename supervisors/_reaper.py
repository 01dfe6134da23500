"""The two small programs that own process trees: a zygote, and the reapers it forks, one for each slot.

Run as ``python -I -S _reaper.py SOCKET`` by a worker; standard library only, one thread, no event loop but ``poll``.

::

    worker ══ socket ══ zygote            forks reapers; adopts and kills what a killed reaper leaves
       ╚═════ socket ══ └─ reaper         one at a time runs a command and owns all that comes of it
                           └─ leader      in a session of its own
                              └─ …

Rules:

- Both are child subreapers: whatever a command starts, however it detaches, hangs below its reaper until it is dead.
  ``waitid`` answering "no children" is therefore proof that nothing is left, and the only proof that is accepted.
- A reaper is the only one that waits for its children. It looks who is dead and then reaps that process by its number.
- End of file on a socket, or SIGTERM, means: kill everything below, then exit. A reaper also gets SIGTERM when the
  zygote dies.
- Every descriptor that a program inherits beyond its sockets (a leash, a lock) stays open in it until it exits, and
  is never inherited by commands.
- Nothing that goes wrong with a command may end a reaper: a failed start is an answer.
- Where a control group (v2) is delegated to us, each reaper runs its commands in a group of its own, which the kernel
  kills at one stroke. That only makes killing faster: whatever fails there is passed over, and the proof stays the same.

Messages are JSON objects behind a four-byte length; descriptors travel beside them in the order of use.
"""

import ctypes
import errno
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

PATIENT_ROUNDS = 2_000
"""Rounds after which what is left can only be waited for: uninterruptible, or not ours to kill."""
EMPTY_LOOKS = 2
"""The list of children is not exact while children come and go: so many empty readings in a row count as empty."""

INT = struct.Struct("i")

Message = dict[str, Any]


# What the kernel knows -------------------------------------------------------------------------------------------


def prctl(option: int, argument: int | bytes) -> None:
    """Set an attribute of this process.

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def stat_fields(pid: int) -> list[bytes]:
    """Fields of ``/proc/PID/stat`` after the name: state, parent, group, session, …; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib would double the size of a reaper
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot; with the pid and the boot id this names it for ever."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else 0


def listed_children(pid: int) -> list[int]:
    """Direct children, zombies too, from ``/proc/PID/task/*/children``."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - see stat_fields
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    return found


def scanned_children() -> Callable[[int], list[int]]:
    """Direct children by one scan of the process table, for kernels without ``children`` files."""
    table: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - see stat_fields
        if name.isdigit() and (fields := stat_fields(int(name))):
            table.setdefault(int(fields[1]), []).append(int(name))
    return lambda pid: table.get(pid, [])


def descendants(spared: frozenset[int] = frozenset()) -> Iterator[int]:
    """Everything below this process, parents before children, without the spared and what is below them."""
    me = os.getpid()
    own_list = f"/proc/{me}/task/{me}/children"
    children = listed_children if os.path.exists(own_list) else scanned_children()  # noqa: PTH110 - see stat_fields
    todo = deque(children(me))
    while todo:
        pid = todo.popleft()
        if pid not in spared:
            yield pid
            todo.extend(children(pid))


# Signals ---------------------------------------------------------------------------------------------------------


def send(number: signal.Signals, pid: int) -> None:
    """Signal a process; one that is gone, or not ours to signal, is nobody's failure."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_group(number: signal.Signals, group: int) -> None:
    """Signal a process group, atomically against its forks."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def kill_below(spared: frozenset[int] = frozenset()) -> set[int]:
    """Kill every descendant once and answer whom; groups first, since a group cannot outrun its signal.

    A group outside our own session was made by a descendant, so all its members are descendants.
    """
    own_session = os.getsid(0)
    groups: set[int] = set()
    killed: set[int] = set()
    for pid in descendants(spared):
        fields = stat_fields(pid)
        if not fields or fields[0] == b"Z":
            continue
        group, session = int(fields[2]), int(fields[3])
        if session != own_session and group not in groups:
            groups.add(group)
            send_group(signal.SIGKILL, group)
        send(signal.SIGKILL, pid)
        killed.add(pid)
    return killed


def terminate_below(leader: int | None) -> None:
    """Ask every descendant once to end; a stopped one is continued, or it would never hear.

    Args:
        leader: of the first group, while it has not been reaped: its group is signalled as one.
    """
    if leader is not None:
        send_group(signal.SIGTERM, leader)
        send_group(signal.SIGCONT, leader)
    for pid in descendants():
        fields = stat_fields(pid)
        if fields and int(fields[2]) != leader:
            send(signal.SIGTERM, pid)
            send(signal.SIGCONT, pid)


# Control groups --------------------------------------------------------------------------------------------------


def delegated_cgroup(proc: str = "/proc/self") -> str | None:
    """The folder of our own control group (v2) if we may make others in it and the kernel can kill them."""
    try:
        folder = own_cgroup(proc)
        files = [
            f"{folder}/{name}" for name in ("", "cgroup.procs", "cgroup.kill")
        ]  # the root has no cgroup.kill
        return folder if all(os.access(file, os.W_OK) for file in files) and is_delegated(folder) else None
    except (OSError, ValueError):
        return None


def own_cgroup(proc: str) -> str:
    """The folder of our own control group (v2); ``OSError`` or ``ValueError`` if there is none or we cannot see it."""
    with open(f"{proc}/cgroup", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - see stat_fields
        (path,) = [line[3:].rstrip("\n") for line in file if line.startswith("0::")]
    with open(f"{proc}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        mounts = [line.split() for line in file if " - cgroup2 " in line]
    for _, _, _, root, point, *_ in mounts:
        if f"{path}/".startswith(f"{root.rstrip('/')}/") and "/../" not in f"{path}/":
            return (point + path.removeprefix(root.rstrip("/"))).rstrip("/")
    raise ValueError("no cgroup2 file system shows it")


def is_delegated(folder: str) -> bool:
    """Whether a writable group is ours to divide; to root all are writable, so systemd must have said so."""
    while os.geteuid() == 0:
        for name in ("user.delegate", "trusted.delegate"):
            with suppress(OSError):
                if os.getxattr(folder, name) == b"1":
                    return True
        folder, _, name = folder.rpartition("/")
        if not name or not os.access(f"{folder}/cgroup.procs", os.F_OK):
            return False
    return True


class Group:
    """The control group of one reaper and of what it runs; everything about it may fail and then means nothing.

    Args:
        home: folder of the zygote's group.
        zygote: pid.
        reaper: pid.
    """

    def __init__(self, home: str, zygote: int, reaper: int) -> None:
        self.home = home
        self.folder = f"{home}/supervised-{zygote}-{reaper}"
        self.inside = False

    def enter(self) -> None:
        """Be in the group, so that commands are born in it."""
        if not self.inside:
            with suppress(OSError):
                make_group(self.folder)
                write_control(f"{self.folder}/cgroup.procs", b"0")
                self.inside = True

    def kill(self) -> None:
        """Kill all that is in the group, but us: whoever is in a group dies with it, so we leave it first."""
        with suppress(OSError, ValueError):
            if self.inside:
                self._leave()
            write_control(f"{self.folder}/cgroup.kill", b"1")

    def remove(self) -> None:
        """Have no group any more; one in which somebody lives stays."""
        with suppress(OSError, ValueError):
            if self.inside:
                self._leave()
        remove_group(self.folder)

    def _leave(self) -> None:
        write_control(f"{self.home}/cgroup.procs", b"0")
        if own_cgroup("/proc/self") == self.folder:
            raise ValueError("the kernel says that we are still in it")
        self.inside = False


def make_group(folder: str) -> None:
    """Make a group unless it is there."""
    with suppress(FileExistsError):
        os.mkdir(folder)  # noqa: PTH102 - see stat_fields


def remove_group(folder: str) -> None:
    """Remove a group, and those that commands have made in it, as far as they are empty."""
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(path)  # noqa: PTH106 - see stat_fields


def write_control(file: str, content: bytes) -> None:
    """Write to a file that the kernel has made."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def sweep_groups(home: str) -> None:
    """Remove the empty groups that zygotes have left which were killed."""
    for name in os.listdir(home):  # noqa: PTH208 - see stat_fields
        kind, _, pids = name.partition("-")
        if kind == "supervised" and not stat_fields(int(pids.partition("-")[0])):
            remove_group(f"{home}/{name}")


# The dead --------------------------------------------------------------------------------------------------------


def childless() -> bool:
    """Whether nothing at all is left below this process, as a fact and not a reading."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def reap() -> Iterator[tuple[int, int, resource.struct_rusage]]:
    """Reap every dead child by its number: pid, wait status, what it used."""
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if dead is None:
            return
        yield os.wait4(dead.si_pid, 0)


# The socket and the signals --------------------------------------------------------------------------------------


class Decoder:
    """Cuts a stream of bytes into JSON messages; also used by the worker's end."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what arrived and give every message that is complete."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4 and len(buffer) >= (end := 4 + int.from_bytes(buffer[:4], "big")):  # noqa: PLR2004 - the length
            message = bytes(buffer[4:end])
            del buffer[:end]
            yield message


def encode(message: Message) -> bytes:
    """Frame a message; text that is not UTF-8 (names of files, arguments) survives as escaped surrogates."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(4, "big") + body


def clean(text: str) -> str:
    """Text that any reader of JSON accepts."""
    return text.encode("utf-8", "backslashreplace").decode()


class Control:
    """This side of the socket to the worker."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.descriptors: deque[int] = deque()
        self._decoder = Decoder()

    def receive(self) -> list[Message] | None:
        """Every message that has arrived; ``None`` once the worker is gone, since it can no longer want anything."""
        messages: list[Message] = []
        while True:
            try:
                data = self._receive_some()
            except BlockingIOError:
                return messages
            except OSError:
                data = b""
            if not data:
                return None
            messages += map(json.loads, self._decoder.feed(data))

    def _receive_some(self) -> bytes:
        # Not socket.recv_fds: in Python 3.11 it drops its flags, and then blocks and leaks into commands.
        flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        data, ancillary, _, _ = self.sock.recvmsg(65_536, socket.CMSG_SPACE(8 * INT.size), flags)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.descriptors.extend(number for (number,) in INT.iter_unpack(content))
        return data

    def send(self, message: Message) -> None:
        """Tell the worker; one that is gone is noticed by reading."""
        with suppress(OSError):
            self.sock.sendall(encode(message))


class Wakeup:
    """Signals as something to poll: one byte, the signal's number, for each that arrives.

    The terminal's signals are handled by doing nothing, not ignored: an ignored signal would stay so in commands.
    """

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def close(self) -> None:
        """Undo, in a forked child, what belongs to its parent."""
        signal.set_wakeup_fd(-1)
        os.close(self.reader)
        os.close(self._writer)

    def told_to_end(self) -> bool:
        """Forget what woke us; whether SIGTERM was among it."""
        with suppress(BlockingIOError):
            return signal.SIGTERM in os.read(self.reader, 65_536)
        return False


class Program:
    """What zygote and reaper share: wait, reap, obey, settle, until there is nobody left to serve."""

    def __init__(self, sock: socket.socket) -> None:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.control = Control(sock)
        self.wakeup = Wakeup()
        self.ending = False
        self.rounds = 0
        self._poll = select.poll()
        self._poll.register(self.control.sock, select.POLLIN)
        self._poll.register(self.wakeup.reader, select.POLLIN)

    def run(self) -> None:
        """Serve until told to end and nothing is left below."""
        while not (self.ending and childless()):
            self._poll.poll(self.patience())
            # First, since a death between reaping and this would be forgotten and slept over.
            told_to_end = self.wakeup.told_to_end()
            self.bury()
            self.listen(told_to_end=told_to_end)
            self.settle()

    def listen(self, *, told_to_end: bool) -> None:
        """Hear the worker, and whether this is the end."""
        messages = [] if self.ending else self.control.receive()
        for message in messages or []:
            self.obey(message)
        if not self.ending and (told_to_end or messages is None):
            self.ending = True
            self._poll.unregister(self.control.sock)  # a closed socket is readable for ever
            self.end()

    def pause(self) -> int:
        """Milliseconds between two rounds of killing, unless a death, which is heard at once, begins the next."""
        self.rounds += 1
        return 1 if self.rounds < PATIENT_ROUNDS else 50

    def patience(self) -> int | None:
        """Milliseconds to wait for something to happen; ``None`` without end."""
        raise NotImplementedError

    def bury(self) -> None:
        """Reap the dead."""
        raise NotImplementedError

    def obey(self, message: Message) -> None:
        """Do what the worker asks."""
        raise NotImplementedError

    def end(self) -> None:
        """Prepare to end: the worker is gone or we were told to."""
        raise NotImplementedError

    def settle(self) -> None:
        """Do what the new state asks for."""
        raise NotImplementedError


# The reaper ------------------------------------------------------------------------------------------------------


class Reaper(Program):
    """Runs one command at a time; reports its end when nothing of it is left.

    Requests: ``start`` (argv, cwd, env, open_files; descriptors for stdout and stderr), ``stop`` (grace), ``kill``.
    Answers: ``started`` (pid, start_time) or ``failed`` (errno, message); later ``exited``.
    """

    def __init__(self, sock: socket.socket, group: Group | None = None) -> None:
        super().__init__(sock)
        self.group = group
        self.leader: subprocess.Popen[bytes] | None = None
        self.kill_at: float | None = None
        self._forget()

    def _forget(self) -> None:
        self.leader, self.kill_at, self.rounds = None, None, 0
        self.status: int | None = None
        self.killed: set[int] = set()
        self.user_cpu, self.system_cpu, self.max_rss = 0.0, 0.0, 0

    def patience(self) -> int | None:
        """Nothing to do until something happens, or the grace ends, or the next round of killing is due."""
        if self.kill_at is None:
            return None
        left = self.kill_at - time.monotonic()
        return self.pause() if left <= 0 else int(min(left, 60.0) * 1000) + 1

    def bury(self) -> None:
        """Reap; the leader's status is kept, and its end is the end of whatever it leaves behind."""
        for pid, status, used in reap():
            self.user_cpu += used.ru_utime
            self.system_cpu += used.ru_stime
            self.max_rss = max(self.max_rss, used.ru_maxrss * 1024)
            if self.leader is not None and pid == self.leader.pid:
                self.status = self.leader.returncode = os.waitstatus_to_exitcode(status)
                if self.kill_at is None:  # nobody has granted what it leaves behind a grace
                    self._kill_within(0.0)
            elif self.kill_at is not None and os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
                self.killed.add(pid)  # with its group, before it was seen

    def obey(self, message: Message) -> None:
        """Start, stop or kill; the last two mean nothing when nothing runs."""
        match message["op"]:
            case "start":
                self._start(message)
            case "stop" if self.leader is not None:
                terminate_below(None if self.status is not None else self.leader.pid)
                self._kill_within(message["grace"])
            case "kill" if self.leader is not None:
                self._kill_within(0.0)
            case _:
                pass

    def end(self) -> None:
        """Whatever lives below is killed from now on."""
        self._kill_within(0.0)

    def settle(self) -> None:
        """Kill what is due, and report the end of a command of which nothing is left."""
        if self.status is not None and childless():
            self._report()
        elif self.kill_at is not None and time.monotonic() >= self.kill_at:
            if self.group is not None and self.group.inside:
                self.group.kill()
            self.killed |= kill_below()

    def _kill_within(self, grace: float) -> None:
        moment = time.monotonic() + grace
        self.kill_at = moment if self.kill_at is None else min(moment, self.kill_at)

    def _start(self, message: Message) -> None:
        streams = [self.control.descriptors.popleft() for _ in range(min(3, len(self.control.descriptors)))]
        if self.group is not None:
            self.group.enter()
        try:
            self.leader = spawn(message, streams)
        except OSError as error:
            self.control.send({"type": "failed", "errno": error.errno or 0, "message": clean(str(error))})
        except ValueError as error:  # a NUL byte in an argument
            self.control.send({"type": "failed", "errno": errno.EINVAL, "message": clean(str(error))})
        else:
            pid = self.leader.pid
            self.control.send({"type": "started", "pid": pid, "start_time": start_time(pid)})
        finally:
            for descriptor in streams:
                os.close(descriptor)

    def _report(self) -> None:
        assert self.leader is not None
        assert self.status is not None
        report: Message = {
            "type": "exited",
            "code": self.status if self.status >= 0 else None,
            "signal": -self.status if self.status < 0 else None,
            "user_cpu": self.user_cpu,
            "system_cpu": self.system_cpu,
            "max_rss": self.max_rss,
            "left_over": len(self.killed - {self.leader.pid}),
        }
        self._forget()
        self.control.send(report)


def spawn(message: Message, streams: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Start a command in a session of its own, on descriptors for its input, output and error output.

    Raises:
        OSError: it cannot be executed, the folder is missing, the system is out of processes or descriptors.
        ValueError: an argument holds a NUL byte.
    """
    if len(streams) < 3:  # noqa: PLR2004 - the three streams; the kernel drops descriptors beyond the limit
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return subprocess.Popen(
        message["argv"],
        cwd=message["cwd"],
        env=message["env"],
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        start_new_session=True,
        preexec_fn=open_files_hook(message["open_files"]),  # noqa: PLW1509 - one thread and little memory: safe and cheap
    )


def open_files_hook(wanted: int | None) -> Callable[[], None] | None:
    """What limits the descriptors of a command before its first instruction; ``None`` lets it start faster."""
    if wanted is None:
        return None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def run_reaper(sock: socket.socket, zygote: int, home: str | None) -> NoReturn:
    """Be a reaper, in a process just forked by the zygote; never returns."""
    code = 70
    try:
        prctl(PR_SET_NAME, b"reaper")
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        group = None if home is None else Group(home, zygote, os.getpid())
        reaper = Reaper(sock, group)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if os.getppid() != zygote:
            signal.raise_signal(signal.SIGTERM)
        reaper.run()
        if group is not None:
            group.remove()
        code = 0
    except BaseException as error:  # noqa: BLE001 - the last frame of this process
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)  # the zygote's frames below us are not ours to unwind


# The zygote ------------------------------------------------------------------------------------------------------


class Zygote(Program):
    """Forks reapers on request; what a killed reaper leaves comes to it and is killed.

    Requests: ``fork`` (id; the reaper's socket beside it), ``discard`` (id, reaper).
    Answers: ``forked`` (id, pid) or ``refused`` (id, errno, message); ``discarded`` (id) once the reaper is dead and
    nothing that it left is alive.
    """

    def __init__(self, sock: socket.socket, home: str | None = None) -> None:
        super().__init__(sock)
        self.home = home
        self.orphaned: list[Group] = []
        self.reapers: set[int] = set()
        self.looks_wanted = 0
        self.discards: dict[int, int] = {}

    def patience(self) -> int | None:
        """Wait for an event, unless left-overs are to be killed; what is new comes with a reaper's death."""
        return self.pause() if self.looks_wanted else None

    def bury(self) -> None:
        """Reap; the death of a reaper may have made us a parent."""
        for pid, _, _ in reap():
            if pid in self.reapers and self.home is not None:
                self._orphan(Group(self.home, os.getpid(), pid))
            self.reapers.discard(pid)
            self._look()

    def _orphan(self, group: Group) -> None:
        """Kill what a dead reaper has left in its group; one that ended in peace has removed it."""
        if os.access(group.folder, os.F_OK):
            group.kill()
            self.orphaned.append(group)

    def obey(self, message: Message) -> None:
        """Fork a reaper, or be done with one that is dead, though we may not have heard, or does not answer."""
        match message["op"]:
            case "fork":
                self._fork(message["id"])
            case "discard":
                self.discards[message["id"]] = message["reaper"]
                if message["reaper"] in self.reapers:
                    send(signal.SIGKILL, message["reaper"])
                self._look()
            case _:
                pass

    def end(self) -> None:
        """Have every reaper end as well; each kills what is below it first."""
        self._look()
        for pid in self.reapers:
            send(signal.SIGTERM, pid)

    def settle(self) -> None:
        """Kill left-overs until none is seen any more."""
        if not self.looks_wanted:
            return
        if kill_below(frozenset(self.reapers)):
            self._look()
        else:
            self.looks_wanted -= 1
        if not self.looks_wanted:
            self.rounds = 0
            while self.orphaned:
                self.orphaned.pop().remove()
            for number in [number for number, pid in self.discards.items() if pid not in self.reapers]:
                del self.discards[number]
                self.control.send({"type": "discarded", "id": number})

    def _look(self) -> None:
        self.looks_wanted = EMPTY_LOOKS

    def _fork(self, number: int) -> None:
        try:
            pid = self._fork_reaper()
        except OSError as error:
            reason = {"errno": error.errno or 0, "message": clean(str(error))}
            self.control.send({"type": "refused", "id": number, **reason})
        else:
            self.reapers.add(pid)
            self.control.send({"type": "forked", "id": number, "pid": pid})

    def _fork_reaper(self) -> int:
        if not self.control.descriptors:  # the kernel drops descriptors beyond the limit
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        zygote, descriptor = os.getpid(), self.control.descriptors.popleft()
        signals = {signal.SIGCHLD, signal.SIGTERM}
        # A signal for the child must not be written to our wakeup.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            pid = os.fork()
            if pid == 0:
                self.wakeup.close()
                self.control.sock.close()
                for (
                    later
                ) in self.control.descriptors:  # a copy of a sibling's socket would hide that sibling's death
                    os.close(later)
                run_reaper(socket.socket(fileno=descriptor), zygote, self.home)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            os.close(descriptor)
        return pid


def main() -> None:
    """Be the zygote of the worker at the other end of the socket whose descriptor is the only argument."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    for kept in map(int, sys.argv[2:]):
        os.set_inheritable(kept, False)
    os.chdir("/")  # hold no folder that somebody wants to remove
    prctl(PR_SET_NAME, b"zygote")
    home = delegated_cgroup()
    if home is not None:
        with suppress(OSError, ValueError):
            sweep_groups(home)
    zygote = Zygote(socket.socket(fileno=descriptor), home)
    gc.collect()
    gc.freeze()  # forked reapers then share these pages for good
    zygote.run()


if __name__ == "__main__":
    main()
