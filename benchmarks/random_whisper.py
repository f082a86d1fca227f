"""Makes a Whisper model of real size with random weights, in the form that faster-whisper loads.

    python benchmarks/random_whisper.py FOLDER [--size base] [--tokens 100] [--quantization int8]

Speed does not depend on the weights as long as the number of tokens is fixed: this model says `--tokens`
dummy words in every window, whatever it hears, and then stops. It has the token numbers of the real model, so
that the real program runs on it unchanged. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg "
    "lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so "
    "af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)
"""In the order of their tokens; Cantonese came with large-v3."""
TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
TEXT_TOKENS = 50_257
TIMESTAMPS = 1_501
POSITIONS = 448
FRAMES = 1_500
PROMPT = 4
"""Tokens before the first word: start, language, task, no timestamps."""
STOP, NEVER = 0, 1
"""Coordinates of the decoder's state with a meaning: "it is time to stop", and one that is always 1."""


@dataclass(frozen=True)
class Size:
    """The measures of a model."""

    width: int
    encoder_layers: int
    decoder_layers: int
    mels: int = 80
    languages: int = 99

    @property
    def heads(self) -> int:
        """Whisper's heads are 64 wide."""
        return self.width // 64


SIZES = {
    "tiny": Size(384, 4, 4),
    "base": Size(512, 6, 6),
    "small": Size(768, 12, 12),
    "large-v3-turbo": Size(1280, 32, 4, mels=128, languages=100),
}


def vocabulary(size: Size) -> tuple[list[str], list[str]]:
    """Return the tokens of text (bytes, then dummy words, most with a space before) and the special ones."""
    from tokenizers import pre_tokenizers  # noqa: PLC0415

    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    words = ("".join(parts) for length in (2, 3) for parts in itertools.product(syllables, repeat=length))
    text = [*sorted(pre_tokenizers.ByteLevel.alphabet()), ""]
    text += [
        word if number % 4 == 3 else f"Ġ{word}"
        for number, word in zip(range(TEXT_TOKENS - len(text)), words, strict=False)
    ]
    names = ["endoftext", "startoftranscript", *LANGUAGES.split()[: size.languages], *TASKS]
    stamps = [f"{number * 0.02:.2f}" for number in range(TIMESTAMPS)]
    return text, [f"<|{name}|>" for name in (*names, *stamps)]


def write_tokenizer(size: Size, folder: Path) -> None:
    """Write `tokenizer.json`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415

    text, special = vocabulary(size)
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(text)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = len(special) - TIMESTAMPS
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special[:names]])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in special[names:]])
    tokenizer.save(str(folder / "tokenizer.json"))


class Filler:
    """Fills the parts of a CTranslate2 specification with random weights."""

    def __init__(self, width: int) -> None:
        self.width, self._random = width, np.random.default_rng(0)

    def draw(self, *shape: int, scale: float = 0.02) -> Weights:
        """Return normally distributed numbers."""
        return self._random.standard_normal(shape, np.float32) * np.float32(scale)

    def linear(self, spec: Any, rows: int, columns: int) -> None:
        """Fill a linear layer."""
        spec.weight, spec.bias = self.draw(rows, columns), np.zeros(rows, np.float32)

    def norm(self, spec: Any) -> None:
        """Fill a normalisation that changes nothing."""
        spec.gamma, spec.beta = np.ones(self.width, np.float32), np.zeros(self.width, np.float32)

    def attention(self, spec: Any, *rows: int) -> None:
        """Fill an attention whose linear layers have `rows` times the width."""
        self.norm(spec.layer_norm)
        for part, times in zip(spec.linear, rows, strict=True):
            self.linear(part, times * self.width, self.width)

    def feed_forward(self, spec: Any) -> None:
        """Fill the two layers after an attention."""
        self.norm(spec.layer_norm)
        self.linear(spec.linear_0, 4 * self.width, self.width)
        self.linear(spec.linear_1, self.width, 4 * self.width)


def model(size: Size, tokens: int) -> Any:
    """Return the specification with its weights.

    The decoder's state has two coordinates with a meaning. `STOP` is large from position `tokens` after the
    prompt on, and the end token answers to it alone; `NEVER` forbids it before, and all other special tokens.
    """
    from ctranslate2.specs import WhisperSpec  # noqa: PLC0415

    text, special = vocabulary(size)
    count, width, fill = len(text) + len(special), size.width, Filler(size.width)
    spec = WhisperSpec(size.encoder_layers, size.heads, size.decoder_layers, size.heads)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = fill.draw(width, size.mels, 3), np.zeros(width, np.float32)
    encoder.conv2.weight, encoder.conv2.bias = fill.draw(width, width, 3), np.zeros(width, np.float32)
    encoder.position_encodings.encodings = fill.draw(FRAMES, width)
    fill.norm(encoder.layer_norm)
    for layer in encoder.layer:
        fill.attention(layer.self_attention, 3, 1)
        fill.feed_forward(layer.ffn)
    decoder.embeddings.weight = fill.draw(count, width, scale=1.0)
    positions = fill.draw(POSITIONS, width, scale=1.0)
    positions[:, STOP] = 0.0
    positions[PROMPT - 1 + tokens :, STOP] = 60.0
    decoder.position_encodings.encodings = positions
    for layer in decoder.layer:
        fill.attention(layer.self_attention, 3, 1)
        fill.attention(layer.attention, 1, 2, 1)
        fill.feed_forward(layer.ffn)
    fill.norm(decoder.layer_norm)
    decoder.layer_norm.gamma[NEVER], decoder.layer_norm.beta[NEVER] = 0.0, 1.0
    # The more the likelihoods differ, the surer the model seems: no threshold asks for another try.
    decoder.projection.weight = fill.draw(count, width, scale=10 / width**0.5)
    decoder.projection.weight[:, [STOP, NEVER]] = 0.0
    decoder.projection.weight[len(text) :] = 0.0
    decoder.projection.weight[len(text) :, NEVER] = -100.0
    decoder.projection.weight[len(text), STOP] = 50.0
    decoder.projection.bias = np.zeros(count, np.float32)
    spec.register_vocabulary([*text, *special])
    first = len(text) + special.index("<|en|>")
    spec.config.lang_ids = list(range(first, first + size.languages))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [len(text) + special.index("<|startoflm|>")]  # must not be empty
    last = size.decoder_layers - 1
    spec.config.alignment_heads = [[last, head] for head in range(size.heads)]
    return spec


def make(folder: Path, size: str, tokens: int, quantization: str) -> None:
    """Write the model to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    measures = SIZES[size]
    spec = model(measures, tokens)
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))
    write_tokenizer(measures, folder)
    features = {"feature_size": measures.mels, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400}
    text = json.dumps(features | {"chunk_length": 30}) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Make the model that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--tokens", type=int, default=100, help="words said in every window")
    parser.add_argument("--quantization", default="int8", help="of the weights, as stored")
    arguments = parser.parse_args()
    make(arguments.folder, arguments.size, arguments.tokens, arguments.quantization)


if __name__ == "__main__":
    main()
