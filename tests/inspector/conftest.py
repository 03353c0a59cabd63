"""Nodes with an agreement in their charter, for the way from a challenge to a finding that stands on the ledger."""

from collections.abc import Iterator

import pytest

from tests.lab.desks import Network, run_network


@pytest.fixture(scope="module")
def agreed_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with run_network(tmp_path_factory.mktemp("nodes"), agreed=True) as running:
        yield running
