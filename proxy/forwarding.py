"""Everything that is not converted: any method and path, bodies streamed both ways, untouched."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Optional, Union

from proxy.bodies import ERROR_LIMIT, begin_of_body
from proxy.chat.events import Failed
from proxy.deadlines import Deadlines
from proxy.dialects import Dialect
from proxy.dialects.dialect import Wire
from proxy.dialects.failures import read_failure
from proxy.dialects.json_text import read_json
from proxy.errors import Headers, ProxyError, failure
from proxy.exchange import Parts, conclude
from proxy.headers import first, from_provider
from proxy.journal.describe import body_for_journal
from proxy.journal.record import Record
from proxy.upstream.decoding import undone
from proxy.upstream.provider import Answer

SAMPLE = 1024 * 1024


class Sample:
    """A tap on bytes: the first ones are kept for the journal, all are counted."""

    def __init__(self, headers: Headers) -> None:
        self._type = first(headers, "content-type")
        self._kept = bytearray()
        self._size = 0

    def of(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass everything through untouched."""
        for piece in pieces:
            self.take(piece)
            yield piece

    def take(self, piece: bytes) -> None:
        """Keep what there is room for."""
        self._size += len(piece)
        if len(self._kept) < SAMPLE:
            self._kept += piece[: SAMPLE - len(self._kept)]

    def tell(self) -> Any:
        """What the journal says of it: JSON, text, or a descriptor."""
        return body_for_journal(self._type, bytes(self._kept) if self._size else None, self._size)


class Forward:
    """A forwarded request under way; ``body`` is bytes, pieces with a ``length`` or without (chunked), or None."""

    def __init__(
        self,
        parts: Parts,
        record: Record,
        *,
        method: str,
        url: str,
        headers: Headers,
        body: Union[bytes, Iterable[bytes], None],
        length: Optional[int],
        compatible: bool,
        speaker: Dialect,
    ) -> None:
        self._speaker = speaker
        self.record = record
        self.deadlines = Deadlines(None, None)
        self.headers: Headers = []
        self.status = 502
        self._parts = parts
        self._method = method
        self._url = url
        self._asked_headers = headers
        self._asked = Sample(headers)
        self._said: Optional[Sample] = None
        self._body = self._tapped(body)
        self._length = length
        self._compatible = compatible
        self._answer: Optional[Answer] = None

    def blocks(self) -> Iterator[bytes]:
        """First an empty block, when the provider's status is known; then its bytes as they come. Raises ProxyError."""
        answer = self._send()
        self.status = answer.status
        self.headers = from_provider(answer.headers, own_body=False)
        said = self._said = Sample(answer.headers)
        if answer.status < 200:
            raise failure("invalid_upstream_response", f"The provider switched protocols ({answer.status}) unasked.")
        if answer.status >= 400 and (self._compatible or self._method != "HEAD"):
            yield self._refusal(answer, said)
            return
        yield b""
        for piece in said.of(answer.pieces()):
            if self.record.ttft_ms is None:
                self.record.ttft_ms = self.deadlines.elapsed_ms()
            yield piece

    def status_of(self, failed: Failed) -> int:
        """The status that the client's protocol has for a failure."""
        return self._speaker.status(failed)

    def envelope(self, failed: Failed) -> Wire:
        """A failure of ours, as the client's protocol spells it: OpenAI's, where nothing shows another."""
        return self._speaker.write_failed(failed)

    def hang_up(self, linger: float = 0.0) -> None:
        """Let go of the provider's connection; ``linger``: seconds to wait for its end, so that it can be reused."""
        if self._answer is not None:
            self._answer.close(linger)

    def close(self) -> None:
        """The client has its bytes, or has left: write it down."""
        record = self.record
        record.client_input = record.provider_input = self._asked.tell()
        if self._said is not None:
            record.provider_output = self._said.tell()
            if record.client_output is None:
                record.client_output = record.provider_output
        conclude(self._parts, record, self.deadlines)

    def _tapped(self, body: Union[bytes, Iterable[bytes], None]) -> Union[bytes, Iterable[bytes], None]:
        if isinstance(body, bytes):
            self._asked.take(body)
        elif body is not None:
            return self._asked.of(body)
        return body

    def _send(self) -> Answer:
        attempt: Dict[str, Any] = {"mode": None, "status": None, "code": None}
        self.record.attempts.append(attempt)
        try:
            answer = self._parts.provider.send(
                self._method,
                self._url,
                self._asked_headers,
                self._body,
                length=self._length,
                decode=False,
                tell=self.record.leaves_with,
            )
            self.record.provider_answer_headers = answer.headers
        except ProxyError as error:
            attempt["code"] = error.failed.code
            raise
        finally:
            self.record.waiting.end()
            attempt["ms"] = self.deadlines.elapsed_ms()
        self._answer = answer
        attempt["status"] = self.record.upstream_status = answer.status
        return answer

    def _refusal(self, answer: Answer, said: Sample) -> bytes:
        """A JSON error is the provider's own word and stays; HTML, nothing, or text becomes the envelope."""
        with self.record.waiting:
            body = begin_of_body(answer, ERROR_LIMIT)
        legible = undone(body, answer.headers)
        said.take(legible)
        failed = read_failure(answer.status, answer.headers, legible)
        if is_json(legible) and not self._compatible:
            self.record.outcome, self.record.error = failed.outcome, failed
            return body
        raise ProxyError(failed, from_provider(answer.headers, own_body=True))


def is_json(body: bytes) -> bool:
    """Is this a JSON object or array?"""
    try:
        return isinstance(read_json(body), (dict, list))
    except ValueError:
        return False
