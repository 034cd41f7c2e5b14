"""docs/operating.md matches the code: the gateway accepts its file, and every metric has its line."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from gateway.config import Config
from gateway.config.file import read_config_file
from gateway.server import open_server

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")


def test_the_file_that_the_page_shows_is_accepted_as_it_is(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "gateway.toml"
    file.write_text(shown)
    read = read_config_file(file)
    assert Config(**{key: value for key, value in read.items() if key != "ice_servers"}).media_port == 40000


async def test_the_page_explains_every_metric_and_no_other() -> None:
    async with open_server(Config(media_port=0), listeners=()) as server:
        shown = server.gateway.metrics.render().decode()
    families = [family for family in text_string_to_metric_families(shown) if family.name.startswith("sfu_")]
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `sfu_"))
    assert set(re.findall(r"`(sfu_[a-z_]+)`", rows)) == names
