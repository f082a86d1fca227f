"""A small Whisper in plain PyTorch, with Hugging Face's parameter names, and heads that only training uses.

Training windows are short, but at run time every window is padded with zero features to 30 s.  The zeros all
have the same content and differ by position only, so a few of them, drawn at random and weighted by how many
they stand for (its logarithm is added to the attention's logits), train for the full padding at little cost.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

POSITIONS = 1500
"""Encoder positions in 30 s, 20 ms each."""


@dataclass(frozen=True)
class ModelSize:
    """Shape of the model."""

    vocabulary: int
    timestamps: int
    """Id of the first timestamp token, from which on all are timestamps."""
    words: int
    """Classes of the training head that names the word at each encoder position."""
    phones: int
    """Classes of the training head that names the phoneme at each encoder position."""
    width: int = 128
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 3
    inner: int = 512
    mels: int = 80
    text_positions: int = 448
    alignment_heads: int = 2
    """Heads that are trained to follow the words' times: in the last decoder layer those of the word to come
    (they give the word times), in the first those of the word just written (so that it knows its place)."""

    def as_dict(self) -> dict[str, int]:
        """For the checkpoint."""
        return asdict(self)


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's position code, shape (length, width)."""
    scale = math.log(10000) / (width // 2 - 1)
    rates = torch.exp(-scale * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class Padding(NamedTuple):
    """The last ``count`` encoder positions, each of which stands for exp(``weight``) positions."""

    count: int
    weight: float


NO_PADDING = Padding(0, 0.0)


def _softmax(logits: Tensor) -> Tensor:
    """Softmax that stays in the type of ``logits`` (autocast would widen it, at twice the time)."""
    with torch.autocast("cpu", enabled=False):
        return logits.softmax(-1)


class Attention(nn.Module):
    """Multi-head attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.weights: Tensor | None = None

    def start_local(self, offsets: tuple[int, ...], strength: float = 2.0) -> None:
        """Let each head start by looking ``offset`` positions ahead, by rotating the position code.

        Attention that is local from the start saves a good part of a short training.
        """
        width = self.q_proj.in_features
        size, half = width // self.heads, width // 2
        rates = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
        with torch.no_grad():
            for head, offset in enumerate(offsets):
                for pair in range(size // 2):
                    k = 3 + pair
                    row = head * size + 2 * pair
                    cos, sin = math.cos(offset * float(rates[k])), math.sin(offset * float(rates[k]))
                    for weight in (self.q_proj.weight, self.k_proj.weight):
                        weight[row : row + 2] *= 0.3
                    self.k_proj.weight[row, k] += strength
                    self.k_proj.weight[row + 1, half + k] += strength
                    # sin(a + o) = sin a cos o + cos a sin o;  cos(a + o) = cos a cos o - sin a sin o
                    self.q_proj.weight[row, k] += strength * cos
                    self.q_proj.weight[row, half + k] += strength * sin
                    self.q_proj.weight[row + 1, half + k] += strength * cos
                    self.q_proj.weight[row + 1, k] -= strength * sin

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        padding: Padding = NO_PADDING,
        causal: bool = False,
        keep: int = 0,
    ) -> Tensor:
        """``x`` (batch, queries, width); with ``keep`` the weights of the first heads stay in ``weights``."""
        memory = x if memory is None else memory
        batch, queries, width = x.shape

        def split(z: Tensor) -> Tensor:
            z = z.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)
            return z.reshape(batch * self.heads, -1, width // self.heads)

        # Written out: on a CPU this is twice as fast, backward included, as PyTorch's fused attention.
        q = split(self.q_proj(x) * (width // self.heads) ** -0.5)
        logits = torch.bmm(q, split(self.k_proj(memory)).transpose(1, 2))
        if padding.count:
            logits[..., -padding.count :] += padding.weight
        if causal:
            logits = logits + torch.full((queries, queries), -1e4, dtype=logits.dtype).triu(1)
        weights = _softmax(logits)
        if keep:
            self.weights = weights.view(batch, self.heads, queries, -1)[:, :keep]
        y = torch.bmm(weights, split(self.v_proj(memory))).view(batch, self.heads, queries, -1)
        return self.out_proj(y.transpose(1, 2).reshape(batch, queries, width))


class Layer(nn.Module):
    """One Transformer layer of the encoder or the decoder."""

    def __init__(self, size: ModelSize, decoder: bool) -> None:
        super().__init__()
        self.decoder = decoder
        self.self_attn = Attention(size.width, size.heads)
        self.self_attn_layer_norm = nn.LayerNorm(size.width)
        if decoder:
            self.encoder_attn = Attention(size.width, size.heads)
            self.encoder_attn_layer_norm = nn.LayerNorm(size.width)
        self.fc1 = nn.Linear(size.width, size.inner)
        self.fc2 = nn.Linear(size.inner, size.width)
        self.final_layer_norm = nn.LayerNorm(size.width)

    def forward(self, x: Tensor, padding: Padding, memory: Tensor | None = None, keep: int = 0) -> Tensor:
        """``x`` (batch, positions, width) to the same shape."""
        own = self.self_attn_layer_norm(x)
        x = x + self.self_attn(own, padding=NO_PADDING if self.decoder else padding, causal=self.decoder)
        if self.decoder:
            x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), memory, padding, keep=keep)
        return x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))


class Encoder(nn.Module):
    """Mel frames to hidden states."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(size.mels, size.width, 3, padding=1)
        self.conv2 = nn.Conv1d(size.width, size.width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(POSITIONS, size.width)
        self.embed_positions.weight.data = sinusoids(POSITIONS, size.width)
        self.embed_positions.weight.requires_grad = False
        self.layers = nn.ModuleList([Layer(size, False) for _ in range(size.encoder_layers)])
        self.layer_norm = nn.LayerNorm(size.width)
        for index, layer in enumerate(self.layers):
            step = 2 + 3 * index
            layer.self_attn.start_local((-step, 0, step) + (0,) * (size.heads - 3))  # type: ignore[union-attr, operator]

    def _convolve(self, mel: Tensor) -> Tensor:
        return functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)

    def forward(self, mel: Tensor, padding: int = 0) -> tuple[Tensor, Tensor, Padding]:
        """``mel`` (batch, mels, frames); ``padding`` positions stand for the rest of the 30 s.

        Returns the states (batch, frames / 2 + padding, width), those of the middle layer, and how attention
        has to weigh the padding.
        """
        count = mel.shape[-1] // 2
        weighed = NO_PADDING
        if padding and count < POSITIONS:
            x = self._convolve(functional.pad(mel, (0, 4)))[:, :count]
            places = count + torch.randperm(POSITIONS - count)[:padding]
            empty = self._convolve(mel.new_zeros(1, mel.shape[1], 8))[:, 2]
            x = torch.cat([x, empty[:, None].expand(len(x), len(places), -1)], 1)
            where = torch.cat([torch.arange(count), places])
            weighed = Padding(len(places), math.log((POSITIONS - count) / len(places)))
        else:
            x = self._convolve(mel)
            where = torch.arange(count)
        x = x + self.embed_positions.weight[where]
        middle = x
        for index, layer in enumerate(self.layers):
            x = layer(x, weighed)
            if index == (len(self.layers) - 1) // 2:
                middle = x
        return self.layer_norm(x), middle, weighed


class Decoder(nn.Module):
    """Tokens and the encoder's states to hidden states."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.keep = size.alignment_heads
        self.embed_tokens = nn.Embedding(size.vocabulary, size.width)
        nn.init.normal_(self.embed_tokens.weight, std=size.width**-0.5)
        with torch.no_grad():  # 1501 unrelated classes would take long to learn; neighbours start out alike
            stamps = self.embed_tokens.weight[size.timestamps :]
            stamps.copy_(0.15 * sinusoids(len(stamps), size.width))
        self.embed_positions = nn.Embedding(size.text_positions, size.width)
        nn.init.normal_(self.embed_positions.weight, std=0.02)
        self.layers = nn.ModuleList([Layer(size, True) for _ in range(size.decoder_layers)])
        self.layer_norm = nn.LayerNorm(size.width)

    def forward(self, tokens: Tensor, memory: Tensor, padding: Padding) -> Tensor:
        """``tokens`` (batch, length) to (batch, length, width)."""
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for index, layer in enumerate(self.layers):
            outer = index in (0, len(self.layers) - 1)
            x = layer(x, padding, memory, keep=self.keep if outer else 0)
        return self.layer_norm(x)


@dataclass
class Output:
    """What one forward pass gives; frames are encoder positions of 20 ms, padding left out."""

    logits: Tensor
    """(batch, length, vocabulary)"""
    words: Tensor
    """(batch, frames, words)"""
    phones: Tensor
    """(batch, frames, phones)"""
    before: Tensor
    """Attention of the first decoder layer, (batch, alignment heads, length, frames and padding)"""
    alignment: Tensor
    """Attention of the last decoder layer, likewise"""


class Whisper(nn.Module):
    """The model."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.size = size
        self.encoder = Encoder(size)
        self.decoder = Decoder(size)
        self.word_head = nn.Linear(size.width, size.words)
        self.phone_head = nn.Linear(size.width, size.phones)

    def forward(self, mel: Tensor, tokens: Tensor, padding: int = 0) -> Output:
        """``mel`` (batch, mels, frames), ``tokens`` (batch, length)."""
        memory, middle, weighed = self.encoder(mel, padding)
        hidden = self.decoder(tokens, memory, weighed)
        count = mel.shape[-1] // 2
        before, alignment = (self.decoder.layers[k].encoder_attn.weights for k in (0, -1))  # type: ignore[union-attr]
        assert isinstance(before, Tensor)
        assert isinstance(alignment, Tensor)
        return Output(
            logits=hidden @ self.decoder.embed_tokens.weight.T,
            words=self.word_head(memory[:, :count]),
            phones=self.phone_head(middle[:, :count]),
            before=before,
            alignment=alignment,
        )
