"""A certificate's page: every name as it was written, on one page, and the same bytes everywhere."""

import pickle
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from services.certificates.render import GlyphMissing, Renderer, RenderFailed
from services.certificates.render import page as pages
from shared.errors import Fatal
from tests.support.certificate_page import (
    PAGE,
    document,
    font_with_one_letter,
    lines,
    margins_are_blank,
    rendered,
    words,
)

A4_LANDSCAPE = (842, 595)


@pytest.fixture(scope="module")
async def renderer() -> AsyncIterator[Renderer]:
    renderer = Renderer(workers=2)
    await renderer.start()
    yield renderer
    await renderer.close()


# What stands on the page


async def test_a_certificate_says_who_completed_what_and_when_and_how_to_verify_it(renderer: Renderer) -> None:
    pdf = await rendered(renderer, PAGE)

    said = words(pdf)
    for expected in (
        "Ada Lovelace",
        "Analytical Engines: from First Principles",
        "Instructor: Charles Babbage",
        "Completed on 22 November 2026",
        "Certificate 6f1c2b9e4d7a4c0f8b3e5a1d9c7f2e60",
        "https://learn.example.org/v1/certificates/6f1c2b9e4d7a4c0f8b3e5a1d9c7f2e60",
    ):
        assert expected in said


async def test_an_unknown_instructor_is_not_mentioned(renderer: Renderer) -> None:
    assert "Instructor" not in words(await rendered(renderer, replace(PAGE, instructor_name=None)))


async def test_a_certificate_is_one_a4_page_in_landscape(renderer: Renderer) -> None:
    (page,) = document(await rendered(renderer, PAGE)).pages

    assert (round(page.mediabox.width), round(page.mediabox.height)) == A4_LANDSCAPE


async def test_the_verification_address_can_be_clicked(renderer: Renderer) -> None:
    (page,) = document(await rendered(renderer, PAGE)).pages

    assert page.annotations is not None
    assert [note.get_object()["/A"]["/URI"] for note in page.annotations] == [PAGE.verification_url]


@pytest.mark.parametrize(
    "name",
    [
        "Žofie Šťastná-Ångström",
        "Nguyễn Thị Ánh",
        "Griffith Öffner",
        "Ελένη Παπαδοπούλου",
        "Кетевань Їжакевич",
        "Նարինե",
        "გიორგი",
    ],
)
async def test_a_name_can_be_read_back_from_the_page_composed_or_decomposed(renderer: Renderer, name: str) -> None:
    decomposed = unicodedata.normalize("NFD", name)

    for written in (name, decomposed):
        said = words(await rendered(renderer, replace(PAGE, recipient_name=written, course_title=written)))
        assert said.count(name) == 2


@pytest.mark.parametrize(
    "name",
    [
        '#read("/etc/passwd")',
        '#import "certificate.typ"',
        "*bold* _thin_ $x^2$ `code`",
        "= Heading <label> @reference",
        r"\u0000 \u{41} \" } ] // /* comment",
        '"}; #panic() {"page": 1',
        "https://evil.example/ -- ~ 'quotes' ...",
    ],
)
async def test_a_name_is_text_and_never_markup_or_code(renderer: Renderer, name: str) -> None:
    page = replace(PAGE, recipient_name=name, course_title=name, instructor_name=name)

    assert words(await rendered(renderer, page)).count(name) == 3


async def test_line_breaks_and_invisible_controls_in_a_name_leave_no_trace(renderer: Renderer) -> None:
    page = replace(PAGE, recipient_name="\ufeffAda\x00 \n\tKing\x1b\r\n \u2028of\x85Love\ufefflace\x7f ")

    pdf = await rendered(renderer, page)

    assert "Ada King of Lovelace" in lines(pdf)
    metadata = document(pdf).metadata
    assert metadata is not None
    assert metadata.author == "Ada King of Lovelace"


# What fits


@pytest.mark.parametrize(
    "text",
    [
        "M" * 255,
        "Maximilian " * 23,
        "Αλέξανδρος-" * 23,
        "W" * 400 + " a " * 1000,
    ],
    ids=["one word", "many words", "hyphens", "beyond all bounds"],
)
async def test_long_texts_stay_on_one_page_and_inside_its_frame(renderer: Renderer, text: str) -> None:
    page = replace(PAGE, recipient_name=text, course_title=text, instructor_name=text)

    assert len(document(await rendered(renderer, page)).pages) == 1
    assert margins_are_blank(page)


def test_the_look_at_the_margins_sees_a_text_that_is_too_wide() -> None:
    assert margins_are_blank(PAGE)
    assert not margins_are_blank(replace(PAGE, verification_url="https://" + "w" * 300))


async def test_a_long_name_is_there_to_its_last_letter_on_lines_large_enough_to_read(renderer: Renderer) -> None:
    name = " ".join(["Wolfeschlegelsteinhausenbergerdorff"] * 7)
    pdf = await rendered(renderer, replace(PAGE, recipient_name=name))

    assert name in words(pdf).replace("\u200b", "")
    assert max(map(len, lines(pdf))) < 200


