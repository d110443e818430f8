"""Log probabilities in both forms of OpenAI's."""

from __future__ import annotations

import json

from proxy.chat.fold import fold
from proxy.chat.unfold import unfold
from proxy.dialects.completions import COMPLETIONS
from proxy.dialects.openai_logprobs import own_tokens, read_tokens, write_lists

TOKENS = [
    {"token": "Hé", "logprob": -0.25, "bytes": [72, 195, 169], "top_logprobs": []},
    {"token": "y", "logprob": -0.5, "bytes": [121], "top_logprobs": []},
]
LISTS = {"tokens": ["Hé", "y"], "token_logprobs": [-0.25, -0.5], "top_logprobs": None, "text_offset": [3, 5]}


def test_a_chats_tokens_become_lists_with_their_places():
    assert write_lists({"content": TOKENS}, 3) == LISTS


def test_lists_become_a_chats_tokens():
    assert read_tokens(LISTS) == TOKENS
    ranked = {**LISTS, "top_logprobs": [{"Hé": -0.25, "He": -1.5}, None]}
    assert [one["token"] for one in read_tokens(ranked)[0]["top_logprobs"]] == ["Hé", "He"]


def test_lists_of_unlike_lengths_and_other_shapes_do_no_harm():
    assert read_tokens({"tokens": ["a"], "token_logprobs": None})[0]["logprob"] is None
    assert read_tokens(None) == read_tokens({}) == read_tokens({"tokens": 1}) == []
    assert write_lists({"content": ["odd"]})["tokens"] == []


def test_a_completion_that_tells_tokens_as_a_chat_does_keeps_them():
    whole = {"text": "Hé", "index": 0, "logprobs": {"content": TOKENS}, "finish_reason": "stop"}
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [whole]}
    reply = COMPLETIONS.read_reply(body)
    assert read_tokens(reply.choices[0].logprobs) == TOKENS, "others understand it"
    assert COMPLETIONS.write_reply(reply) == COMPLETIONS.write_reply(fold(unfold(reply))) == body
    assert json.loads(b"".join(COMPLETIONS.write_stream(unfold(reply), show_usage=False))[6:].split(b"\n\n")[0])[
        "choices"
    ][0]["logprobs"] == {"content": TOKENS}
    assert own_tokens(LISTS) is LISTS
