# SPDX-License-Identifier: Apache-2.0
"""Which architectures of transformers the units attach to: small networks of random weights.

    python3 -m softnorm.flow.pytorch.table [NAME ...] [OUT=docs]

Each is built, calibrated and evaluated, with the units of `UNITS` and with the exact 8-bit ones.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Mapping

import torch
from torch import nn

from . import evaluate_with
from .calibration import _tensor
from .interception import count_float, run

UNITS = {"softmax": "e2softmax DIV_BITS=3 EXP_FRAC=1 fmt=1", "norm": "ailayernorm CMP_RANGES=3"}
EXACT = {"softmax": "exact_softmax", "norm": "exact_layernorm"}

# Sizes by the names that configurations have for them.
_SIZES = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "n_embed"), 32),
    **dict.fromkeys(("word_embed_proj_dim", "embedding_size", "emb_dim", "projection_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layers", "n_layer", "n_head_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "num_heads", "n_heads", "n_head"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "d_ff", "d_inner"), 48),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "hidden_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 48),
    **dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token"), 2),
    **dict.fromkeys(("head_dim", "d_kv", "kv_channels"), 8),
    **dict.fromkeys(("vocab_size", "pad_token_type"), 60),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"), 64),
    **dict.fromkeys(("image_size", "input_size"), 32),
    "patch_size": 8,
    "type_vocab_size": 2,
    "initializer_range": 0.3,
    "init_std": 0.3,
    "rotary_dim": 4,
}

# Of those that need more, their own.
ARCHITECTURES: dict[str, Mapping[str, object]] = {
    "albert": {},
    "audio-spectrogram-transformer": {"max_length": 64, "num_mel_bins": 32},
    "bart": {},
    "beit": {},
    "bert": {},
    "big_bird": {"block_size": 2, "num_random_blocks": 1},
    "blenderbot": {},
    "bloom": {},
    "clip": {},
    "codegen": {},
    "cohere": {},
    "convbert": {},
    "data2vec-text": {},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deit": {},
    "detr": {
        "use_timm_backbone": False,
        "backbone": None,
        "backbone_config": {
            "model_type": "resnet",
            "embedding_size": 8,
            "hidden_sizes": [8, 16],
            "depths": [1, 1],
            "num_channels": 3,
            "layer_type": "basic",
            "out_features": ["stage2"],
        },
    },
    "dinov2": {},
    "distilbert": {},
    "electra": {},
    "ernie": {},
    "falcon": {},
    "fnet": {},
    "funnel": {"block_sizes": [1, 1], "num_hidden_layers": None},
    "gemma": {},
    "gemma2": {},
    "gemma3_text": {},
    "gpt2": {},
    "gpt_bigcode": {},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "gpt_neox": {},
    "gpt_oss": {},
    "gptj": {},
    "granite": {},
    "hubert": {},
    "ibert": {},
    "led": {"attention_window": 8},
    "llama": {},
    "llama4_text": {},
    "longformer": {"attention_window": 8},
    "m2m_100": {},
    "mamba": {},
    "marian": {},
    "mbart": {},
    "mistral": {},
    "mixtral": {},
    "modernbert": {},
    "mpnet": {},
    "mpt": {},
    "mt5": {},
    "nemotron": {"num_key_value_heads": 2},
    "nystromformer": {},
    "olmo": {},
    "olmo2": {},
    "opt": {},
    "pegasus": {},
    "phi": {},
    "phi3": {},
    "qwen2": {},
    "qwen3": {},
    "qwen3_moe": {},
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
    },
    "rembert": {},
    "roberta": {},
    "roformer": {},
    "sam": {},
    "segformer": {},
    "siglip": {},
    "squeezebert": {},
    "stablelm": {},
    "starcoder2": {},
    "swin": {
        "embed_dim": 16,
        "depths": [1, 1],
        "num_heads": [2, 4],
        "window_size": 2,
        "patch_size": 4,
    },
    "t5": {},
    "umt5": {},
    "vit": {},
    "wav2vec2": {},
    "whisper": {"max_source_positions": 30},
    "xglm": {},
    "xlm": {},
    "xlm-roberta": {},
    "xlnet": {},
}


def configuration(name: str) -> object:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    own = ARCHITECTURES[name]
    return _small(CONFIG_MAPPING[name], own)


def _small(kind: type, own: Mapping[str, object]) -> object:
    default = kind()
    given = {name: value for name, value in _SIZES.items() if _has(default, name)}
    for part, sub in getattr(kind, "sub_configs", {}).items():
        if isinstance(sub, type) and hasattr(default, part) and getattr(default, part) is not None:
            given[part] = _small(type(getattr(default, part)), {}).to_dict()
    given = {**given, **own}
    return kind(**{name: value for name, value in given.items() if value is not None})


def _has(config: object, name: str) -> bool:
    if isinstance(getattr(type(config), name, None), property):
        return False
    value = getattr(config, name, None)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def batch(model: nn.Module) -> dict[str, torch.Tensor]:
    import inspect

    config = model.config
    names = inspect.signature(model.forward).parameters
    given = {}
    if "input_ids" in names:
        mask = torch.ones(8, 24, dtype=torch.int64)
        mask[3, 17:] = 0
        given["input_ids"] = torch.randint(2, 50, mask.shape)
        given["attention_mask"] = mask
    if "decoder_input_ids" in names:
        given["decoder_input_ids"] = torch.randint(2, 50, (8, 16))
    if "pixel_values" in names:
        size = getattr(config, "image_size", None) or 32
        vision = getattr(config, "vision_config", None)
        size = getattr(vision, "image_size", size)
        size = size if isinstance(size, int) else size[0]
        given["pixel_values"] = torch.randn(4, 3, size, size)
    if "input_values" in names:
        mels = getattr(config, "num_mel_bins", None)
        given["input_values"] = torch.randn(4, *((config.max_length, mels) if mels else (4000,)))
    if "input_features" in names:
        given["input_features"] = torch.randn(4, config.num_mel_bins, 60)
    return given


def network(name: str, seed: int = 1) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    from transformers import AutoModel

    torch.manual_seed(seed)
    model = AutoModel.from_config(configuration(name)).eval()
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if type(module).__name__.endswith("Norm") and weight is not None and weight.ndim == 1:
            nn.init.uniform_(weight, 0.5, 1.5)
    return model, batch(model)


def error(got: torch.Tensor, want: torch.Tensor) -> float:
    got, want = got.double(), want.double()
    return float((got - want).norm() / want.norm())


def measure(name: str) -> dict[str, object]:
    model, given = network(name)
    with torch.no_grad():
        want = _tensor(run(model, given))
    everything = count_float(model, given)
    made = {}
    found = {}
    for kind, units in (("units", UNITS), ("exact", EXACT)):
        with evaluate_with(model, [given], **units) as placed, torch.no_grad():
            made[kind] = _tensor(run(model, given))
            found[kind] = placed
            total = sum(placed.left.values()) + sum(placed.replaced.values())
            if total != sum(everything.values()):
                print("  MISMATCH", total, dict(everything), placed.replaced, placed.left)
    with torch.no_grad():
        assert torch.equal(_tensor(run(model, given)), want)
    units = found["units"]
    return {
        "softmaxes": len(units.softmaxes),
        "norms": len(units.norms),
        "left": units.left,
        "all": sum(everything.values()),
        "replaced": sum(units.replaced.values()),
        "error": error(made["units"], want),
        "against exact": error(made["units"], made["exact"]),
    }


def main(words) -> int:
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    for name in words or ARCHITECTURES:
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                line = measure(name)
        except Exception as e:
            if os.environ.get("TB"):
                raise
            line = f"{type(e).__name__}: {e}"[:300]
        print(name, f"{time.perf_counter() - start:.1f}", line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
