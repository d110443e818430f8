"""How a gunicorn worker leaves: told to stop, it lets exchanges in flight end and does not wait for idle connections.

The application may offer ``app.extensions["drain"]``: called once, in the background, when the worker is told to stop.
It turns /readyz to 503 and sees to it that streams are ended by ``--drain``.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from functools import lru_cache
from threading import Thread
from typing import Any, Callable, Dict, List, Optional, Union

from config import Settings
from proxy.descriptors import clients_allowed
from proxy.host.conversation import Conversation, is_ordinary
from proxy.upstream.patience import NEVER, Patience

GRACE = 0.5  # seconds in which a connection that is open but silent may still send its request
GARBAGE = 10_000  # objects that are made until somebody looks whether some hold each other; an exchange makes few such
READ = 1  # libev's word for readable
STEP = 0.1  # seconds between two looks at the connections that wait, and until one counts as silent


def prepare(worker: Any, settings: Settings, *, shield: bool = False) -> None:
    """Teach a worker that is ready to serve how to leave.

    ``shield`` keeps Ctrl-C, which a terminal sends to all processes of the program, from a worker whose master turns it
    into an orderly stop.
    """
    idle = Idle(None)
    if _is_gevent(worker):  # the threaded worker closes idle connections itself
        # Without a descriptor for the provider's side an exchange could only fail: its client rather waits outside.
        worker.worker_connections = min(worker.worker_connections, clients_allowed())
        _keep_no_pedigrees()
        idle = Idle(worker.timeout_ctx, settings.client_timeout, worker.worker_connections)
        if is_ordinary(worker):
            worker.handle = Conversation(worker, idle).handle
        worker.timeout_ctx, worker.handle = idle.wait, idle.attending(worker.handle)
    crew = getattr(worker.wsgi, "extensions", {}).get("crew")
    if crew is not None:
        crew.supervised = True
        crew.join()
    signal.signal(signal.SIGTERM, Leaving(worker, idle, settings.drain_notice).asked)
    if shield:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _spare_the_collector()


def _keep_no_pedigrees() -> None:
    """gevent can tell from where each greenlet was spawned, and keeps frames of a kind for that; nobody asks."""
    from gevent import config

    config.track_greenlet_tree = False


def _spare_the_collector() -> None:
    """What a worker has loaded by now it keeps: walking all of it for garbage again and again finds none."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])


def expecting() -> None:
    """In gunicorn's own master, about to fork a worker: a SIGTERM to it waits until ``newborn`` can hear it."""
    _unblock_in_parents()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


@lru_cache(maxsize=None)
def _unblock_in_parents() -> None:
    """gunicorn has no hook for a master that has forked; Python has."""
    os.register_at_fork(after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM}))


