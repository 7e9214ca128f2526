"""Families whose processors are those of Qwen, or nearly."""

from typing import Any

from tests.support.tiny.family import Family
from tests.support.tiny.shared_parts import HALF
from tests.support.tiny.spec import (
    CLIP,
    HALVES,
    ONE_FRAME,
    QWEN_IDS,
    WHOLE_CLIP,
    Settings,
    Spec,
    frames_of_patches,
    patches,
    tenths_of_first,
    tenths_of_means,
)


def qwen_vision(**more: Any) -> dict[str, Any]:
    """An image encoder of two layers in the words of Qwen."""
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 64,
        **more,
    }


def qwen3_vision(**more: Any) -> dict[str, Any]:
    """The encoder of Qwen3-VL and its kin."""
    return qwen_vision(
        patch_size=16, num_position_embeddings=64, deepstack_visual_indexes=[0], **more
    )


QWEN3_PARTS: dict[str, tuple[str, Settings]] = {
    "image_processor": (
        "Qwen2VLImageProcessor",
        {"size": ONE_FRAME, "patch_size": 16, "image_mean": HALF, "image_std": HALF},
    ),
    "video_processor": ("Qwen3VLVideoProcessor", {"size": WHOLE_CLIP}),
}
QWEN2_PARTS: dict[str, tuple[str, Settings]] = {
    "image_processor": ("Qwen2VLImageProcessor", {"size": ONE_FRAME}),
    "video_processor": ("Qwen2VLVideoProcessor", {"size": ONE_FRAME}),
}
MOE = {
    "moe_intermediate_size": 32,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "decoder_sparse_step": 1,
}
LINEAR = {
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "layer_types": ["linear_attention", "full_attention"],
}
SECONDS = r"<(\d+\.\d) seconds>"


def like_qwen3(name: str, prefix: str, *, text: Settings, vision: Settings) -> Family:
    """A model with the processor of Qwen3-VL."""
    spec = Spec(
        name=name,
        processor="Qwen3VLProcessor",
        config=f"{prefix}Config",
        model=f"{prefix}ForConditionalGeneration",
        parts=QWEN3_PARTS,
        text={"mrope_section": (4, 2, 2), "head_dim": 16, **text},
        vision=vision,
    )
    return spec.family(2, patches(HALVES, 2), SECONDS, tenths_of_means(2))


QWEN3_VL_MOE = like_qwen3("qwen3_vl_moe", "Qwen3VLMoe", text=MOE, vision=qwen3_vision())
QWEN3_5 = like_qwen3(
    "qwen3_5",
    "Qwen3_5",
    text=LINEAR,
    vision=qwen_vision(patch_size=16, num_position_embeddings=64),
)
QWEN3_5_MOE = like_qwen3(
    "qwen3_5_moe",
    "Qwen3_5Moe",
    text={**LINEAR, **MOE, "shared_expert_intermediate_size": 32},
    vision=qwen_vision(patch_size=16, num_position_embeddings=64),
)
QWEN4_EXP = like_qwen3(
    "qwen4_exp",
    "Qwen4Exp",
    text={
        **LINEAR,
        **MOE,
        "shared_expert_intermediate_size": 32,
        "hc_count": 2,
        "hc_lowrank": 8,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 16,
        "indexer_compress_ratio": 4,
    },
    vision=qwen_vision(patch_size=16, num_position_embeddings=64),
)
COHERE_COMPASS = Spec(
    name="cohere_compass",
    processor="CohereCompassProcessor",
    config="CohereCompassConfig",
    model="CohereCompassForConditionalGeneration",
    parts={
        "image_processor": ("CohereCompassImageProcessor", {"size": ONE_FRAME}),
        "video_processor": ("CohereCompassVideoProcessor", {"size": WHOLE_CLIP}),
    },
    tokens=("<|VISION_START|>", "<|VISION_END|>", "<|IMAGE_PAD|>", "<|VIDEO_PAD|>"),
    image="<|VISION_START|><|IMAGE_PAD|><|VISION_END|>",
    video="<|VIDEO_PAD|>",
    ids={name: token.upper() for name, token in QWEN_IDS.items()},
    text={
        "rope_parameters": {
            "full_attention": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [4, 2, 2],
            }
        }
    },
    vision=qwen3_vision(),
).family(2, patches(HALVES, 2), SECONDS, tenths_of_means(2))
COSMOS3_EDGE = Spec(
    name="cosmos3_edge",
    processor="Cosmos3EdgeProcessor",
    config="Cosmos3EdgeConfig",
    model="Cosmos3EdgeForConditionalGeneration",
    parts={
        "image_processor": ("Cosmos3EdgeImageProcessor", {"size": ONE_FRAME}),
        "video_processor": ("Cosmos3EdgeVideoProcessor", {"size": WHOLE_CLIP}),
    },
    text={"mrope_section": (4, 2, 2), "head_dim": 16},
    vision={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_patches": 64,
    },
    more={"projector_hidden_size": 64},
).family(
    1,
    frames_of_patches(lambda pixels, t, n: pixels.reshape(t, -1, 3).mean(1)),
    SECONDS,
    tenths_of_first(1),
)
EXAONE4_5 = Spec(
    name="exaone4_5",
    processor="Exaone4_5_Processor",
    config="Exaone4_5_Config",
    model="Exaone4_5_ForConditionalGeneration",
    parts=QWEN2_PARTS,
    ids={"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"},
    text={"model_type": "exaone4", "layer_types": ["full_attention"] * 2},
    vision=qwen_vision(num_key_value_heads=2, fullatt_block_indexes=[1], window_size=56),
).family(2, patches(CLIP, 2))
HYPERCLOVAX = Spec(
    name="hyperclovax_vision_v2",
    processor="HyperCLOVAXVisionV2Processor",
    config="HyperCLOVAXVisionV2Config",
    model="HyperCLOVAXVisionV2ForConditionalGeneration",
    parts=QWEN2_PARTS,
    ids={"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"},
    text={"model_type": "hyperclovax"},
    vision={
        "model_type": "qwen2_5_vl_vision",
        **qwen_vision(patch_size=14, fullatt_block_indexes=[1], window_size=56),
    },
).family(2, patches(CLIP, 2))
LFM3_VL = Spec(
    name="lfm3_vl",
    processor="Lfm3VlProcessor",
    config="Lfm3VlConfig",
    model="Lfm3VlForConditionalGeneration",
    parts=QWEN3_PARTS,
    text={"model_type": "lfm3", "rope_parameters": None, "layer_types": ["conv", "full_attention"]},
    vision={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "layer_types": ["conv", "full_attention"],
    },
    more={"projector_hidden_size": 64},
).family(2, patches(HALVES, 2), SECONDS, tenths_of_means(2))
QWEN_KIN = (
    QWEN3_VL_MOE,
    QWEN3_5,
    QWEN3_5_MOE,
    QWEN4_EXP,
    COHERE_COMPASS,
    COSMOS3_EDGE,
    EXAONE4_5,
    HYPERCLOVAX,
    LFM3_VL,
)
