"""The files of the built web client."""

from http import HTTPStatus
from os import PathLike, stat_result
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_INDEX: Final = "index.html"
_NOT_BUILT: Final = """\
The gateway runs, but its web client is not built.

From a source checkout: make run
Or by hand: cd gateway/web && npm ci && npm run build
Then load this page again.
"""


class WebFiles(StaticFiles):
    """Serves one page for ``/`` and every ``/c/<channel>``. Browsers keep files with a hash in their name for ever."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, check_dir=False)
        self.config_checked = True  # get_response() below answers in words if the folder is missing

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path not in {".", "c", _INDEX} and not path.startswith("c/"):
            return await super().get_response(path, scope)
        try:
            return await super().get_response(_INDEX, scope)
        except HTTPException as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            return PlainTextResponse(_NOT_BUILT, HTTPStatus.SERVICE_UNAVAILABLE, headers={"cache-control": "no-store"})

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        hashed = scope["path"].startswith("/assets/")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response
