"""The settings every service has, and how they are read: environment variables, frozen, listed on demand."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.certificates import Address

PREFIX = "LESSON_PROGRESS_"
_KAFKA = f"{PREFIX}KAFKA__"

Port = Annotated[int, Field(ge=0, le=65535)]


class Block(BaseModel):
    """One nested block of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Block):
    """Where the broker is and what is asked of it."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port of one or more brokers, parted by commas")
    require_log_append_time: bool = Field(
        True, description="refuse to start on a command topic without the broker's own clock (LogAppendTime)"
    )
    fetch_max_wait_ms: int = Field(500, ge=1, le=10_000, description="how long the broker may hold a fetch (ms)")
    session_timeout_ms: int = Field(
        30_000, ge=1_000, description="how long a silent consumer keeps its partitions (ms)"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="encrypted (SSL), with a password (SASL), both, or neither"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how the password is proved"
    )
    username: str = Field("", description="whom to log in as, with SASL")
    password: SecretStr = Field(SecretStr(""), description="the password to log in with")
    ca_file: str | None = Field(
        None, description="the authority that signed the brokers' certificates (PEM; None: the system's)"
    )
    certificate_file: str | None = Field(None, description="our own certificate, where brokers ask for one (PEM)")
    key_file: str | None = Field(None, description="its private key (PEM)")

    @property
    def encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self.security_protocol in {"SSL", "SASL_SSL"}

    @property
    def authenticated(self) -> bool:
        """Whether connections prove who we are with a password."""
        return self.security_protocol.startswith("SASL")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.authenticated and not (self.username and self.password.get_secret_value()):
            raise ValueError(f"{self.security_protocol} needs {_KAFKA}USERNAME and {_KAFKA}PASSWORD")
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError(f"{_KAFKA}KEY_FILE needs {_KAFKA}CERTIFICATE_FILE")
        if not self.encrypted and (self.ca_file or self.certificate_file):
            raise ValueError(f"certificates are for SSL and SASL_SSL: set {_KAFKA}SECURITY_PROTOCOL to one of them")
        return self


class MongoSettings(Block):
    """Where the database is."""

    uri: SecretStr = Field(
        SecretStr("mongodb://127.0.0.1:27017/?directConnection=true"),
        description="connection string; may hold a password",
    )
    database: str = Field("lesson_progress", description="name of the database")
    keys_per_query: int = Field(1_000, ge=1, description="keys one query asks for; more are asked for side by side")
    bulk_in_transaction: bool = Field(
        False,
        description="write each bulk of updates in one transaction: faster on servers that flush once for each update",
    )
    timeout_ms: int = Field(5_000, ge=100, description="how long to look for a server before the record waits (ms)")


class AuthSettings(Block):
    """Whose tokens are trusted."""

    jwks: str = Field("jwks.json", description="the issuer's key set: a file, or an http(s) address")
    issuer: str = Field("https://lesson-progress.localhost/", min_length=1, description="the required `iss`")
    audience: str = Field("lesson-progress", min_length=1, description="the required `aud`")
    roles_claim: str = Field("roles", min_length=1, description="the claim that holds a list of roles")
    operator_role: str = Field("operator", min_length=1, description="the role that operators have")
    refresh_seconds: int = Field(300, ge=1, description="how often the key set is read again (s)")


class HttpSettings(Block):
    """Where the service answers HTTP."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8080, description="port to listen on")


class LogSettings(Block):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least level that is written")


class ServiceSettings(BaseSettings):
    """What every service reads from its environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        nested_model_default_partial_update=True,
    )

    kafka: KafkaSettings = KafkaSettings()
    mongo: MongoSettings = MongoSettings()
    auth: AuthSettings = AuthSettings()
    log: LogSettings = LogSettings()
    public_url: Address = Field(
        "http://127.0.0.1:8083", description="the address learners see, for links and verification"
    )


def listing(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, str, str]]:
    """Every setting of a model: the environment variable, its default, what it is for."""
    for name, field in model.model_fields.items():
        variable = prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _nested(field.annotation, field.get_default(call_default_factory=True), variable + "__")
        else:
            yield variable, str(field.get_default()), field.description or ""


def _nested(model: type[BaseModel], default: Any, prefix: str) -> Iterator[tuple[str, str, str]]:
    for variable, own, description in listing(model, prefix):
        value = default
        for part in variable.removeprefix(prefix).lower().split("__"):
            value = getattr(value, part, own)
        yield variable, value.get_secret_value() if isinstance(value, SecretStr) else str(value), description
