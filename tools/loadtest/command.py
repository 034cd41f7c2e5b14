"""The entry point of ``sfu-loadtest``, which works without the dependencies of synthetic clients."""

from __future__ import annotations

import sys
from typing import Final

#: Status for a command that cannot run here.
_USAGE_ERROR: Final = 2
#: Modules that only the extra ``loadtest`` installs.
_OF_THE_EXTRA: Final = frozenset({"aioice", "aiortc", "av", "pylibsrtp"})


def main() -> None:
    """Run the load test.  Without the extra ``loadtest``, name it and exit with 2."""
    try:
        from tools.loadtest import cli
    except ModuleNotFoundError as error:
        if error.name not in _OF_THE_EXTRA:
            raise
        print(
            f"error: {error.name} is missing. Install the dependencies of sfu-loadtest: "
            "pip install 'trio-sfu[loadtest]'",
            file=sys.stderr,
        )
        sys.exit(_USAGE_ERROR)
    cli.main()


if __name__ == "__main__":
    main()
