"""Progress' settings, read from the environment."""

from pydantic import Field

from shared.settings import Block, HttpSettings, ServiceSettings


class ProgressSettings(Block):
    """What progress alone needs."""

    http: HttpSettings = HttpSettings(port=8081)
    batch_size: int = Field(1000, ge=1, le=5000, description="commands handled at once, at most")


class Settings(ServiceSettings):
    """Everything progress reads from its environment."""

    progress: ProgressSettings = ProgressSettings()
