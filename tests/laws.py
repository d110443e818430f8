"""The laws of every dialect: a whole answer survives the way through a stream of any cut, and back."""

from __future__ import annotations

import random
from typing import Any, Callable, Iterable, List

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.chat.fold import fold
from proxy.chat.reply import Reply
from proxy.chat.unfold import unfold
from proxy.dialects import Dialect
from proxy.framing import Frame

SEEDS = st.integers(0, 2**32)


def pieces(data: bytes, seed: int) -> list[bytes]:
    """The same bytes, cut at random."""
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(len(data) + 1), min(len(data), chance.choice([0, 1, 5, 40]))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)])]


def streamed(dialect: Dialect, reply: Reply, show_usage: bool = True) -> bytes:
    """The stream that says a reply."""
    return b"".join(dialect.write_stream(unfold(reply), show_usage=show_usage))


def framed(read: Callable[[Iterable[bytes]], Iterable[List[Frame]]]) -> Callable[..., list[Frame]]:
    """Frames of bytes that are cut at random."""

    def frames(data: bytes, seed: int = 0) -> list[Frame]:
        return [frame for batch in read(pieces(data, seed)) for frame in batch]

    return frames


def must_survive(dialect: Dialect, wire: Any, frames: Callable[..., list[Frame]], examples: int) -> None:
    """Check that nothing of a whole answer is lost on its way through a stream, however that is cut."""

    @settings(max_examples=examples, deadline=None)
    @given(wire, SEEDS)
    def law(whole: dict[str, Any], seed: int) -> None:
        data = streamed(dialect, dialect.read_reply(whole))
        assert dialect.write_reply(fold(dialect.read_stream(frames(data, seed), repair=False))) == whole

    law()


def must_stay(dialect: Dialect, wire: Any, examples: int) -> None:
    """Check that reading and writing a whole answer changes nothing."""

    @settings(max_examples=examples, deadline=None)
    @given(wire)
    def law(whole: dict[str, Any]) -> None:
        reply = dialect.read_reply(whole)
        assert dialect.write_reply(reply) == whole
        assert fold(unfold(reply)) == reply

    law()
