"""Traces, as a real receiver of OTLP over HTTP gets them."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from proxy_process import ProxyProcess
from raw_client import Call
from stories import CLOSING, DONE, END, JSON, OPENING, STREAM_HEAD, TEXT, chunk, token, whole
from witness import ask

from proxy.tracing.context import told, trace_of

service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")

HERE = "127.0.0.1"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STREAM = [STREAM_HEAD, chunk(OPENING), chunk(token(b"one")), chunk(token(b"two")), chunk(CLOSING), chunk(DONE), END]
ONLY_STREAM = (
    b'{"error":{"message":"This model only support stream mode, please enable the stream parameter.","code":"x"}}'
)


class Receiver(ThreadingHTTPServer):
    """Takes what is exported; ``refusing`` answers 400 to everything."""

    daemon_threads = True

    def __init__(self):
        super().__init__((HERE, 0), Taking)
        self.spans, self.paths, self.services, self.refusing = [], [], set(), False
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://{HERE}:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join(30)

    def of(self, model):
        """The spans of exchanges with a model, by name and kind."""
        return [span for span in list(self.spans) if attributes(span).get("gen_ai.request.model") == model]


class Taking(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = service.ExportTraceServiceRequest.FromString(body)
        self.server.paths.append(self.path)
        for resource in request.resource_spans if not self.server.refusing else ():
            self.server.services.add(attributes(resource.resource)["service.name"])
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(400 if self.server.refusing else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


def attributes(span):
    """What is said of a span, as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.fixture(scope="session")
def receiver():
    one = Receiver()
    yield one
    one.close()


@pytest.fixture()
def running(proxy, receiver):
    """A proxy that exports."""
    return proxy(otlp_endpoint=receiver.url)


def exported(running, receiver, model, count):
    """As many spans of a model, the exchange's own first."""
    running.until(lambda: len(receiver.of(model)) >= count, 15, "not exported")
    spans = sorted(receiver.of(model), key=lambda span: (span.kind != 2, span.start_time_unix_nano))
    assert len(spans) == count
    return spans


def test_an_exchange_is_a_span_with_one_below_it_for_each_ask_of_the_provider(running, receiver, provider, model):
    provider.plays([whole(ONLY_STREAM, b"400 Bad Request", JSON)], STREAM)
    traced = [("traceparent", f"00-{TRACE}-{PARENT}-01"), ("tracestate", "vendor=1")]
    call = Call(running.port, ask(model), headers=[*traced, ("X-Forward-Mode", "non_stream")]).rest()
    assert call.status == 200
    own, refused, answered = exported(running, receiver, model, 3)
    assert own.trace_id.hex() == TRACE and own.parent_span_id.hex() == PARENT and own.name == f"chat {model}"
    assert {span.trace_id for span in (refused, answered)} == {own.trace_id}
    assert {span.parent_span_id for span in (refused, answered)} == {own.span_id}
    assert (own.kind, refused.kind, answered.kind) == (2, 3, 3)
    times = [own.start_time_unix_nano, refused.start_time_unix_nano, refused.end_time_unix_nano]
    times += [answered.start_time_unix_nano, answered.end_time_unix_nano]
    assert times == sorted(times) and answered.end_time_unix_nano <= own.end_time_unix_nano
    said = attributes(own)
    assert said["gen_ai.operation.name"] == "chat" and said["gen_ai.provider.name"] == "openai"
    assert (said["http.response.status_code"], said["forward.outcome"]) == (200, "complete")
    assert (said["forward.send_mode"], said["forward.return_mode"]) == ("stream", "non_stream")
    assert said["forward.logging_id"] == call.header("X-Logging-Id") and said["gen_ai.response.model"] == "M"
    assert attributes(refused)["http.response.status_code"] == 400 and "error.type" in attributes(refused)
    assert refused.status.code == 2 and "error.type" not in attributes(answered)
    assert attributes(answered)["server.port"] == provider.port
    assert receiver.services == {"openai-forward"} and set(receiver.paths) == {"/v1/traces"}
    for heard in provider.heard:
        assert heard.header("traceparent") == f"00-{TRACE}-{own.span_id.hex()}-01"
        assert heard.header("tracestate") == "vendor=1"


