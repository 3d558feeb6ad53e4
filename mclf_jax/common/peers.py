"""Several processes as one: when one of them dies, all end with a line that says which.

Process 0 starts a keeper beside itself: this file as a program. It serves JAX's coordination, whose
clients abort with stacks of C++ once it is gone, so that it must outlive whoever dies; and it holds
a connection to each process, which breaks when the process ends, however that was.
"""

import atexit
import contextlib
import json
import os
import secrets
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

_GRACE_S = 2.0  # for a process that is about to say what went wrong with itself
_JOIN_S = 300.0  # in which all are there; hosts of a pod need not start at once
_LINGER_S = 15.0  # of the keeper after process 0, for the others to end
_KEY = "mclf_jax/keeper"
_watchers: list[threading.Thread] = []
_failed, _done = threading.Event(), threading.Event()


def join(*, join_s: float = _JOIN_S, **settings: Any) -> None:
    """Make this process one of several, see `jax.distributed.initialize`.

    If another one ends before its work is done, this one ends too, within seconds: with a line that
    names the other, and exit status 75, as all of them can be started again.

    Args:
        join_s: after so many seconds without the others it ends, with a line that says so.
        settings: of `jax.distributed.initialize`.
    """
    import jax
    from jax._src import distributed

    # It would take SIGTERM to itself; `interrupt.any_process` tells all of it.
    jax.config.update("jax_enable_preemption_service", False)
    with _served_by_keeper(), _within(join_s):
        # JAX's own limit would end it with stacks of C++.
        jax.distributed.initialize(initialization_timeout=round(10 * join_s), **settings)
    client, keeper = distributed.global_state.client, distributed.global_state.service
    assert client is not None and distributed.global_state.coordinator_address is not None
    if isinstance(keeper, _Keeper):
        client.key_value_set(_KEY, f"{keeper.port} {keeper.token}")
    port, token = client.blocking_key_value_get(_KEY, 60_000).split()
    host = distributed.global_state.coordinator_address.rpartition(":")[0].strip("[]")
    connection = _kept_alive(socket.create_connection((host, int(port)), timeout=60))
    connection.settimeout(None)
    connection.sendall(f"{token} {distributed.global_state.process_id}\n".encode())
    _watchers.append(threading.Thread(target=_watch, args=(connection,), daemon=True))
    _watchers[-1].start()
    # Comes before JAX's own last steps, in which all wait for each other.
    atexit.register(_say_goodbye, connection)


@contextlib.contextmanager
def failing_together() -> Iterator[None]:
    """Within it, an error ends the other processes, and what is due to one of them is not told.

    Whatever waits for a message of a process that has ended fails, too, and says nothing of it.
    """
    try:
        yield
    except Exception:
        if _watchers:
            time.sleep(_GRACE_S + 1)  # in which `_watch` ends this process
            _failed.set()
        raise


def _say_goodbye(connection: socket.socket) -> None:
    if _failed.is_set() or hasattr(sys, "last_value"):  # of an error that nobody caught
        sys.stdout.flush()
        os._exit(1)
    _done.set()
    with contextlib.suppress(OSError):  # the keeper has been killed
        connection.sendall(b"done\n")


def _watch(connection: socket.socket) -> None:
    """End this process when the keeper says that another one has ended."""
    said = _read(connection)
    if _done.is_set():
        return
    time.sleep(_GRACE_S)
    what = said.strip() or "process 0 and what it kept have ended"
    line = f"mclf: {what}, so this one ends too; start all again, and they go on from what is saved"
    os.write(2, f"\n{line}\n".encode())
    os._exit(os.EX_TEMPFAIL)


@contextlib.contextmanager
def _within(join_s: float) -> Iterator[None]:
    """End this process if what is within it takes longer."""

    def give_up():
        line = (
            f"mclf: the processes of this run have not all joined within {join_s:g} s; are as many "
            "started as they were told, and does each reach process 0?"
        )
        os.write(2, f"{line}\n".encode())
        os._exit(os.EX_TEMPFAIL)

    timer = threading.Timer(join_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _served_by_keeper() -> Iterator[None]:
    """JAX serves its coordination in a process of its own, and not in process 0."""
    from jax._src.lib import _jax  # pyright: ignore

    own = _jax.get_distributed_runtime_service
    _jax.get_distributed_runtime_service = _Keeper
    try:
        yield
    finally:
        _jax.get_distributed_runtime_service = own


class _Keeper:
    """What JAX takes for its service: a handle of the keeper.

    Attributes:
        port, token: where processes say who they are, and what they say first.
    """

    def __init__(self, address: str, num_processes: int, **settings: Any):
        from mclf_jax.common.interrupt import deaf_children

        self.token = secrets.token_hex(16)
        words = [address, str(num_processes), self.token, json.dumps(settings)]
        with deaf_children():
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if not said.isdigit():
            raise ValueError(f"coordination cannot be served at {address}: {said or 'it ended'}")
        self.port = int(said)

    def shutdown(self) -> None:
        """Called by JAX when all are done."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _keep(address: str, num_processes: int, *, token: str, settings: dict[str, Any]) -> None:
    """Be the keeper, until process 0 and all others have ended."""
    from jaxlib import _jax  # pyright: ignore

    try:
        service = _jax.get_distributed_runtime_service(address, num_processes, **settings)
        server = socket.create_server(("", 0))
    except Exception as error:  # whatever C++ makes of a port that is taken
        print(str(error).splitlines()[0], flush=True)
        return
    print(server.getsockname()[1], flush=True)
    who: dict[socket.socket, str] = {}
    ends_s = float("inf")
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while time.monotonic() < ends_s and (ends_s == float("inf") or who):
            for key, _ in selector.select(timeout=1):
                if key.fileobj is server:
                    connection = _kept_alive(server.accept()[0])
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                if key.fileobj is sys.stdin:
                    selector.unregister(sys.stdin)
                    ends_s = time.monotonic() + _LINGER_S
                    continue
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                words = _read(connection).split()
                if words[:1] == [token]:
                    who[connection] = words[1]
                elif words == ["done"]:
                    who.pop(connection, None)
                else:  # it has ended, or is a stranger
                    selector.unregister(connection)
                    connection.close()
                    if process := who.pop(connection, ""):
                        _tell(who, f"process {process} of {num_processes} has ended\n")
    service.shutdown()


def _read(connection: socket.socket) -> str:
    try:
        return connection.recv(200).decode(errors="replace")
    except OSError:
        return ""


def _tell(who: dict[socket.socket, str], text: str) -> None:
    for connection in who:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            connection.sendall(text.encode())


def _kept_alive(connection: socket.socket) -> socket.socket:
    """The same, which breaks when the other machine has been silent for ten seconds."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 4), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # of Linux
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return connection


if __name__ == "__main__":
    _keep(sys.argv[1], int(sys.argv[2]), token=sys.argv[3], settings=json.loads(sys.argv[4]))
