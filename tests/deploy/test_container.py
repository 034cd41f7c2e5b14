"""The Dockerfile: its stages have what they copy, and the image has no more rights than it needs."""

import fnmatch
import json
import re
from pathlib import Path

import pytest

from gateway.cli import app
from gateway.config import SETTINGS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "container"
TEXT = (FOLDER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STAGES = re.split(r"^FROM ", TEXT, flags=re.MULTILINE)[1:]
IGNORED = [
    line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line and not line.startswith("#")
]


def instructions(stage: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", stage, re.MULTILINE)


def is_sent(path: str) -> bool:
    """Whether the builder gets a path of the checkout: the last pattern that matches decides."""
    sent = True
    for pattern in IGNORED:
        plain = pattern.removeprefix("!")
        parts = path.split("/")
        prefixes = ["/".join(parts[: number + 1]) for number in range(len(parts))]
        if any(fnmatch.fnmatch(prefix, plain) for prefix in prefixes) or (
            plain.startswith("**/") and any(fnmatch.fnmatch(part, plain[3:]) for part in parts)
        ):
            sent = pattern.startswith("!")
    return sent


def test_every_file_that_a_stage_copies_is_there_and_is_sent() -> None:
    for stage in STAGES:
        for copied in instructions(stage, "COPY"):
            if copied.startswith("--from="):
                continue
            *sources, _ = copied.split()
            for source in sources:
                assert (ROOT / source).exists(), copied
                assert source == "." or is_sent(source), copied


@pytest.mark.parametrize(
    "needed",
    [
        "pyproject.toml", "README.md", "LICENSE", "tools/cargo_lock.sh", "sfu/dataplane/Cargo.pins",
        "sfu/dataplane/src", "protocol/schema.json", "gateway/web/src", "requirements/build.txt",
    ],
)  # fmt: skip
def test_what_the_wheel_needs_is_sent(needed: str) -> None:
    assert (ROOT / needed).exists()
    assert is_sent(needed)


@pytest.mark.parametrize(
    "secret", ["gateway.toml", "keys/2026.secret", ".git/config", ".venv/bin/python", "dist/x.whl"]
)
def test_nothing_else_of_the_machine_is_sent(secret: str) -> None:
    assert not is_sent(secret)
    assert not is_sent("gateway/web/node_modules/x")
    assert not is_sent("sfu/dataplane/target/release")


def test_stages_copy_only_from_stages_before_them() -> None:
    names: list[str] = []
    for stage in STAGES:
        first = stage.splitlines()[0].split()
        assert all(name in names for name in re.findall(r"--from=(\S+)", stage))
        names.append(first[-1] if "AS" in first else "last")


def test_the_last_stage_has_neither_compilers_nor_rights() -> None:
    last = STAGES[-1]
    assert instructions(last, "RUN") == []
    assert instructions(last, "USER") == ["65532:65532"]
    assert instructions(last, "COPY") == ["--from=installed /opt/sfu-gateway /opt/sfu-gateway"]
    assert instructions(last, "STOPSIGNAL") == ["SIGTERM"]


def test_commands_and_settings_of_the_image_exist() -> None:
    last = STAGES[-1]
    (health,) = instructions(last, "HEALTHCHECK")
    commands = [json.loads(health.partition("CMD ")[2])[1], *json.loads(instructions(last, "CMD")[0])]
    assert commands == ["health", "serve"]
    assert all(command in app for command in commands)
    variables = re.findall(r"\bSFU_([A-Z_]+)=", " ".join(instructions(last, "ENV")))
    assert {name.lower() for name in variables} <= {setting.name for setting in SETTINGS}
    ports = re.findall(r"(\d+)(?:-(\d+))?/(tcp|udp)", " ".join(instructions(last, "EXPOSE")))
    assert ports == [("8080", "", "tcp"), ("40000", "40003", "udp")]
