"""What every test may ask for: a scripted provider, running proxies, a client's SDK, and names of its own."""

from __future__ import annotations

import gc
import hashlib
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import raw_client
from _pytest.runner import runtestprotocol
from provider import Provider
from proxy_process import ProxyProcess
from unstuck import Unstuck, let_pools_be_entered_twice

TRIES = 3  # measurements of time before one too many is believed
KEY = "sk-canary-0123456789abcdef"
USED = pytest.StashKey[list]()  # the proxies of a test, and how much each had written before it
AGAIN: list[str] = []  # the tests whose first measurements were spoiled

MODERN = pytest.mark.skipif(sys.version_info < (3, 11), reason="the fast transport needs Python 3.11")


@pytest.fixture(params=["requests", pytest.param("fast", marks=MODERN)])
def transport(request: pytest.FixtureRequest) -> str:
    """What speaks HTTP to the provider: whatever holds for one holds for the other."""
    return str(request.param)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-made certificate for 127.0.0.1 and localhost, and its key: paths of two PEM files."""
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", names, "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return paths


@pytest.fixture(scope="session")
def _provider() -> Iterator[Provider]:
    with_port = Provider()
    yield with_port
    with_port.close()


@pytest.fixture()
def provider(_provider: Provider) -> Iterator[Provider]:
    """A scripted provider with nothing scripted and nothing heard; a request that nobody expected fails the test."""
    _provider.clear()
    yield _provider
    surprises, faults = list(_provider.surprises), list(_provider.faults)
    _provider.clear()
    assert not surprises, f"asked without a script: {surprises}"
    assert not faults, f"a request or a script that makes no sense: {faults}"


@pytest.fixture(scope="session")
def _tls_provider(certificate: tuple[Path, Path]) -> Iterator[Provider]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    secured = Provider(context)
    yield secured
    secured.close()


@pytest.fixture()
def tls_provider(_tls_provider: Provider) -> Iterator[Provider]:
    """The scripted provider behind TLS."""
    _tls_provider.clear()
    yield _tls_provider
    _tls_provider.clear()


@pytest.fixture(scope="session")
def _proxies(tmp_path_factory: pytest.TempPathFactory, _provider: Provider) -> Iterator[Callable[..., ProxyProcess]]:
    running: dict[Any, ProxyProcess] = {}

    def start(environ: Any = None, url: Any = None, fresh: bool = False, **settings: Any) -> ProxyProcess:
        key = repr((environ, url, sorted(settings.items())))
        if fresh:
            key = f"{key} {len(running)}"
        if key not in running or running[key].process.poll() is not None:
            folder = tmp_path_factory.mktemp("journal")
            running[key] = ProxyProcess.app(url or _provider.url, folder, settings, environ or {})
            running[key].ready(not_port=_provider.port)
        return running[key]

    yield start
    for one in running.values():
        one.terminate()  # all at once: each may take its time
    codes = {key: one.stop(clean=False) for key, one in running.items()}
    noise = {key: one.stderr for key, one in running.items() if one.stderr}
    assert not any(codes.values()), f"exit codes after SIGTERM: {codes}\n{noise}"
    assert not noise, f"complaints on stderr: {noise}"


@pytest.fixture()
def proxy(
    request: pytest.FixtureRequest, _proxies: Callable[..., ProxyProcess], provider: Provider
) -> Callable[..., ProxyProcess]:
    """``proxy(**settings)``: a running proxy in front of ``provider``, shared by all tests with the same settings.

    ``url=`` points it elsewhere, ``environ=`` adds to its environment, ``fresh=True`` makes one for this test only.
    """

    def running(**settings: Any) -> ProxyProcess:
        one = _proxies(**settings)
        request.node.stash.setdefault(USED, []).append((one, len(one.log()), len(one.stderr)))
        return one

    return running


def pytest_configure(config: pytest.Config) -> None:
    """Nothing here waits for ever."""
    config.pluginmanager.register(Unstuck(config))
    let_pools_be_entered_twice()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure shows what the proxies in question wrote into their logs meanwhile.

    Lone surrogates in what a test logged are spelled out: pytest-xdist could not pass them on to who prints them.
    """
    outcome = yield
    report = outcome.get_result()
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    if report.failed:
        for one, seen, heard in item.stash.get(USED, []):
            report.sections.append((f"log of {one.origin}", one.log()[seen:][-4000:] + one.stderr[heard:][-2000:]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A test that measures time is measured again when it fails: others at work here can only make things late."""
    if item.get_closest_marker("timed") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for left in reversed(range(TRIES)):
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if not left or not any(report.failed for report in reports):
            break
        AGAIN.append(item.nodeid)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which measurements were spoiled, so that one which always is gets noticed."""
    for nodeid in AGAIN:
        terminalreporter.write_line(f"measured again: {nodeid}")


@pytest.fixture(autouse=True)
def _collected_later() -> Iterator[None]:
    """Garbage is collected between tests: never while a lock is held that whatever is thrown away wants, too.

    An SDK's stream that raised is such garbage: closed by the collector in the middle of the same client's next
    request, it waits for ever for httpcore's lock, which its own thread holds.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def _hung_up() -> Iterator[None]:
    yield
    raw_client.hang_up()


@pytest.fixture()
def model(request: pytest.FixtureRequest) -> str:
    """A model name of this test's own: finds its records, and keeps what the proxy learns about it apart."""
    return "model-" + hashlib.sha1(request.node.nodeid.encode()).hexdigest()[:10]


@pytest.fixture(scope="session")
def _clients() -> Iterator[Callable[[str], Any]]:
    openai = pytest.importorskip("openai")
    clients: dict[str, Any] = {}
    transport = openai.DefaultHttpxClient(trust_env=False)

    def connect(base_url: str) -> Any:
        if base_url not in clients:
            clients[base_url] = openai.OpenAI(
                base_url=base_url, api_key=KEY, max_retries=0, timeout=15, http_client=transport
            )
        return clients[base_url]

    yield connect
    transport.close()


@pytest.fixture()
def sdk(_clients: Callable[[str], Any]) -> Callable[[Any], Any]:
    """``sdk(proxy)``: the real OpenAI SDK, without retries of its own, talking to a proxy (or a provider's /v1)."""
    return lambda to: _clients(to if isinstance(to, str) else to.base_url)
