"""One ask of the provider and all that can be said of its answer, read as the proxy reads it and by another reader."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from time import monotonic
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import msgspec
from sseclient import SSEClient

from proxy.bodies import ERROR_LIMIT
from proxy.chat.fold import fold
from proxy.chat.reply import Reply
from proxy.dialects import Dialect, Stamp
from proxy.dialects.dialect import Asked, Wire
from proxy.dialects.failures import read_failure, read_failure_reply
from proxy.dialects.json_text import read_json
from proxy.errors import Headers, ProxyError, failure
from proxy.framing import Frame
from proxy.framing.sniff import sniff
from proxy.framing.sse import read_sse
from proxy.upstream.provider import Answer, Provider

JSON_TYPE = ("Content-Type", "application/json")
STAMP = Stamp("0" * 32, 0)
LARGEST = 64 << 20
HELPFUL = ("tool_choice",)  # the question is the same without it


class Question(NamedTuple):
    """What is asked, in OpenAI's words; ``broken`` sends half of it, ``wrong_key`` another key, ``leave`` hangs up."""

    chat: Wire
    streams: bool = False
    options: bool = True
    broken: bool = False
    wrong_key: bool = False
    leave: bool = False


class Heard(msgspec.Struct):
    """What came of a question; ``repairs`` are the proxy's own names for what it would have to mend."""

    question: Question
    status: Optional[int] = None
    streamed: bool = False
    reply: Optional[Reply] = None
    failed: Optional[ProxyError] = None
    body: bytes = b""
    frames: int = 0
    repairs: Tuple[str, ...] = ()
    unlike: str = ""
    dropped: Tuple[str, ...] = ()
    ms: float = 0.0

    @property
    def unreachable(self) -> bool:
        """Whether there was no answer at all."""
        return self.status is None and not self.dropped


class Asker:
    """Asks one provider for one model, with the operator's key."""

    def __init__(self, provider: Provider, dialect: Dialect, model: str, key: Optional[str]) -> None:
        self._provider = provider
        self._dialect = dialect
        self._model = model
        self._key = key

    def spelled(self, question: Question) -> Asked:
        """The question in the provider's dialect. Raises ProxyError where that has no words for it."""
        chat = {"model": self._model, **question.chat}
        return self._dialect.write_chat(chat, stream=question.streams, options=question.options)

    def ask(self, question: Question) -> Heard:
        """Ask once; never raises for what the provider does."""
        try:
            asked = self.spelled(question)
        except ProxyError as error:  # this protocol cannot say it
            return Heard(question, dropped=(error.failed.param or "way to say it",))
        heard = Heard(question, dropped=lacking(asked))
        if heard.dropped:
            return heard
        began = monotonic()
        try:
            self._hear(asked, heard)
        except ProxyError as error:
            heard.failed = error
        heard.ms = round((monotonic() - began) * 1000, 1)
        return heard

    def sizes(self, questions: Iterable[Question]) -> List[int]:
        """The bytes of each question that can be asked."""
        found = []
        for question in questions:
            with suppress(ProxyError):
                asked = self.spelled(question)
                found += [] if lacking(asked) else [len(asked.body)]
        return found

    def _headers(self, asked: Asked, wrong: bool) -> Headers:
        key = "sk-selftest-wrong-key" if wrong else self._key
        shown: Headers = [("Authorization", f"Bearer {key}")] if key else []
        named = {name.lower() for name, _ in asked.headers}
        base = [JSON_TYPE, *self._dialect.carry(shown, stored=True)]
        return [*(pair for pair in base if pair[0].lower() not in named), *asked.headers]

    def _hear(self, asked: Asked, heard: Heard) -> None:
        question = heard.question
        url = self._provider.endpoint(asked.path or self._dialect.path)
        body = asked.body[: len(asked.body) // 2] if question.broken else asked.body
        answer = self._provider.send("POST", url, self._headers(asked, question.wrong_key), body)
        broke = None
        try:
            heard.status = answer.status
            heard.body, broke = _taken(answer, leave=question.leave)
        finally:
            answer.close()
        if broke is None and not question.leave:
            self._understand(asked, heard, answer.headers)
        elif broke is not None:
            with suppress(ProxyError):  # as far as it went
                self._understand(asked, heard, answer.headers)
            heard.reply = None
            raise broke

    def _understand(self, asked: Asked, heard: Heard, headers: Headers) -> None:
        if heard.status is None or heard.status >= 300:
            raise ProxyError(read_failure(max(heard.status or 502, 400), headers, heard.body))
        form = sniff(heard.body)
        lines = self._dialect.read_frames is not read_sse and heard.question.streams
        heard.streamed = form == "sse" or (form == "json" and lines)
        if heard.streamed:
            self._understand_stream(asked, heard)
        elif form == "json":
            self._understand_whole(asked, heard, headers)
        else:
            raise failure("invalid_upstream_response", "The answer is neither JSON nor an event stream.")

    def _understand_stream(self, asked: Asked, heard: Heard) -> None:
        ask = self._dialect.read_ask(asked.body, asked.headers)
        read = self._dialect.read_frames
        frames: List[Frame] = list(chain.from_iterable(read([heard.body])))
        said = [frame for frame in frames if frame.data]
        heard.frames = len(said)
        heard.unlike = unlike(heard.body, said) if read is read_sse else ""
        mender = self._dialect.mend_stream(ask, STAMP, repair=True, show_usage=True, asked_usage=False)
        try:
            for frame in frames:
                mender.mend(frame)
            mender.end()
        finally:
            heard.repairs = tuple(mender.repairs)
        heard.reply = fold(self._dialect.read_stream(frames, repair=True, ask=ask, stamp=STAMP))

    def _understand_whole(self, asked: Asked, heard: Heard, headers: Headers) -> None:
        ask = self._dialect.read_ask(asked.body, asked.headers)
        try:
            reply: Dict[str, Any] = read_json(heard.body)
        except ValueError as exc:
            raise failure("invalid_upstream_response", f"The answer is not JSON: {exc}.") from exc
        failed = read_failure_reply(reply, headers) if isinstance(reply, dict) else None
        if failed is not None:
            raise ProxyError(failed)
        heard.repairs = tuple(self._dialect.mend_reply(reply, ask, STAMP))
        heard.reply = self._dialect.read_reply(reply, ask)


def lacking(asked: Asked) -> Tuple[str, ...]:
    """What the protocol has no word for, of what the question is about."""
    return tuple(name for name in asked.dropped if name not in HELPFUL)


def _taken(answer: Answer, *, leave: bool) -> Tuple[bytes, Optional[ProxyError]]:
    """The body, or its first piece for who leaves; and what broke it off."""
    pieces: List[bytes] = []
    size = 0
    try:
        for piece in answer.pieces():
            pieces.append(piece)
            size += len(piece)
            if leave or size > (LARGEST if answer.status < 300 else ERROR_LIMIT):
                break
    except ProxyError as error:
        return b"".join(pieces), error
    return b"".join(pieces), None


def unlike(body: bytes, ours: List[Frame]) -> str:
    """In what an independent reader (sseclient-py) and ours differ on the same bytes; empty if they do not."""
    theirs = [event.data for event in SSEClient(iter([body])).events()]
    mine = [frame.data.decode("utf-8", "replace") for frame in ours]
    for number, (one, other) in enumerate(zip(theirs, mine), 1):
        if one != other:
            return f"event {number} is {one[:40]!r} to sseclient-py and {other[:40]!r} to the proxy"
    if len(theirs) != len(mine):
        return f"sseclient-py reads {len(theirs)} events, the proxy {len(mine)}"
    return ""
