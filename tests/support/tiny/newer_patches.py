"""Families whose frames lie in patches of a grid: GLM, MiniMax, Muse, Dots, Ernie, Kimi."""

from collections.abc import Sequence

from tests.support.tiny.newer_qwen import qwen_vision
from tests.support.tiny.spec import (
    CLIP,
    HALVES,
    ONE_FRAME,
    WHOLE_CLIP,
    Settings,
    Spec,
    frames_of_patches,
    patches,
    tenths_of_first,
    whole_seconds,
)

GLM_TOKENS = (
    *("<|image|>", "<|video|>", "<|begin_of_image|>"),
    *("<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>"),
)
GLM_IDS = {
    "image_token_id": "<|image|>",
    "video_token_id": "<|video|>",
    "image_start_token_id": "<|begin_of_image|>",
    "image_end_token_id": "<|end_of_image|>",
    "video_start_token_id": "<|begin_of_video|>",
    "video_end_token_id": "<|end_of_video|>",
}
GLM_IMAGE = "<|begin_of_image|><|image|><|end_of_image|>"
GLM_VIDEO = "<|begin_of_video|><|video|><|end_of_video|>"
GLM4V_MOE = Spec(
    name="glm4v_moe",
    processor="Glm4vProcessor",
    config="Glm4vMoeConfig",
    model="Glm4vMoeForConditionalGeneration",
    parts={
        "image_processor": ("Glm4vImageProcessor", {"size": WHOLE_CLIP}),
        "video_processor": ("Glm4vVideoProcessor", {"size": WHOLE_CLIP}),
    },
    tokens=GLM_TOKENS,
    image=GLM_IMAGE,
    video=GLM_VIDEO,
    ids=GLM_IDS,
    text={
        "mrope_section": (2, 1, 1),
        "partial_rotary_factor": 0.5,
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_shared_experts": 1,
    },
    vision=qwen_vision(image_size=56, patch_size=14),
).family(
    2, patches(CLIP, 2), r"<\|end_of_image\|>(\d+)", lambda seconds: whole_seconds(seconds[::2])
)
GLM5_NEXT = Spec(
    name="glm5_next",
    processor="Glm5NextProcessor",
    config="Glm5NextConfig",
    model="Glm5NextForConditionalGeneration",
    parts={
        "image_processor": ("Glm5NextImageProcessor", {}),
        "video_processor": ("Glm5NextVideoProcessor", {"max_image_tokens": 256}),
    },
    tokens=GLM_TOKENS,
    image=GLM_IMAGE,
    video=GLM_VIDEO,
    ids=GLM_IDS,
    text={
        "num_key_value_heads": 4,
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "kv_lora_rank": 16,
        "q_lora_rank": 16,
        "v_head_dim": 16,
        "qk_nope_head_dim": 16,
        "index_topk": 16,
        "index_kpool": 4,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "linear_head_dim": 16,
        "linear_num_heads": 4,
        "layer_types": ["linear_attention", "indexed_attention"],
        "mlp_layer_types": ["dense", "sparse"],
        "indexer_types": ["full", "full"],
        "hc_mult": 2,
    },
    vision=qwen_vision(image_size=56, patch_size=14, projection_intermediate_size=64),
).family(2, patches(CLIP, 2), r"<\|end_of_image\|>(\d+\.\d) seconds", tenths_of_first(2))
MINIMAX_TOKENS = ("]<]image[>[", "]<]video[>[", "]<]start of image[>[", "]<]end of image[>[")
MINIMAX_M3_VL = Spec(
    name="minimax_m3_vl",
    processor="MiniMaxM3VLProcessor",
    config="MiniMaxM3VLConfig",
    model="MiniMaxM3SparseForConditionalGeneration",
    parts={
        "image_processor": ("MiniMaxM3VLImageProcessor", {}),
        "video_processor": ("MiniMaxM3VLVideoProcessor", {}),
    },
    tokens=MINIMAX_TOKENS,
    image=MINIMAX_TOKENS[0],
    video=MINIMAX_TOKENS[1],
    ids={"image_token_index": MINIMAX_TOKENS[0], "video_token_index": MINIMAX_TOKENS[1]},
    text={
        "head_dim": 16,
        "dense_intermediate_size": 64,
        "shared_intermediate_size": 32,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "rotary_dim": 8,
        "index_n_heads": 2,
        "index_head_dim": 16,
        "index_block_size": 16,
    },
    vision={
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 112,
    },
    more={"projector_hidden_size": 64},
).family(2, patches(CLIP, 2), r"\]<\](\d+\.\d) seconds\[>\[", tenths_of_first(2))
MUSE_TOKENS = (
    *("<|patch|>", "<|image_start|>", "<|image_end|>", "<|video|>", "<|vid_frame_separator|>"),
    *("<|vid_start|>", "<|vid_end|>", "<|audio|>", "<|soft_audio_start|>", "<|soft_audio_end|>"),
)
MUSE_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "pos_emb_height": 8,
    "pos_emb_width": 8,
    "max_position_embeddings": 64,
}
MUSE_PARTS: dict[str, tuple[str, Settings]] = {
    "image_processor": ("MuseGlimmerImageProcessor", {}),
    "video_processor": ("MuseGlimmerVideoProcessor", {}),
}
MUSE_IDS = {"image_token_id": "<|patch|>", "video_token_id": "<|video|>"}
MUSE_TIME = r"Time: (\d+\.\d)s"
_muse_frames = frames_of_patches(
    lambda pixels, t, n: pixels.reshape(t, n, 2, 3, -1).mean((1, 4)).reshape(-1, 3)
)
MUSE_GLIMMER = Spec(
    name="muse_glimmer",
    processor="MuseGlimmerProcessor",
    config="MuseGlimmerConfig",
    model="MuseGlimmerForConditionalGeneration",
    parts=MUSE_PARTS,
    tokens=MUSE_TOKENS,
    image="<|patch|>",
    video="<|video|>",
    ids=MUSE_IDS,
    text={"head_dim": 16},
    vision=MUSE_VISION,
    more={"out_hidden_size": 128, "projector_hidden_size": 64},
).family(2, _muse_frames, MUSE_TIME, tenths_of_first(2))
MUSE_SPARK = Spec(
    name="muse_spark",
    processor="MuseSparkProcessor",
    config="MuseSparkConfig",
    model="MuseSparkForConditionalGeneration",
    parts={**MUSE_PARTS, "feature_extractor": ("MuseSparkFeatureExtractor", {})},
    tokens=MUSE_TOKENS,
    image="<|patch|>",
    video="<|video|>",
    ids={**MUSE_IDS, "audio_token_id": "<|audio|>"},
    text={
        "head_dim": 16,
        "moe_intermediate_size": 32,
        "moe_hidden_size": 32,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
    vision=MUSE_VISION,
    more={
        "out_hidden_size": 128,
        "projector_hidden_size": 64,
        "audio_config": {
            "patch_sizes": (4, 2),
            "hidden_sizes": (8, 16),
            "depths": (1, 1),
            "num_hidden_layers": 2,
            "out_hidden_size": 64,
        },
    },
).family(2, _muse_frames, MUSE_TIME, tenths_of_first(2))
LATENT = {
    "num_key_value_heads": 4,
    "moe_intermediate_size": 32,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
}
DOTS3_NOTE = Spec(
    name="dots3_note",
    processor="Dots3NoteProcessor",
    config="Dots3NoteConfig",
    model="Dots3NoteForConditionalGeneration",
    parts={
        "image_processor": ("Qwen2VLImageProcessor", {"size": ONE_FRAME}),
        "video_processor": ("Qwen2VLVideoProcessor", {"size": ONE_FRAME, "temporal_patch_size": 1}),
        "feature_extractor": ("Dots3NoteFeatureExtractor", {}),
    },
    tokens=("<|imgpad|>", "<|video_pad|>", "<|audio_comp_pad|>"),
    image="<|imgpad|>",
    video="<|video_pad|>",
    ids={
        "image_token_id": "<|imgpad|>",
        "video_token_id": "<|video_pad|>",
        "audio_token_id": "<|audio_comp_pad|>",
    },
    text={
        "rope_parameters": None,
        **LATENT,
        "head_dim": 32,
        "index_topk": 16,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "use_sliding_window": False,
        "shared_experts_intermediate_size": 32,
    },
    vision={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mlp_layer_types": ["dense", "dense"],
        "adapter_in_dim": 32,
        "adapter_out_dim": 64,
    },
    more={
        "audio_config": {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "downsample_hidden_size": 8,
            "adapter_input_size": 32,
            "adapter_out_dim": 64,
        }
    },
).family(1, patches(CLIP, 1))


ERNIE_TOKENS = {
    f"{kind}_{end}token": f"<|{kind.upper()}_{end.upper()}|>"
    for kind in ("image", "video")
    for end in ("", "start_", "end_")
}
ERNIE4_5_VL_MOE = Spec(
    name="ernie4_5_vl_moe",
    processor="Ernie4_5_VLMoeProcessor",
    config="Ernie4_5_VLMoeConfig",
    model="Ernie4_5_VLMoeForConditionalGeneration",
    parts={
        "image_processor": ("Ernie4_5_VLMoeImageProcessor", {"size": ONE_FRAME}),
        "video_processor": (
            "Ernie4_5_VLMoeVideoProcessor",
            {"size": ONE_FRAME, "draw_on_frames": False},
        ),
    },
    tokens=(),
    named=ERNIE_TOKENS,
    image="<|IMAGE_START_|><|IMAGE_|><|IMAGE_END_|>",
    video="<|VIDEO_START_|><|VIDEO_|><|VIDEO_END_|>",
    ids={f"{name}_id": token for name, token in ERNIE_TOKENS.items()},
    text={
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [3, 3, 2]},
        "moe_intermediate_size": [32, 16],
        "moe_num_experts": 4,
        "moe_k": 2,
        "mlp_layer_types": ["dense", "sparse"],
    },
    vision={
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
    },
).family(2, patches(CLIP, 1))
HY_V4_VL = Spec(
    name="hy_v4_vl",
    processor="HYV4VLProcessor",
    config="HYV4VLConfig",
    model="HYV4VLForConditionalGeneration",
    parts={
        "image_processor": ("HYV4VLImageProcessor", {}),
        "video_processor": ("HYV4VLVideoProcessor", {}),
    },
    tokens=("<|image_pad|>", "<|video_pad|>"),
    image="<|image_pad|>",
    video="<|video_pad|>",
    ids={"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"},
    text={
        "mrope_section": (4, 2, 2),
        **LATENT,
        "index_topk": 16,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "hc_mult": 2,
    },
    vision={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "out_hidden_size": 64,
        "max_image_size": 112,
    },
).family(1, patches(HALVES, 1))


