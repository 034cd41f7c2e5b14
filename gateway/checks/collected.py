"""The settings as ``serve`` would read them, with every mistake instead of only the first.

``serve`` stops at the first mistake. Here each setting is read and checked alone. A setting with a mistake counts as
not given, so that the others can still be checked together.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from attrs import define, field
from cyclopts import ArgumentCollection, CycloptsError

from gateway.config import SETTINGS, Config, is_secret
from gateway.config.config import Contradictions
from gateway.config.file import ConfigError, closest_name, examine_config_file

_ENVIRONMENT: Final = "SFU_"


@define
class CollectedSettings:
    """The settings of one command line, with its environment and file.

    ``config`` has the settings that are right. ``mistakes`` has a line for each of the others: ``serve`` would not
    start. ``sources`` tells where each given setting comes from: ``cli``, ``env``, or the path of the file.
    """

    mistakes: list[str] = field(factory=list)
    config: Config = field(factory=Config)
    sources: dict[str, str] = field(factory=dict)
    file: Path | None = None

    def read_file(self, path: Path) -> dict[str, Any]:
        """Return the right settings of the file, and note the mistakes."""
        self.file = path
        try:
            settings, mistakes = examine_config_file(path)
        except ConfigError as error:
            settings, mistakes = {}, [str(error)]
        self.mistakes += mistakes
        return settings

    def take(self, arguments: ArgumentCollection) -> None:
        """Convert and check each given setting, and take its tokens away, so that nobody stops at the first mistake."""
        known = {setting.name: setting for setting in SETTINGS}
        values: dict[str, Any] = {}
        for argument in arguments:
            name = argument.name.removeprefix("--").replace("-", "_")
            if name not in known or not argument.tokens:
                continue
            self.sources[name] = argument.tokens[0].source
            try:
                value = argument.convert_and_validate()
                if (check := known[name].validator) is not None:
                    check(None, known[name], value)
                values[name] = value
            except (CycloptsError, ValueError) as error:
                self.mistakes.append(first_line(error, is_secret(known[name]) or name == "ice_servers"))
            argument.tokens.clear()
        try:
            self.config = Config(**values)
        except Contradictions as error:
            self.mistakes += error.found
            self.config = _with_contradictions(values)

    def note_unused(self, unused: Iterable[str]) -> None:
        """Note words of the command line that are no option."""
        known = [setting.name for setting in SETTINGS]
        for word in unused:
            if word.startswith("--"):
                name = word.partition("=")[0]
                meant = closest_name(name.removeprefix("--").removeprefix("no-"), known)
                hint = f"; did you mean --{meant.replace('_', '-')}?" if meant else ""
                self.mistakes.append(f"unknown option {name}{hint}")


def _with_contradictions(values: dict[str, Any]) -> Config:
    """A configuration whose settings are right, and do not fit together. Only advice needs it."""
    config = Config.__new__(Config)
    for setting in SETTINGS:
        object.__setattr__(config, setting.name, values.get(setting.name, setting.default))
    return config


def first_line(error: Exception, hide_value: bool = False) -> str:
    """The first line of an error of the command line. The others would quote the value, which may be a secret."""
    if isinstance(error, CycloptsError):
        error.verbose = False  # the class and its fields come first otherwise
    line = str(error).strip().partition("\n")[0].rstrip(" :")
    return line.partition(": unable to convert")[0] if hide_value else line


def misspelt_variables(environment: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that nearly matches the variable of a setting, and the variable. Variables of other programs may
    share the prefix."""
    known = {setting.name for setting in SETTINGS} | {"config"}
    for name in environment:
        setting = name.removeprefix(_ENVIRONMENT)
        if setting != name and setting not in map(str.upper, known) and (meant := closest_name(setting, known)):
            yield name, f"{_ENVIRONMENT}{meant.upper()}"
