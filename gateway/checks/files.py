"""The files and folders that settings name: whether this user can use them."""

from collections.abc import Iterator
from pathlib import Path

from gateway.checks.findings import Finding, error, ok, warning
from gateway.config import Config
from gateway.identity.keys import KeyFileError, load_keys


def check_files(config: Config) -> list[Finding]:
    """Every setting that names a file or a folder."""
    return [*_token_keys(config), *_page(config)]


def _token_keys(config: Config) -> Iterator[Finding]:
    if not config.token_keys:
        return
    try:
        keys = load_keys(config.token_keys)
    except KeyFileError as unusable:
        yield error("token_keys", str(unusable), "sfu-gateway reads them as its own user: look at owner and mode")
    else:
        yield ok("token_keys", f"{len(keys)} keys: {', '.join(sorted({key.algorithm for key in keys}))}")


def _page(config: Config) -> Iterator[Finding]:
    root = config.web_root or Path(__file__).parents[1] / "web" / "dist"
    if (root / "index.html").is_file():
        yield ok("page", f"in {root}")
    else:
        yield warning("page", f"{root} has no index.html, so the gateway serves no page", "make run builds it")
