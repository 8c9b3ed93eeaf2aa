"""Certificates' settings, read from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from shared.settings import Block, HttpSettings, Port, ServiceSettings


class EmailSettings(Block):
    """Whether and how learners hear by e-mail that their certificate is ready."""

    enabled: bool = Field(False, description="send an e-mail for every certificate that is issued from now on")
    host: str = Field("127.0.0.1", description="the mail server")
    port: Port = Field(587, description="its port")
    tls: Literal["starttls", "implicit", "none"] = Field("starttls", description="how the connection is encrypted")
    sender: str = Field("certificates@lesson-progress.localhost", description="the address e-mails come from")
    username: str = Field("", description="whom to log in as; nobody when empty")
    password: SecretStr = Field(SecretStr(""), description="the password to log in with")


class CertificatesSettings(Block):
    """What certificates alone needs."""

    http: HttpSettings = HttpSettings(port=8083)
    batch_size: int = Field(200, ge=1, le=500, description="records handled at once, at most")
    rendering: bool = Field(
        True, description="make PDFs; without, certificates are issued at once and their PDF answers 404"
    )
    render_workers: int = Field(1, ge=1, le=64, description="processes that typeset")
    fonts: Path | None = Field(None, description="a folder of fonts for what the built-in ones do not show")
    uncertified_seconds: float = Field(
        60.0, gt=0, description="how often completed enrollments without a certificate are counted (s)"
    )
    email: EmailSettings = EmailSettings()


class Settings(ServiceSettings):
    """Everything certificates reads from its environment."""

    certificates: CertificatesSettings = CertificatesSettings()
