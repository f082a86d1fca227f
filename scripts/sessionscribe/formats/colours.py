"""Colours of speakers: readable (contrast of 4.5 and more) on white and on black, apart from one another."""

_LIGHT = (
    0x1F5FA8,
    0xA8341F,
    0x1F7A3D,
    0x7A3DA8,
    0x8A5A00,
    0x00707A,
    0xA81F6B,
    0x4A5560,
    0x5B6B00,
    0x3A3AC8,
    0x9A4A2F,
    0x006650,
)
_DARK = (
    0x7DB4F0,
    0xF09A8A,
    0x7FD69A,
    0xC9A0F0,
    0xE0B860,
    0x6FD0D8,
    0xF090C0,
    0xB0BCC8,
    0xC0CF60,
    0xA8A8FF,
    0xE0A585,
    0x70D0B0,
)
COUNT = len(_LIGHT)


def on_light(number: int) -> tuple[int, int, int]:
    """Return the colour (red, green, blue; 0 to 255) of speaker ``number`` on a light ground."""
    return _rgb(_LIGHT[number % COUNT])


def on_dark(number: int) -> tuple[int, int, int]:
    """Return the colour (red, green, blue; 0 to 255) of speaker ``number`` on a dark ground."""
    return _rgb(_DARK[number % COUNT])


def _rgb(colour: int) -> tuple[int, int, int]:
    return colour >> 16, colour >> 8 & 0xFF, colour & 0xFF
