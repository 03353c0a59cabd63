"""Refusals over gRPC: whatever the code, there is an answer and not a traceback."""

import pytest

from ledger.errors import Code, reject
from node.services.refusals import STATUS_OF_CODE, compute_status


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_status_and_can_be_told(code: Code) -> None:
    status = compute_status(reject(code, field="here", found="this", expected="that"))
    assert (status.code, code.value in status.message) == (STATUS_OF_CODE[code].value[0], True)
    assert status.code != 0