def test_without_a_trace_of_the_clients_a_new_one_begins_and_tokens_are_told(running, receiver, provider, model):
    provider.plays([whole(TEXT.whole)])
    Call(running.port, ask(model)).rest()
    own, answered = exported(running, receiver, model, 2)
    assert not own.parent_span_id and provider.heard[0].header("traceparent").split("-")[1] == own.trace_id.hex()
    usage = running.record(model=model).client["usage"]
    said = attributes(own)
    assert said["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert said["gen_ai.usage.output_tokens"] == usage["completion_tokens"]


def test_no_content_and_no_credential_is_in_a_span(running, receiver, provider, model):
    provider.plays([whole(b'{"error":{"message":"wrong key sk-canary-1234567890"}}', b"401 Unauthorized", JSON)])
    key = ("Authorization", "Bearer sk-canary-1234567890")
    Call(running.port, ask(model), headers=[key], target="/v1/chat/completions?key=canary-query-123").rest()
    spans = exported(running, receiver, model, 2)
    text = str(spans)
    assert "canary" not in text and "Hello" not in text
    assert attributes(spans[0])["error.type"] == "upstream_error" and spans[0].status.code == 2


def test_a_client_that_does_not_record_its_trace_is_not_recorded_here(running, receiver, provider, model):
    provider.plays([whole(TEXT.whole)], [whole(TEXT.whole)])
    Call(running.port, ask(model), headers=[("traceparent", f"00-{TRACE}-{PARENT}-00")]).rest()
    assert provider.heard[0].header("traceparent").endswith("-00")
    Call(running.port, ask(model + "-next")).rest()
    exported(running, receiver, model + "-next", 2)
    assert not receiver.of(model)


def test_what_is_forwarded_is_a_span_with_the_name_of_its_path(running, receiver, provider):
    provider.plays([whole(b"{}", headers=JSON)])
    Call(running.port, method="GET", target="/v1/files/file-1").rest()
    running.until(lambda: any(span.name == "GET /v1/files" for span in list(receiver.spans)), 15, "not exported")
    assert "GET /v1/files" in {span.name for span in list(receiver.spans)}


def test_without_the_extra_the_setting_is_refused_in_one_line(tmp_path):
    program = "import sys; sys.modules['opentelemetry.sdk.trace.export'] = None; from wsgi import app"
    environ = {"FORWARD_URL": "demo:", "FORWARD_OUTPUT_PATH": str(tmp_path), "FORWARD_OTLP_ENDPOINT": "http://x:1"}
    running = ProxyProcess([sys.executable, "-c", program], tmp_path, environ)
    running.process.wait(15)
    running.kill()
    assert "openai-forward[otlp]" in running.stderr and running.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "given",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{PARENT}",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
    ],
)
def test_a_traceparent_that_makes_no_sense_begins_a_new_trace_without_its_state(given):
    headers = [("traceparent", given), ("tracestate", "a=1"), ("X-Other", "stays")]
    trace = trace_of(headers)
    assert trace.parent is None and f"{trace.trace:032x}" != TRACE and trace.sampled
    assert told(headers, trace) == [("X-Other", "stays"), ("traceparent", trace.header)]


def test_a_later_version_of_traceparent_is_read_as_ours():
    trace = trace_of([("Traceparent", f"01-{TRACE}-{PARENT}-03-more")])
    assert f"{trace.trace:032x}" == TRACE and f"{trace.parent:016x}" == PARENT and trace.sampled


def test_a_receiver_that_refuses_costs_no_answer_and_what_is_left_at_the_end_is_exported(provider, tmp_path, model):
    receiver = Receiver()
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_SERVICE_NAME": "named"}
    running = ProxyProcess.app(provider.url, tmp_path, {}, environ).ready(provider.port)
    try:
        provider.always(whole(TEXT.whole))
        receiver.refusing = True
        assert Call(running.port, ask("refused")).rest().status == 200
        running.until(lambda: "traces cannot be exported" in running.log(), 15, "nothing is told")
        receiver.refusing = False
        assert Call(running.port, ask(model)).rest().status == 200
        running.record(model=model)
        running.stop(clean=False)
        assert len(receiver.of(model)) == 2 and receiver.services == {"named"}
        assert running.stderr == ""
    finally:
        running.stop(clean=False)
        receiver.close()