@pytest.mark.parametrize(("letters", "end"), [(500, "Z"), (501, "…")])
async def test_a_text_beyond_500_characters_ends_in_an_ellipsis(renderer: Renderer, letters: int, end: str) -> None:
    title = "a" * (letters - 1) + "Z"
    said = words(await rendered(renderer, replace(PAGE, course_title=title))).replace("\u200b", "").replace(" ", "")

    assert f"a{end}Instructor" in said


# What the file is


async def test_the_file_names_itself_its_owner_its_certificate_and_its_day(renderer: Renderer) -> None:
    metadata = document(await rendered(renderer, replace(PAGE, issued_on=date(2024, 2, 29)))).metadata

    assert metadata is not None
    assert metadata.title == "Certificate of completion: Analytical Engines: from First Principles"
    assert metadata.author == "Ada Lovelace"
    assert metadata.keywords == "certificate, 6f1c2b9e4d7a4c0f8b3e5a1d9c7f2e60"
    assert metadata.creation_date is not None
    assert metadata.creation_date.date() == date(2024, 2, 29)


async def test_the_file_is_made_for_keeping_and_for_reading_aloud(renderer: Renderer) -> None:
    about = document(await rendered(renderer, PAGE)).xmp_metadata

    assert about is not None
    said = about.rdf_root.toxml()
    assert "<pdfaid:part>2<" in said
    assert "<pdfaid:conformance>A<" in said
    assert "<pdfuaid:part>1<" in said


async def test_the_same_page_gives_the_same_bytes_in_every_process_at_every_time(renderer: Renderer) -> None:
    others = [replace(PAGE, recipient_name=f"Learner {number}") for number in range(40)]
    first = await rendered(renderer, PAGE)
    among_others = await renderer.render_many([*others, PAGE, *others, PAGE])
    elsewhere = Renderer()
    try:
        assert [await rendered(elsewhere, PAGE), among_others[40], among_others[-1]] == [first] * 3
    finally:
        await elsewhere.close()


async def test_a_certificate_is_small(renderer: Renderer) -> None:
    assert len(await rendered(renderer, PAGE)) < 25_000


# What cannot be typeset


@pytest.mark.parametrize("field", ["recipient_name", "course_title", "instructor_name"])
@pytest.mark.parametrize("text", ["李小龍", "Ada 🐍", "Ada \ue000", "Ada \ud800"], ids=ascii)
async def test_a_character_no_font_has_is_an_error_that_names_the_field_and_not_the_text(
    renderer: Renderer, field: str, text: str
) -> None:
    page = {
        "recipient_name": replace(PAGE, recipient_name=text),
        "course_title": replace(PAGE, course_title=text),
        "instructor_name": replace(PAGE, instructor_name=text),
    }[field]

    with pytest.raises(GlyphMissing) as caught:
        await rendered(renderer, page)

    assert (caught.value.field, caught.value.code) == (field, "glyph_missing")
    assert field in str(caught.value)
    assert text not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None


async def test_any_other_trouble_is_a_failed_rendering_without_the_words_of_the_page(renderer: Renderer) -> None:
    with pytest.raises(RenderFailed) as caught:
        await rendered(renderer, replace(PAGE, verification_url="https://例え.example"))

    assert caught.value.code == "render_failed"
    assert "例" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_reason_of_a_failure_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(GlyphMissing("course_title")))  # noqa: S301 - our own bytes

    assert (error.field, str(error)) == ("course_title", "No font shows every character of course_title.")


async def test_many_pages_come_back_in_order_and_one_bad_page_spoils_no_other(renderer: Renderer) -> None:
    many = [replace(PAGE, certificate_id=f"certificate-{number}") for number in range(50)]
    many[17] = replace(many[17], course_title="日本語")

    made = await renderer.render_many(many)

    assert isinstance(made[17], GlyphMissing)
    for number, pdf in enumerate(made):
        if number != 17:
            assert isinstance(pdf, bytes)
            assert f"Certificate certificate-{number} " in words(pdf)


async def test_no_pages_are_no_work() -> None:
    assert await Renderer().render_many([]) == []


async def test_a_font_from_the_given_folder_shows_what_the_built_in_ones_cannot(tmp_path: Path) -> None:
    (tmp_path / "one-letter.ttf").write_bytes(font_with_one_letter("龍"))
    renderer = Renderer(fonts=tmp_path)
    try:
        assert "龍" in words(await rendered(renderer, replace(PAGE, recipient_name="龍")))
        wide = "龍 " * 250
        crowded = await rendered(renderer, replace(PAGE, recipient_name=wide, course_title=wide, instructor_name=wide))
        assert len(document(crowded).pages) == 1
    finally:
        await renderer.close()


async def test_a_folder_of_fonts_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Fatal):
        await Renderer(fonts=tmp_path / "absent").start()


def test_a_broken_template_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "certificate.typ").write_text("#nonsense")
    monkeypatch.setattr(pages, "_TEMPLATES", tmp_path)
    pages._compiler.cache_clear()
    try:
        with pytest.raises(Fatal, match="unknown variable: nonsense"):
            pages.warm_up(None)
    finally:
        pages._compiler.cache_clear()
