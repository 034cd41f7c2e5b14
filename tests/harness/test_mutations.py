"""The list of mutations is that of the code as it is."""

import pytest

from tools.mutations.catalogue import MUTATIONS
from tools.mutations.mutation import REPOSITORY, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.broken)
def test_what_a_mutation_replaces_stands_exactly_once_in_its_file(mutation: Mutation) -> None:
    mutation.check()
    assert mutation.before != mutation.after
    assert mutation.tests
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (REPOSITORY / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("guarantee", range(1, 7))
def test_each_guarantee_is_broken_in_at_least_three_ways(guarantee: int) -> None:
    assert sum(mutation.guarantee == guarantee for mutation in MUTATIONS) >= 3
