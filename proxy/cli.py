"""The words of the command line: serve, config, key, logs, selftest. Knows not how any of them works."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import List, Optional, Sequence

import click

import config
from proxy.version import VERSION

CONFIG_HELP = """Usage: {} config [--json | --markdown] [SETTINGS]

  Print every setting in force, its value (secrets masked), and where it came from: a flag, the environment, the file
  of --config, or the default. SETTINGS are the proxy's own flags (see --help without a command).

Options:
  --json      As JSON.
  --markdown  All there are, as README's table."""
KEY_HELP = """Usage: {} key [--new]

  Print what stands for a client key (--client_keys) in a file, so that the file lets nobody in. The key is read from
  standard input, unseen.

Options:
  --new  Make a key; print it, and what stands for it."""
OURS = Path(__file__).resolve().parent.parent / "config"


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the command line ``argv`` (the process's own if None); ends with exit status 2 if a setting is wrong."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        check_config()
        if "--version" in words:
            click.echo(f"openai-forward {VERSION}")
        elif words[:1] == ["config"]:
            click.echo(show(words[1:]))
        elif words[:1] == ["key"]:
            click.echo(key(words[1:]))
        elif words[:1] == ["logs"]:
            sys.exit(logs(words[1:]))
        elif words[:1] == ["selftest"]:
            sys.exit(selftest(words[1:]))
        elif words and not words[0].startswith("-"):
            raise click.UsageError(f"{words[0]} is no command; there are {', '.join(config.COMMANDS)}")
        else:
            start(words, hiding=argv is None)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except click.Abort:  # Ctrl-C, or no, at a question
        sys.exit(130)
    except click.exceptions.Exit as done:  # --help
        sys.exit(done.exit_code)


def start(words: Sequence[str], hiding: bool) -> None:
    """Serve with the settings of ``words`` until told to stop; ``hiding`` first takes secrets off the command line."""
    settings = config.load(words)
    if hiding:
        hide_secrets(words)
    from proxy.serve import serve  # not above: help, version and wrong settings need no server

    serve(settings, words)


def check_config() -> None:
    """Refuse to run on somebody else's top-level package of the name ``config``."""
    found = getattr(config, "__file__", None)
    if not found or Path(found).resolve().parent != OURS:
        raise click.UsageError(f"another package named config is in the way: {found}; ours is {OURS}")


def show(words: Sequence[str]) -> str:
    """The settings in force as lines, or as ``--json``; with ``--markdown`` the README's table of all settings."""
    if "--help" in words:
        return CONFIG_HELP.format(config.program())
    flags = [word for word in words if word not in ("--json", "--markdown")]
    settings = config.load(flags, serving=False)
    if "--markdown" in words:
        return config.table()
    return json.dumps(config.in_force(settings), indent=2) if "--json" in words else config.listing(settings)


def key(words: Sequence[str]) -> str:
    """What stands in --client_keys for the key on standard input; ``--new``: a new key and what stands for it."""
    if "--help" in words:
        return KEY_HELP.format(config.program())
    if list(words) not in ([], ["--new"]):
        raise click.UsageError("key takes --new or nothing: the key itself comes on standard input, unseen")
    if words:
        made = "sk-" + secrets.token_urlsafe(32)
        return f"{made}\n{config.hashed(made)}"
    given = click.prompt("Key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    return config.hashed(given)


def logs(words: Sequence[str]) -> int:
    """Read the journals; the exit status."""
    from proxy.logs import run  # not above: serving needs none of it

    return run(words)


def selftest(words: Sequence[str]) -> int:
    """Ask a provider everything once; the exit status."""
    from proxy.selftest import run

    return run(words)


def hide_secrets(words: Sequence[str]) -> None:
    """Start again with the secrets moved from the command line, which every user of the machine can read, to the
    environment, which only this user can."""
    variables, kept = config.secret_flags(words)
    if variables and os.name == "posix":
        os.environ.update(variables)
        os.execve(sys.executable, [*command_line(), *kept], dict(os.environ))  # noqa: S606 - ourselves


def command_line() -> List[str]:
    """How this program was started, less its own arguments."""
    given: List[str] = getattr(sys, "orig_argv", [])  # since Python 3.10
    if given:
        return given[: len(given) - len(sys.argv) + 1]
    as_module = getattr(sys.modules["__main__"], "__spec__", None) is not None
    flags: List[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # -W, -X and their like
    return [sys.executable, *flags, *(["-m", "proxy"] if as_module else sys.argv[:1])]
