"""A recorded line as the answer it was: its status, its headers, its bytes, and the moments at which they came."""

from __future__ import annotations

from contextlib import suppress
from itertools import accumulate, chain
from math import ceil
from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from msgspec import Raw, json
from msgspec.structs import replace

from proxy.chat import events as ev
from proxy.chat.unfold import unfold
from proxy.dialects import Dialect, Stamp
from proxy.dialects.json_text import write_json
from proxy.errors import FAILURES, Headers, ProxyError, failure, truncated
from proxy.journal.clock import unpacked
from proxy.upstream.demo.said import JSON_TYPE, Answered, Step
from proxy.upstream.replay.asked import Asked
from proxy.upstream.replay.lines import FullLine, attempted_ms

# Written anew for the bytes that leave, or never told by a journal.
DROPPED = {"content-length", "transfer-encoding", "content-encoding", "connection", "keep-alive", "trailer", "upgrade"}
DROPPED |= {"date", "set-cookie"}
REDACTED = "[redacted]"
TICK = 0.0015  # seconds by which a moment that was rounded to milliseconds may be early
TEXTS = (ev.Text, ev.Reasoning, ev.Refusal, ev.ToolArguments)


class Played(NamedTuple):
    """An answer in time; if it ``broke`` off, its last step has no bytes, or there is not even a status (0)."""

    answered: Answered
    broke: Optional[ProxyError] = None


class _CutError(Exception):
    """A stream ends here, without its end."""


def play(line: FullLine, asked: Asked, *, exact: bool) -> Played:
    """The recorded answer for this ask; ``exact``: it differs in nothing from the recorded one."""
    if line.upstream_status is None:
        return Played(Answered(0, [], [], sum(attempted_ms(line)[-1:]) / 1000), failure_of(line))
    folded = line.outcome == "complete" and not asked.streams and line.send_mode == "stream"
    if asked.dialect is None or asked.ask is None or not line.streamed or folded:
        return _whole(line)
    return _streamed(line, asked, asked.dialect, exact)


def failure_of(line: FullLine) -> ProxyError:
    """The failure that stands in a line, as ours where it was."""
    code = line.told("code")
    known = code if code in FAILURES else "upstream_unreachable"
    return failure(known, str(line.told("message") or "The recorded provider gave no answer."))


def _whole(line: FullLine) -> Played:
    body, kind = _body_of(line.output)
    taken = attempted_ms(line)
    # What was streamed then is whole when its last frame came.
    wait = line.seconds("duration_ms") if line.streamed or not taken else taken[-1] / 1000
    broken = line.outcome != "complete" and line.upstream_status < 400 and line.told("code") in FAILURES
    headers = [*_headers(line, kind, keep=not line.streamed), ("Content-Length", str(len(body) + bool(broken)))]
    steps = [Step(0.0, body), Step(0.0, None)] if broken else [Step(0.0, body)]
    return Played(Answered(line.upstream_status, headers, steps, wait), failure_of(line) if broken else None)


def _streamed(line: FullLine, asked: Asked, dialect: Dialect, exact: bool) -> Played:
    frames, moments = _frames(line) if exact else [], _moments(line)
    steps = _timed(frames, moments) if frames else _spelled(line, asked, dialect, moments)
    broke = failure_of(line) if _broke(line) else None
    if broke is not None:
        steps.append(Step(max(0.0, line.seconds("duration_ms") - sum(step.pause for step in steps)), None))
    headers = _headers(line, dialect.content_type, keep=True)
    return Played(Answered(line.upstream_status, headers, steps), broke)


def _broke(line: FullLine) -> bool:
    """Whether the connection failed, rather than that the provider said something, or simply ended."""
    simply = line.told("message") == truncated().failed.message
    return line.outcome != "complete" and line.told("code") in FAILURES and not simply


def _frames(line: FullLine) -> List[bytes]:
    """The very frames, where they were kept."""
    frames = line.frames if isinstance(line.frames, list) else []
    return [frame.encode("utf-8", "surrogatepass") for frame in frames if isinstance(frame, str)]


