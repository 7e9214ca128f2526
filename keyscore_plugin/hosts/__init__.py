"""What every integration uses: one request, one choice of frames, one rule for the text.

An integration translates its host's call into a `HostRequest`, passes it to `choose`, and puts the
`Chosen` frames and times into its host's inputs. Integrations and evaluations import from here,
from `keyscore_plugin`, `keyscore_plugin.types` and `keyscore_plugin.errors`, and nothing else of
the core.
"""

from keyscore_plugin._runtime.device import resolve_device
from keyscore_plugin._runtime.files import whole, write_whole
from keyscore_plugin._runtime.hub import weights_identity
from keyscore_plugin._runtime.names import unknown
from keyscore_plugin._runtime.optional import package_file, require
from keyscore_plugin._runtime.processes import end_with_parent, ending, sigint_blocked
from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.batch.manifest import Item, read_manifest
from keyscore_plugin.batch.run import Budget, Record, Records, answer, error_record
from keyscore_plugin.batch.worker import Job
from keyscore_plugin.batch.workers import AHEAD_PER_WORKER, OneWorker
from keyscore_plugin.captioners.judge import require_judge
from keyscore_plugin.captioners.named_things import require_writer
from keyscore_plugin.captioners.processing import append_completions, left_padding, takes_times
from keyscore_plugin.captioners.registry import captioner_weights
from keyscore_plugin.config import ClipMode, Guide
from keyscore_plugin.encoders.registry import encoder_weights
from keyscore_plugin.hosts.addresses import is_remote, local_path
from keyscore_plugin.hosts.cache import SelectionCache, subtitles_key
from keyscore_plugin.hosts.choose import BACKEND, Chosen, choose, identity_of
from keyscore_plugin.hosts.download import DownloadLimits, check_limits
from keyscore_plugin.hosts.download_cache import DownloadCache, DownloadedVideo
from keyscore_plugin.hosts.given import selection_of_frames, split_frames
from keyscore_plugin.hosts.opening import open_anywhere
from keyscore_plugin.hosts.pairing import Fold, Pair, check_pair
from keyscore_plugin.hosts.pool import SamplerPool
from keyscore_plugin.hosts.query import QUERY_RULES, TextGuide, own_guide
from keyscore_plugin.hosts.replacements import keep_replacement
from keyscore_plugin.hosts.request import HostProfile, HostRequest, check_clip_mode
from keyscore_plugin.samplers.base import asks_judge, require_sampler
from keyscore_plugin.samplers.scene_labels import SceneLabeller
from keyscore_plugin.timed_texts.subtitles import BENCHMARK_ENDINGS, subtitles_beside
from keyscore_plugin.video.base import ForwardedVideo
from keyscore_plugin.video.copies import Bytes, Copy, Readable, is_data_url, named
from keyscore_plugin.video.images import IMAGE_SUFFIXES
from keyscore_plugin.video.metadata import clock_metadata
from keyscore_plugin.video.trim import TrimmedVideo

__all__ = [
    "AHEAD_PER_WORKER",
    "BACKEND",
    "BENCHMARK_ENDINGS",
    "IMAGE_SUFFIXES",
    "QUERY_RULES",
    "Budget",
    "Bytes",
    "Chosen",
    "ClipMode",
    "Copy",
    "DownloadCache",
    "DownloadLimits",
    "DownloadedVideo",
    "Fold",
    "ForwardedVideo",
    "Guide",
    "HostProfile",
    "HostRequest",
    "Item",
    "Job",
    "Journal",
    "OneWorker",
    "Pair",
    "Readable",
    "Record",
    "Records",
    "SamplerPool",
    "SceneLabeller",
    "SelectionCache",
    "TextGuide",
    "TrimmedVideo",
    "answer",
    "append_completions",
    "asks_judge",
    "captioner_weights",
    "check_clip_mode",
    "check_limits",
    "check_pair",
    "choose",
    "clock_metadata",
    "encoder_weights",
    "end_with_parent",
    "ending",
    "error_record",
    "identity_of",
    "is_data_url",
    "is_remote",
    "keep_replacement",
    "left_padding",
    "local_path",
    "named",
    "open_anywhere",
    "own_guide",
    "package_file",
    "read_manifest",
    "require",
    "require_judge",
    "require_sampler",
    "require_writer",
    "resolve_device",
    "selection_of_frames",
    "sigint_blocked",
    "split_frames",
    "subtitles_beside",
    "subtitles_key",
    "takes_times",
    "unknown",
    "weights_identity",
    "whole",
    "write_whole",
]
