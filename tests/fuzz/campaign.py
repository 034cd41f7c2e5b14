"""One target under libFuzzer: its folder, its runs, and what came of them."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha1
from pathlib import Path
from typing import Final

from attrs import define, field

from tests.fuzz import corpora

FOLDER: Final = corpora.ROOT / ".stamps/fuzz"
PROGRAMS: Final = "target/*/release/sfu-dataplane-fuzz"  # below the folder of the system that it is for
CRATES: Final = ("conversation", "dependency_descriptor", "framing", "payload", "rtcp", "rtp", "stun")
"""The targets of the crate."""

_MAX_INPUT: Final = 4096
_GRACE: Final = 120  # seconds that a run may take beyond its time, for loading and for a slow machine
_KEPT_BYTES: Final = 24 * 1024
_MOST_WORDS: Final = 600  # characters; feedback on thousands of packets has many


@define
class Result:
    """What one run came to.  ``coverage`` counts edges, ``new`` the inputs that reached more than the kept ones."""

    executions: int = 0
    coverage: int = 0
    new: int = 0
    crashes: list[Path] = field(factory=list)
    log: str = ""


@define
class Campaign:
    """A target of the crate or of Python, which libFuzzer drives in a process of its own."""

    target: str

    @property
    def of_crate(self) -> bool:
        return self.target in CRATES

    @property
    def folder(self) -> Path:
        return FOLDER / self.target

    @property
    def corpus(self) -> Path:
        """The inputs of all runs on this machine."""
        return self.folder / "corpus"

    def prepare(self) -> int:
        """Put the kept inputs into the folder.  Return the number of all inputs."""
        self.corpus.mkdir(parents=True, exist_ok=True)
        kept = [data for data, _ in corpora.read_crates(self.target)] if self.of_crate else corpora.read(self.target)
        for data in kept:
            (self.corpus / sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
        ours = [sys.executable, "-m", "tests.fuzz.one", self.target]
        command = [str(next(corpora.CRATE.glob(PROGRAMS)))] if self.of_crate else ours
        self._starter.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        self._starter.chmod(0o755)
        return len(list(self.corpus.iterdir()))

    @property
    def _starter(self) -> Path:
        return self.folder / "start"

    def start(
        self, arguments: Sequence[str | Path], seconds: float, **more: str
    ) -> "subprocess.CompletedProcess[bytes]":
        """Start libFuzzer with these arguments.  Raises ``subprocess.TimeoutExpired``."""
        environment: Mapping[str, str] = {
            **os.environ, "FUZZ_TARGET": self.target, "FUZZ_SELF": str(self._starter), "PYTHONPATH": str(corpora.ROOT)
        } | more  # fmt: skip
        return subprocess.run(
            [self._starter, *map(str, arguments)],
            env=environment,
            cwd=corpora.ROOT,
            capture_output=True,
            timeout=seconds,
            check=False,
        )

    def run(self, seconds: int) -> Result:
        """Look for new inputs for so many seconds."""
        before = self.prepare()
        known = set(self.folder.glob("crash-*")) | set(self.folder.glob("timeout-*"))
        options = [f"-max_total_time={seconds}", f"-max_len={_MAX_INPUT}", f"-artifact_prefix={self.folder}/"]
        limits = ["-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1"]
        done = self.start([*options, *limits, self.corpus], seconds + _GRACE)
        log = (done.stderr + done.stdout).decode("utf-8", "replace")
        result = Result(log=log, new=len(list(self.corpus.iterdir())) - before)
        result.executions = int(_last(r"stat::number_of_executed_units:\s*(\d+)", log) or _last(r"#(\d+)\s", log) or 0)
        result.coverage = int(_last(r"cov: (\d+)", log) or 0)
        found = {path for kind in ("crash", "timeout", "oom") for path in self.folder.glob(f"{kind}-*")} - known
        result.crashes = sorted(self._minimised(path) for path in found)
        if done.returncode and not found:
            raise RuntimeError(f"{self.target} did not run:\n{log[-4000:]}")
        return result

    def _minimised(self, crash: Path) -> Path:
        """The smallest input that still fails, as far as a short search finds it."""
        smaller = crash.with_suffix(".min")
        options = ["-minimize_crash=1", "-runs=20000", "-max_total_time=60", f"-exact_artifact_path={smaller}"]
        with suppress(subprocess.TimeoutExpired):
            self.start([*options, crash], 60 + _GRACE)
        return smaller if smaller.exists() else crash

    def keep(self) -> int:
        """Add to the kept inputs the shortest ones that reach more.  Return their number."""
        chosen = self.folder / "chosen"
        chosen.mkdir(exist_ok=True)
        for old in chosen.iterdir():
            old.unlink()
        self.start(["-merge=1", "-timeout=10", chosen, self.corpus], 1800)
        found = sorted((path.read_bytes() for path in chosen.iterdir()), key=lambda data: (len(data), data))
        kept = [data for data, _ in corpora.read_crates(self.target)] if self.of_crate else corpora.read(self.target)
        added: list[bytes] = []
        room = _KEPT_BYTES - sum(map(len, kept))
        for data in found:
            short = len(describe(self.target, data)) <= _MOST_WORDS
            if data not in kept and short and (room := room - len(data)) >= 0:
                added.append(data)
        self._write([*kept, *added])
        return len(added)

    def _write(self, inputs: Sequence[bytes]) -> None:
        if self.of_crate:
            corpora.write_crates(self.target, [(data, describe(self.target, data)) for data in inputs])
        else:
            corpora.write(self.target, inputs)

    def described(self) -> list[tuple[bytes, str]]:
        """What the crate reads in every input of the corpus."""
        done = self.start(["-runs=0", self.corpus], 600, FUZZ_DESCRIBE="1")
        split = (line.partition(" ") for line in done.stdout.decode().splitlines())
        return [(bytes.fromhex(digits), words) for digits, _, words in split]


def describe(target: str, data: bytes) -> str:
    """What the synthetic clients read; nothing for a target that only the crate has."""
    from tests.fuzz.descriptions import READERS

    return READERS[target](data) if target in READERS else ""


def _last(pattern: str, text: str) -> str | None:
    found: list[str] = re.findall(pattern, text)
    return found[-1] if found else None
