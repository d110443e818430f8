"""The flags: a click command built from the declarations, so that help, names and values have one source."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Sequence, Tuple

import click

from config.settings import SETTINGS, ConfigError, Setting
from config.showing import default_of, shown


def _name(flag: str) -> str:
    return flag.replace("-", "_")


def _flag(word: str) -> str:
    return "--" + _name(word[2:]) if word.startswith("--") else word


def options() -> List[click.Parameter]:
    """One click option for each setting, and one without a value for each alias; values stay text here."""
    made: List[click.Parameter] = []
    for setting in SETTINGS.values():
        made.append(_option(setting))
        for alias, value in setting.aliases.items():
            told = f"The same as {setting.flag} {value}"
            made.append(click.Option([alias, _name(alias).strip("_")], is_flag=True, help=told))
    # Only declared here, for the help: the command line answers it, which knows the version
    return [*made, click.Option(["--version"], is_flag=True, expose_value=False, help="Show the version and exit.")]


def _option(setting: Setting) -> click.Option:
    told = f"{setting.help}. [default: {default_of(setting)}]"
    names = [setting.flag, setting.name]
    return click.Option(names, type=str, multiple=True, metavar=setting.kind.metavar, help=told)


COMMANDS = {  # what a first word may be instead of a flag
    "config": "The settings in force, and where each came from.",
    "key": "A key for a client, and what stands for it in a file.",
    "logs": "The journals: tail, show, stats, export, query.",
    "selftest": "What of a provider's answers is sound, and what has to be mended.",
}
HEADINGS = {  # of the help, by the first flag below each
    "output_path": "What every proxy needs",
    "dialect": "Protocols",
    "connect_timeout": "Times",
    "fallback": "Asking and mending",
    "client_keys": "Who may ask, and who may look",
    "own_metrics": "Metrics and traces",
    "max_exchanges": "Limits",
    "workers": "The process",
    "log_level": "Journals",
    "version": "Besides",
}


class _Grouped(click.Command):
    """A command whose help has headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands first, then the flags."""
        with formatter.section("Commands (each has a --help)"):
            formatter.write_dl(list(COMMANDS.items()))
        groups: Dict[str, List[Tuple[str, str]]] = {}
        heading = ""
        for parameter in self.get_params(ctx):
            heading = HEADINGS.get(str(parameter.name), heading)
            told = parameter.get_help_record(ctx)
            groups.setdefault(heading, []).extend([told] if told else [])
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


command = _Grouped(
    "openai-forward",
    params=options(),
    help="A proxy between any client and any LLM provider. Every flag is a FORWARD_... variable, too, and a key of the "
    "TOML file that --config names; a flag beats the variable, which beats the file.",
    context_settings={"token_normalize_func": _name, "max_content_width": 120},
    options_metavar="[COMMAND] [OPTIONS]",
)


def program() -> str:
    """What to type for this program, as far as one can tell."""
    started = os.path.basename(sys.argv[0])
    return {"__main__.py": "python -m proxy", "app.py": "python app.py"}.get(started, "openai-forward")


def given_flags(argv: Sequence[str]) -> Dict[str, Tuple[Any, str]]:
    """What flags gave, by setting: the text (a list for settings of several values) and the flag that gave it."""
    try:
        with command.make_context(program(), spell_out(argv), auto_envvar_prefix=None) as context:
            params = context.params
    except click.ClickException as exc:
        raise ConfigError(" ".join(exc.format_message().split())) from None
    found = {}
    for setting in SETTINGS.values():
        given = [(text, setting.flag) for text in params[setting.name]]
        given += [(value, alias) for alias, value in setting.aliases.items() if params[_name(alias).strip("_")]]
        _agree(setting, given)
        if given:
            text, flag = given[-1]
            found[setting.name] = ([text for text, _ in given] if setting.kind.separator else text, flag)
    return found


def secret_flags(argv: Sequence[str]) -> Tuple[Dict[str, str], List[str]]:
    """The secrets on a command line, as variables for the environment, and the command line without them."""
    variables: Dict[str, str] = {}
    words: List[str] = []
    for name, (given, _) in given_flags(argv).items():
        setting = SETTINGS[name]
        values = given if isinstance(given, list) else [given]
        if any(shown(name, value) != value for value in values):
            variables[setting.environment] = "\n".join(values)
        else:
            words += [f"{setting.flag}={value}" for value in values]
    return variables, words


def _agree(setting: Setting, given: List[Tuple[str, str]]) -> None:
    """Of the same flag the last one counts; an alias that says something else is a contradiction."""
    aliased = [pair for pair in given if pair[1] in setting.aliases]
    for text, flag in aliased:
        for other, rival in given:
            if other != text:
                raise ConfigError(f"{flag} contradicts {rival}{'' if rival in setting.aliases else ' ' + other}")


def spell_out(argv: Sequence[str]) -> List[str]:
    """``argv`` with a value joined to each flag that may be given bare: the word that follows it, else true."""
    bare = {setting.flag for setting in SETTINGS.values() if setting.kind.flag}
    spelled: List[str] = []
    for word in argv:
        if spelled and spelled[-1] in bare and not word.startswith("-"):
            spelled[-1] += "=" + word
        else:
            spelled.append(_flag(word) if _flag(word) in bare else word)
    return [f"{word}=true" if word in bare else word for word in spelled]
