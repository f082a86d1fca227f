"""`sessionscribe add` on recordings of a session that were renamed, renumbered, copied, doubled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import media
from sessionscribe.manifest import additions, manifest, sources
from sessionscribe.manifest.manifest import Row

KINDS = {
    "multitrack": ("tr", "Ana.wav", "Ben.wav", "Anna.wav"),
    "live": ("eve", "chunk-1.wav", "chunk-2.wav", "chunk-3.wav"),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.write_tone(tmp_path_factory.mktemp("tone") / "tone.wav", 0.1).read_bytes()


def put(tone: bytes, contents: dict[str, str]) -> None:
    """Write files, each with a letter that stands for its content."""
    for name, letter in contents.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(tone[:-1] + letter.encode())


def add(
    *given: str, layout: str = "multitrack", known: list[Row] | None = None, **more: Any
) -> additions.Added:
    manifest.write(Path("m.tsv"), known or [])
    found = sources.discover(given, layout=layout, session="s")
    before = manifest.read(Path("m.tsv"))
    added = additions.add(found, before, root=Path(), settings=more, exact=False, report=lambda *_: None)
    manifest.write(Path("m.tsv"), added.rows)
    assert all(session.problem is None for session in manifest.read(Path("m.tsv")).values())
    return added


def heard(added: additions.Added) -> dict[str | int, str]:
    """Return which file each track or part of the session is."""
    assert not added.problems
    return {row.track if row.part is None else row.part: Path(row.source).name for row in added.rows}


def test_a_renamed_track_is_there_once_and_keeps_what_was_set_by_hand(tone: bytes) -> None:
    put(tone, {"tr/Ana.wav": "a", "tr/Ben.wav": "b"})
    rows = [replace(row, speaker=f"Dr {row.track}", recorded_at="2026") for row in add("tr").rows]
    Path("tr/Ana.wav").rename("tr/Anna.wav")
    again = add("tr", known=rows, language="de")
    assert again.news == ["moved: tr/Ana.wav is now tr/Anna.wav"]
    expected = replace(rows[0], track="Anna", source="tr/Anna.wav")
    assert again.rows == [replace(row, language="de") for row in (expected, rows[1])]
    assert add("tr", known=again.rows).rows == again.rows


def test_a_renumbered_part_is_there_once_and_what_was_made_of_it_counts(tone: bytes) -> None:
    put(tone, {"eve/chunk-1.wav": "a", "eve/chunk-2.wav": "b"})
    rows = add("eve", layout="live").rows
    Path("eve/chunk-2.wav").rename("eve/chunk-3.wav")
    again = add("eve", layout="live", known=rows)
    assert again.news == ["moved: eve/chunk-2.wav is now eve/chunk-3.wav"]
    assert again.rows == [rows[0], replace(rows[1], part=3, source="eve/chunk-3.wav")]
    # What comes by its old name is not taken for it.
    put(tone, {"eve/chunk-2.wav": "c"})
    late = add("eve", layout="live", known=again.rows).rows
    assert [(row.part, row.track) for row in late] == [
        (1, "chunk-1"),
        (2, f"chunk-2-{late[1].checksum[:6]}"),
        (3, "chunk-2"),
    ]
    assert add("eve", layout="live", known=late).rows == late


def test_equal_parts_that_come_by_one_name_have_tracks_of_their_own(tone: bytes) -> None:
    put(tone, {"eve/chunk-4.wav": "a"})
    rows = add("eve", layout="live").rows
    for free, letter in ((5, "c"), (6, "d"), (7, "c"), (8, "d"), (9, "c")):
        Path("eve/chunk-4.wav").rename(f"eve/chunk-{free}.wav")
        put(tone, {"eve/chunk-4.wav": letter})
        rows = add("eve", layout="live", known=rows).rows
    c, d = (f"chunk-4-{row.checksum[:6]}" for row in rows if row.part in (6, 7))
    assert [(row.part, row.track) for row in rows] == [
        (4, f"{c}-3"),
        (5, "chunk-4"),
        (6, c),
        (7, d),
        (8, f"{c}-2"),
        (9, f"{d}-2"),
    ]
    assert add("eve", layout="live", known=rows).rows == rows


def test_a_part_that_becomes_what_another_one_is_has_a_track_of_its_own(tone: bytes) -> None:
    put(tone, {"eve/chunk-1.wav": "a", "eve/chunk-2.wav": "b"})
    rows = add("eve", layout="live").rows
    put(tone, {"eve/chunk-1.wav": "c"})
    rows = add("eve", layout="live", known=rows).rows
    Path("eve/chunk-1.wav").rename("eve/chunk-3.wav")
    put(tone, {"eve/chunk-1.wav": "d"})
    rows = add("eve", layout="live", known=rows).rows
    put(tone, {"eve/chunk-1.wav": "c"})
    rows = add("eve", layout="live", known=rows).rows
    assert len({row.track for row in rows}) == len(rows) == 3


def test_parts_that_all_move_on_by_one(tone: bytes) -> None:
    put(tone, {f"eve/chunk-{number}.wav": letter for number, letter in enumerate("abc")})
    rows = add("eve", layout="live").rows
    for number in (2, 1, 0):
        Path(f"eve/chunk-{number}.wav").rename(f"eve/chunk-{number + 1}.wav")
    again = add("eve", layout="live", known=rows)
    assert [(row.part, row.track, row.checksum) for row in again.rows] == [
        (number + 1, f"chunk-{number}", row.checksum) for number, row in enumerate(rows)
    ]


@pytest.mark.parametrize("layout", KINDS)
def test_a_file_that_is_there_under_both_names_is_two(tone: bytes, layout: str) -> None:
    folder, first, second, third = KINDS[layout]
    put(tone, {f"{folder}/{first}": "a", f"{folder}/{second}": "b"})
    rows = add(folder, layout=layout).rows
    put(tone, {f"{folder}/{third}": "a"})
    both = add(folder, layout=layout, known=rows)
    assert sorted(heard(both).values()) == sorted((first, second, third))
    again = f"twice: {folder}/{third} holds the same as {folder}/{first}"
    assert both.news == [again] * (layout == "live")
    # Only the new one is named: the other one is there all the same.
    assert sorted(heard(add(f"{folder}/{third}", layout=layout, known=rows)).values()) == sorted(
        (first, second, third)
    )


def test_a_track_that_is_in_the_table_twice_gives_way_when_its_file_is_gone(tone: bytes) -> None:
    put(tone, {"tr/Ana.wav": "a", "tr/Anna.wav": "a", "tr/Ben.wav": "b"})
    ana, anna, ben = add("tr").rows
    Path("tr/Ana.wav").unlink()
    again = add("tr", known=[replace(ana, speaker="Dr A", language="de"), replace(anna, language="fr"), ben])
    assert again.rows == [replace(anna, speaker="Dr A", language="fr"), ben]


def test_equal_parts_are_as_many_as_before(tone: bytes) -> None:
    put(tone, {f"eve/chunk-{number}.wav": "a" for number in (1, 2)})
    rows = add("eve", layout="live").rows
    Path("eve/chunk-2.wav").rename("eve/chunk-3.wav")
    again = add("eve", layout="live", known=rows)
    assert heard(again) == {1: "chunk-1.wav", 3: "chunk-3.wav"}


def test_names_that_go_round(tone: bytes) -> None:
    put(tone, {"tr/Ana.wav": "a", "tr/Ben.wav": "b"})
    rows = [replace(row, speaker=f"Dr {row.track}") for row in add("tr").rows]
    put(tone, {"tr/Ana.wav": "b", "tr/Ben.wav": "a"})
    again = add("tr", known=rows)
    assert heard(again) == {"Ana": "Ana.wav", "Ben": "Ben.wav"}
    assert {row.speaker: row.checksum for row in again.rows} == {row.speaker: row.checksum for row in rows}


@pytest.mark.parametrize("layout", KINDS)
def test_a_file_that_another_one_was_renamed_over_is_gone(tone: bytes, layout: str) -> None:
    folder, first, second, _ = KINDS[layout]
    put(tone, {f"{folder}/{first}": "a", f"{folder}/{second}": "b"})
    rows = add(folder, layout=layout).rows
    Path(f"{folder}/{first}").rename(f"{folder}/{second}")
    again = add(folder, layout=layout, known=rows)
    assert [(row.source, row.checksum) for row in again.rows] == [(f"{folder}/{second}", rows[0].checksum)]
    assert again.news == [
        f"moved: {folder}/{first} is now {folder}/{second}",
        f"changed: {folder}/{second}",
    ]


def test_what_was_renamed_in_the_table_stays_so(tone: bytes) -> None:
    put(tone, {"tr/Ana.wav": "a", "tr/Ben.wav": "b", "eve/chunk-1.wav": "a"})
    ana, ben = add("tr").rows
    rows = [replace(ana, track="Anna"), ben]
    assert add("tr", known=rows).rows == rows
    (part,) = add("eve", layout="live").rows
    assert add("eve", layout="live", known=[replace(part, part=7)]).rows == [replace(part, part=7)]


def test_what_is_not_named_and_is_there_is_not_gone(tone: bytes) -> None:
    put(tone, {f"eve/chunk-{number}.wav": letter for number, letter in enumerate("abc")})
    rows = add("eve", layout="live").rows
    Path("eve/chunk-1.wav").unlink()
    again = add("eve/chunk-2.wav", layout="live", known=rows)
    assert again.rows == rows
    assert again.news == ["gone: eve/chunk-1.wav"]


def test_a_track_that_is_renamed_in_a_folder_of_drive_for_desktop(
    tone: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tone, {"home/My Drive/tr/Ana.wav": "a", "home/My Drive/tr/Ben.wav": "b"})
    monkeypatch.setenv("HOME", str(Path("home").resolve()))
    rows = add("drive-desktop:tr").rows
    Path("home/My Drive/tr/Ana.wav").rename("home/My Drive/tr/Anna.wav")
    again = add("drive-desktop:tr", known=rows)
    assert heard(again) == {"Anna": "Anna.wav", "Ben": "Ben.wav"}


@pytest.mark.parametrize(
    ("layout", "names", "same"),
    [
        ("multitrack", ("Anna!.wav", "Anna?.wav"), "track Anna"),
        ("multitrack", ("Ben.mp3", "Ben.wav"), "track Ben"),
        ("live", ("chunk-1.WAV", "chunk-1.wav"), "part 1"),
        ("live", ("chunk-01.wav", "part-1.wav"), "part 1"),
    ],
)
def test_two_files_that_would_be_one_are_named_and_not_added(
    tone: bytes, layout: str, names: tuple[str, str], same: str
) -> None:
    put(tone, {f"in/{names[0]}": "a", f"in/{names[1]}": "b", "in/x-9.wav": "c", "talk.wav": "d"})
    groups = [*sources.discover(["in"], layout=layout), *sources.discover(["talk.wav"])]
    more: dict[str, Any] = {"root": Path(), "settings": {}, "exact": False, "report": lambda *_: None}
    added = additions.add(groups, {}, **more)
    assert [row.session for row in added.rows] == ["talk"]
    (problem,) = added.problems
    assert str(problem).startswith(f"in: in/{names[0]} and in/{names[1]} are both {same}; nothing was added")
    # One of them is known, and the other comes later.
    later = Path(f"in/{names[1]}").rename("later.wav")
    rows = add("in", layout=layout).rows
    later.rename(f"in/{names[1]}")
    again = add("in", layout=layout, known=rows)
    assert again.rows == rows
    assert f"are both {same}" in str(again.problems[0])


def test_a_file_that_is_given_twice_is_one(tone: bytes) -> None:
    put(tone, {"tr/Ana.wav": "a", "tr/Ben.wav": "b"})
    added = add("tr/Ana.wav", "tr/Ben.wav", "./tr/Ana.wav")
    assert heard(added) == {"Ana": "Ana.wav", "Ben": "Ben.wav"}
