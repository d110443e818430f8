"""Settings: where they come from, what they may be, and what is said of wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import config
from config import SETTINGS, ConfigError, Settings, load

ROOT = Path(__file__).resolve().parent.parent
DEMO = {"FORWARD_URL": "demo:"}


def refusal(*argv, environ=DEMO):
    with pytest.raises(ConfigError) as caught:
        load(argv, environ)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture
def written(tmp_path):
    """A function that writes a TOML file and tells its path."""

    def write(text):
        path = tmp_path / "forward.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_nothing_given_means_the_defaults():
    assert load((), DEMO) == Settings(url="demo:")


def test_every_setting_has_the_contract_s_default():
    found = Settings()
    assert (found.output_path, found.expose_host, found.expose_port) == (".", "0.0.0.0", 58080)
    assert (found.mode, found.timeout, found.compatible) == ("off", 60000, False)


def test_flag_beats_environment_beats_file_beats_default(written):
    path = written('mode = "stream"\ntimeout = 1\nexpose_port = 1\n')
    environ = {**DEMO, "FORWARD_TIMEOUT": "2", "FORWARD_EXPOSE_PORT": "2", "FORWARD_CONFIG": path}
    found = load(["--expose_port", "3"], environ)
    assert (found.mode, found.timeout, found.expose_port, found.hold) == ("stream", 2, 3, 10.0)
    told = [found.origins[name] for name in ("mode", "timeout", "expose_port", "hold")]
    assert told == ["file", "environment", "flag", "default"]


def test_the_flag_that_names_the_file_beats_the_variable(written):
    path = written("workers = 7")
    assert load(["--config", path], {**DEMO, "FORWARD_CONFIG": "/absent.toml"}).workers == 7


def test_an_empty_variable_is_one_not_set():
    assert load((), {**DEMO, "FORWARD_TIMEOUT": "", "FORWARD_MODE": " "}).timeout == 60000


@pytest.mark.parametrize("name", SETTINGS)
def test_every_flag_works_with_hyphens_and_with_underscores(name):
    text = TEXTS.get(name, "7")
    environ = {**DEMO, "FORWARD_API_KEY": "k", "FORWARD_CLIENT_KEYS": "c"}
    underscored = load([f"--{name}", text], environ)
    assert underscored == load([f"--{name.replace('_', '-')}={text}"], environ)
    assert underscored.origins[name] == "flag"
    assert underscored == load((), {**environ, f"FORWARD_{name.upper()}": text})


TEXTS = {
    "mode": "stream",
    "url": "https://example.com/v1",
    "proxy": "http://localhost:3128",
    "dialect": "openai",
    "model_map": "gpt-4=big,gpt-*=small;mode=stream",
    "ca_bundle": __file__,
    "config": str(ROOT / "config" / "demo.toml"),
    "cors": "https://app.example",
    "header": "X-Team: blue",
    "log_level": "debug",
    "log_content": "metadata",
    "otlp_endpoint": "http://127.0.0.1:4318",
    "transport": "requests",
    "log_max_bytes": "4096",
    "max_header_bytes": "4096",
    "max_request_line": "4096",
    **dict.fromkeys(
        ("compatible", "fallback", "verbatim", "ask_usage", "allow_open", "strict", "log_frames", "own_metrics"), "true"
    ),
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--compatible"], True),
        (["--compatible", "--mode", "off"], True),
        (["--compatible", "true"], True),
        (["--compatible", "1", "--mode", "off"], True),
        (["--compatible", "False"], False),
        (["--compatible=0"], False),
        (["--compatible", "0", "--compatible"], True),
    ],
)
def test_compatible_is_given_bare_or_with_a_value(words, expected):
    assert load(words, DEMO).compatible is expected


def test_a_bare_flag_swallows_no_flag_after_it():
    found = load(["--compatible", "--verbatim", "--no-fallback", "--ask-usage", "0"], DEMO)
    assert (found.compatible, found.verbatim, found.fallback, found.ask_usage) == (True, True, False, False)


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        (["--STREAM_SERVER_MODE"], "stream"),
        (["--NON_STREAM_SERVER_MODE"], "non_stream"),
        (["--mode", "stream", "--STREAM_SERVER_MODE"], "stream"),
        (["--mode", "off", "--mode", "non_stream"], "non_stream"),
    ],
)
def test_the_readme_s_aliases_name_a_mode(words, mode):
    assert load(words, {**DEMO, "FORWARD_MODE": "off"}).mode == mode


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--STREAM_SERVER_MODE", "--NON_STREAM_SERVER_MODE"], "--STREAM_SERVER_MODE contradicts --NON_STREAM_SERVER_"),
        (["--mode", "off", "--STREAM_SERVER_MODE"], "--STREAM_SERVER_MODE contradicts --mode off"),
        (["--fallback", "--no-fallback"], "--no-fallback contradicts --fallback true"),
    ],
)
def test_an_alias_that_contradicts_is_refused(words, told):
    assert told in refusal(*words)


def test_the_last_of_the_same_flag_counts():
    assert load(["--timeout", "1", "--timeout", "2"], DEMO).timeout == 2


def test_settings_of_several_values_take_flags_a_text_or_a_list(written):
    path = written('url = "demo:"\ncors = ["https://a", "https://b"]')
    two = ("https://a", "https://b")
    assert load(["--cors", "https://a", "--cors", "https://b"], DEMO).cors == two
    assert load((), {**DEMO, "FORWARD_CORS": "https://a, https://b"}).cors == two
    assert load(["--config", path], {}).cors == two
    headers = ("A: 1, 2", "B: 3")
    assert load(["--header", "A: 1, 2", "--header", "B:3"], DEMO).header == headers
    assert load((), {**DEMO, "FORWARD_HEADER": "A: 1, 2\nB:3"}).header == headers


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1024", 1024), ("64MiB", 64 << 20), ("64M", 64 << 20), ("2 KB", 2048), ("1g", 1 << 30)],
)
def test_sizes_may_have_a_unit(text, expected):
    assert load(["--max_ask_bytes", text], DEMO).max_ask_bytes == expected


@pytest.mark.parametrize("name", ["first_byte_timeout", "connect_timeout", "total_timeout"])
def test_a_limit_that_is_none_by_default_can_be_none_again(name):
    assert getattr(load([f"--{name}", "none"], {**DEMO, f"FORWARD_{name.upper()}": "5"}), name) is None


WRONG = [
    ("expose_port", "65536"),
    ("expose_port", "-1"),
    ("expose_port", "http"),
    ("expose_port", "58 080"),
    ("timeout", "0"),
    ("timeout", "1.5"),
    ("timeout", "60s"),
    ("timeout", "1_000"),
    ("timeout", "٣"),
    ("timeout", "9" * 5000),
    ("hold", "nan"),
    ("hold", "inf"),
    ("hold", "-0.1"),
    ("stall_timeout", "0"),
    ("workers", "0"),
    ("mode", "STREAM"),
    ("mode", "on"),
    ("log_level", "loud"),
    ("compatible", "yes"),
    ("fallback", "2"),
    ("max_ask_bytes", "64 parsecs"),
    ("max_ask_bytes", "-1"),
    ("url", "example.com/v1"),
    ("url", "ftp://example.com"),
    ("url", "https://"),
    ("url", "https:///v1"),
    ("url", "https://host:99999/v1"),
    ("url", "https://host/v1 /x"),
    ("url", "https://[::1/v1"),
    ("url", "demo"),
    ("proxy", "socks5://localhost:1"),
    ("proxy", "http://localhost:1/path"),
    ("header", "no colon"),
    ("header", "Bad Name: x"),
    ("header", "X: \u20ac"),
    ("header", "X:"),
    ("ca_bundle", "/absent.pem"),
    ("config", "/absent.toml"),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_value_is_one_line_naming_setting_value_and_place(name, text):
    shown = "***" if name == "header" else repr(text)[:40]
    for told, place in (
        (refusal(f"--{name}={text}"), f"(from --{name})"),
        (refusal(environ={**DEMO, f"FORWARD_{name.upper()}": text}), f"(from FORWARD_{name.upper()})"),
    ):
        assert told.startswith(f"{name} must be ")
        assert told.endswith(place)
        assert shown in told
        assert "\n" not in told
        assert len(told) < 250


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("timout = 1", "timout is not a setting; did you mean timeout?"),
        ("Expose-Port = 1", "Expose-Port is not a setting; did you mean expose_port?"),
        ("colour = 1", "colour is not a setting"),
        ("[moods]\nx = 1", "[moods] is not a table of settings; did you mean mode?"),
        ("[models]\nx = 1", "models.x must be a model's name, or {model = ..., mode = ...}"),
        ('[models]\nx = {model = "y", mode = "fast"}', "model_map must be ALIAS=MODEL"),
        ("[timeout]\nx = 1", "[timeout] is not a table of settings"),
        ('config = "x"', "config cannot be set in a file"),
        ("timeout = 1\ntimeout = 2", "is not TOML"),
        ("stall_timeout = 1\nstall-timeout = 2", "stall_timeout is given twice"),
        ("timeout =", "is not TOML"),
        ("timeout = true", "timeout must be a whole number of ms, 1 or more, not True"),
        ("timeout = 1.5", "not 1.5"),
        ("hold = false", "hold must be a number of seconds"),
        ("compatible = 2", "compatible must be 1, true, 0 or false, not 2"),
        ("mode = 1", "mode must be one of"),
        ("cors = [1]", "cors must be an origin"),
        ("proxy = []", "proxy must be"),
        ("expose_port = 1979-05-27", "expose_port must be a whole number"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_file(written, text, told):
    path = written(text)
    line = refusal("--config", path)
    assert told in line
    assert path in line
    assert "\n" not in line


def test_a_file_that_is_not_text_and_one_that_is_a_folder_are_refused_in_one_line(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    assert "is not TOML" in refusal("--config", str(tmp_path / "x.toml"))
    assert "cannot be read" in refusal("--config", str(tmp_path))


def test_file_values_keep_their_types(written):
    path = written('url = "demo:"\ntimeout = 5\nhold = 2\ncompatible = true\nmax-frame-bytes = "1MiB"\nclient_keys=[]')
    found = load(["--config", path], {})
    assert (found.timeout, found.hold, found.compatible, found.max_frame_bytes) == (5, 2.0, True, 1 << 20)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_work_as_they_stand(path):
    assert load(["--config", str(path)], {}).url


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tmeout", "1"], "--timeout"),
        (["--timeout"], "--timeout"),
        (["serve"], "serve"),
        (["--no-fallback=1"], "--no-fallback"),
    ],
)
def test_a_wrong_flag_is_one_line_with_a_hint(words, told):
    line = refusal(*words)
    assert told.replace("-", "_") in line.replace("-", "_")
    assert "\n" not in line


def test_without_a_url_there_is_an_example():
    assert refusal(environ={}).startswith("give --url, for example https://")
    assert refusal(environ={}).endswith("demo: or replay:PATH")


def test_without_a_url_settings_can_still_be_shown():
    assert load((), {}, serving=False).url == ""


def test_client_keys_need_a_key_for_the_provider():
    assert "--client_keys needs --api_key" in refusal("--client_keys", "a,b")


@pytest.mark.parametrize(
    "host, open_to_others",
    [("127.0.0.1", False), ("localhost", False), ("::1", False)]
    + [("0.0.0.0", True), ("::", True), ("192.0.2.7", True), ("proxy.example", True)],
)
def test_a_stored_key_is_not_lent_to_whoever_can_reach_the_address(host, open_to_others):
    flags = ["--api_key", "c", "--expose_host", host]
    if open_to_others:
        assert "--allow_open" in refusal(*flags)
    else:
        load(flags, DEMO)
    assert load([*flags, "--allow_open"], DEMO).allow_open
    assert load([*flags, "--client_keys", "a"], DEMO).api_key == "c"


@pytest.mark.parametrize("place", ["flag", "environment", "file"])
@pytest.mark.parametrize("host", [None, "0.0.0.0", "::", "0:0:0:0:0:0:0:0", "127.0.0.1.nip.example", "[::1]", "0"])
def test_an_open_address_wants_client_keys_wherever_the_settings_come_from(written, place, host):
    given = {"api_key": "c-canary", **({"expose_host": host} if host else {})}
    flags = [word for name, value in given.items() for word in (f"--{name}", value)] if place == "flag" else []
    if place == "file":
        flags = ["--config", written("".join(f'{name} = "{value}"\n' for name, value in given.items()))]
    environ = {f"FORWARD_{name.upper()}": value for name, value in given.items()} if place == "environment" else {}
    with pytest.raises(ConfigError) as caught:
        load(flags, {**DEMO, **environ})
    assert "could ask at your cost" in caught.value.message and "canary" not in caught.value.message
    load([*flags, "--client_keys", "a"], {**DEMO, **environ})
    load([*flags, "--allow_open"], {**DEMO, **environ})


@pytest.mark.parametrize(
    "lent",
    [
        ["--header", "Authorization: Bearer x"],
        ["--header", "X-A: b", "--header", "x-api-key: x"],
        ["--header", "Ocp-Apim-Subscription-Key: x"],
        ["--header", "X-Auth-Token: x"],
        ["--header", "Cookie: session=x"],
        ["--url", "https://user@h/v1"],
        ["--url", "https://user:pass@h"],
        ["--url", "https://h/v1?api-version=1&api_key=x"],
        ["--url", "https://h/v1?key=x"],
        ["--url", "https://h/v1?api%5Fkey=x"],
        ["--url", "https://h/v1?a=b&access_token=x"],
    ],
    ids=lambda words: words[-1],
)
def test_no_credential_is_lent_however_it_is_given(lent):
    told = refusal("--url", "https://h/v1", *lent)
    assert "could ask at your cost" in told and "Bearer" not in told and "pass" not in told
    for more in (["--expose_host", "127.0.0.1"], ["--allow_open"], ["--api_key", "k", "--client_keys", "a"]):
        load(["--url", "https://h/v1", *lent, *more], {})


@pytest.mark.parametrize(
    "plain",
    [
        ["--header", "OpenAI-Organization: org"],
        ["--header", "Idempotency: x", "--header", "X-Max-Tokens: 5"],
        ["--url", "https://h/@x?api-version=2024-02-01&q=a@b"],
        ["--url", "demo:"],
    ],
)
def test_what_is_no_credential_needs_no_client_keys(plain):
    assert load(["--url", "https://h/v1", *plain], {}).client_keys == ()


@pytest.mark.parametrize("flag", ["--api_key", "--client_keys"])
@pytest.mark.parametrize("key", ["caf\xe9", "\u20ac", "a\x01b", "a\x7f"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(flag, key):
    told = refusal("--url", "demo:", "--expose_host", "127.0.0.1", "--api_key", "k", flag, key)
    assert told.startswith(f"{flag[2:]} must be a key of printable ASCII") and key not in told


HEX = "ab" * 32


@pytest.mark.parametrize("given", [f"sha256:{HEX}", f"sha256:{HEX.upper()}", f"SHA256:{HEX}"])
def test_a_client_key_may_be_given_as_its_hash(given):
    assert load(["--client_keys", given, "--api_key", "c"], DEMO).client_keys == (f"sha256:{HEX}",)


@pytest.mark.parametrize("given", ["sha256:", "sha256:abc", f"sha256:{HEX}0", f"sha256:{HEX[:-1]}g"])
def test_half_a_hash_is_no_client_key(given):
    told = refusal("--client_keys", given, "--api_key", "c")
    assert "client_keys must be" in told and "***" in told


def test_client_keys_come_parted_by_commas():
    assert load(["--client_keys", "a,b", "--api_key", "c"], DEMO).client_keys == ("a", "b")


SECRETS = {
    "FORWARD_URL": "https://canary1:canary2@example.com/v1?api-version=7&api_key=canary3",
    "FORWARD_API_KEY": "canary4",
    "FORWARD_CLIENT_KEYS": "canary5,canary6",
    "FORWARD_HEADER": "X-Token: canary7",
    "FORWARD_PROXY": "http://canary8:canary9@localhost:3128",
}


def test_no_secret_is_shown():
    found = load((), SECRETS)
    for text in (repr(found), config.listing(found), str(config.in_force(found))):
        assert "canary" not in text
        assert "https://***@example.com/v1?api-version=7&api_key=***" in text
        assert "X-Token: ***" in text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("url", "https://user:canary@host:port/v1"),
        ("url", "htps://user:canary@host/v1"),
        ("url", "user:canary@host/v1"),
        ("url", "https://user:canary/x@host/v1"),
        ("url", "https://us er:canary@host/v1?key=canary"),
        ("proxy", "socks5://user:canary@host"),
        ("header", "Authorization Bearer canary"),
        ("api_key", "canary\nbird"),
    ],
)
def test_no_secret_is_in_an_error(name, text):
    assert "canary" not in refusal(f"--{name}={text}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/v1/@cf/model", "https://host/v1/@cf/model"),
        ("https://a:b@c@host:1/v1", "https://***@host:1/v1"),
        ("https://host?key=a#x", "https://host?key=***#x"),
        ("demo:", "demo:"),
    ],
)
def test_only_userinfo_and_keys_of_a_url_are_masked(url, shown):
    assert config.mask_url(url) == shown


def test_origins_are_no_part_of_what_settings_are():
    assert load(["--timeout", "60000"], DEMO) == load((), DEMO)
    assert hash(load((), DEMO)) == hash(Settings(url="demo:"))


def test_gunicorn_hears_what_the_settings_say():
    settings = Settings(expose_host="::1", expose_port=9, workers=3, max_exchanges=10, queue=5, drain=1.5)
    told = config.gunicorn_options(settings)
    assert (told["bind"], told["workers"], told["worker_class"]) == ("[::1]:9", 3, "gevent")
    assert told["worker_connections"] == 10 + 5 + 64
    assert (told["keepalive"], told["graceful_timeout"], told["preload_app"]) == (75, 12, False)
    assert told["http_parser"] == "python", "the other one takes heads that say different things to different readers"


def test_config_imports_neither_the_proxy_nor_what_must_be_patched_first():
    code = "import sys, config; print({'proxy', 'requests', 'urllib3', 'ssl', 'gevent', 'flask'} & set(sys.modules))"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == "set()\n"


def test_the_readme_s_table_is_the_declarations():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0].strip() == config.table()


def test_every_setting_has_its_row():
    rows = config.table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [f"--{name}" for name in SETTINGS]
