"""KeyScore on a Ray cluster: ``SelectFrames`` for Ray Data, and ``keyscore batch --engine ray``.

Example:
    import ray
    from keyscore_ray import SelectFrames

    videos = ray.data.read_json("videos.jsonl")  # rows with "video", and "caption" or "question"
    chosen = videos.map_batches(
        SelectFrames,
        fn_constructor_kwargs={"num_frames": 8, "frames": True},
        concurrency=16,
        num_gpus=0.25,
        batch_size=8,
    )
    chosen.write_parquet("s3://bucket/chosen")
"""

from keyscore_plugin.hosts import DownloadLimits
from keyscore_ray.select_frames import SelectFrames

__all__ = ["DownloadLimits", "SelectFrames"]
