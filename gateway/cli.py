"""The command ``sfu-gateway``."""

import inspect
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import trio
from cyclopts import App, ArgumentCollection, CycloptsError, Parameter
from cyclopts.config import Dict, Env

from gateway.checks.collected import CollectedSettings, first_line, misspelt_variables
from gateway.checks.findings import Finding, as_json, as_table, error, has_errors, ok, warning
from gateway.config import Config
from gateway.config.config import DuplicateUsers
from gateway.config.file import ConfigError, read_config_file
from gateway.config.text import show_config
from gateway.identity.rights import USUAL_GRANTS
from gateway.ops.log import configure, set_level
from gateway.ops.log_writer import non_blocking_stderr

_ENVIRONMENT: Final = "SFU_"
_USAGE_ERROR: Final = 2
_DEFAULTS: Final = Config()

_CHECK: Final = ("check-config",)
_collected: Final[ContextVar[CollectedSettings]] = ContextVar("collected")

log = structlog.get_logger(__name__)
_command_line: Final[list[str]] = []
"""The arguments of this process, which a reload reads again."""


def _from_file(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill in from the configuration file every setting that neither the command line nor the environment gives."""
    given = arguments.get("--config", None)
    if given is None or not given.tokens:
        return
    path = Path(given.tokens[-1].value)
    read = _collected.get().read_file if commands == _CHECK else read_config_file
    Dict(read(path), source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def _collect(_: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Take the settings for ``check-config``, which goes on behind a mistake."""
    if commands == _CHECK:
        _collected.get().take(arguments)


def _default(value: Any) -> str | None:
    """Text of a default in ``--help``. An unset value has none, because the explanation names its effect."""
    return None if value is None or value == () else str(value)


Settings = Annotated[Config, Parameter(name="*", negative_iterable=(), consume_multiple=True, show_default=_default)]
HiddenSettings = Annotated[Config, Parameter(name="*", negative_iterable=(), consume_multiple=True, show=False)]
_SEVERAL: Final = Parameter(negative_iterable=(), consume_multiple=True, show_default=" ".join)
_Switch = Annotated[bool, Parameter(negative=())]
ConfigFile = Annotated[Path | None, Parameter(name="--config")]

app = App(
    name="sfu-gateway",
    help="A WebRTC gateway for voice and video channels.",
    version=version("trio-sfu"),
    config=[Env(_ENVIRONMENT, command=False), _from_file, _collect],
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

    configure(settings.log_format, with_addresses=settings.log_addresses)
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


@app.command(name=_CHECK[0])
def check_config(settings: HiddenSettings = _DEFAULTS, *, config: ConfigFile = None, json: _Switch = False) -> int:
    """Say everything that is wrong with the configuration. Start nothing and open no port.

    It reads the settings as serve does, from the command line, the environment
    and the file. It also warns of settings that work and are probably mistakes.
    The exit status is 1 if serve would not start.

    Parameters
    ----------
    config
        Path of the configuration file, in TOML.
    json
        Print JSON.
    """
    from gateway.checks.advice import advise

    collected = _collected.get()
    found = [error("configuration", mistake) for mistake in collected.mistakes]
    found += [
        warning("environment", f"{name} is no setting", f"did you mean {meant}?")
        for name, meant in misspelt_variables(os.environ)
    ]
    found += advise(collected)
    return _show([*found, *([] if has_errors(found) else [ok("configuration", "serve starts with it")])], json)


@app.command
def doctor(settings: HiddenSettings = _DEFAULTS, *, config: ConfigFile = None, json: _Switch = False) -> int:
    """Check whether this machine can serve with this configuration.

    It looks at ports, addresses, the clock, limits of the system, files and TURN
    servers, for some seconds. It says what is wrong and what to do. The exit
    status is 1 if something is wrong. Run it as the user that runs the gateway.

    Parameters
    ----------
    config
        Path of the configuration file, in TOML.
    json
        Print JSON.
    """
    from gateway.checks.doctor import examine

    return _show(trio.run(examine, settings), json)


@app.command
def health(
    settings: HiddenSettings = _DEFAULTS, *, config: ConfigFile = None, ready: _Switch = False, seconds: float = 3
) -> int:
    """Ask the gateway on this machine whether it runs. For health checks of containers.

    Parameters
    ----------
    config
        Path of the configuration file, in TOML.
    ready
        Ask whether it accepts new clients.
    seconds
        Seconds that the answer may take.
    """
    from gateway.checks.health import ask

    answer = ask(settings, "/readyz" if ready else "/healthz", seconds)
    print(answer.text, file=sys.stdout if answer.is_good else sys.stderr)
    return 0 if answer.is_good else 1


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
    words = list(arguments)
    try:
        if tuple(words[:1]) == _CHECK:
            _collected.set(CollectedSettings())
            command, bound, unused, _ = app.parse_known_args(words)
            _collected.get().note_unused(unused)
        else:
            command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    except (CycloptsError, ConfigError, ValueError) as error:
        # The first line names the mistake. The second would quote the value, which may be a credential.
        raise ConfigError(first_line(error)) from None
    return command, bound


def _reread(arguments: Sequence[str]) -> Config:
    """Read the settings of ``serve`` again: the same command line and environment, and the file as it is now."""
    settings = _parse(arguments)[1].arguments.get("settings", _DEFAULTS)
    assert isinstance(settings, Config)
    return settings


def _show(findings: Sequence[Finding], json: bool) -> int:
    """Print what a check found. Return the exit status."""
    print(as_json(findings) if json else as_table(findings))
    return 1 if has_errors(findings) else 0


def _fail(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _warn_of_misspelt_variables() -> None:
    for name, meant in misspelt_variables(os.environ):
        log.warning("unknown environment variable", name=name, hint=f"did you mean {meant}?")
