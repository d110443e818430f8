"""Agree first, stream afterwards: ask the provider until it answers, changing the mode only where it says it must.

A request is never sent again for any other reason; it may have been billed (C44). One retry a cause, three attempts.
"""

from __future__ import annotations

from itertools import chain
from time import monotonic
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from proxy.bodies import ERROR_LIMIT, begin_of, begin_of_body, unglued
from proxy.chat.ask import Ask
from proxy.chat.events import Failed
from proxy.chat.slots import word
from proxy.deadlines import Deadlines
from proxy.dialects import Asked, Dialect, ReadFrames
from proxy.dialects.failures import read_failure, read_failure_frame, read_failure_reply
from proxy.dialects.json_text import read_noting
from proxy.dialects.mode_refusals import Change, read_refusal
from proxy.errors import Headers, ProxyError, failure
from proxy.framing import Frame
from proxy.framing.sse import is_stray, read_sse
from proxy.headers import from_provider, identified
from proxy.journal.record import Record
from proxy.plan import STREAM_AFTER, Plan, changed, learnt
from proxy.upstream.learned import Key, Learned
from proxy.upstream.provider import Answer, Provider

ATTEMPTS = 3
OF_THE_MODE = ("stream", "stream_options")

Batches = Iterator[List[Frame]]


class Pair(NamedTuple):
    """The dialects on both sides; the same one where the provider speaks the client's."""

    client: Dialect
    provider: Dialect

    @property
    def same(self) -> bool:
        """Whether nothing needs translating."""
        return self.client is self.provider

    def translate(self, ask: Ask) -> Dict[str, Any]:
        """The ask as OpenAI has it: as a chat, or as a bare prompt where the provider's dialect takes one."""
        prompts = self.client.read_prompt if self.provider.read_prompt else None
        prompted = prompts(ask) if prompts else None
        return self.client.read_chat(ask) if prompted is None else prompted


class Limits(NamedTuple):
    """Bytes: of one frame, and of a whole answer held in memory."""

    frame: int
    whole: int


class Said:
    """An answer under way: ``batches`` of frames if it is a stream, else the ``body`` and its JSON in ``reply``."""

    def __init__(
        self, answer: Answer, batches: Optional[Batches], body: bytes, reply: Dict[str, Any], sound: bool = True
    ) -> None:
        self.answer = answer
        self.sound = sound  # the body is JSON by the letter
        self.streamed = batches is not None
        self.batches: Batches = batches if batches is not None else iter(())
        self.body = body
        self.reply = reply


