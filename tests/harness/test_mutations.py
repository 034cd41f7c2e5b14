"""Every mutation in the catalogue fits the code."""

import pytest

from tools.mutations.catalogue import MUTATIONS
from tools.mutations.mutation import REPOSITORY, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.description)
def test_the_text_that_a_mutation_replaces_occurs_exactly_once(mutation: Mutation) -> None:
    mutation.check()
    assert mutation.before != mutation.after
    assert mutation.tests
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (REPOSITORY / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("guarantee", range(1, 8))
def test_each_guarantee_is_broken_in_at_least_three_ways(guarantee: int) -> None:
    assert sum(mutation.guarantee == guarantee for mutation in MUTATIONS) >= 3
