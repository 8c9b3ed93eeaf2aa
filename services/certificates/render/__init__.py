"""Certificates as PDFs, typeset in processes of their own so that the event loop never waits."""

from services.certificates.render.page import CertificatePage, GlyphMissing, Rendered, RenderFailed
from services.certificates.render.typesetting import Typesetting
from services.certificates.render.workers import Renderer

__all__ = ["CertificatePage", "GlyphMissing", "RenderFailed", "Rendered", "Renderer", "Typesetting"]
