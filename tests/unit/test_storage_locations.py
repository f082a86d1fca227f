"""What a source is called."""

from __future__ import annotations

import pytest

from sessionscribe.storage.locations import name_of


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("drive:part-000.wav", "part-000.wav"),
        ("my drive:eve/part-000.wav", "part-000.wav"),
        ("s3://bucket/eve/a:b.webm", "a:b.webm"),
        ("recordings/eve/part-000.wav", "part-000.wav"),
        ("./a:b.wav", "a:b.wav"),
        ("/far/c.wav", "c.wav"),
    ],
)
def test_the_name_of_a_file_has_nothing_of_where_it_is(source: str, name: str) -> None:
    assert name_of(source) == name
