"""What several families share: a language model's settings, a chat template, pixel statistics."""

from collections.abc import Sequence
from typing import Any

from tests.support.tiny.family import installed_before
from tests.support.tiny.tokenizer import VOCABULARY

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)


def language_config(
    tokenizer: Any,
    *,
    mrope_section: Sequence[int] = (),
    partial_rotary_factor: float = 1.0,
    **more: Any,
) -> dict[str, Any]:
    """Settings of a two-layer language model.

    Args:
        tokenizer: The family's tokenizer.
        mrope_section: Rotary pairs for time, height and width, for families that rotate by all.
        partial_rotary_factor: Share of a head's dimensions that is rotated.
        more: What the family asks for besides, such as ``model_type``.
    """
    rope: dict[str, Any] = {"rope_type": "default"}
    if mrope_section:
        rope["mrope_section"] = list(mrope_section)
    if installed_before("5"):
        more |= {"rope_scaling": rope, "partial_rotary_factor": partial_rotary_factor}
    else:
        more |= {
            "rope_parameters": {
                **rope,
                "rope_theta": 1e4,
                "partial_rotary_factor": partial_rotary_factor,
            }
        }
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "bos_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **more,
    }


def tower_config(model_type: str, **more: Any) -> dict[str, Any]:
    """Settings of a two-layer image encoder over 4 x 4 patches of a 56 x 56 frame."""
    return {
        "model_type": model_type,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        **more,
    }


def chat_template(*, image: str, video: str) -> str:
    """A minimal chat template.

    Args:
        image: What stands for an image.
        video: What stands for a video.
    """
    return (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        f"{{% if part['type'] == 'video' %}}{video}"
        f"{{% elif part['type'] == 'image' %}}{image}"
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
