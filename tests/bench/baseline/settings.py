"""The settings of the product that change what the work is: the baseline does the same with the same values."""

from dataclasses import dataclass

from ops.target import OperatorSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the broker and the database are, and how both are used."""

    bootstrap_servers: list[str]
    fetch_max_wait_ms: int
    mongo_uri: str
    mongo_database: str
    keys_per_query: int
    bulk_in_transaction: bool
    #: Records handled at once, at most, by stage.
    batch_sizes: dict[str, int]
    rendering: bool
    render_workers: int
    public_url: str


def from_environment() -> Settings:
    """Read the same variables as the services."""
    given = OperatorSettings()
    return Settings(
        bootstrap_servers=given.kafka.bootstrap_servers.split(","),
        fetch_max_wait_ms=given.kafka.fetch_max_wait_ms,
        mongo_uri=given.mongo.uri.get_secret_value(),
        mongo_database=given.mongo.database,
        keys_per_query=given.mongo.keys_per_query,
        bulk_in_transaction=given.mongo.bulk_in_transaction,
        batch_sizes={
            "progress": given.progress.batch_size,
            "recalculator": given.recalculator.batch_size,
            "certificates": given.certificates.batch_size,
        },
        rendering=given.certificates.rendering,
        render_workers=given.certificates.render_workers,
        public_url=given.public_url,
    )
