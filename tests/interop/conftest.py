"""The gateway, and a browser for tests that ask for one, each in a process of its own."""

from collections.abc import Iterator

import pytest

from tests.browser.conftest import chromium, invite, playwright
from tests.gateway_process import GatewayProcess, run_gateway

__all__ = ["chromium", "gateway", "invite", "playwright"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_gateway(tmp_path_factory.mktemp("gateway") / "log", "--media-host", "127.0.0.1") as gateway:
        yield gateway
