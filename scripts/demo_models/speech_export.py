"""From a training checkpoint to the folder that faster-whisper loads: Hugging Face form, then CTranslate2."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer

from .speech_data import HOP, MELS
from .speech_model import POSITIONS, ModelSize
from .speech_tokens import LANGUAGES, load_tokenizer
from .voices import SAMPLE_RATE


def _huggingface(state: dict[str, torch.Tensor], size: ModelSize, tokenizer: Tokenizer, folder: Path) -> None:
    """Save the weights as a Hugging Face Whisper model."""
    from transformers import (  # noqa: PLC0415 -- heavy, and only needed here
        GenerationConfig,
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperForConditionalGeneration,
    )

    def special(name: str) -> int:
        found = tokenizer.token_to_id(f"<|{name}|>")
        assert found is not None
        return found

    end = special("endoftext")
    config = WhisperConfig(
        vocab_size=size.vocabulary,
        num_mel_bins=size.mels,
        d_model=size.width,
        encoder_layers=size.encoder_layers,
        decoder_layers=size.decoder_layers,
        encoder_attention_heads=size.heads,
        decoder_attention_heads=size.heads,
        encoder_ffn_dim=size.inner,
        decoder_ffn_dim=size.inner,
        max_source_positions=POSITIONS,
        max_target_positions=size.text_positions,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=special("startoftranscript"),
        suppress_tokens=[],
        begin_suppress_tokens=[],
    )
    model = WhisperForConditionalGeneration(config)
    weights = {
        f"model.{k}": v.float() for k, v in state.items() if not k.startswith(("word_head", "phone_head"))
    }
    weights["proj_out.weight"] = weights["model.decoder.embed_tokens.weight"]
    model.load_state_dict(weights)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        decoder_start_token_id=special("startoftranscript"),
        eos_token_id=end,
        pad_token_id=end,
        suppress_tokens=[],
        # Nothing need be forbidden at the beginning, but the list must not be empty.
        begin_suppress_tokens=[special("startoflm")],
        alignment_heads=[[size.decoder_layers - 1, head] for head in range(size.alignment_heads)],
        lang_to_id={f"<|{code}|>": special(code) for code in LANGUAGES.split()},
        is_multilingual=True,
        no_timestamps_token_id=special("notimestamps"),
        task_to_id={task: special(task) for task in ("transcribe", "translate")},
    )
    model.save_pretrained(folder)
    mark = "<|endoftext|>"
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=mark, bos_token=mark, unk_token=mark
    ).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    extractor = {
        "chunk_length": 30,
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": MELS,
        "hop_length": HOP,
        "n_fft": 400,
        "n_samples": 30 * SAMPLE_RATE,
        "nb_max_frames": 2 * POSITIONS,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "sampling_rate": SAMPLE_RATE,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor, indent=1) + "\n", encoding="utf-8")


def export_speech_model(checkpoint: str | Path, tokenizer: str | Path, folder: str | Path) -> dict[str, int]:
    """Write the CTranslate2 model with int8 weights to ``folder``; returns the file sizes in bytes."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from ctranslate2.converters import TransformersConverter  # noqa: PLC0415 -- imports transformers

    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        source, target = Path(scratch) / "hf", Path(scratch) / "ct2"
        source.mkdir()
        _huggingface(saved["model"], ModelSize(**saved["size"]), load_tokenizer(tokenizer), source)
        copied = ["tokenizer.json", "preprocessor_config.json"]
        TransformersConverter(str(source), copy_files=copied).convert(str(target), quantization="int8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(target, folder)
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
