"""The issuer's signing keys: the set as it is now, and the keys that left it, for records older than that."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress

import structlog

from shared.clock import Clock, system_clock
from shared.errors import Fatal, Transient
from shared.identity.jwks import SigningKey, SkippedKey, read_key_set
from shared.identity.key_memory import KeyMemory, RememberedKey, settle
from shared.identity.key_sources import KeySetSource

#: The least time between two refetches that unknown kids cause, in milliseconds. Source: contracts, "Tokens".
REFETCH_MS = 10_000
#: How long to wait before trying again while the first set is missing, in seconds.
RETRY_SECONDS = 5.0

_log = structlog.get_logger()


class KeySet:
    """The keys that may verify tokens, kept fresh in the background.

    `refresh_seconds` lie between two looks at the source. When the source fails, the last good set stays; when the
    memory fails, this process's own knowledge serves until the next look.
    """

    def __init__(
        self,
        source: KeySetSource,
        memory: KeyMemory,
        *,
        clock: Clock = system_clock,
        refresh_seconds: float = 300,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._memory = memory
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._sleep = sleep
        self._version = 0
        self._left_at: Mapping[SigningKey, int | None] = {}
        self._by_kid: Mapping[str, list[RememberedKey]] = {}
        self._reported: Collection[SkippedKey] = ()
        self._refetched_at: int | None = None
        self._looking = asyncio.Lock()
        self._first = asyncio.Event()
        self._refresher: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether a set with a usable key and the memory were read once, and the refresher lives."""
        return self._first.is_set() and self._refresher is not None and not self._refresher.done()

    @property
    def version(self) -> int:
        """Changes whenever the keys do: what was concluded from another version no longer holds."""
        return self._version

    def find(self, kid: str, at_ms: int) -> list[RememberedKey]:
        """The keys of this name that may verify a record of this time (epoch ms), the current one first."""
        return [key for key in self._by_kid.get(kid, ()) if key.verifies(at_ms)]

    async def start(self) -> None:
        """Read the set and keep it fresh from now on; it may still be missing when this returns.

        Raises:
            Fatal: the set is a file that cannot be read or holds no key set.
        """
        try:
            async with self._looking:
                await self._look()
        except Transient as error:
            if self._source.local:
                raise Fatal(f"{self._source} cannot be used: {error}.") from error
            self._report_failure(str(error))
        self._refresher = asyncio.create_task(self._keep_fresh(), name="signing-keys")

    async def wait_ready(self) -> None:
        """Return once the set is ready; needs `start`. An error that ended the refresher is raised."""
        if self._refresher is None:
            raise RuntimeError("start() comes first")
        first = asyncio.create_task(self._first.wait())
        try:
            await asyncio.wait({first, self._refresher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            first.cancel()
        if self._refresher.done():
            self._refresher.result()

    async def stop(self) -> None:
        """End the refresher; an error that ended it before is raised."""
        if self._refresher is not None:
            self._refresher.cancel()
            with suppress(asyncio.CancelledError):
                await self._refresher

    async def refetch_for(self, *kids: str) -> None:
        """Look at the source because of unknown kids: one look for all who ask, at most every `REFETCH_MS`."""
        async with self._looking:
            now_ms = self._clock()
            if all(self.find(kid, now_ms) for kid in kids):
                return
            # A clock that was set back must not keep new keys out for as long.
            if self._refetched_at is not None and 0 <= now_ms - self._refetched_at < REFETCH_MS:
                return
            self._refetched_at = now_ms
            await self._try_to_look()

    async def _keep_fresh(self) -> None:
        while True:
            await self._sleep(self._refresh_seconds if self._first.is_set() else RETRY_SECONDS)
            async with self._looking:
                await self._try_to_look()

    async def _try_to_look(self) -> None:
        try:
            await self._look()
        except Transient as error:
            self._report_failure(str(error))
            current = [key for key, left_at in self._left_at.items() if left_at is None]
            self._adopt(settle(current, self._left_at, now_ms=self._clock()))

    async def _look(self) -> None:
        published, skipped = read_key_set(await self._source.fetch())
        self._report_skipped(skipped)
        if not published:
            self._report_failure("it holds no usable key")
        stored = await self._recall()
        self._adopt(settle(published.values(), self._left_at, stored or {}, now_ms=self._clock()))
        if stored is not None:
            await self._remember(stored)
            if published:
                self._first.set()

    def _adopt(self, left_at: Mapping[SigningKey, int | None]) -> None:
        if left_at == self._left_at:
            return
        by_kid: dict[str, list[RememberedKey]] = {}
        for key, moment in left_at.items():  # those in the set come first
            by_kid.setdefault(key.kid, []).append(RememberedKey(key, moment))
        self._left_at, self._by_kid = left_at, by_kid
        self._version += 1

    async def _recall(self) -> Mapping[SigningKey, int | None] | None:
        try:
            return {remembered.key: remembered.left_at for remembered in await self._memory.load()}
        except Transient as error:
            _log.warning("signing_keys.memory_unavailable", reason=str(error))
            return None

    async def _remember(self, stored: Mapping[SigningKey, int | None]) -> None:
        known = self._left_at.items()
        changed = [RememberedKey(key, left_at) for key, left_at in known if (key, left_at) not in stored.items()]
        forgotten = stored.keys() - self._left_at.keys()
        if not changed and not forgotten:
            return
        try:
            await self._memory.save(changed, forgotten)
        except Transient as error:
            _log.warning("signing_keys.memory_unavailable", reason=str(error))

    def _report_failure(self, reason: str) -> None:
        _log.error("signing_keys.unavailable", source=str(self._source), reason=reason, ready=self.ready)

    def _report_skipped(self, skipped: Collection[SkippedKey]) -> None:
        for key in skipped:
            if key not in self._reported:
                _log.warning("signing_keys.skipped", kid=key.kid, reason=key.reason)
        self._reported = skipped