class Agreement:
    """One ask on its way to a provider that accepts it; keeps account of the attempts in ``record``."""

    def __init__(
        self,
        pair: Pair,
        provider: Provider,
        ask: Ask,
        *,
        headers: Headers,
        query: str,
        record: Record,
        deadlines: Deadlines,
        limits: Limits,
        strict: bool,
    ) -> None:
        self._pair = pair
        self._provider = provider
        self._ask = ask
        self._headers = headers
        self._query = query
        self._record = record
        self._deadlines = deadlines
        self._limits = limits
        self._strict = strict
        self.answer: Optional[Answer] = None
        self.asked_usage = False
        self._asked: Optional[Asked] = None

    def reach(self, plan: Plan, learned: Learned, about: Key, *, fallback: bool, ask_usage: bool) -> Said:
        """Ask, and ask again in the other mode where the provider refuses this one. Raises ProxyError."""
        causes: Set[str] = set()
        lesson = learned.recall(about)
        while True:
            try:
                said = self._attempt(plan, ask_usage)
                break
            except ProxyError as refused:
                change = read_refusal(refused.failed, streamed=plan.stream) if fallback else None
                if change is None or change.kind in causes or not self._is_another(change):
                    raise
            self._record.attempts[-1]["refusal"] = change.names
            causes.add(change.kind)
            plan = changed(plan, change)
            if change.remember:
                lesson = learnt(lesson, change.kind, plan)
        if lesson != learned.recall(about):
            learned.remember(about, lesson)
        return said

    def _is_another(self, change: Change) -> bool:
        """Whether asking after this refusal is not asking the same once more, for which there may be a bill."""
        if len(self._record.attempts) >= ATTEMPTS or change.kind in self._left_alone():
            return False
        of_the_mode = change.kind in STREAM_AFTER or change.kind == "drop_stream_options"
        return of_the_mode or self._asked is None or self._pair.provider.amend(self._asked, change.kind) is not None

    def _left_alone(self) -> Set[str]:
        """What a client of the provider's own protocol chose itself, and would not recognise if it were changed."""
        return {"incremental_output", "result_format"} if self._pair.same else set()

    def hang_up(self, linger: float = 0.0) -> None:
        """Let go of the provider's connection; ``linger``: seconds to wait for its end, so that it can be reused."""
        if self.answer is not None:
            self.answer.close(linger)

    def _attempt(self, plan: Plan, ask_usage: bool) -> Said:
        began = monotonic()
        attempt: Dict[str, Any] = {"mode": "stream" if plan.stream else "non_stream", "status": None, "code": None}
        self._record.attempts.append(attempt)
        self._record.upstream_status = self._record.provider_output = self._record.provider_answer_headers = None
        try:
            return self._hear(self._send(plan, ask_usage and plan.stream and plan.options), attempt)
        except ProxyError as error:
            attempt["code"] = error.failed.code
            self.hang_up()
            raise
        finally:
            self._record.waiting.end()
            attempt["ms"] = round((monotonic() - began) * 1000, 1)

    def _send(self, plan: Plan, ask_usage: bool) -> Answer:
        asked = self._spelled(plan, ask_usage)
        for kind in plan.amended:
            asked = self._pair.provider.amend(asked, kind) or asked
        self._asked = asked
        self.asked_usage = ask_usage
        self._record.provider_input = asked.body
        self._record.send_mode = "stream" if plan.stream else "non_stream"
        url = self._provider.endpoint(asked.path or self._pair.provider.path, self._query)
        headers = replaced(self._headers, asked.headers)
        self.answer = self._provider.send("POST", url, headers, asked.body, tell=self._record.leaves_with)
        self._record.waiting.end()
        return self.answer

    def _spelled(self, plan: Plan, ask_usage: bool) -> Asked:
        client, provider = self._pair
        if self._pair.same:
            return client.write_ask(self._ask, stream=plan.stream, ask_usage=ask_usage, options=plan.options)
        chat = {name: value for name, value in self._pair.translate(self._ask).items() if name not in OF_THE_MODE}
        own = client.own - provider.takes
        foreign = [*client.unread(self._ask), *(name for name in chat if name in own)]
        understood = {name: value for name, value in chat.items() if name not in own}
        asked = provider.write_chat(understood, stream=plan.stream, options=plan.options)
        dropped = self._record.dropped = [*foreign, *asked.dropped]
        if dropped and self._strict:
            text = f"The provider's protocol ({provider.name}) has no parameter for: {', '.join(dropped)} (--strict)."
            raise failure("unsupported_parameter", text, dropped[0])
        return asked

    def _hear(self, answer: Answer, attempt: Dict[str, Any]) -> Said:
        attempt["status"] = self._record.upstream_status = answer.status
        self._record.provider_answer_headers = answer.headers
        self._deadlines.data()
        if answer.status >= 300:
            raise self._refusal(answer)
        begin, form, pieces = begin_of(self._pieces(answer))
        read = self._pair.provider.read_frames
        # Lines of JSON begin as one JSON does: where the provider streams that way, what was asked for decides.
        lines = form == "json" and read is not read_sse and self._record.send_mode == "stream"
        if form == "sse" or lines:
            return self._hear_stream(answer, read if lines else read_sse, begin, pieces)
        if form == "json":
            return self._hear_whole(answer, begin, pieces)
        raise self._nonsense(answer, begin)

    def _pieces(self, answer: Answer) -> Iterator[bytes]:
        pieces = answer.pieces()
        for piece in chain(self._record.waiting.of(pieces), pieces):
            if piece:
                self._deadlines.heard(piece[:1] != b":")  # a comment is no data (C48); part of a frame is
            yield piece

    def _refusal(self, answer: Answer) -> ProxyError:
        with self._record.waiting:
            body = self._record.provider_output = begin_of_body(answer, ERROR_LIMIT)
        if answer.status < 400:
            text = f"The provider answered with a redirect ({answer.status}), which is not followed: check --url."
            return failure("invalid_upstream_response", text)
        return self._failed(read_failure(answer.status, answer.headers, body), answer)

    def _failed(self, failed: Failed, answer: Answer) -> ProxyError:
        """What the provider told of a failure, with the request's id where the client's SDK looks for it."""
        headers = from_provider(answer.headers, own_body=True)
        return ProxyError(failed, identified(headers, self._pair.client.request_id, word(failed.extra, "request_id")))

    def _nonsense(self, answer: Answer, begin: bytes) -> ProxyError:
        self._record.provider_output = begin
        if not begin:
            return failure("invalid_upstream_response", f"The provider answered {answer.status} with an empty body.")
        said = read_failure(502, answer.headers, begin).message
        text = f"The provider answered {answer.status} with neither JSON nor an event stream: {said}"
        return failure("invalid_upstream_response", text)

    def _hear_stream(self, answer: Answer, read: ReadFrames, begin: bytes, pieces: Iterator[bytes]) -> Said:
        batches = read(chain([begin], pieces), self._limits.frame)
        head: List[List[Frame]] = []
        for batch in batches:
            head.append(batch)
            first = next((frame for frame in batch if frame.data or is_stray(frame)), None)
            if first is not None:
                self._refuse_first(answer, first)
                break
        return Said(answer, chain(head, batches), b"", {})

    def _refuse_first(self, answer: Answer, frame: Frame) -> None:
        failed = read_failure_frame(frame)
        if failed is not None:
            self._record.provider_output = frame.data or frame.raw
            raise self._failed(failed, answer)

    def _hear_whole(self, answer: Answer, begin: bytes, pieces: Iterator[bytes]) -> Said:
        body = unglued(self._joined(begin, pieces))
        try:
            reply, sound = read_noting(body, sparing=self._pair.same and not self._ask.stream)
        except ValueError as exc:
            raise failure("invalid_upstream_response", f"The provider's answer is not JSON: {exc}.") from exc
        if isinstance(reply, dict):
            failed = read_failure_reply(reply, answer.headers)
        elif isinstance(reply, list) and b'"error"' in body:
            failed = read_failure(200, answer.headers, body)
        else:
            raise failure("invalid_upstream_response", "The provider's answer is JSON, but no object.")
        if failed is not None:
            raise self._failed(failed, answer)
        return Said(answer, None, body, reply, sound)

    def _joined(self, begin: bytes, pieces: Iterable[bytes]) -> bytes:
        """The whole body without leading blanks, which are a provider's heartbeats and no data (C12, C48)."""
        parts: List[bytes] = []
        size = 0
        try:
            for piece in chain([begin], pieces):
                parts.append(piece)
                size += len(piece)
                if size > self._limits.whole:
                    raise failure("upstream_too_large", f"The provider's answer is over {self._limits.whole} bytes.")
        finally:
            body = self._record.provider_output = b"".join(parts)
        return body


def replaced(headers: Headers, given: Iterable[Tuple[str, str]]) -> Headers:
    """``headers`` with the ``given`` ones in place of those of the same name."""
    own = list(given)
    names = {name.lower() for name, _ in own}
    return [*(pair for pair in headers if pair[0].lower() not in names), *own]
