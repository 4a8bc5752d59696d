# SPDX-License-Identifier: Apache-2.0
"""The units in many architectures of transformers: small networks of random weights.

What attaches, what stays float, and by how much outputs differ: random weights say nothing of a
task. Command: make accuracy ARCHITECTURES=1.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import UserError
from .evaluation import Evaluation, evaluate_with
from .interception import count_float, first_tensor, run

TITLES = ("architecture", "softmaxes", "norms", "left float", "error", "against exact 8 bit")
BATCH, TOKENS, IMAGES, SAMPLES = 8, 24, 4, 4000

# Sizes, by the names that configurations have for them.
SIZES = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "n_embed"), 32),
    "output_channels": 32,
    "num_pos_feats": 16,
    **dict.fromkeys(("word_embed_proj_dim", "embedding_size", "emb_dim", "projection_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layers", "n_layer"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_encoder_layers", "num_sparse_encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_heads", "n_head"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_encoder_attention_heads", "num_decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "d_ff", "d_inner"), 48),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 48),
    **dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "kv_channels"), 8),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"), 64),
    **dict.fromkeys(("image_size", "input_size"), 32),
    **dict.fromkeys(("initializer_range", "init_std"), 0.3),  # large logits: no even attention
    "patch_size": 8,
    "rotary_dim": 4,
    "vocab_size": 60,
}
# What a configuration needs besides, by transformers' name of it; None leaves a size at its own.
OWN: Mapping[str, Mapping[str, object]] = {
    "audio-spectrogram-transformer": {"max_length": 64, "num_mel_bins": 32},
    "big_bird": {"block_size": 2, "num_random_blocks": 1},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "detr": {
        "use_timm_backbone": False,
        "backbone": None,
        "backbone_config": {
            "model_type": "resnet",
            "embedding_size": 8,
            "hidden_sizes": [8, 16],
            "depths": [1, 1],
            "layer_type": "basic",
            "out_features": ["stage2"],
        },
    },
    "esm": {"vocab_size": 60, "pad_token_id": 1, "mask_token_id": 3},
    "funnel": {
        "architectures": ["FunnelModel"],
        "block_sizes": [1, 1],
        "block_repeats": [1, 1],
        "num_hidden_layers": None,
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "led": {"attention_window": 8},
    "longformer": {"attention_window": 8},
    "mamba2": {"num_heads": 8},
    "nemotron": {"num_key_value_heads": 2},
    "qwen3_next": {
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
    "reformer": {
        "axial_pos_embds_dim": [8, 24],
        "axial_pos_shape": [4, 6],
        "attn_layers": ["local", "lsh"],
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
        "num_hidden_layers": None,
        "attention_head_size": 8,
        "feed_forward_size": 48,
        "hash_seed": 1,
    },
    "swin": {
        "embed_dim": 16,
        "depths": [1, 1],
        "num_heads": [2, 4],
        "window_size": 2,
        "patch_size": 4,
    },
    "whisper": {"max_source_positions": 30},
    "yolos": {"image_size": [32, 32], "num_detection_tokens": 4},
}
NAMES = """
    albert audio-spectrogram-transformer bart beit bert big_bird blenderbot bloom clip codegen
    cohere convbert data2vec-text deberta deberta-v2 deit detr dinov2 distilbert electra ernie
    esm falcon fnet funnel gemma gemma2 gemma3_text gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj
    granite hubert ibert layoutlm led llama llama4_text longformer longt5 m2m_100 mamba mamba2
    marian mbart mistral mixtral mobilebert modernbert mpnet mpt mt5 nemotron nystromformer olmo
    olmo2 opt pegasus phi phi3 prophetnet qwen2 qwen3 qwen3_moe qwen3_next reformer rembert roberta
    roformer sam segformer siglip smollm3 squeezebert stablelm starcoder2 swin switch_transformers
    t5 umt5 vit wav2vec2 wavlm whisper xglm xlm xlm-roberta xlnet yolos
""".split()  # noqa: SIM905 - one a line fills pages


def network(name: str) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return a small network of an architecture, and a batch for it; both from seed 1."""
    from transformers import AutoModel
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    torch.manual_seed(1)
    config = _small(CONFIG_MAPPING[name], OWN.get(name, {}))
    model = AutoModel.from_config(config).eval()
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if type(module).__name__.endswith("Norm") and weight is not None and weight.ndim == 1:
            nn.init.uniform_(weight, 0.5, 1.5)
    return model, _batch(model)


