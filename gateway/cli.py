"""The command ``sfu-gateway``."""

import inspect
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import trio
from cyclopts import App, ArgumentCollection, CycloptsError, Parameter
from cyclopts.config import Dict, Env

from gateway.config import SETTINGS, Config
from gateway.config.config import DuplicateUsers
from gateway.config.file import ConfigError, closest_name, read_config_file
from gateway.config.text import show_config
from gateway.identity.rights import USUAL_GRANTS
from gateway.ops.log import configure, set_level
from gateway.ops.log_writer import non_blocking_stderr

_ENVIRONMENT: Final = "SFU_"
_USAGE_ERROR: Final = 2
_DEFAULTS: Final = Config()

log = structlog.get_logger(__name__)
_command_line: Final[list[str]] = []
"""The arguments of this process, which a reload reads again."""


def _from_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill in from the configuration file every setting that neither the command line nor the environment gives."""
    given = arguments.get("--config", None)
    if given is None or not given.tokens:
        return
    path = Path(given.tokens[-1].value)
    Dict(read_config_file(path), source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def _default(value: Any) -> str | None:
    """Text of a default in ``--help``. An unset value has none, because the explanation names its effect."""
    return None if value is None or value == () else str(value)


Settings = Annotated[Config, Parameter(name="*", negative_iterable=(), consume_multiple=True, show_default=_default)]
HiddenSettings = Annotated[Config, Parameter(name="*", negative_iterable=(), consume_multiple=True, show=False)]
_SEVERAL: Final = Parameter(negative_iterable=(), consume_multiple=True, show_default=" ".join)
ConfigFile = Annotated[Path | None, Parameter(name="--config")]

app = App(
    name="sfu-gateway",
    help="A WebRTC gateway for voice and video channels.",
    version=version("trio-sfu"),
    config=[Env(_ENVIRONMENT, command=False), _from_file],
    help_format="plaintext",
)


@app.command
def serve(settings: Settings = _DEFAULTS, *, config: ConfigFile = None) -> int:
    """Run the gateway until SIGTERM or Ctrl-C. SIGHUP reloads its configuration.

    Every option but --config is also a key of the configuration file, with _
    instead of -. Every option is also an environment variable, named below. In a
    variable, spaces separate the items of a list. The command line overrides
    the environment, and the environment overrides the file.

    Parameters
    ----------
    config
        Path of the configuration file, in TOML.
    """
    from gateway.server import serve
    from gateway.start import StartError

    configure(settings.log_format)
    set_level(settings.log_level)
    _warn_of_misspelt_variables()
    try:
        trio.run(partial(serve, settings, reread=partial(_reread, tuple(_command_line))))
    except StartError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except Exception:
        log.critical("gateway failed", exc_info=True)
        return 1
    return 0


@app.command(name="config")
def show(settings: Settings = _DEFAULTS, *, config: ConfigFile = None) -> int:
    """Print the settings that serve would use, each with its meaning. Mask the secrets.

    Parameters
    ----------
    config
        Path of the configuration file, in TOML.
    """
    try:
        print(show_config(settings), flush=True)
    except BrokenPipeError:  # `sfu-gateway config | head` closes the pipe early
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


@app.command
def token(
    settings: HiddenSettings = _DEFAULTS,
    *,
    channel: Annotated[tuple[str, ...], _SEVERAL],
    user: str,
    can: Annotated[tuple[str, ...], _SEVERAL] = USUAL_GRANTS,
    expires_in: float = 3600,
    duplicates: DuplicateUsers | None = None,
    kid: str | None = None,
    config: ConfigFile = None,
) -> int:
    """Make a token for one user, and print it.

    The settings token_keys, token_audience and token_issuer count, from the
    command line, the environment or the file, as for serve.

    Parameters
    ----------
    channel
        Channels that the user may join. A * at the end stands for any characters.
    user
        The user id.
    can
        Grants: publish, or publish:microphone, publish:camera, publish:screen,
        publish:screen_audio, publish:other; subscribe; message; watch; moderate.
    expires_in
        Seconds for which the token is valid.
    duplicates
        What happens if the user id is in the channel already: replace or reject.
        Default: the gateway's duplicate_users.
    kid
        Id of the key. Default: the first key that can sign.
    config
        Path of the configuration file, in TOML.
    """
    from gateway.identity.issuing import IssueError, make_token, signing_key
    from gateway.identity.keys import KeyFileError, load_keys

    try:
        made = make_token(
            signing_key(load_keys(settings.token_keys), kid),
            user,
            channel,
            can,
            now=time.time(),
            lifetime=expires_in,
            audience=settings.token_audience,
            issuer=settings.token_issuer,
            duplicates=duplicates,
        )
    except (IssueError, KeyFileError) as error:
        return _fail(str(error), _USAGE_ERROR)
    print(made)
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process.

    The exit status is 0, or 1 if the gateway failed, or 2 for a wrong command line, environment or file.
    """
    if sys.platform != "linux":
        sys.exit(_fail("sfu-gateway runs on Linux only", _USAGE_ERROR))
    non_blocking_stderr()
    _command_line[:] = sys.argv[1:] if arguments is None else arguments
    try:
        command, bound = _parse(_command_line)
    except ConfigError as error:
        sys.exit(_fail(str(error), _USAGE_ERROR))
    sys.exit(command(*bound.args, **bound.kwargs))


def _parse(arguments: Sequence[str]) -> tuple[Callable[..., Any], inspect.BoundArguments]:
    """Find the command and its arguments. Raises :exc:`ConfigError` for a wrong command line, environment or file."""
    try:
        command, bound, _ = app.parse_args(list(arguments), exit_on_error=False, print_error=False)
    except (CycloptsError, ConfigError, ValueError) as error:
        # The first line names the mistake. The second would quote the value, which may be a credential.
        raise ConfigError(str(error).strip().partition("\n")[0].rstrip(" :")) from None
    return command, bound


def _reread(arguments: Sequence[str]) -> Config:
    """Read the settings of ``serve`` again: the same command line and environment, and the file as it is now."""
    settings = _parse(arguments)[1].arguments.get("settings", _DEFAULTS)
    assert isinstance(settings, Config)
    return settings


def _fail(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _warn_of_misspelt_variables() -> None:
    """Warn of variables whose name nearly matches a setting. Variables of other programs may share the prefix."""
    known = {setting.name for setting in SETTINGS} | {"config"}
    for name in os.environ:
        setting = name.removeprefix(_ENVIRONMENT)
        if setting != name and setting not in map(str.upper, known) and (meant := closest_name(setting, known)):
            log.warning("unknown environment variable", name=name, hint=f"did you mean {_ENVIRONMENT}{meant.upper()}?")
