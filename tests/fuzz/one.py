"""Fuzz one Python target with atheris: ``python -m tests.fuzz.one TARGET``, then arguments of libFuzzer.

``FUZZ_SELF`` is a program that starts this one again, for the modes in which libFuzzer starts itself.
"""

import os
import sys

import atheris

# Everything that a target tests, and the libraries that read bytes for it.
_INSTRUMENTED = ["gateway", "h11", "jwt", "protocol", "sfu", "tomllib", "trio_websocket", "wsproto"]


def main() -> None:
    name, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=_INSTRUMENTED):
        # The first import of a module decides whether it is instrumented.
        from tests.fuzz import targets
        from tests.fuzz.mutations import mutate_json

        target = targets.load(name)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        return mutate_json(data, max_size, seed, atheris.Mutate)

    command = [os.environ.get("FUZZ_SELF", sys.argv[0]), *arguments]
    atheris.Setup(command, target.check, custom_mutator=mutate if target.mutate_json else None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