def _small(kind: type, own: Mapping[str, object]) -> object:
    default = kind()
    given = {name: value for name, value in SIZES.items() if _has_size(default, name)}
    for part in getattr(kind, "sub_configs", {}):
        inside = getattr(default, part, None)
        if inside is not None:
            given[part] = _small(type(inside), {}).to_dict()
    given |= own
    return kind(**{name: value for name, value in given.items() if value is not None})


def _has_size(config: object, name: str) -> bool:
    if isinstance(getattr(type(config), name, None), property):
        return False
    value = getattr(config, name, None)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _batch(model: nn.Module) -> dict[str, torch.Tensor]:
    config, names = model.config, inspect.signature(model.forward).parameters
    given = {}
    if "input_ids" in names:
        given["input_ids"] = torch.randint(2, 50, (BATCH, TOKENS))
        given["attention_mask"] = torch.ones(BATCH, TOKENS, dtype=torch.int64)
        given["attention_mask"][3, 17:] = 0
    if "decoder_input_ids" in names:
        given["decoder_input_ids"] = torch.randint(2, 50, (BATCH, TOKENS))
    if "pixel_values" in names:
        size = getattr(getattr(config, "vision_config", config), "image_size", 32)
        height, width = (size, size) if isinstance(size, int) else size
        given["pixel_values"] = torch.randn(IMAGES, 3, height, width)
    if "input_values" in names:  # sound, or its spectrum
        bins = getattr(config, "num_mel_bins", None)
        given["input_values"] = torch.randn(
            IMAGES, *((config.max_length, bins) if bins else (SAMPLES,))
        )
    if "input_features" in names:
        frames = 2 * config.max_source_positions
        given["input_features"] = torch.randn(IMAGES, config.num_mel_bins, frames)
    return given


@dataclass(frozen=True)
class Measured:
    """An architecture with units in it. all: softmaxes and norms of the float network's pass."""

    name: str
    all: int
    units: Evaluation
    error: float  # of the output, relative to the float one: root of mean squares
    against_exact: float  # relative to that of the exact 8-bit units

    @property
    def counted(self) -> int:
        """Replaced and left, of a pass with units."""
        return sum(self.units.replaced.values()) + sum(self.units.left.values())

    def line(self) -> list[str]:
        """The cells of TITLES."""
        left: Counter[str] = Counter()
        for what, number in self.units.left.items():
            left[re.sub(r"^.*\((\w+)\)", r"\1", what)] += number
        words = "; ".join(f"{number} {what}" for what, number in left.items())
        return [
            *(self.name, f"{len(self.units.softmaxes)}", f"{len(self.units.norms)}", words or "-"),
            *(f"{self.error:.3f}", f"{self.against_exact:.3f}"),
        ]


def measure(name: str, units: Mapping[str, str], exact: Mapping[str, str]) -> Measured:
    """Return what an architecture has with units in it: `evaluate_with`'s softmax= and norm=.

    exact: those that it is compared with. Raises UserError if nothing attaches.
    """
    model, batch = network(name)
    outputs = []
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are not served well: the errors show it
        float_ = first_tensor(run(model, batch))
        everything = sum(count_float(model, batch).values())
        for chosen in (exact, units):
            with evaluate_with(model, [batch], **chosen) as placed:
                outputs.append(first_tensor(run(model, batch)))
    best, got = outputs
    return Measured(name, everything, placed, _error(got, float_), _error(got, best))


def _error(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got - want).double().norm() / want.double().norm())


def measure_all(
    names: Iterable[str],
    units: Mapping[str, str],
    exact: Mapping[str, str],
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[list[list[str]], dict[str, int]]:
    """Return the lines of TITLES, and how many there are, attach, and are counted in full.

    Arguments as of `measure`. Raises UserError for a name that is not in NAMES.
    """
    names = list(names)
    for name in names:
        if name not in NAMES:
            raise UserError(f"there is no architecture {name!r}; there are: {', '.join(NAMES)}")
    lines, facts = [], Counter({"architectures": 0, "attach": 0, "counted in full": 0})
    for name in names:
        progress(f"{name} ...")
        facts["architectures"] += 1
        try:
            one = measure(name, units, exact)
        except UserError as error:
            lines.append([name, "0", "0", f"refused: {error}", "-", "-"])
            continue
        facts["attach"] += 1
        facts["counted in full"] += one.counted == one.all
        lines.append(one.line())
    return lines, dict(facts)
