"""Model names: what an alias stands for, and what nobody said anything of."""

import pytest

from config import ConfigError, load
from proxy.chat.ask import Ask
from proxy.models import Models, renamed

ENTRIES = ["gpt-4=big", "gpt-4*=small;mode=stream", "*-mini=tiny", "gpt-4o-mini=mini", "*[3]=three"]


@pytest.mark.parametrize(
    "name, target",
    [
        ("gpt-4", ("big", None)),
        ("gpt-4o", ("small", "stream")),
        ("gpt-4o-mini", ("mini", None)),
        ("gpt-4-mini", ("small", "stream")),
        ("o3-mini", ("tiny", None)),
        ("other", ("other", None)),
        ("o[3]", ("three", None)),
        ("o3", ("o3", None)),
        ("GPT-4", ("GPT-4", None)),
    ],
)
def test_exact_names_come_first_and_then_patterns_in_order(name, target):
    assert Models(ENTRIES).target(name) == target


def test_only_names_without_a_pattern_can_be_listed():
    assert Models(ENTRIES).aliases == ["gpt-4", "gpt-4o-mini"]


@pytest.mark.parametrize("entry", ["", "a", "=b", "a=", "a=b;mode=fast", "a=b;c"])
def test_an_entry_that_says_nothing_is_refused(entry):
    with pytest.raises(ValueError, match="ALIAS=MODEL"):
        Models([entry])


def test_renaming_changes_the_model_and_nothing_else():
    ask = Ask("a", True, {"x": 1, "model": "a"}, raw=b"bytes")
    assert renamed(ask, "a") is ask
    assert renamed(ask, "b") == Ask("b", True, {"x": 1, "model": "b"})
    assert list(renamed(ask, "b").body) == ["x", "model"]


def test_the_table_of_the_file_is_the_map(tmp_path):
    file = tmp_path / "f.toml"
    file.write_text('url = "demo:"\n[models]\n"gpt-4" = "big"\n"gpt-*" = {model = "small", mode = "stream"}\n')
    assert load(["--config", str(file)], {}).model_map == ("gpt-4=big", "gpt-*=small;mode=stream")


def test_a_wrong_map_is_one_clear_line():
    with pytest.raises(ConfigError, match="model_map must be ALIAS=MODEL"):
        load(["--url", "demo:", "--model_map", "gpt-4"], {})


def test_flags_add_to_the_map_of_the_file_and_win_over_it(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('url = "demo:"\n[models]\n"gpt-4" = "filed"\n"claude-*" = {model = "c", mode = "stream"}\n')
    settings = load(["--config", str(path), "--model_map", "gpt-4=flagged", "--model_map", "new=n"], {})
    models = Models(settings.model_map)
    assert [models.target(name)[0] for name in ("gpt-4", "new", "claude-x")] == ["flagged", "n", "c"]
    assert models.target("claude-x").mode == "stream"


@pytest.mark.parametrize("alias", ["a", "a*"])
def test_a_name_with_two_meanings_is_no_map(alias):
    with pytest.raises(ValueError, match="two meanings"):
        Models([f"{alias}=b", f"{alias}=c"])
