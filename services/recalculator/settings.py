"""The recalculator's settings, read from the environment."""

from pydantic import Field

from shared.settings import Block, HttpSettings, ServiceSettings


class RecalculatorSettings(Block):
    """What the recalculator alone needs."""

    http: HttpSettings = HttpSettings(port=8082)
    batch_size: int = Field(1000, ge=1, le=5000, description="records handled at once, at most")
    sweep_page: int = Field(500, ge=1, le=5000, description="enrollments of a changed course recalculated at once")
    sweep_poll_seconds: float = Field(
        5.0, gt=0, description="how often to look for changed courses that another replica was told of (s)"
    )
    audit_page: int = Field(1000, ge=1, le=5000, description="enrollments compared with their facts at once")
    audit_seconds: float = Field(
        86_400.0, gt=0, description="how often the audit in the background goes through all enrollments (s)"
    )
    audit_rate: int = Field(
        500, ge=1, description="enrollments that the audit in the background compares in a second, at most"
    )
    audit_poll_seconds: float = Field(
        30.0, gt=0, description="how often known differences are looked at again, and whether a pass is due (s)"
    )
    audit_settle_seconds: float = Field(
        2.0, ge=0, description="how long a difference may be a completion on its way before it is reported (s)"
    )
    ratio_seconds: float = Field(60.0, gt=0, description="how often the courses' completion ratios are refreshed (s)")
    ratio_courses: int = Field(1000, ge=1, description="courses whose completion ratio is shown, the largest first")


class Settings(ServiceSettings):
    """Everything the recalculator reads from its environment."""

    recalculator: RecalculatorSettings = RecalculatorSettings()
