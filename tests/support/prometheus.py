"""Prometheus for tests: the committed rules and scrape configuration, its programs, a server with shortened windows."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ops.stacks.ports import Ports
from tests.support.eventually import eventually

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
CONFIGURATION = FOLDER / "prometheus.yml"
RULES = FOLDER / "rules"

_WINDOW = re.compile(r"(?<=\[)(\d+)m(?=\])|(?<=\boffset )(\d+)m\b|(?<=^        for: )(\d+)m$", re.MULTILINE)
_READY_SECONDS = 30.0
_END_SECONDS = 10.0


def program(name: str) -> str:
    """The path of one of Prometheus' programs; where it is missing, a skip, or in CI a failure."""
    if found := shutil.which(name):
        return found
    reason = f"{name} is not on this machine; Debian's package `prometheus` has it"
    if os.environ.get("LESSON_PROGRESS_REQUIRE_REAL"):
        pytest.fail(reason)
    pytest.skip(reason)


def promtool(*arguments: str | Path) -> None:
    """Run promtool, and fail with what it says."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the command is ours
    assert done.returncode == 0, done.stdout + done.stderr


def rules_of(file: str) -> list[dict[str, Any]]:
    """The rules of one committed file, of all its groups in order."""
    groups = yaml.safe_load((RULES / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def shortened(rules: str, *, times: int, patience: int = 1) -> str:
    """The same rules with every window, offset and `for` that many times shorter; no threshold is touched.

    Each `for` is then that patience longer: on a busy machine a few scrapes that come too late mean nothing.
    """

    def shorter(found: re.Match[str]) -> str:
        window, offset, for_ = found.groups()
        return f"{int(window or offset or for_) * 60_000 // times * (patience if for_ else 1)}ms"

    return _WINDOW.sub(shorter, rules)


def pointed(configuration: str) -> dict[str, Any]:
    """The same scrape configuration every two seconds, where files of addresses stand for names to look up."""
    document: dict[str, Any] = yaml.safe_load(configuration)
    document["global"] |= {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    for job in document["scrape_configs"]:
        del job["dns_sd_configs"]
        job["file_sd_configs"] = [{"files": [_targets_of(job["job_name"])], "refresh_interval": "2s"}]
    return document


def _targets_of(job: str) -> str:
    return f"{job}.json"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server, asked over its HTTP API."""

    http: httpx.AsyncClient
    folder: Path

    def point(self, targets: Mapping[str, Sequence[str]]) -> None:
        """Scrape these addresses (`host:port`), by job, from now on."""
        for job, addresses in targets.items():
            unfinished = self.folder / f"{job}.unfinished"
            unfinished.write_text(json.dumps([{"targets": list(addresses)}]))
            unfinished.replace(self.folder / _targets_of(job))

    async def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """The labels and values of an instant query."""
        answer = await self._data("/api/v1/query", query=expression)
        return [(series["metric"], float(series["value"][1])) for series in answer["result"]]

    async def up(self) -> dict[str, str]:
        """The health of every target's last scrape, by its job."""
        targets = (await self._data("/api/v1/targets"))["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in targets}

    async def rules(self, kind: str) -> list[dict[str, Any]]:
        """The rules of a kind (`alert`, `record`) as they were evaluated last."""
        groups = (await self._data("/api/v1/rules", type=kind))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def firing(self) -> dict[str, Mapping[str, str]]:
        """The alerts that fire now, by name, with their annotations."""
        alerts = (await self._data("/api/v1/alerts"))["alerts"]
        return {a["labels"]["alertname"]: a["annotations"] for a in alerts if a["state"] == "firing"}

    async def _data(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = (await self.http.get(path, params=parameters)).raise_for_status().json()
        data: dict[str, Any] = answer["data"]
        return data


@asynccontextmanager
async def running_prometheus(folder: Path, *, times: int, patience: int = 1) -> AsyncIterator[Prometheus]:
    """Debian's Prometheus on a free port, with the committed rules `shortened` like this, pointed nowhere yet."""
    (folder / "rules").mkdir(parents=True)
    for file in RULES.glob("*.yml"):
        (folder / "rules" / file.name).write_text(shortened(file.read_text(), times=times, patience=patience))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(pointed(CONFIGURATION.read_text())))
    address = f"127.0.0.1:{Ports({}).of('prometheus')}"
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--storage.tsdb.retention.time=1h",
        "--log.level=warn",
    ]
    log = (folder / "prometheus.log").open("wb")
    process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=5) as http:

            async def ready() -> bool:
                assert process.returncode is None, (folder / "prometheus.log").read_text()
                try:
                    return (await http.get("/-/ready")).is_success
                except httpx.TransportError:
                    return False

            await eventually(ready, within=_READY_SECONDS)
            yield Prometheus(http, folder)
    finally:
        log.close()
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _END_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
