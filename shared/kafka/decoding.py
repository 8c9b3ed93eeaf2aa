"""Reading records with header names that are no UTF-8.

The protocol forbids such names, brokers take them all the same, and the library stops at the first one. What cannot
be decoded is escaped, so that the record goes its way like any other: nobody may hold a partition with a name.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

#: Offset and length stand before every batch (Kafka protocol, all message formats).
_OVERHEAD = 12
_LENGTH = slice(8, _OVERHEAD)


def accept_any_header_name() -> None:
    """Let every consumer of this process read records whose header names are no UTF-8."""
    fetcher.MemoryRecords = AnyRecords


class AnyRecords:
    """The library's `MemoryRecords`, batch by batch, so that the bytes of each are at hand."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def size_in_bytes(self) -> int:
        """How many bytes are left."""
        return len(self._rest)

    def has_next(self) -> bool:
        """Whether a whole batch is left; a fetch may end within one."""
        return len(self._rest) >= _OVERHEAD and len(self._rest) >= self._size()

    def next_batch(self) -> Any:
        """The next batch, or None."""
        if not self.has_next():
            return None
        size = self._size()
        raw, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return _Batch(raw)

    def _size(self) -> int:
        return _OVERHEAD + int.from_bytes(self._rest[_LENGTH], signed=True)


class _Batch:
    """The library's batch, read again without its haste when a header name cannot be decoded."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._batch = MemoryRecords(raw).next_batch()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            patient = _DefaultRecordBatchPy(bytearray(self._raw))
            patient._maybe_uncompress()  # noqa: SLF001 - the library decodes in one place that cannot be given a way
            patient._buffer = _Escaping(patient._buffer)  # noqa: SLF001 - the same
            return iter(list(patient))


class _Escaping(bytearray):
    """Bytes whose text is escaped where it is no UTF-8."""

    def __getitem__(self, place: Any) -> Any:
        part = super().__getitem__(place)
        return _Escaping(part) if isinstance(place, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        """Text, whatever the bytes are."""
        return super().decode(encoding, errors)
