"""The kept inputs keep every promise.  `make fuzz` looks for new ones."""

import json
from contextlib import suppress

import pytest

from tests.fuzz import corpora, descriptions, targets
from tests.fuzz.campaign import CRATES
from tests.fuzz.mutations import mutate_json

SHORT = [b"", *(bytes([first]) for first in range(256)), b"\xff" * 40, b"\0" * 40]


@pytest.mark.parametrize("name", targets.NAMES)
def test_every_promise_holds_for_the_kept_inputs(name: str) -> None:
    target = targets.load(name)
    kept = corpora.read(name)
    assert len(kept) > 3
    for data in [*kept, *SHORT[:: 1 if target.mutate_json else 16]]:
        target.check(data)


@pytest.mark.parametrize("name", descriptions.READERS)
def test_the_synthetic_clients_read_the_kept_inputs_as_the_crate_does(name: str) -> None:
    kept = corpora.read_crates(name)
    assert len(kept) > 3
    for data, words in kept:
        assert descriptions.READERS[name](data) == words, data.hex()


def test_every_target_has_kept_inputs_and_they_are_small() -> None:
    assert sorted(targets.NAMES) == sorted(file.stem for file in corpora.FOLDER.iterdir())
    assert sorted(CRATES) == sorted(file.stem for file in corpora.CRATES_FOLDER.iterdir())
    files = [*corpora.FOLDER.iterdir(), *corpora.CRATES_FOLDER.iterdir()]
    assert sum(file.stat().st_size for file in files) < 1_000_000


def test_most_mutations_of_json_are_json_of_the_right_size() -> None:
    start = b'{"id":1,"type":"join","data":{"channelId":"lobby","list":[1,2.5,{"a":null}]}}'
    parsed = set()
    for seed in range(300):
        changed = mutate_json(start, 200, seed, lambda data, size: data[::-1][:size])
        assert len(changed) <= 200
        with suppress(ValueError):
            parsed.add(json.dumps(json.loads(changed)))
    assert len(parsed) > 100
