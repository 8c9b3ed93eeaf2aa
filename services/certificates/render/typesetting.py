"""The handlers' port of the typesetter: certificates to pages, pages to PDFs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from services.certificates.domain import Failure, Links, Making
from services.certificates.render.page import CertificatePage
from services.certificates.render.workers import Renderer
from services.certificates.settings import CertificatesSettings


class Typesetting:
    """The renderer, as handlers see it."""

    def __init__(self, settings: CertificatesSettings, links: Links) -> None:
        self._renderer = Renderer(workers=settings.render_workers, fonts=settings.fonts)
        self._wanted = settings.rendering
        self._links = links

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The worker processes, warm; none where no PDFs are made."""
        if self._wanted:
            await self._renderer.start()
        try:
            yield
        finally:
            await self._renderer.close()

    async def typeset(self, makings: Sequence[Making]) -> list[bytes | Failure]:
        """The PDFs, or why there is none."""
        rendered = await self._renderer.render_many([self._page(making) for making in makings])
        return [page if isinstance(page, bytes) else Failure(page.code) for page in rendered]

    async def recover(self) -> None:
        """See that workers work again."""
        await self._renderer.start()

    def _page(self, making: Making) -> CertificatePage:
        draft = making.draft
        return CertificatePage(
            certificate_id=draft.certificate_id,
            recipient_name=draft.recipient_name,
            course_title=draft.course_title,
            instructor_name=draft.instructor_name,
            issued_on=datetime.fromtimestamp(making.completed_at / 1000, UTC).date(),
            verification_url=self._links.verification(draft.certificate_id),
        )