def milliseconds(seconds: Sequence[float]) -> list[float]:
    """The time of the first of four frames, cut to milliseconds."""
    return [int(time) + int(time % 1 * 1000) / 1000 for time in seconds[::4]]


ONE_GROUP = {"n_group": 1, "topk_group": 1}
KIMI_TOKENS = (
    *("<|media_pad|>", "<|kimi_k25_video_placeholder|>"),
    *("<|media_begin|>", "<|media_content|>", "<|media_end|>"),
)
KIMI_K25 = Spec(
    name="kimi_k25",
    processor="Kimi_K25Processor",
    config="Kimi_K25Config",
    model="Kimi_K25ForConditionalGeneration",
    parts={
        "image_processor": ("Kimi_K25ImageProcessor", {}),
        "video_processor": ("Kimi_K25VideoProcessor", {}),
    },
    tokens=KIMI_TOKENS,
    image="<|media_pad|>",
    video="<|kimi_k25_video_placeholder|>",
    ids={
        "image_token_id": "<|media_pad|>",
        "video_token_id": "<|kimi_k25_video_placeholder|>",
        "vision_start_token_id": "<|media_begin|>",
        "vision_end_token_id": "<|media_end|>",
    },
    text={"model_type": "deepseek_v3", **LATENT, **ONE_GROUP, "first_k_dense_replace": 1},
    vision={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "pos_emb_height": 8,
        "pos_emb_width": 8,
    },
    more={"projection_hidden_size": 32},
    since="5.24",
).family(
    4,
    patches(HALVES, 1),
    r"(\d\d):(\d\d):(\d\d\.\d{3})<\|media_begin\|>",
    milliseconds,
)
IN_PATCHES = (
    GLM4V_MOE,
    GLM5_NEXT,
    MINIMAX_M3_VL,
    MUSE_GLIMMER,
    MUSE_SPARK,
    DOTS3_NOTE,
    ERNIE4_5_VL_MOE,
    HY_V4_VL,
    KIMI_K25,
)
