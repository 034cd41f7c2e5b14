"""``make fuzz``: look for inputs that break a promise, in every target or in some, one after the other.

``python -m tests.fuzz [--seconds N] [--keep] [TARGET ...]``.  It prints executions, coverage and new inputs of each
target, and ends with 1 if an input breaks a promise.  The inputs stay in ``.stamps/fuzz``.
"""

import argparse
import sys
from collections.abc import Sequence

from tests.fuzz import targets
from tests.fuzz.campaign import CRATES, Campaign, Result
from tests.fuzz.descriptions import READERS

_LAYOUT = "{:22} {:>12} {:>10} {:>9} {:>5}"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", default=[*targets.NAMES, *CRATES])
    parser.add_argument("--seconds", type=int, default=120, help="for each target")
    parser.add_argument("--keep", action="store_true", help="add the new inputs to the kept ones")
    given = parser.parse_args(arguments)
    if unknown := set(given.targets) - {*targets.NAMES, *CRATES}:
        parser.error(f"no target: {', '.join(sorted(unknown))}")
    print(_LAYOUT.format("target", "executions", "each s", "coverage", "new"))
    failed = False
    for name in given.targets:
        campaign = Campaign(name)
        result = campaign.run(given.seconds)
        speed = result.executions // max(given.seconds, 1)
        print(_LAYOUT.format(name, result.executions, speed, result.coverage, result.new), flush=True)
        failed |= _report_crashes(result)
        if name in READERS:
            failed |= _report_disagreements(campaign)
        if given.keep and not failed:
            print(f"  {campaign.keep()} inputs kept")
    return int(failed)


def _report_crashes(result: Result) -> bool:
    for path in result.crashes:
        data = path.read_bytes()
        print(f"  broken by {data[:400]!r}\n  in {path}")
    if result.crashes:
        print("\n".join(f"  | {line}" for line in result.log.splitlines() if "Error" in line or "panicked" in line))
    return bool(result.crashes)


def _report_disagreements(campaign: Campaign) -> bool:
    """The crate and the synthetic clients must read every input alike."""
    described = campaign.described()
    differ = [(data, words) for data, words in described if READERS[campaign.target](data) != words]
    print(f"  {len(described) - len(differ)} inputs are read alike by both readers")
    for data, words in differ[:5]:
        print(f"  {data.hex()}\n    crate:  {words}\n    client: {READERS[campaign.target](data)}")
    return bool(differ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
