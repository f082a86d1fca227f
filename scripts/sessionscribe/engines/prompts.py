"""The prompt before every window: names and terms to expect, and an example of style.

Its form matters (Whisper base, five minutes of read speech with eight names, two right without a prompt):

| Form | Names right | Words (628 without) | Punctuation (12.7 for 100 words without) |
|---|---|---|---|
| `A B C` | 7 | 619 | 11.5, on three conversations 17 to 42 % less |
| `A, B, C.` | 7 | 618 | 13.8 |
| `A, B, C` | 6 | 589 | 13.1 |
| `Names: A, B, C.` | 7 | 564 | 14.7 |
| `A, B, C,` | 7 | 637 | 14.1 |

After a closed list, a model may skip the first sentence of a window; an open list is continued.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.config.settings import Transcribe
from sessionscribe.core.errors import visible

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROOM = 223
"""Largest number of tokens: half of the model's positions less one. faster-whisper cuts off the rest."""


@dataclass(frozen=True)
class Prompt:
    """The text before every window, and the words and terms that do not fit."""

    text: str
    unused: list[str]


def prompt(options: Transcribe, count: Callable[[str], int]) -> Prompt:
    """Return the prompt: `initial_prompt`, then the hotwords as a list, as far as they fit.

    Args:
        options: the settings with both.
        count: counts the tokens of a text.
    """
    words, terms = options.initial_prompt.split(), terms_of(options.hotwords)

    def text(number: int) -> str:
        listed = ", ".join(terms[: max(0, number - len(words))])
        return f"{' '.join(words[:number])} {listed}{',' if listed else ''}".strip()

    numbers = range(1, len(words) + len(terms) + 1)
    fitting = bisect_right(numbers, ROOM, key=lambda number: count(text(number)))
    return Prompt(text(fitting), [*words, *terms][fitting:])


def terms_of(hotwords: str) -> list[str]:
    """Return the terms of lists that are separated by semicolons (of the settings and of a session).

    Within a list, commas separate terms, or else spaces.
    """
    found: list[str] = []
    for listed in re.split(r"[;\n]", hotwords):
        parts = re.split("[,、，]", listed)
        found += parts if len(parts) > 1 else listed.split()
    return [" ".join(term.split()) for term in found if term.strip()]


def no_room(unused: list[str]) -> str:
    """Return the message about unused hotwords."""
    number, first = f"{len(unused)} hotword{'s' * (len(unused) > 1)}", visible(unused[0])
    return f"{number} not used, from `{first}` on: the model takes {ROOM} tokens of hotwords"


def counter(folder: Path) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text for the model in a folder, which is not loaded."""
    from tokenizers import Tokenizer  # noqa: PLC0415 -- only some need it

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda text: tokens(tokenizer, text)


def tokens(tokenizer: Tokenizer, text: str) -> int:
    """Return the number of tokens of a prompt, as the engine counts them."""
    return len(tokenizer.encode(f" {text.strip()}", add_special_tokens=False).ids)
