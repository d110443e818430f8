"""Every setting, declared once: flag, environment name, TOML key, type, default, help, and what of it is secret."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

import click

from config import kinds

MIB = 1 << 20
ANYWHERE = "0.0.0.0"  # noqa: S104 - the contract's default: a proxy is there for others


class ConfigError(click.ClickException):
    """A setting that cannot be used: one line for whoever started the program, and exit status 2, also under flask."""

    exit_code = 2


class Setting(NamedTuple):
    """One declaration. ``mask`` says what is secret: ``all``, a ``url``'s userinfo and query, a header's ``value``.

    ``aliases`` are further flags, which take no value, and the value each stands for.
    """

    name: str
    kind: kinds.Kind
    default: Any
    help: str
    mask: str = ""
    aliases: Mapping[str, str] = {}
    in_file: bool = True

    @property
    def flag(self) -> str:
        """The flag's name as the help prints it; hyphens do as well as underscores."""
        return "--" + self.name

    @property
    def environment(self) -> str:
        """The name of the environment variable."""
        return "FORWARD_" + self.name.upper()


def _setting(default: Any, kind: kinds.Kind, help: str, **more: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help, **more})


@dataclass(frozen=True, repr=False)
class Settings:
    """The settings in force. ``origins`` says where each came from: flag, environment, file or default.

    Times are seconds, but for timeout, connect_timeout and first_byte_timeout: milliseconds, as the contract has it.
    """

    # The contract of spec/product.md
    output_path: str = _setting(
        ".", kinds.text("a folder", "FOLDER"), "Folder of the three log files; created if absent"
    )
    expose_host: str = _setting(ANYWHERE, kinds.text("a host name or address", "HOST"), "Address to listen at")
    expose_port: int = _setting(58080, kinds.whole(0, 65535), "Port to listen at; 0 takes a free one")
    mode: str = _setting(
        "off",
        kinds.choice(*sorted(kinds.MODES)),
        "How the provider is asked; off: as the client asks. The client always gets what it asked for",
        aliases={"--STREAM_SERVER_MODE": "stream", "--NON_STREAM_SERVER_MODE": "non_stream"},
    )
    url: str = _setting(
        "",
        kinds.url("an http:// or https:// URL, demo:, or replay:PATH", embedded=kinds.EMBEDDED),
        "The provider: a full endpoint, a base ending in /v1, or a bare host; demo: is the embedded one, replay:PATH "
        "journals",
        mask="url",
    )
    timeout: int = _setting(60_000, kinds.whole(1, unit="ms"), "Longest wait for a connection and for each next byte")
    compatible: bool = _setting(False, kinds.boolean(), "Answer every error with status 200 and the error in the body")

    dialect: Optional[str] = _setting(
        None,
        kinds.optional(kinds.text("the name of a protocol", "NAME")),
        "What the provider speaks; none: recognised from the path of --url",
    )
    model_map: Tuple[str, ...] = _setting(
        (),
        kinds.several(kinds.alias(), r"[,\s]+"),
        "A model's name for clients, and the provider's; * in ALIAS matches anything; repeatable",
    )
    strict: bool = _setting(
        False, kinds.boolean(), "Refuse asks with parameters that the provider's protocol does not have"
    )

    # Time
    connect_timeout: Optional[int] = _setting(
        None, kinds.optional(kinds.whole(1, unit="ms")), "Longest wait for a connection; none: as --timeout"
    )
    first_byte_timeout: Optional[int] = _setting(
        None, kinds.optional(kinds.whole(1, unit="ms")), "Longest wait for the answer's first byte; none: as --timeout"
    )
    stall_timeout: float = _setting(600.0, kinds.seconds(0.001), "Longest wait for data while only keep-alives come")
    total_timeout: Optional[float] = _setting(
        None, kinds.optional(kinds.seconds(0.001)), "Longest time for one whole exchange"
    )
    hold: float = _setting(10.0, kinds.seconds(), "Longest a stream's status line waits for the first content")
    heartbeat: float = _setting(15.0, kinds.seconds(), "Seconds of silence before a stream gets a heartbeat; 0: none")
    client_timeout: float = _setting(
        120.0,
        kinds.seconds(0.001),
        "Longest wait for a client's whole request head, for each next byte of its body, and for it to take an answer",
    )

    # Asking and repairing
    fallback: bool = _setting(
        True,
        kinds.boolean(),
        "Ask once in the other mode when the provider refuses this one",
        aliases={"--no-fallback": "false"},
    )
    fallback_ttl: float = _setting(3600.0, kinds.seconds(), "How long a refused mode is remembered")
    verbatim: bool = _setting(False, kinds.boolean(), "Relay a provider's answers as they are: repair nothing")
    ask_usage: bool = _setting(False, kinds.boolean(), "Ask for usage in every stream, for the journal")
    api_key: Optional[str] = _setting(
        None, kinds.key(), "Key sent to the provider in place of the client's", mask="all"
    )
    header: Tuple[str, ...] = _setting(
        (), kinds.several(kinds.header(), r"[\r\n]+"), "Fixed header sent to the provider; repeatable", mask="value"
    )
    proxy: Optional[str] = _setting(
        None,
        kinds.url("an http:// or https:// URL of a host and port", bare=True),
        "Outbound proxy on the way to the provider",
        mask="url",
    )
    ca_bundle: Optional[str] = _setting(
        None, kinds.existing("the path of a PEM file that exists"), "Certificates to trust instead of the usual ones"
    )

    transport: str = _setting(
        "auto",
        kinds.choice("auto", "fast", "requests"),
        "What speaks HTTP to the provider; auto: the fast one under gevent on Python 3.11 and newer, else requests",
    )

    replay_speed: float = _setting(
        1.0,
        kinds.seconds(0, 1_000_000)._replace(metavar="FACTOR", expected="a number from 0 to 1,000,000"),
        "How fast --url replay:PATH answers: 1 as recorded, 2 twice as fast, 0 at once",
    )

    # Clients
    client_keys: Tuple[str, ...] = _setting(
        (),
        kinds.several(kinds.hashable(), r"[,\s]+"),
        "Keys clients must show (needs --api_key), or sha256:HEX of each; repeatable, or parted by commas",
        mask="all",
    )
    cors: Tuple[str, ...] = _setting(
        (),
        kinds.several(kinds.text("an origin like https://app.example, or *", "ORIGIN"), r"[,\s]+"),
        "Origin whose browser pages may ask; repeatable, or parted by commas",
    )
    allow_open: bool = _setting(
        False, kinds.boolean(), "Start with a provider key and no client keys although others can reach the address"
    )

    admin_token: Optional[str] = _setting(
        None,
        kinds.key(),
        "Whoever shows it may see the traffic page and the metrics; none: only this machine, if only it can ask at all",
        mask="all",
    )

    own_metrics: bool = _setting(
        False, kinds.boolean(), "Answer /metrics with our own metrics, which are at /_forward/metrics in any case"
    )

    otlp_endpoint: Optional[str] = _setting(
        None,
        kinds.url("an http:// or https:// URL"),
        "Where traces go, without /v1/traces; none: where OTEL_EXPORTER_OTLP_ENDPOINT says, or nowhere",
        mask="url",
    )

    # Limits
    max_exchanges: int = _setting(1000, kinds.whole(1, 1_000_000), "Exchanges in flight, per worker")
    queue: int = _setting(100, kinds.whole(0, 1_000_000), "Exchanges that may wait for a place, per worker")
    queue_timeout: float = _setting(30.0, kinds.seconds(0.001), "Longest wait for a place")
    max_ask_bytes: int = _setting(64 * MIB, kinds.size(1), "Largest JSON ask")
    max_body_bytes: int = _setting(0, kinds.size(), "Largest forwarded body; 0: unlimited")
    max_frame_bytes: int = _setting(32 * MIB, kinds.size(1), "Largest single message of a provider's stream")
    max_aggregate_bytes: int = _setting(64 * MIB, kinds.size(1), "Largest whole answer, or stream made into one")
    max_growth: int = _setting(
        10, kinds.whole(1, 10_000), "Times its size that a compressed answer may grow to, once it is over 64 MiB"
    )
    max_header_bytes: int = _setting(16384, kinds.size(256, MIB), "Longest header line of a client")
    max_request_line: int = _setting(8190, kinds.whole(256, 8190, unit="bytes"), "Longest request line of a client")

    # Hosting
    workers: int = _setting(1, kinds.whole(1, 1024), "Worker processes")
    drain: float = _setting(300.0, kinds.seconds(most=86_400), "Longest a stop waits for exchanges in flight")
    drain_notice: float = _setting(
        0.0, kinds.seconds(most=86_400), "How long a stop keeps listening with /readyz at 503"
    )
    config: Optional[str] = _setting(
        None, kinds.existing("the path of a TOML file that exists"), "TOML file of settings", in_file=False
    )

    # Journals
    log_level: str = _setting("info", kinds.choice(*kinds.LEVELS), "How much log.log tells")
    log_content: str = _setting(
        "full",
        kinds.choice("full", "metadata", "off"),
        "What the journals keep of asks and answers; metadata: sizes and checksums; off: no journals, only log.log",
    )
    log_max_bytes: int = _setting(
        16 * MIB, kinds.size(4096), "Longest line of a journal; what is over it is left out and marked"
    )
    log_frames: bool = _setting(False, kinds.boolean(), "Keep the raw frames of providers' streams in the journal, too")
    log_rotate_bytes: int = _setting(0, kinds.size(), "Size at which a log file is put aside and compressed; 0: never")
    log_rotate_age: float = _setting(
        0.0, kinds.seconds(), "Age at which a log file is put aside and compressed; 0: never"
    )
    log_keep: int = _setting(0, kinds.whole(0, 1_000_000), "How many put aside are kept of each log file; 0: all")
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        from config.showing import shown

        told = (f"{name}={shown(name, getattr(self, name))!r}" for name in SETTINGS)
        return f"Settings({', '.join(told)})"


def _declared() -> Dict[str, Setting]:
    found = [item for item in fields(Settings) if item.metadata]
    return {item.name: Setting(name=item.name, default=item.default, **item.metadata) for item in found}


SETTINGS: Dict[str, Setting] = _declared()
