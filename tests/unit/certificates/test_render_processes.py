"""The processes that typeset certificates: the event loop never waits, a death is repaired, nobody is left behind."""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.certificates.render import Renderer
from shared.errors import Transient
from tests.support.certificate_page import PAGE, rendered, words


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process sets no event here
            await asyncio.sleep(0.01)


def workers() -> set[int]:
    return {child.pid for child in multiprocessing.active_children() if child.pid is not None}


def is_running(pid: int) -> bool:
    """Whether the process is there and not only waiting for its parent to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_the_event_loop_goes_on_while_pages_are_typeset() -> None:
    renderer = Renderer()
    try:
        await renderer.start()
        rendering = asyncio.ensure_future(renderer.render_many([PAGE] * 100))
        turns = 0
        while not rendering.done():
            await asyncio.sleep(0.001)
            turns += 1

        assert len(await rendering) == 100
        assert turns > 20
    finally:
        await renderer.close()


async def test_a_killed_worker_is_transient_and_the_next_page_gets_a_new_one() -> None:
    renderer = Renderer()
    try:
        before = workers()
        await renderer.start()
        (worker,) = workers() - before
        os.kill(worker, signal.SIGSTOP)
        waiting = [asyncio.ensure_future(rendered(renderer, PAGE)) for _ in range(3)]
        for _ in range(3):
            await asyncio.sleep(0)  # the pages are handed to the pool
        os.kill(worker, signal.SIGKILL)

        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, Transient)
        assert "Ada Lovelace" in words(await rendered(renderer, PAGE))
    finally:
        await renderer.close()
    await until(lambda: workers() == before)


async def test_an_interrupt_from_the_keyboard_is_the_parents_business() -> None:
    renderer = Renderer(workers=2)
    try:
        before = workers()
        await renderer.start()
        started = workers() - before
        for worker in started:
            assert os.getpgid(worker) != os.getpgid(0)
            os.kill(worker, signal.SIGINT)

        assert len(await renderer.render_many([PAGE] * 40)) == 40
        assert workers() - before == started
        assert len(started) == 2
    finally:
        await renderer.close()


async def test_closing_finishes_the_pages_in_hand_and_leaves_no_process() -> None:
    before = workers()
    renderer = Renderer(workers=2)
    await renderer.start()
    in_hand = asyncio.ensure_future(renderer.render_many([PAGE] * 40))
    for _ in range(3):
        await asyncio.sleep(0)  # the pages are handed to the pool
    await renderer.close()

    assert len(await in_hand) == 40
    with pytest.raises(Transient):
        await rendered(renderer, PAGE)
    assert workers() == before


PARENT = """
import asyncio, multiprocessing
from services.certificates.render import Renderer

async def main():
    await Renderer(workers=2).start()
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_no_worker_outlives_its_parent_however_it_ends(end: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    children = []
    try:
        assert parent.stdout is not None
        children = [int(pid) for pid in (await parent.stdout.readline()).split()]
        assert [is_running(child) for child in children] == [True, True]

        parent.send_signal(end)
        await parent.wait()
        await until(lambda: not any(is_running(child) for child in children))
    finally:
        if parent.returncode is None:
            parent.kill()
            await parent.wait()
        for child in filter(is_running, children):
            os.kill(child, signal.SIGKILL)
