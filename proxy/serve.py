"""Serving without a host's own command: gunicorn's master and gevent workers, started from here.

Where gunicorn does not exist (Windows), gevent's own server does the work in one process.
"""

from __future__ import annotations

import os
import socket
from typing import Sequence

import config
from config import ConfigError, Settings, is_loopback, mask_url
from proxy.descriptors import warn_of_few_descriptors
from proxy.soundness import check
from proxy.upstream.replay import recorded, replayed

BACKLOG = 2048  # connections the kernel keeps until a worker takes them; the kernel may allow fewer


def serve(settings: Settings, words: Sequence[str] = ()) -> None:
    """Listen, say so, and answer until told to stop; ``words`` are the flags, for reading the file again on SIGHUP."""
    check(settings)
    check_journal(settings)
    warn_of_few_descriptors(settings)
    listener = listen(settings)
    try:
        import gunicorn.arbiter  # noqa: F401 - on Windows it is not installed, and could not be imported
    except ImportError:
        from proxy import single

        return single.run(settings, listener)
    from proxy import master

    return master.run(settings, listener, lambda: config.load(words))


def check_journal(settings: Settings) -> None:
    """Fail now and in one line, not in a worker, if the journal cannot be written."""
    from proxy.journal import Journal

    try:
        Journal(settings.output_path).close()
    except ValueError as exc:
        raise ConfigError(str(exc)) from None


def listen(settings: Settings) -> socket.socket:
    """The listening socket; the port is the kernel's choice if it is 0."""
    host, port = settings.expose_host, settings.expose_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, where = found[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":  # on Windows this would let two programs have the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise ConfigError(f"cannot listen at {config.address(settings)}: {reason} (expose_host, expose_port)") from None
    return listener


def greet(settings: Settings, port: int) -> None:
    """Say where it listens and sends, the mode, the journal's folder, and an ask that works, on standard output."""
    host = settings.expose_host
    shown = f"[{host}]" if ":" in host else host
    near = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, shown)  # noqa: S104 - everywhere includes here
    told = [
        f"listening on http://{shown}:{port}",
        f"sending to   {mask_url(settings.url)}",
        f"mode         {settings.mode}",
        f"journal in   {os.path.abspath(settings.output_path)}",
        f"traffic page {page(settings, f'http://{near}:{port}')}",
        f"try          {example(settings, f'http://{near}:{port}')}",
    ]
    path = replayed(settings.url)
    if path is not None:
        told.insert(2, f"recorded     {recorded(path).told}")
    print("\n".join(told), flush=True)


def page(settings: Settings, base: str) -> str:
    """Where the traffic page is, or how it comes to be open."""
    if settings.admin_token or is_loopback(settings.expose_host):
        return f"{base}/_forward/"
    return "closed, as others can reach this address; --admin_token opens it"


def example(settings: Settings, base: str) -> str:
    """A curl line that asks; it carries a key only where somebody wants one."""
    demo = settings.url.lower().startswith("demo:")
    embedded = demo or replayed(settings.url) is not None
    key = "" if embedded and not settings.client_keys else ' -H "Authorization: Bearer $KEY"'
    ask = '{"model": "%s", "messages": [{"role": "user", "content": "Hello"}]}' % ("demo" if demo else "MODEL")
    return f"curl {base}/v1/chat/completions{key} -d '{ask}'"
