"""The typesetter without its workers: pages as text; a page may fail, or end its worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.certificates.render.page import CertificatePage, GlyphMissing, Rendered
from shared.errors import Transient
from tests.support.lives import reach

if TYPE_CHECKING:
    from tests.support.outside import Outside

#: Names that no page shows, or that end the worker which typesets them.
UNSHOWN, DEADLY = "\U00013080", "deadly"


class ScriptedRenderer:
    """Pages as text; a page may fail, or end its worker."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def start(self) -> None:
        await reach("before the workers start")

    async def render_many(self, pages: Sequence[CertificatePage]) -> list[Rendered]:
        await reach("before pages are typeset")
        await self._outside.pages.wait()
        if any(DEADLY in page.recipient_name for page in pages):
            raise Transient("a worker died")
        made: list[Rendered] = [
            GlyphMissing("recipient_name")
            if UNSHOWN in page.recipient_name
            else f"{page.certificate_id}|{page.recipient_name}|{page.course_title}|{page.issued_on}".encode()
            for page in pages
        ]
        await reach("after pages were typeset")
        return made

    async def close(self) -> None:
        await reach("before the workers end")
