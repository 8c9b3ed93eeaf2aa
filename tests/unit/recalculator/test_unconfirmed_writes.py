"""A bulk of conditional updates that the database cannot confirm is repeated; one that it refuses is a bug."""

from typing import Any

import pytest
from pymongo.errors import BulkWriteError, OperationFailure

from shared.errors import Transient
from shared.mongo.client import translated

WRITE_CONFLICT, REFUSED_DOCUMENT, WRITE_CONCERN_TIMED_OUT = 112, 121, 64


def raised(failure: Exception) -> type[Exception]:
    """The class of error that the service sees."""
    with pytest.raises(Exception) as seen, translated():  # noqa: PT011 - its class is what is asked for
        raise failure
    return seen.type


def bulk(*codes: int, **details: Any) -> BulkWriteError:
    return BulkWriteError({"writeErrors": [{"index": n, "code": code} for n, code in enumerate(codes)], **details})


def test_a_write_concern_that_timed_out_is_an_unknown_outcome() -> None:
    assert issubclass(raised(bulk(writeConcernErrors=[{"code": WRITE_CONCERN_TIMED_OUT}])), Transient)


def test_a_conflict_with_another_writer_passes() -> None:
    assert issubclass(raised(bulk(WRITE_CONFLICT, WRITE_CONFLICT)), Transient)


def test_a_refused_document_does_not_pass_whatever_else_happened() -> None:
    assert raised(bulk(WRITE_CONFLICT, REFUSED_DOCUMENT)) is BulkWriteError
    assert raised(bulk(REFUSED_DOCUMENT, writeConcernErrors=[{"code": WRITE_CONCERN_TIMED_OUT}])) is BulkWriteError


@pytest.mark.parametrize("label", ["TransientTransactionError", "UnknownTransactionCommitResult"])
def test_a_transaction_that_may_be_repeated_is_repeated(label: str) -> None:
    assert issubclass(raised(OperationFailure("no such transaction", 251, {"errorLabels": [label]})), Transient)
