"""Families that see whole frames or crops: Gemma, Molmo, MiniCPM, PerceptionLM, Nemotron."""

from typing import Any

from torch import Tensor

from tests.support.tiny import read_back
from tests.support.tiny.family import Family, Inputs
from tests.support.tiny.newer_qwen import LINEAR
from tests.support.tiny.shared_parts import HALF
from tests.support.tiny.spec import Settings, Spec, tenths_of_first, whole_seconds


def _whole_frames(inputs: Inputs) -> list[int]:
    return read_back.from_frames(inputs["pixel_values_videos"], mean=HALF, std=HALF)


PERCEPTION_LM = Spec(
    name="perception_lm",
    processor="PerceptionLMProcessor",
    config="PerceptionLMConfig",
    model="PerceptionLMForConditionalGeneration",
    parts={
        "image_processor": (
            "PerceptionLMImageProcessor",
            {"tile_size": 56, "max_num_tiles": 1, "vision_input_type": "vanilla"},
        ),
        "video_processor": (
            "PerceptionLMVideoProcessor",
            {"size": {"height": 56, "width": 56}},
        ),
    },
    tokens=(),
    named={"image_token": "<|image|>", "video_token": "<|video|>"},
    image="<|image|>",
    video="<|video|>",
    ids={"image_token_id": "<|image|>", "video_token_id": "<|video|>"},
    text={"model_type": "llama"},
    vision={
        "model_type": "timm_wrapper",
        "architecture": "vit_pe_core_tiny_patch16_384",
        "model_args": {
            "embed_dim": 32,
            "num_heads": 2,
            "img_size": [56, 56],
            "depth": 2,
            "patch_size": 14,
            "global_pool": "",
            "use_post_transformer_norm": False,
        },
    },
    more={"projector_pooling_ratio": 2},
    options={"patch_size": 14, "pooling_ratio": 2},
).family(1, _whole_frames)


