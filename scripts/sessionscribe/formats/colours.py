"""Distinct colours of speakers, with a contrast of at least 4.5 on white and on black."""

_LIGHT = bytes.fromhex("1f5fa8 a8341f 1f7a3d 7a3da8 8a5a00 00707a a81f6b 4a5560 5b6b00 3a3ac8 9a4a2f 006650")
_DARK = bytes.fromhex("7db4f0 f09a8a 7fd69a c9a0f0 e0b860 6fd0d8 f090c0 b0bcc8 c0cf60 a8a8ff e0a585 70d0b0")
COUNT = len(_LIGHT) // 3


def on_light(number: int) -> tuple[int, int, int]:
    """Return the colour (red, green, blue; 0 to 255) of speaker ``number`` on a light background."""
    return _colour(_LIGHT, number)


def on_dark(number: int) -> tuple[int, int, int]:
    """Return the colour (red, green, blue; 0 to 255) of speaker ``number`` on a dark background."""
    return _colour(_DARK, number)


def _colour(palette: bytes, number: int) -> tuple[int, int, int]:
    first = 3 * (number % COUNT)
    red, green, blue = palette[first : first + 3]
    return red, green, blue
