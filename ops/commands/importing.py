"""`import`: bring a platform's documents into the database."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from ops.commands.options import JsonOption, ReportOption, console, existing_folder, print_json, run, write_report
from ops.platform.formats import read_dataset
from ops.platform.indexes import prepare_indexes
from ops.platform.planning import ImportReport, plan_import
from ops.platform.writing import write_plan
from ops.target import current


def import_command(
    path: Annotated[Path, typer.Argument(help="A folder with a platform's JSON lines, or an OULAD dataset.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: JsonOption = False,
    report: ReportOption = None,
) -> None:
    """Import courses, modules, lessons, users and enrollments; a broken file writes nothing."""
    outcome = run(_import(path, dry_run=dry_run))
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


async def _import(path: Path, *, dry_run: bool) -> ImportReport:
    dataset = read_dataset(existing_folder(path))
    async with current().database() as db:
        plan = await plan_import(db, dataset.platform)
        if not dry_run:
            with Progress(console=console(), transient=True) as progress:
                tasks: dict[str, TaskID] = {}

                def moved(collection: str, written: int, total: int) -> None:
                    if collection not in tasks:
                        tasks[collection] = progress.add_task(collection, total=total)
                    progress.update(tasks[collection], completed=written)

                await prepare_indexes(db)
                await write_plan(db, plan, moved)
        return plan.report
