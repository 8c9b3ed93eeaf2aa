"""The services' own judges, side by side: their admission, their decisions, their facts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.errors import OperatorError
from ops.failures import database_named
from shared.errors import Transient
from shared.kafka.judging import RecordJudge

if TYPE_CHECKING:
    from ops.target import Target
    from services.certificates.inspection import Judge as CertificatesJudge
    from services.progress.inspection import Judge as ProgressJudge
    from services.recalculator.inspection import Judge as RecalculatorJudge
    from shared.mongo.batches import Sift

_NO_KEYS = (
    "the issuer's key set does not answer, and no token can be judged without it; "
    "name it in LESSON_PROGRESS_AUTH__JWKS and run the command again"
)


@dataclass(frozen=True, slots=True)
class Judges:
    """One for each service."""

    progress: "ProgressJudge"
    recalculator: "RecalculatorJudge"
    certificates: "CertificatesJudge"

    def records_of(self, service: str) -> RecordJudge:
        """Who judges the records that this service reads."""
        return self._of(service).records

    async def stand(self, service: str, events: Sequence[Any]) -> list[bool]:
        """Whether the facts of these events, which this service published, are there."""
        return await self._of(service).stand(events)

    def _of(self, service: str) -> "ProgressJudge | RecalculatorJudge | CertificatesJudge":
        if service == "progress":
            return self.progress
        return self.recalculator if service == "recalculator" else self.certificates


@asynccontextmanager
async def judges_of(target: "Target", sift: "Sift") -> AsyncIterator[Judges]:
    """Judges on the configured database, with each service's own keys, who see of its documents what `sift` lets pass.

    Raises:
        Fatal: a setting cannot be used.
        OperatorError: the database, or the issuer's key set, does not answer.
    """
    from services.certificates.inspection import build_judge as certificates  # noqa: PLC0415 - drivers, when they are needed
    from services.progress.inspection import build_judge as progress  # noqa: PLC0415 - the same
    from services.recalculator.inspection import build_judge as recalculator  # noqa: PLC0415 - the same
    from shared.mongo.client import DatabaseAway  # noqa: PLC0415 - the same

    settings = target.settings
    async with AsyncExitStack() as opened:
        try:
            judges = Judges(
                await opened.enter_async_context(progress(settings, sift)),
                await opened.enter_async_context(recalculator(settings, sift)),
                await opened.enter_async_context(certificates(settings, sift)),
            )
        except DatabaseAway as failure:
            raise OperatorError(target.database_away()) from failure
        except Transient as failure:
            raise OperatorError(_NO_KEYS) from failure
        with database_named():
            yield judges