def newborn(worker: Any) -> None:
    """A worker that was just forked is told to stop before gunicorn listens for that: it ends, having served nobody.

    Until then it has its master's handlers, which would only note the signal, and the master would wait for it until
    the end of the drain. (To be told twice is no way out: the second word may come when the interpreter, on its way
    down, has given up its handlers, and gunicorn 23 then complains of a worker that was killed.)
    """
    signal.signal(signal.SIGTERM, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _end(sign: int, frame: Any) -> None:
    os._exit(0)  # an exception could come up where gevent, being patched in, would swallow it


class Leaving:
    """One worker's way out: on SIGTERM the application is told, after ``notice`` seconds the listener closes."""

    def __init__(self, worker: Any, idle: Idle, notice: float) -> None:
        self._worker = worker
        self._idle = idle
        self._notice = notice
        self._asked = False

    def asked(self, sign: int, frame: Any) -> None:
        """SIGTERM came; the master may send it again and again."""
        if not self._asked:
            self._asked = True
            _in_background(self._worker, self.leave)

    def leave(self) -> None:
        """Tell the application, give the notice, let gunicorn close the listener, and close what is idle."""
        drain = getattr(self._worker.wsgi, "extensions", {}).get("drain")
        if drain is not None:
            _in_background(self._worker, drain)
        time.sleep(self._notice)
        self._worker.handle_exit(signal.SIGTERM, None)
        while True:  # until the process ends
            self._idle.close()
            time.sleep(STEP)


class Idle:
    """The connections of a gevent worker that wait for a request, each in the timeout gunicorn made for that wait.

    ``most``: how many connections the worker takes; those that only wait must keep nobody else out.
    """

    def __init__(self, timeout_ctx: Any, patience: float = 0.0, most: int = 0) -> None:
        self._timeout_ctx = timeout_ctx
        self._patience = patience
        self._most = most
        self._looking = False  # whether somebody will look again for who makes room
        self._sockets: Dict[Any, Any] = {}
        self.waiting: Dict[Union[Wait, Patience], float] = {}

    def attending(self, handle: Callable[..., None]) -> Callable[..., None]:
        """``handle`` of a worker, which tells ``wait`` what socket its greenlet serves."""
        from gevent import getcurrent

        def attend(listener: Any, client: Any, address: Any) -> None:
            self._sockets[getcurrent()] = client
            self.make_room()
            try:
                if shaken(client, self._patience):
                    handle(listener, client, address)
            finally:
                self._sockets.pop(getcurrent(), None)

        return attend

    def wait(self) -> Wait:
        """What gunicorn enters while it waits for the next request of a connection, up to the end of its head."""
        from gevent import getcurrent

        return Wait(self, self._timeout_ctx(), self._sockets.get(getcurrent()), self._patience)

    def make_room(self) -> None:
        """Where the worker would take no further connection, the one that has been silent for longest ends."""
        if len(self._sockets) < self._most or not self.waiting or self._looking:
            return
        from gevent import get_hub, spawn_later

        wait = next((wait for wait in self.waiting if not _has_spoken(wait.descriptor)), None)
        if wait is not None and time.monotonic() - self.waiting[wait] >= STEP:
            get_hub().loop.run_callback(wait.end)
        else:  # what they say may be on its way, and may be less than a request
            self._looking = True
            spawn_later(STEP, self._look_again)

    def _look_again(self) -> None:
        self._looking = False
        self.make_room()

    def waits(self, silence: Patience, since: Optional[float] = None) -> bool:
        """Wait for what a connection says next; raises socket.timeout, too, when the worker must leave.

        ``since``: when the client began with what must be over after its patience; False when it is not.
        """
        self.waiting[silence] = time.monotonic() if since is None else since
        self.make_room()
        try:
            return silence.until(NEVER if since is None else since + self._patience)
        finally:
            self.waiting.pop(silence, None)

    def close(self) -> None:
        """End the waits that are older than the grace; gunicorn then closes their connections."""
        if not self.waiting:
            return
        from gevent import get_hub

        for wait, since in list(self.waiting.items()):
            if time.monotonic() - since >= GRACE:
                get_hub().loop.run_callback(wait.end)


class Wait:
    """One wait, which can be ended from outside as if its time were over.

    A head that has begun must be complete after ``patience`` seconds, however long a silent connection may stay.
    """

    def __init__(self, idle: Idle, timeout: Any, sock: Any, patience: float) -> None:
        self._idle = idle
        self._timeout = timeout
        self._sock = sock
        self._patience = patience
        self._waiter: Any = None
        self._watchers: List[Any] = []
        self.descriptor = -1

    def __enter__(self) -> None:
        from gevent import getcurrent

        self._waiter = getcurrent()
        self._idle.waiting[self] = time.monotonic()
        self._idle.make_room()
        self._timeout.__enter__()
        if self._sock is not None and self._sock.fileno() >= 0:
            self.descriptor = self._sock.fileno()
            self._watch(self.descriptor)

    def __exit__(self, *exc: Any) -> Any:
        self._idle.waiting.pop(self, None)
        for watcher in self._watchers:
            watcher.stop()
            watcher.close()
        return self._timeout.__exit__(*exc)

    def _watch(self, descriptor: int) -> None:
        from gevent import get_hub

        readable, late = get_hub().loop.io(descriptor, READ), get_hub().loop.timer(self._patience)
        self._watchers = [readable, late]

        def begun() -> None:
            readable.stop()
            late.start(self.end)

        if _has_spoken(descriptor):  # it will be read before the hub can tell
            late.start(self.end)
        else:
            readable.start(begun)

    def end(self) -> None:
        """Called by the hub: a wait that ended by itself meanwhile is left alone."""
        if self in self._idle.waiting:
            self._waiter.throw(self._timeout)


def _has_spoken(descriptor: int) -> bool:
    """Whether there is something to read of a connection that is waited for; the hub may not have told yet."""
    from select import POLLIN

    from gevent import monkey

    look = monkey.get_original("select", "poll")()
    if descriptor >= 0:
        look.register(descriptor, POLLIN)
    return bool(look.poll(0))


def unhurried(context: Any, patience: float) -> Any:
    """A context whose sockets agree on TLS in their own connection's time, not in that of whoever accepts them."""
    wrap = context.wrap_socket

    def wrapped(sock: Any, **more: Any) -> Any:
        sock.settimeout(patience)
        return wrap(sock, **{**more, "do_handshake_on_connect": False})

    context.wrap_socket = wrapped
    return context


def shaken(client: Any, patience: float) -> bool:
    """Whether TLS, where it is spoken, was agreed on in time: gunicorn would wait for that without end."""
    if not hasattr(client, "do_handshake"):
        return True
    client.settimeout(patience)
    try:
        client.do_handshake()
    except OSError:
        client.close()
        return False
    return True


def _in_background(worker: Any, work: Callable[[], None]) -> None:
    if _is_gevent(worker):
        from gevent import spawn

        spawn(work)  # a signal may come while the hub runs, where nothing may wait, not even for a thread to start
    else:
        Thread(target=work, daemon=True).start()


def _is_gevent(worker: Any) -> bool:
    return hasattr(worker, "timeout_ctx")