def _spelled(line: FullLine, asked: Asked, dialect: Dialect, moments: List[float]) -> List[Step]:
    """The reply that the frames amounted to, written as a stream of about as many."""
    events = _events(line, asked, dialect)
    blocks = _written(events, line, asked, dialect)
    lacking = len(moments) - len(blocks)
    if lacking > 0:
        texts = [event.text for event in events if isinstance(event, TEXTS)]
        piece = max(1, ceil(sum(map(len, texts)) / (lacking + len(texts) or 1)))
        blocks = _written(list(_cut_up(events, piece)), line, asked, dialect)
    begun = _opening(blocks, asked, dialect)
    if line.outcome not in ("complete", "truncated") and not _broke(line):
        told = (line.told("code"), str(line.told("message") or ""), str(line.told("type") or "upstream_error"))
        failed = ev.Failed(500, told[0], told[1], told[2], line.told("param"))
        blocks.append(dialect.write_failed_stream(failed, [b"", *blocks][-1]))
    first = _timed(blocks[:begun], moments[:1])
    # The first meaning came when the time to the first token was measured.
    meant = line.seconds("ttft_ms") - sum(attempted_ms(line)[:-1]) / 1000 - TICK
    later = [moment for moment in moments if moment > meant] or moments[-1:]
    return first + _timed(blocks[begun:], later, sum(step.pause for step in first))


def _opening(blocks: List[bytes], asked: Asked, dialect: Dialect) -> int:
    """How many blocks precede the first that means something."""
    if asked.ask is None:
        return 0
    mender = dialect.mend_stream(asked.ask, Stamp("", 0), repair=False, show_usage=True, asked_usage=False)
    with suppress(ProxyError):
        for number, block in enumerate(blocks):
            for frame in chain.from_iterable(dialect.read_frames([block])):
                mender.mend(frame)
            if mender.meaningful:
                return number
    return 0


def _events(line: FullLine, asked: Asked, dialect: Dialect) -> List[Any]:
    output = json.decode(line.output)
    return list(unfold(dialect.read_reply(output, asked.ask))) if isinstance(output, dict) else []


def _written(events: List[Any], line: FullLine, asked: Asked, dialect: Dialect) -> List[bytes]:
    """The blocks that say ``events``, without an end where the recorded stream had none."""
    blocks: List[bytes] = []
    ask, stamp = asked.ask, Stamp(str(line.logging_id).replace("-", ""), line.created)
    source = events if line.outcome == "complete" else chain(events, _cut())
    with suppress(_CutError):
        show = ask is not None and ask.show_usage
        for block in dialect.write_stream(source, show_usage=show, ask=ask, stamp=stamp) if events else ():
            blocks.append(block)  # one by one: those before the cut count
    return blocks


def _cut() -> Iterator[ev.Event]:
    raise _CutError
    yield  # type: ignore[unreachable]  # a generator, so that it is raised only when its turn comes


def _cut_up(events: List[Any], piece: int) -> Iterator[ev.Event]:
    """Events with their texts in pieces of so many characters."""
    for event in events:
        if not isinstance(event, TEXTS) or len(event.text) <= piece:
            yield event
            continue
        for start in range(0, len(event.text), piece):
            yield replace(event, text=event.text[start : start + piece])


def _moments(line: FullLine) -> List[float]:
    """When each frame came, in seconds after the ask; of older lines only the first and the last are known."""
    clock = line.clock if isinstance(line.clock, dict) else None
    if clock is None:
        first, last = line.seconds("ttft_ms"), line.seconds("duration_ms")
        count = line.chunks if isinstance(line.chunks, int) else 1
        return [first + (last - first) * number / max(1, count - 1) for number in range(count)]
    before = sum(attempted_ms(line)[:-1])
    at = accumulate([clock["start"] - before, *unpacked(clock["gaps"])])
    sizes = unpacked(clock["frames"])
    return [max(0.0, moment / 1000) for moment, size in zip(at, sizes) for _ in range(size)]


def _timed(blocks: List[bytes], moments: List[float], before: float = 0.0) -> List[Step]:
    """Each block at the moment of the frame that had its place; ``before``: when the block in front of them came."""
    steps = []
    for number, block in enumerate(blocks):
        at = moments[round(number * (len(moments) - 1) / max(1, len(blocks) - 1))] if moments else 0.0
        steps.append(Step(max(0.0, at - before), block))
        before = max(before, at)
    return steps


def _body_of(output: Raw) -> Tuple[bytes, Tuple[str, str]]:
    value = json.decode(output)
    if value is None:
        return b"", JSON_TYPE
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass"), ("Content-Type", "text/plain; charset=utf-8")
    return write_json(value), JSON_TYPE


def _headers(line: FullLine, kind: Any, *, keep: bool) -> Headers:
    """The recorded headers, as far as they are known and true of the bytes that leave."""
    shown = line.headers.get("answer") if isinstance(line.headers, dict) else None
    pairs: Iterable[Any] = shown if isinstance(shown, list) else ()
    kept = [(str(name), str(value)) for name, value in pairs if str(name).lower() not in DROPPED and value != REDACTED]
    if not keep:
        kept = [pair for pair in kept if pair[0].lower() != "content-type"]
    if any(name.lower() == "content-type" for name, _ in kept):
        return kept
    return [kind if isinstance(kind, tuple) else ("Content-Type", kind), *kept]
