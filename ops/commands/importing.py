"""`import`: bring a platform's documents into the database."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import JsonOption, ReportOption, console, existing_folder, print_json, run, write_report

if TYPE_CHECKING:
    from ops.platform.planning import ImportReport

# What does the work is imported when the command runs, so that `--help` is there at once.
# ruff: noqa: PLC0415


def import_command(
    path: Annotated[Path, typer.Argument(help="A folder with a platform's JSON lines, or an OULAD dataset.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: JsonOption = False,
    report: ReportOption = None,
) -> None:
    """Import courses, modules, lessons, users and enrollments; a broken file writes nothing."""
    became = "what was written is right, and the same import can run again"
    outcome = run(_import(path, dry_run=dry_run), interrupted=became)
    rows = {name: asdict(counts) for name, counts in outcome.collections.items()}
    result = {"collections": rows, "changedCourses": sorted(outcome.changed_courses), "dryRun": dry_run}
    write_report(report, result)
    if as_json:
        print_json(result)
        return
    for name, counts in rows.items():
        typer.echo(f"{name:>14}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    for course in sorted(outcome.changed_courses):
        typer.echo(f"the lessons of {course} changed: `lesson-progress recalculate --course {course}`")


async def _import(path: Path, *, dry_run: bool) -> "ImportReport":
    from ops.importing import import_platform
    from ops.platform.formats import read_dataset
    from ops.target import current

    dataset = read_dataset(existing_folder(path))
    return await import_platform(current(), dataset.platform, console(), dry_run=dry_run)
