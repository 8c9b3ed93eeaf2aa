"""What was released stays as it was, and nothing is released that would break who relies on the release before."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from docs import generate
from docs.contract_files import files
from docs.contract_files.places import ASYNCAPI, RELEASED, schema_of
from docs.contract_files.released import Breaking, NotNewer, breaks, history, last_release, release, releases

Files = dict[Path, str]

COMPLETE = schema_of("lesson.complete.v1")
VERSION = "\n  version: "


@pytest.fixture(scope="module")
def made() -> Files:
    return files.generated()


@pytest.fixture(scope="module")
def version(made: Files) -> str:
    """The version that these contracts have."""
    return made[ASYNCAPI].split(VERSION)[1].split("\n")[0]


@pytest.fixture
def as_version(made: Files, version: str) -> Callable[..., Files]:
    """The contracts under another version, perhaps with a limit that they did not have."""

    def changed(other: str, *, shorter: bool = False) -> Files:
        text = made[ASYNCAPI].replace(f"{VERSION}{version}\n", f"{VERSION}{other}\n", 1)
        schema = made[COMPLETE].replace('"maxLength": 255', '"maxLength": 20') if shorter else made[COMPLETE]
        return {**copy.copy(made), ASYNCAPI: text, COMPLETE: schema}

    return changed


class TestThoseThatWereKept:
    def test_they_are_as_they_were_released_and_each_keeps_what_the_one_before_promised(self) -> None:
        assert releases()
        assert history() == []

    def test_a_release_that_breaks_the_one_before_is_seen_also_after_both_were_kept(
        self, as_version: Callable[..., Files], tmp_path: Path
    ) -> None:
        release(as_version("9.2.0"), tmp_path)
        apart = tmp_path / "apart"
        release(as_version("9.3.0", shorter=True), apart)
        (apart / RELEASED / "9.3.0").rename(tmp_path / RELEASED / "9.3.0")

        [sentence] = history(tmp_path)

        assert breaks(as_version("9.3.0", shorter=True), tmp_path) == []
        assert sentence.startswith("9.3.0 was released, and is not what 9.2.0 promised. lesson.complete.v1: the field")
        assert "had the maxLength 255 and has the maxLength 20 now. This breaks gateways" in sentence

    def test_releases_are_compared_in_the_order_of_their_versions(
        self, as_version: Callable[..., Files], tmp_path: Path
    ) -> None:
        for number in ("9.2.0", "9.9.0", "9.10.0"):
            release(as_version(number), tmp_path)

        assert releases(tmp_path) == ["9.2.0", "9.9.0", "9.10.0"]
        assert history(tmp_path) == []

    @pytest.mark.parametrize(
        ("harm", "says"),
        [
            (lambda folder: (folder / COMPLETE).write_text("{}"), f"{COMPLETE} was edited"),
            (lambda folder: (folder / COMPLETE).unlink(), f"{COMPLETE} is missing"),
            (lambda folder: (folder / "more.json").write_text("{}"), "more.json was added"),
            (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS is missing"),
        ],
    )
    def test_an_edit_by_hand_is_named(
        self, harm: Callable[[Path], None], says: str, as_version: Callable[..., Files], tmp_path: Path
    ) -> None:
        place = release(as_version("9.2.0"), tmp_path)
        harm(tmp_path / place)

        assert history(tmp_path) == [
            (
                f"{place}/{says}: what was released does not change. Put it back, or, if 9.2.0 was never published, "
                "delete the folder and run `python -m docs.generate --release`."
            )
        ]
        with pytest.raises(Breaking, match="what was released does not change"):
            release(as_version("9.3.0"), tmp_path)

    def test_what_the_changelog_calls_published_cannot_be_deleted_and_released_again(
        self, as_version: Callable[..., Files], tmp_path: Path
    ) -> None:
        (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [9.2.0] - 2030-01-31\n")

        assert history(tmp_path) == [
            "docs/contracts/released/9.2.0 is missing, and CHANGELOG.md says that 9.2.0 was published: put it back"
        ]
        with pytest.raises(NotNewer, match=r"CHANGELOG\.md says that 9\.2\.0 was published"):
            release(as_version("9.2.0"), tmp_path)


class TestANewOne:
    def test_what_breaks_somebody_is_not_released(self, as_version: Callable[..., Files], tmp_path: Path) -> None:
        release(as_version("9.2.0"), tmp_path)

        with pytest.raises(
            Breaking, match=r"had the maxLength 255 and has the maxLength 20 now\. This breaks gateways"
        ):
            release(as_version("9.3.0", shorter=True), tmp_path)

        assert last_release(tmp_path) == "9.2.0"

    def test_a_version_is_released_once_and_none_before_the_last(
        self, as_version: Callable[..., Files], tmp_path: Path
    ) -> None:
        release(as_version("9.2.0"), tmp_path)

        with pytest.raises(NotNewer, match=r"is there already.* delete the folder if that version was never published"):
            release(as_version("9.2.0"), tmp_path)
        with pytest.raises(NotNewer, match=r"9\.2\.0 was released already, and 9\.1\.9 is older"):
            release(as_version("9.1.9"), tmp_path)

    def test_the_command_names_what_breaks_and_releases_nothing(
        self,
        as_version: Callable[..., Files],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        release(as_version("9.2.0"), tmp_path)
        new = as_version("9.3.0", shorter=True)
        monkeypatch.setattr(files, "generated", lambda: new)
        monkeypatch.setattr(files, "differences", lambda _: {})
        monkeypatch.setattr(files, "write", lambda _: [])
        monkeypatch.setattr(generate, "differing_documents", dict)
        monkeypatch.setattr(generate, "history", lambda: history(tmp_path))
        monkeypatch.setattr(generate, "breaks", lambda made: breaks(made, tmp_path))
        monkeypatch.setattr(generate, "release", lambda made: release(made, tmp_path))

        assert generate.main(["--release"]) == 1

        said = capsys.readouterr().out
        assert "had the maxLength 255 and has the maxLength 20 now. This breaks gateways" in said
        assert "nothing was released" in said
        assert releases(tmp_path) == ["9.2.0"]

        new = as_version("9.3.0")
        assert generate.main(["--release"]) == 0
        assert "kept: docs/contracts/released/9.3.0" in capsys.readouterr().out