def _gemma_frames(inputs: Inputs) -> list[int]:
    kept = inputs["video_position_ids"][..., 0] >= 0
    pixels: Tensor = inputs["pixel_values_videos"]
    colours = [frame[mask].view(-1, 3).mean(0) for frame, mask in zip(pixels, kept, strict=True)]
    return read_back.from_colours(colours, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def gemma(name: str, prefix: str, *, vision: Settings, text: Settings) -> Family:
    """Gemma 4, with its encoder or with none."""
    named = {
        "image_token": "<|image|>",
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "audio_token": "<|audio|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
    }
    spec = Spec(
        name=name,
        processor=f"{prefix}Processor",
        config=f"{prefix}Config",
        model=f"{prefix}ForConditionalGeneration",
        parts={
            "feature_extractor": (f"{prefix}AudioFeatureExtractor", {}),
            "image_processor": (f"{prefix}ImageProcessor", {}),
            "video_processor": (f"{prefix}VideoProcessor", {"max_soft_tokens": 70}),
        },
        tokens=(),
        named=named,
        image="<|image|>",
        video="<|video|>",
        ids={
            "image_token_id": "<|image|>",
            "boi_token_id": "<|image>",
            "eoi_token_id": "<image|>",
            "audio_token_id": "<|audio|>",
            "video_token_id": "<|video|>",
        },
        text={
            "head_dim": 16,
            "rope_parameters": None,
            "layer_types": ["sliding_attention", "full_attention"],
            **text,
        },
        vision=vision,
        more={"audio_config": None},
    )
    return spec.family(1, _gemma_frames, r"(\d\d):(\d\d) <\|image>", whole_seconds)


GEMMA4 = gemma(
    "gemma4",
    "Gemma4",
    vision={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "position_embedding_size": 64,
    },
    text={
        "vocab_size_per_layer_input": 320,
        "hidden_size_per_layer_input": 8,
        "global_head_dim": 16,
    },
)
GEMMA4_UNIFIED = gemma(
    "gemma4_unified",
    "Gemma4Unified",
    vision={"mm_embed_dim": 64, "output_proj_dims": 64, "mm_posemb_size": 64},
    text={"global_head_dim": 16},
)


def _crops(inputs: Inputs) -> list[int]:
    pixels: Tensor = inputs["pixel_values_videos"]  # (frames, patches, pixels of three channels)
    return read_back.from_colours(list(pixels.view(len(pixels), -1, 3).mean(1)))


MOLMO_NAMES = (
    *("im_patch", "im_col", "im_start", "low_res_im_start"),
    *("frame_start", "im_end", "frame_end", "im_low"),
)
MOLMO2 = Spec(
    name="molmo2",
    processor="Molmo2Processor",
    config="Molmo2Config",
    model="Molmo2ForConditionalGeneration",
    parts={
        "image_processor": ("Molmo2ImageProcessor", {"size": {"height": 56, "width": 56}}),
        "video_processor": (
            "Molmo2VideoProcessor",
            {
                "size": {"height": 56, "width": 56},
                "pooling_size": [2, 2],
                "do_rescale": True,
                "do_normalize": True,
            },
        ),
    },
    tokens=(
        "<|image|>",
        "<|video|>",
        *(f"<{name}>" for name in (*MOLMO_NAMES, "frame_end", "im_low")),
    ),
    image="<|image|>",
    video="<|video|>",
    ids={
        "image_start_token_id": "<im_start>",
        "low_res_image_start_token_id": "<low_res_im_start>",
        "image_end_token_id": "<im_end>",
        "image_patch_id": "<im_patch>",
        "frame_start_token_id": "<frame_start>",
        "frame_end_token_id": "<frame_end>",
    },
    text={"head_dim": 16, "additional_vocab_size": 8},
    vision={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "image_size": [56, 56],
    },
    more={
        "adapter_config": {
            "vision_feature_layer": [1, 0],
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "intermediate_size": 64,
            "text_hidden_size": 64,
        }
    },
).family(1, _crops, r"(\d+\.\d) <frame_start>", tenths_of_first(1))


def _strips(inputs: Inputs) -> list[int]:
    colours: list[Tensor] = []
    start = 0
    pixels: Tensor = inputs["pixel_values_videos"][0]  # (3, patch, patches of all frames * patch)
    for height, width in inputs["target_sizes_videos"].tolist():
        end = start + height * width * pixels.shape[1]
        colours.append(pixels[:, :, start:end].mean(dim=(1, 2)))
        start = end
    return read_back.from_colours(colours)


def minicpm(name: str, prefix: str, **more: Any) -> Family:
    """MiniCPM-V and MiniCPM-OCR: frames as images, no times."""
    kinds = ("image", "video")
    ends = ("image", "slice", "image_id")
    named = {
        **{f"{kind}_token": f"<|{kind}_pad|>" for kind in kinds},
        **{f"{end}_start_token": f"<{end}>" for end in ends},
        **{f"{end}_end_token": f"</{end}>" for end in ends},
    }
    settings = {"scale_resolution": 112, "max_slice_nums": 1, "slice_mode": False}
    spec = Spec(
        name=name,
        processor=f"{prefix}Processor",
        config=f"{prefix}Config",
        model=f"{prefix}ForConditionalGeneration",
        parts={
            "image_processor": (more.pop("image_class"), settings),
            "video_processor": (more.pop("video_class"), settings),
        },
        tokens=(),
        named=named,
        image="<|image_pad|>",
        video="<|video_pad|>",
        ids={"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"},
        text={"model_type": "qwen3_5_text", "head_dim": 16, "mrope_section": (1, 1, 0), **LINEAR},
        vision={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 112,
            "patch_size": 14,
        },
        more={"insert_layer_id": 0, **more},
    )
    return spec.family(1, _strips)


MINICPM_V4_6 = minicpm(
    "minicpmv4_6",
    "MiniCPMV4_6",
    image_class="MiniCPMV4_6ImageProcessor",
    video_class="MiniCPMV4_6VideoProcessor",
)
MINICPM_V4_7 = minicpm(
    "minicpmv4_7",
    "MiniCPMV4_7",
    image_class="MiniCPMV4_6ImageProcessor",
    video_class="MiniCPMV4_6VideoProcessor",
)
MINICPM_OCR = minicpm(
    "minicpm_ocr",
    "MiniCPMOcr",
    image_class="MiniCPMOcrImageProcessor",
    video_class="MiniCPMOcrVideoProcessor",
)


def _tubelets(inputs: Inputs) -> list[int]:
    pixels: Tensor = inputs["pixel_values_videos"]  # (videos, tubelets, frames * 3, height, width)
    height, width = pixels.shape[-2:]
    return read_back.from_frames(pixels.reshape(-1, 3, height, width), mean=HALF, std=HALF)


NEMOTRON_H_OMNI = Spec(
    name="nemotron_h_omni",
    processor="NemotronH_Omni_Reasoning_V3Processor",
    config="NemotronH_Omni_Reasoning_V3_Config",
    model="NemotronH_Omni_Reasoning_V3",
    parts={
        "image_processor": (
            "NemotronH_Omni_Reasoning_V3ImageProcessor",
            {"norm_mean": HALF, "norm_std": HALF},
        ),
        "video_processor": (
            "NemotronH_Omni_Reasoning_V3VideoProcessor",
            {"norm_mean": HALF, "norm_std": HALF, "video_target_num_patches": 16},
        ),
        "feature_extractor": ("ParakeetFeatureExtractor", {}),
    },
    tokens=("<image>", "<video>", "<so_embedding>", "<so_start>", "<so_end>", "<img>", "</img>"),
    image="<image>",
    video="<video>",
    ids={
        "image_token_id": "<image>",
        "video_token_id": "<video>",
        "audio_token_id": "<so_embedding>",
    },
    text={
        "head_dim": 16,
        "layers_block_type": ["linear_attention", "full_attention"],
        "ssm_state_size": 16,
        "mamba_num_heads": 8,
        "mamba_head_dim": 16,
        "n_groups": 2,
        "chunk_size": 32,
    },
    vision={
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "max_img_size": 128,
        "video_temporal_patch_size": 2,
    },
    more={"vision_hidden_size": 32, "projector_hidden_size": 64, "audio_config": None},
    since="5.24",
).family(
    2,
    _tubelets,
    r"sampled at (\d+\.\d\d) seconds",
    lambda seconds: [float(f"{time:.2f}") for time in seconds],
)
IN_FRAMES = (
    PERCEPTION_LM,
    GEMMA4,
    GEMMA4_UNIFIED,
    MOLMO2,
    MINICPM_V4_6,
    MINICPM_V4_7,
    MINICPM_OCR,
    NEMOTRON_H_OMNI,
)
