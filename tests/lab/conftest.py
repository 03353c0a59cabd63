"""Nodes with an agreement in their charter, once for each file of tests, and a lab's desk before them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.desks import Desk, Network, name_lab, run_network


@pytest.fixture(scope="module")
def agreed_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with run_network(tmp_path_factory.mktemp("nodes"), agreed=True) as running:
        yield running


@pytest.fixture
def agreed_desk(
    agreed_network: Network, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Desk:
    """A lab of its own for each test."""
    return Desk(agreed_network, tmp_path, name_lab(request), capsys)
