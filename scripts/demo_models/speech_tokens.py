"""Tokenizer of the speech model: byte-level BPE of the grammar with Whisper's multilingual token layout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg "
    "lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so "
    "af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)
"""Whisper's languages in the order of their tokens."""
TIMESTAMP_STEP = 0.02
"""Seconds between two timestamp tokens."""
_TASKS = "translate transcribe startoflm startofprev nospeech notimestamps"


def train_tokenizer(texts: list[str], size: int = 1100) -> Tokenizer:
    """Train the BPE on ``texts`` and add Whisper's special tokens in the order that Whisper has them."""
    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    base.train_from_iterator([" " + text for text in texts], trainer)
    description = json.loads(base.to_str())
    vocabulary = description["model"]["vocab"]
    # CTranslate2 takes a model for multilingual when its vocabulary has the empty token, as Whisper's has.
    vocabulary[""] = len(vocabulary)
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.decoder = decoders.ByteLevel()
    names = ["endoftext", "startoftranscript", *LANGUAGES.split(), *_TASKS.split()]
    tokenizer.add_special_tokens([AddedToken(f"<|{n}|>", special=True, normalized=False) for n in names])
    stamps = [f"<|{i * TIMESTAMP_STEP:.2f}|>" for i in range(1501)]
    tokenizer.add_tokens([AddedToken(s, special=False, normalized=False) for s in stamps])
    return tokenizer


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the special tokens that training needs."""

    end: int
    start: int
    english: int
    transcribe: int
    previous: int
    nospeech: int
    notimestamps: int
    timestamp: int
    """Id of <|0.00|>; the others follow in steps of 20 ms."""
    size: int
    """Number of ids in all."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> SpecialIds:
        """Look the ids up in ``tokenizer``."""
        names = "endoftext startoftranscript en transcribe startofprev nospeech notimestamps 0.00"
        ids = [tokenizer.token_to_id(f"<|{name}|>") for name in names.split()]
        return cls(*ids, tokenizer.get_vocab_size())


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read a tokenizer.json."""
    return Tokenizer.from_file(str(path))
