"""An import with a progress bar, for every command that brings in a dataset."""

from rich.console import Console
from rich.progress import Progress, TaskID

from ops.platform.documents import Platform
from ops.platform.indexes import prepare_indexes
from ops.platform.planning import ImportReport, plan_import
from ops.platform.writing import write_plan
from ops.target import Target


async def import_platform(
    target: Target, platform: Platform, console: Console, *, dry_run: bool = False
) -> ImportReport:
    """Bring the platform's documents into the database, or only say what that would change.

    Raises:
        ImportRefused: they contradict what is stored.
        ImportInterrupted: the database failed on the way; the same import can run again.
        OperatorError: the database does not answer.
    """
    async with target.database() as db:
        plan = await plan_import(db, platform)
        if not dry_run:
            with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
                tasks: dict[str, TaskID] = {}

                def moved(collection: str, written: int, total: int) -> None:
                    if collection not in tasks:
                        tasks[collection] = progress.add_task(collection, total=total)
                    progress.update(tasks[collection], completed=written)

                await prepare_indexes(db)
                await write_plan(db, plan, moved)
        return plan.report
