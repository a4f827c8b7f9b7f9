"""A features extractor for the observations of the NetHack worlds.

- `NetHackFeatures`: glyph embedding and small CNN around the hero, scaled bottom lines, a bag of
  letter triples of the message.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn
from torch.nn import functional

from rewardloom.errors import ConfigError

__all__ = ["NetHackFeatures"]

_CROP = 11
_CONDITIONS = 13
_X, _Y = 0, 1
_HIT_POINTS, _MAX_HIT_POINTS = 10, 11
_ENERGY, _MAX_ENERGY = 14, 15
_CONDITION = 25
_LARGE = 1000.0  # numbers that can pass this are seen on a logarithmic scale
_TRIPLES = 2048
_HASH = (1.0, 31.0, 961.0)


class NetHackFeatures(BaseFeaturesExtractor):
    """Turns the Dict observations "compact", "oni" or "full" into one vector.

    The map is seen through an 11 x 11 window around the hero, cut out of the whole map where the
    observation has that. Terminal keys are not looked at: they repeat map and message. For training
    take "compact": SB3 copies and converts every key of an observation, 150 kB of them in "full".
    Use it as
    `policy_kwargs={"features_extractor_class": NetHackFeatures}` with "MultiInputPolicy", of PPO,
    MaskablePPO or RecurrentPPO.

    Args:
        observation_space: The Dict space of a NetHack world.
        features_dim: Length of the vector.
        glyph_dim: Length of a glyph's embedding.

    Raises:
        ConfigError: the space is not that of a NetHack world.
    """

    def __init__(
        self, observation_space: spaces.Dict, features_dim: int = 256, glyph_dim: int = 12
    ):
        super().__init__(observation_space, features_dim)
        _check(observation_space)
        entries: dict[str, Any] = dict(observation_space.spaces)
        self._whole_map = "glyph_crop" not in entries
        self._inventory = "inv_glyphs" in entries
        self._prompts = "misc" in entries
        glyphs = entries["glyphs" if self._whole_map else "glyph_crop"]
        self._no_glyph = int(glyphs.high.max())
        self.glyphs = nn.Embedding(self._no_glyph + 1, glyph_dim)
        self.map = _map_network(glyph_dim)
        self.stats = _Bottomlines(entries["blstats"])
        self.message = nn.EmbeddingBag(_TRIPLES, 48, mode="sum", padding_idx=0)
        width = 128 + self.stats.width + 48 + glyph_dim * self._inventory + 3 * self._prompts
        self.joint = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, features_dim), nn.ReLU())

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return (batch, features_dim) features of a batch of observations."""
        crop = observations["glyphs"] if self._whole_map else observations["glyph_crop"]
        if self._whole_map:
            crop = self._window(crop, observations["blstats"])
        cells = self.glyphs(crop.long()).permute(0, 3, 1, 2)
        parts = [
            self.map(cells),
            self.stats(observations["blstats"].float()),
            self._message(observations["message"].float()),
        ]
        if self._inventory:
            parts.append(self._carried(observations["inv_glyphs"].long()))
        if self._prompts:
            parts.append(observations["misc"].float())
        return self.joint(torch.cat(parts, dim=1))

    def _window(self, glyphs: Tensor, blstats: Tensor) -> Tensor:
        """Cut the window around the hero out of the (batch, 21, 79) map."""
        margin = _CROP // 2
        padded = functional.pad(glyphs.float(), (margin,) * 4, value=float(self._no_glyph))
        offsets = torch.arange(_CROP, device=glyphs.device)
        rows = blstats[:, _Y].long()[:, None] + offsets
        columns = blstats[:, _X].long()[:, None] + offsets
        batch = torch.arange(len(glyphs), device=glyphs.device)
        return padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _message(self, message: Tensor) -> Tensor:
        """Sum the embeddings of the text's letter triples; equal texts only give equal sums."""
        used = int((message != 0).any(dim=0).sum())
        text = message[:, : max(used, 3)]
        triples = sum(w * text[:, i : text.shape[1] - 2 + i] for i, w in enumerate(_HASH))
        buckets = torch.remainder(torch.as_tensor(triples), _TRIPLES - 1).long() + 1
        buckets = buckets * (text[:, 2:] != 0)
        length = (buckets != 0).sum(dim=1, keepdim=True).clamp(min=1)
        return self.message(buckets) / length.sqrt()

    def _carried(self, glyphs: Tensor) -> Tensor:
        """Average the embeddings of what is carried; empty slots hold the id of no glyph."""
        filled = (glyphs != self._no_glyph).unsqueeze(-1)
        total = (self.glyphs(glyphs) * filled).sum(dim=1)
        return total / filled.sum(dim=1).clamp(min=1)


class _Bottomlines(nn.Module):
    """Scales the 27 numbers to about -1..1 and adds ratios and the bits of the condition."""

    scale: Tensor
    logarithmic: Tensor
    bits: Tensor

    def __init__(self, space: spaces.Box):
        super().__init__()
        high = torch.as_tensor(space.high, dtype=torch.float32)
        low = torch.as_tensor(space.low, dtype=torch.float32)
        scale = torch.maximum(high.abs(), low.abs())
        logarithmic = (scale > _LARGE).float()
        scale = torch.where(logarithmic.bool(), torch.full_like(scale, 10.0), scale)
        self.register_buffer("scale", scale)
        self.register_buffer("logarithmic", logarithmic)
        self.register_buffer("bits", 2.0 ** torch.arange(_CONDITIONS))
        self.width = 64
        self.net = nn.Sequential(nn.Linear(27 + 2 + _CONDITIONS, self.width), nn.ReLU())

    def forward(self, blstats: Tensor) -> Tensor:
        logs = torch.log1p(blstats.clamp(min=0))
        scaled = torch.where(self.logarithmic.bool(), logs, blstats) / self.scale
        health = blstats[:, _HIT_POINTS] / blstats[:, _MAX_HIT_POINTS].clamp(min=1)
        energy = blstats[:, _ENERGY] / blstats[:, _MAX_ENERGY].clamp(min=1)
        bits = torch.remainder(torch.floor(blstats[:, _CONDITION, None] / self.bits), 2)
        ratios = torch.stack([health, energy], dim=1)
        return self.net(torch.cat([scaled, ratios, bits], dim=1))


def _map_network(glyph_dim: int) -> nn.Sequential:
    """Return (batch, glyph_dim, 11, 11) -> (batch, 128)."""
    return nn.Sequential(
        nn.Conv2d(glyph_dim, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 9, 128),
        nn.ReLU(),
    )


def _check(space: spaces.Space) -> None:
    keys = set(space.spaces) if isinstance(space, spaces.Dict) else set()
    if {"blstats", "message"} <= keys and keys & {"glyph_crop", "glyphs"}:
        return
    shown = f"keys {sorted(keys)}" if keys else f"{space}"
    raise ConfigError(
        "NetHackFeatures reads blstats, message and glyph_crop or glyphs, the observations of a "
        f"NetHack world; this observation space has {shown}."
    )
