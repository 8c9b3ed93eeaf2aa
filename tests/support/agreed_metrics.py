"""The values that labels of metrics take, as they were agreed."""

#: By the metric's name without `_total`, and by its label; all of them are there from the start.
VALUES = {
    "lesson_progress_commands": {
        "outcome": {"recorded", "already_recorded", "not_authenticated", "not_enrolled", "lesson_not_found",
                    "module_not_found", "preview", "invalid"}
    },
    "lesson_progress_certificates": {"outcome": {"issued", "retried", "failed", "revoked"}},
    "lesson_progress_uncertified_enrollments": {"status": {"waiting", "failed"}},
}  # fmt: skip
#: The one stage of propagation that each service shows.
STAGES = {"progress": "recorded", "recalculator": "progressed", "certificates": "certificate"}
