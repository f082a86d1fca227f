"""The manifest: what comes out is what went in, and a wrong table or row says where and what."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessionscribe.core import errors
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import manifest, names
from sessionscribe.manifest.manifest import Row

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = st.from_regex(r"\w[\w-]{0,8}", fullmatch=True)
NUMBERS = st.none() | st.integers(0, 99)
ROWS = st.builds(
    Row,
    session=NAMES,
    layout=st.just("multitrack"),
    track=NAMES,
    source=TEXT.filter(bool),
    checksum=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    duration_s=st.integers(0, 10**8).map(lambda ms: ms / 1000),
    part=NUMBERS,
    speaker=TEXT,
    language=TEXT,
    num_speakers=NUMBERS,
    hotwords=TEXT,
    audio_stream=NUMBERS,
    recorded_at=TEXT,
    priority=st.none() | st.integers(-9, 99),
    added_at=TEXT,
)


def table(folder: Path, *lines: str) -> Path:
    path = folder / "sessions.tsv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def lines(*cells: str) -> str:
    return "\t".join(cells)


HEADER = lines("session", "layout", "track", "source", "duration_s", "part")


@given(rows=st.lists(ROWS, max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_back_as_they_were(tmp_path: Path, fast_disk: None, rows: list[Row]) -> None:
    path = tmp_path / "sessions.tsv"
    manifest.write(path, rows)
    found = manifest.read(path)
    back = [row for name in dict.fromkeys(r.session for r in rows) for row in found[name].rows]
    assert back == sorted(rows, key=lambda r: list(dict.fromkeys(x.session for x in rows)).index(r.session))


@pytest.mark.parametrize(
    "source",
    ["a\tb.mp3", "two\nlines.mp3", "cr\rin.mp3", 'say "hi".mp3', "'", '"', "$(touch x).mp3", "-n.mp3",
     "trailing\n", " spaces ", "日本語.mp3", "#x", "a\\b", "\u2028.mp3"],
)  # fmt: skip
def test_hostile_sources_survive(tmp_path: Path, source: str) -> None:
    row = Row("s", "recording", "mix", source, "00", 1.5)
    manifest.write(tmp_path / "m.tsv", [row, Row("t", "recording", "mix", "b.mp3")])
    found = manifest.read(tmp_path / "m.tsv")
    assert found["s"].rows == (row,)
    assert found["s"].problem is None
    assert list(found) == ["s", "t"]


def test_a_missing_manifest_is_an_empty_one(tmp_path: Path) -> None:
    assert manifest.read(tmp_path / "none.tsv") == {}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])  # the only Unicode with tabs that Excel writes
def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "m.tsv"
    path.write_bytes("session\tshape\ttrack\tsource\r\ns\trecording\tmix\tä.mp3\r\n\r\n".encode(encoding))
    found = manifest.read(path)
    assert found["s"].problem is None
    assert found["s"].rows[0].source == "ä.mp3"


def test_a_wrong_column_names_the_nearest(tmp_path: Path) -> None:
    path = table(tmp_path, lines("session", "layout", "track", "source", "langauge"))
    with pytest.raises(UserError) as caught:
        manifest.read(path)
    assert str(caught.value) == f"{path}: there is no column `langauge`. Did you mean `language`?"


@pytest.mark.parametrize("column", manifest.REQUIRED)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = table(tmp_path, lines(*(name for name in manifest.REQUIRED if name != column)))
    with pytest.raises(UserError, match=f"the column `{column}` is missing"):
        manifest.read(path)


def test_a_table_separated_by_commas_is_refused_in_one_line(tmp_path: Path) -> None:
    path = table(tmp_path, "session,layout,track,source", "s,recording,mix,a.mp3")
    with pytest.raises(UserError) as caught:
        manifest.read(path)
    assert "\n" not in str(caught.value)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, f"{HEADER}\tsource")
    with pytest.raises(UserError, match="there are two columns `source`"):
        manifest.read(path)


QUOTE = "a quotation mark is not closed at the end of its cell"


@pytest.mark.parametrize(
    "bad",
    [
        lines("bad", "recording", "mix", '"a.wav', "1", ""),
        lines("bad", "live", "mix", "a.wav", "1", '"2'),  # what follows was dropped on writing
        lines("bad", "recording", "mix", '"a".wav', "1", ""),  # it would come back without its marks
    ],
)
@pytest.mark.parametrize("after", [20, 5000])  # csv gives up after 128 KiB
def test_an_open_quotation_mark_swallows_no_session(tmp_path: Path, bad: str, after: int) -> None:
    first = lines("first", "recording", "mix", '"two\nlines.wav"', "1", "")
    rest = [lines(f"s{n}", "recording", "mix", f"recordings/{n}.wav", "1", "") for n in range(after)]
    path = table(tmp_path, HEADER, first, bad, *rest)
    with pytest.raises(UserError) as caught:
        manifest.read(path)
    assert str(caught.value).startswith(f"{path}, line 4: {QUOTE}")
    assert str(caught.value).isprintable()


# Each has a column that `write` would have in another place, or not at all.
WRONG_ROWS = [
    ("talk\trecording\tmix\ta.wav\t1\ttwo", "`num_speakers` must be a number and is `two`"),
    ("my talk\trecording\tmix\ta.wav\t1\t", "`my talk` cannot be a session name"),
    ("talk\trecording\tmix\ta.wav\t1\t2\tby Anna", "7 fields where the header has 6"),
    ("talk\trecording\tmix", "3 fields where the header has 6"),
    ('talk\tvideo\tmix\t"a\nb.wav"\tnan\t', "`duration_s` must be seconds and is `nan`"),
]


@pytest.mark.parametrize(("row", "says"), WRONG_ROWS)
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [2, 0, 1, 3, 5, 4]])
def test_a_wrong_row_is_written_back_as_it_was(tmp_path: Path, row: str, says: str, order: list[int]) -> None:
    """Whatever is added besides; in a table as people make it, with few columns in any order."""
    cells = row.split("\t")
    header = ("session", "layout", "track", "source", "duration_s", "num_speakers")
    ordered = [cells[n] for n in order if n < len(cells)] + cells[6:]
    good = dict(zip(header, ["good", "recording", "mix", "g.wav", "1", ""], strict=True))
    named = [header[n] for n in order]
    path = table(tmp_path, lines(*named), lines(*ordered), lines(*(good[name] for name in named)))
    (name,) = manifest.read(path).keys() - {"good"}
    assert says in str(manifest.read(path)[name].problem)
    for _ in range(2):  # the second time the table is as we write it
        found = manifest.read(path)
        manifest.write(path, [row for session in found.values() for row in session.rows])
        again = manifest.read(path)
        columns = len(manifest.COLUMNS)
        now = says.replace("has 6", f"has {columns}").replace("7 f", f"{columns + 1} f")
        assert now in str(again[name].problem)
        assert again["good"] == found["good"]
        assert again["good"].problem is None
    written = path.read_text(encoding="utf-8")
    assert all(cell.strip('"') in written for cell in cells)


def test_a_row_with_too_few_cells_stays_wrong_also_if_the_last_column_is_among_them(tmp_path: Path) -> None:
    header = ("recorded_at", "session", "layout", "track", "source", "language")
    good = lines("2025", "good", "recording", "mix", "g.wav", "de")
    path = table(tmp_path, lines(*header), lines("2026", "talk", "recording", "mix", "a.wav"), good)
    for _ in range(3):
        found = manifest.read(path)
        assert "fields where the header has" in str(found["talk"].problem)
        assert found["talk"].rows[0].recorded_at == "2026"
        assert found["good"].problem is None
        manifest.write(path, [row for session in found.values() for row in session.rows])


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tsv"
    path.write_bytes(b"session\tshape\ttrack\tsource\nM\xfcller\trecording\tmix\ta.mp3\n")
    with pytest.raises(UserError, match="UTF-8"):
        manifest.read(path)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (lines("b", "recording", "mix", "a.mp3", "long", ""), "`duration_s` must be a number and is `long`"),
        (lines("b", "live", "p", "a.mp3", "1", "first"), "`part` must be a number and is `first`"),
        (lines("b", "video", "mix", "a.mp3", "1", ""), "`layout` must be recording, multitrack or live"),
        (lines("b", "recording", "a.b", "a.mp3", "1", ""), "cannot be a track name"),
        (lines("b", "recording", "mix", "", "1", ""), "`source` is no path"),
        (lines("b", "recording", "mix", "a\0.mp3", "1", ""), "`source` is no path"),
        (lines("b", "recording", "mix"), "3 fields where the header has 6"),
        (lines("b", "live", "p", "a.mp3", "1", ""), "has a row without `part`"),
    ],
)
def test_a_wrong_row_spoils_its_own_session_only(tmp_path: Path, row: str, says: str) -> None:
    path = table(tmp_path, HEADER, lines("good", "recording", "mix", "g.mp3", "1", ""), row)
    found = manifest.read(path)
    assert found["good"].problem is None
    assert says in str(found["b"].problem)
    assert f"{path}, line" in str(found["b"].problem)
    assert "3" in str(found["b"].problem)


@pytest.mark.parametrize("parts", [("3", "20261121"), ("0", "9" * 20), ("3", "3.0")])
def test_numbers_that_do_not_count_parts_spoil_their_session(tmp_path: Path, parts: tuple[str, str]) -> None:
    """Dates, as Excel and recorders write them: what is missing between them would fill the memory."""
    rows = [lines("b", "live", f"p{n}", f"{n}.mp3", "1", part) for n, part in enumerate(parts)]
    path = table(tmp_path, HEADER, *rows)
    problem = str(manifest.read(path)["b"].problem)
    assert "jump from" in problem or "two parts with the number 3" in problem


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_table_without_tabs_is_named_as_that(tmp_path: Path, separator: str) -> None:
    path = table(tmp_path, HEADER.replace("\t", separator))
    with pytest.raises(UserError, match="not separated by tabs"):
        manifest.read(path)


@pytest.mark.parametrize("number", ["nan", "inf", "-5", "1e9"])
def test_a_duration_that_is_none_spoils_its_session(tmp_path: Path, number: str) -> None:
    path = table(tmp_path, HEADER, lines("b", "recording", "mix", "a.mp3", number, ""))
    assert "duration_s" in str(manifest.read(path)["b"].problem)


def test_a_name_that_cannot_be_a_session_is_replaced_and_reported(tmp_path: Path) -> None:
    path = table(tmp_path, HEADER, lines("../up $(x)", "recording", "mix", "a.mp3", "1", ""))
    (session,) = manifest.read(path).values()
    assert names.NAME.fullmatch(session.name)
    assert "cannot be a session name" in str(session.problem)


def test_two_recordings_with_one_name(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        HEADER,
        lines("same", "recording", "mix", "a.mp3", "1", ""),
        lines("other", "recording", "mix", "c.mp3", "1", ""),
        lines("same", "recording", "mix", "b.mp3", "1", ""),
    )
    found = manifest.read(path)
    assert "lines 2, 4: two recordings have the session name `same`" in str(found["same"].problem)
    assert found["other"].problem is None


def test_names_that_some_disks_cannot_tell_apart(tmp_path: Path) -> None:
    rows = [
        lines(name, "recording", "mix", f"{n}.mp3", "1", "") for n, name in enumerate(["Talk", "talk", "eve"])
    ]
    found = manifest.read(table(tmp_path, HEADER, *rows))
    assert [session.problem is None for session in found.values()] == [True, False, True]
    assert "lines 3: " in str(found["talk"].problem)
    assert "some disks cannot tell `talk` from `Talk`" in str(found["talk"].problem)


def test_an_empty_line_and_columns_that_a_spreadsheet_adds_do_no_harm(tmp_path: Path) -> None:
    rows = [
        f"{lines(name, 'recording', 'mix', f'{name}.mp3', '1', '')}\t{more}"
        for name, more in (("a", "\t"), ("b", "x\t"))
    ]
    found = manifest.read(table(tmp_path, "\t\t", f"{HEADER}\t\t", *rows))
    assert found["a"].problem is None
    assert "7 fields where the header has 6" in str(found["b"].problem)


def test_shapes_do_not_mix_and_tracks_are_apart(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        HEADER,
        lines("a", "recording", "mix", "a.mp3", "1", ""),
        lines("a", "live", "p", "b.mp3", "1", "1"),
        lines("b", "multitrack", "anna", "a.mp3", "1", ""),
        lines("b", "multitrack", "anna", "b.mp3", "1", ""),
    )
    found = manifest.read(path)
    assert "rows with different layouts" in str(found["a"].problem)
    assert "has two tracks with the same name" in str(found["b"].problem)


def test_an_unknown_session_names_the_nearest(tmp_path: Path) -> None:
    error = errors.unknown_session("meting", ["lecture", "meeting"], tmp_path)
    assert "Did you mean `meeting`?" in str(error)
    assert str(errors.unknown_session("x", ["lecture"], tmp_path)).endswith("There are: lecture")
    assert str(errors.unknown_session("x", "abcdefghi", tmp_path)).endswith("f, g, h …")
    assert "sessionscribe add" in str(errors.unknown_session("x", [], tmp_path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"language": "klingon"}, "`language` must be a code such as `en` and is `klingon`"),
        ({"num_speakers": 0}, "`num_speakers` must be at least 1 and is `0`"),
        ({"audio_stream": -1}, "`audio_stream` must be at least 0 and is `-1`"),
        ({"min_speakers": 3, "max_speakers": 2}, "`min_speakers` must not be above `max_speakers`"),
    ],
)
def test_wrong_settings_of_a_session_are_refused(settings: dict[str, Any], message: str) -> None:
    manifest.check_settings({"language": "en", "num_speakers": 2})
    with pytest.raises(UserError, match=message):
        manifest.check_settings(settings)


def test_a_manifest_of_earlier_versions_is_read(tmp_path: Path) -> None:
    path = table(
        tmp_path, lines("session", "shape", "track", "source"), lines("duo", "tracks", "anna", "a.mp3")
    )
    (row,) = manifest.read(path)["duo"].rows
    assert row.layout == "multitrack"
