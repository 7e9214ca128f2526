"""The settings: one small frozen dataclass per stage, in which every default names its source."""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from keyscore_plugin._runtime.settings import (
    Settings,
    expect,
    require,
    require_one_of,
    take_real,
    take_whole,
)
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.numbers import is_whole, plain

CaptionReading = Literal["windows", "pass"]
ClipMode = Literal["auto", "focused", "hybrid"]
GridKind = Literal["fps", "keyframes", "refine"]
Guide = Literal["given", "caption", "question", "both", "importance"]
Policy = Literal["coverage", "top"]
Pooling = Literal["mean", "text"]
Split = Literal["none", "options", "parts", "model"]
WindowAnswer = Literal["none", "generate"]

_MAX_COLOURS = 2**16  # ours: with more bins than this a thumbnail has fewer pixels than bins


@dataclass(frozen=True, slots=True)
class GridConfig(Settings):
    """The grid: the frames that are decoded, small, to choose from (Algorithm 1, line 1).

    Attributes:
        kind: Kind of grid: ``"fps"``, evenly in time; ``"keyframes"``, the codec's own keyframes;
            ``"refine"``, keyframes first (frames evenly in time if there are too few), then frames
            evenly in time around those that score with the text.
        sample_fps: Grid frames per second of video. Ours: the usual 1-2 fps of the field.
        max_frames: Most frames of the grid, or the budget if that is larger; longer grids are
            thinned evenly. It bounds memory. Ours.
        max_closer: Most frames of the second look of ``"refine"``; at 2 per second they cover about
            a minute of video. They count in `EncodeConfig.max_encoded` and leave the first look at
            least half of it. Ours, measured in evals/needle.
        short_side: Pixels of a thumbnail's shorter side, if the encoder does not need more. Ours.

    Raises:
        InputError: A value is out of range.
    """

    kind: GridKind = "fps"
    sample_fps: float = 2.0
    max_frames: int = 2048
    max_closer: int = 128
    short_side: int = 128

    def __post_init__(self) -> None:
        require_one_of(self, "kind", GridKind)
        take_whole(self, "max_frames", "max_closer", "short_side")
        take_real(self, "sample_fps")
        expect(self, "sample_fps", 0 < self.sample_fps <= 1e9, "is not in (0, 1e9]")
        expect(self, "max_frames", self.max_frames >= 1, "is not >= 1")
        expect(self, "max_closer", self.max_closer >= 0, "is negative")
        expect(self, "short_side", self.short_side >= 16, "is not >= 16")


@dataclass(frozen=True, slots=True)
class ProposalConfig(Settings):
    """Frame proposals by STACFP (sec. 3.1).

    Attributes:
        bins: Histogram bins of hue, saturation and value. Ours: the paper gives none.
        gamma_time: Weight of normalised time against the histogram; the paper: in [5, 20].
        k_min: Fewest clusters tried.
        k_max: Most clusters tried; None tries a quarter of the frames of the grid, at most 64.
        n_init: K-means restarts for each k. Ours: 8 match ten of scikit-learn's.
        seed: Seed of the k-means initialisation.

    Raises:
        InputError: A value is out of range.
    """

    bins: tuple[int, int, int] = (8, 4, 4)
    gamma_time: float = 10.0
    k_min: int = 2
    k_max: int | None = None
    n_init: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        take_whole(self, "k_min", "k_max", "n_init", "seed")
        take_real(self, "gamma_time")
        bins = self.bins if isinstance(self.bins, Iterable) else (self.bins,)
        object.__setattr__(self, "bins", tuple(map(plain, bins)))  # JSON knows lists only
        expect(
            self,
            "bins",
            len(self.bins) == 3 and all(map(is_whole, self.bins)) and min(self.bins) >= 1,
            "are not three whole numbers of at least 1",
        )
        require(
            math.prod(self.bins) <= _MAX_COLOURS,
            self,
            f"bins {self.bins} are more than {_MAX_COLOURS} colours",
        )
        expect(self, "gamma_time", 0 <= self.gamma_time < float("inf"), "is not >= 0")
        expect(self, "k_min", self.k_min >= 2, "is not >= 2")
        expect(self, "k_max", self.k_max is None or self.k_max >= self.k_min, "is below k_min")
        expect(self, "n_init", self.n_init >= 1, "is not >= 1")
        expect(self, "seed", 0 <= self.seed < 2**63, "is not in [0, 2**63)")


@dataclass(frozen=True, slots=True)
class EncodeConfig(Settings):
    """The grid frames that are embedded.

    Attributes:
        max_encoded: Most frames that are embedded, or the budget if that is larger. STACFP's
            candidates and the frames that keep the bound of the selection come first, even if they
            are more; then moments without any of them, those that look unlike all others first;
            then the clusters that score. Ours: 96 of 172 do as well as all in
            evals/needle; 256 leaves room for videos longer than its 86 s.

    Raises:
        InputError: A value is out of range.
    """

    max_encoded: int = 256

    def __post_init__(self) -> None:
        take_whole(self, "max_encoded")
        expect(self, "max_encoded", self.max_encoded >= 1, "is not >= 1")


@dataclass(frozen=True, slots=True)
class ScoreConfig(Settings):
    """Scores of the frames by KeyScore (sec. 3.2, eq. 1-4).

    Attributes:
        alpha: Weight of the semantic score. Ours: the paper gives no weights. Table 2 shows that
            S and D carry the result; evals/needle/README.md shows that any mix led by S does as
            well.
        beta: Weight of the temporal score. Ours, as alpha.
        gamma: Weight of the drop impact. Ours, as alpha.
        pooling: Pooling of the video embedding v: ``"mean"``, or ``"text"``-guided attention.
        temperature: Temperature of the text-guided attention. Ours: near CLIP's logit scale of 100.

    Raises:
        InputError: A value is out of range, or the weights do not sum to 1.
    """

    alpha: float = 0.6
    beta: float = 0.1
    gamma: float = 0.3
    pooling: Pooling = "mean"
    temperature: float = 0.01

    def __post_init__(self) -> None:
        take_real(self, "alpha", "beta", "gamma", "temperature")
        weights = (self.alpha, self.beta, self.gamma)
        require(min(weights) >= 0, self, f"weights {weights} must not be negative")
        require(abs(sum(weights) - 1) < 1e-6, self, f"weights {weights} must sum to 1 (eq. 1)")
        require_one_of(self, "pooling", Pooling)
        expect(self, "temperature", self.temperature > 0, "is not > 0")


@dataclass(frozen=True, slots=True)
class SelectConfig(Settings):
    """The rule that turns scores into a selection.

    Attributes:
        policy: Rule: ``"coverage"``, relevance-weighted temporal coverage (ours), or ``"top"``, the
            paper's plain ranking.
        sharpness: Power on the normalised score that gives the relevance of a moment; `keyscore`
            takes two thirds of it for several texts. Ours.
        near_seconds: Reach of a frame, in seconds: a moment this far away is covered 1/e as well.
            Ours. Both are swept in evals/needle/README.md.
        max_gap_seconds: Longest gap between two neighbouring frames of a selection; its first and
            its last frame are at most half of it from the ends of the video. None: the rule's own
            bound (`algorithm/selection.py`). It needs a budget that can keep it, and `keyscore` or
            `llmvs`: other samplers have their own rules.
        max_frames: Most frames that a threshold may return.

    Raises:
        InputError: A value is out of range.
    """

    policy: Policy = "coverage"
    sharpness: float = 2.0
    near_seconds: float = 1.0
    max_gap_seconds: float | None = None
    max_frames: int = 64

    def __post_init__(self) -> None:
        require_one_of(self, "policy", Policy)
        take_whole(self, "max_frames")
        take_real(self, "sharpness", "near_seconds")
        expect(self, "sharpness", 0 < self.sharpness < float("inf"), "is not > 0")
        expect(
            self,
            "near_seconds",
            1e-6 <= self.near_seconds < float("inf"),
            "is not a millionth or more",
        )
        if self.max_gap_seconds is not None:
            take_real(self, "max_gap_seconds")
            expect(self, "max_gap_seconds", 0 < self.max_gap_seconds < float("inf"), "is not > 0")
            require(
                self.policy == "coverage",
                self,
                'max_gap_seconds is kept by the policy "coverage" alone',
            )
        expect(self, "max_frames", self.max_frames >= 1, "is not >= 1")


@dataclass(frozen=True, slots=True)
class ClipsConfig(Settings):
    """The samplers that choose clips first: how a video is cut, and where the frames go.

    Attributes:
        mode: Places of the frames: ``"focused"``, inside of the clips; ``"hybrid"``, some outside,
            so that no gap is longer than three times that of uniform sampling; ``"auto"``, focused
            below 16 frames, else hybrid. K-frames is focused at 8 frames and hybrid at 32 and 64.
        contrast: Least change of colours at a border of two scenes, as a multiple of the usual
            change around it; half of it where STACFP's cluster changes, too. Ours: from 2 to 5, all
            cuts of the tuning split of evals/needle are found.
        min_seconds: Least duration of a scene; of borders that are closer, the stronger stays.
            Ours: from 1 to 4, no figure of evals/clips moves by more than .02.
        max_seconds: Most seconds of a scene; longer ones are divided evenly, because a moment that
            the text describes is a small part of a long take. At least twice ``min_seconds``, so
            that no part is shorter than that. Ours: evals/clips has no longer scene, and
            with 5 it shows .02 less at 4 frames.
        scorer: Folder or hub model id of a causal language model of transformers. The sampler's
            captioner then writes a caption for each scene, and this model marks it from 1 to 5 with
            the text; both take a generation per scene. None lets the encoder alone score.
        scorer_share: Share of the marks in a scene's relevance; the rest is the encoder's. Ours:
            with 0.5, marks that say nothing cost little, and good ones are worth much
            (evals/clips/README.md); no language model was measured.

    Raises:
        InputError: A value is out of range.
    """

    mode: ClipMode = "auto"
    contrast: float = 3.0
    min_seconds: float = 2.0
    max_seconds: float = 10.0
    scorer: str | None = None
    scorer_share: float = 0.5

    def __post_init__(self) -> None:
        require_one_of(self, "mode", ClipMode)
        take_real(self, "contrast", "min_seconds", "max_seconds", "scorer_share")
        is_name = self.scorer is None or isinstance(self.scorer, str)
        require(is_name, self, f"scorer {shown(self.scorer)} is not the name of a language model")
        expect(self, "scorer_share", 0 <= self.scorer_share <= 1, "is not in [0, 1]")
        expect(self, "contrast", 0 < self.contrast < float("inf"), "is not > 0")
        expect(self, "min_seconds", self.min_seconds > 0, "is not > 0")
        is_apart = 2 * self.min_seconds <= self.max_seconds < float("inf")
        expect(self, "max_seconds", is_apart, "is not twice min_seconds or more")


@dataclass(frozen=True, slots=True)
class JudgeConfig(Settings):
    """The question for clips that ``kframes`` asks a Video-LLM.

    Attributes:
        num_frames: Frames that the Video-LLM sees, evenly in time. Ours: the paper trains with 256,
            which cost a Qwen2.5-VL about 39,000 tokens; 64 cost 10,000.
        short_side: Pixels of a frame's shorter side. Ours: a 16:9 frame costs 144 visual tokens in
            Qwen2.5-VL, the least that its processor allows, and 84 in Qwen3-VL.
        max_new_tokens: Most tokens of its answer. Ours: room for ten clips; an answer that is cut
            off keeps its whole clips.

    Raises:
        InputError: A value is out of range.
    """

    num_frames: int = 64
    short_side: int = 224
    max_new_tokens: int = 512

    def __post_init__(self) -> None:
        take_whole(self, "num_frames", "short_side", "max_new_tokens")
        expect(self, "num_frames", self.num_frames >= 1, "is not >= 1")
        expect(self, "short_side", self.short_side >= 16, "is not >= 16")
        expect(self, "max_new_tokens", self.max_new_tokens >= 1, "is not >= 1")


@dataclass(frozen=True, slots=True)
class IndexConfig(Settings):
    """The index, which keeps histograms, embeddings and proposals on disk for the next question.

    Attributes:
        folder: Folder of the index, made at the first look. None means ``index`` in the user's
            cache: ``KEYSCORE_CACHE``, or the one of the system.
        max_gb: Most gigabytes of all its files; beyond it, the least recently used ones are
            deleted. Ours: at 9 MB per hour of video, 2,000 hours.

    Raises:
        InputError: A value is out of range.
    """

    folder: str | None = None
    max_gb: float = 20.0

    def __post_init__(self) -> None:
        is_path = self.folder is None or isinstance(self.folder, (str, os.PathLike))
        require(is_path and self.folder != "", self, f"folder {shown(self.folder)} is no path")
        if self.folder is not None:
            object.__setattr__(self, "folder", os.fspath(self.folder))
        take_real(self, "max_gb")
        expect(self, "max_gb", 0 < self.max_gb < float("inf"), "is not > 0")

    @classmethod
    def given(cls, index: Any) -> "IndexConfig | None":
        """The index that a caller asks for.

        Args:
            index: The settings, or a dict of them; a folder; True or ``"auto"`` for the usual one;
                None or False for no index.

        Raises:
            InputError: The value is none of these.
        """
        if index is None or index is False:
            return None
        if index is True or index == "auto":
            return cls()
        if isinstance(index, (str, os.PathLike)):
            return cls(folder=os.fspath(index))
        if isinstance(index, (cls, Mapping)):
            return cls.of(index)
        raise InputError(
            f"index must be a folder, True for the usual one, or None for none, got {shown(index)}"
        )


@dataclass(frozen=True, slots=True)
class LlmvsConfig(Settings):
    """The importance of frames by captions and a language model (LLMVS, arXiv 2504.11199).

    Attributes:
        model: Folder or hub model id of the causal language model of transformers that reads the
            captions, and splits texts for `SamplerConfig.split` ``"model"``; it needs a chat
            template. There is no default: the paper's, Llama-2-13B-chat, needs a large GPU and a
            licence.
        head: Folder of a trained head, as ``python -m evals.summaries.fit`` writes it. None takes
            the language model's own marks, without training.
        window: Captions of a window, an odd number; the paper: 7.
        reading: Reading of the captions for a head: ``"windows"``, or ``"pass"``, one pass over all
            of them (ours, and cheaper; it knows only the past).
        answer: Whether the embedding of a window holds the answer of the model: ``"none"``, or
            ``"generate"`` as published, which decodes. Ours: in the paper it adds .015 to tau on
            SumMe.
        short_side: Pixels of the shorter side of a frame that is captioned. The size that
            LLaVA-1.5, the paper's captioner, sees.

    Raises:
        InputError: A value is out of range.
    """

    model: str | None = None
    head: str | None = None
    window: int = 7
    reading: CaptionReading = "windows"
    answer: WindowAnswer = "none"
    short_side: int = 336

    def __post_init__(self) -> None:
        for name in ("model", "head"):
            value = getattr(self, name)
            is_name = value is None or isinstance(value, str)
            require(is_name, self, f"{name} {shown(value)} is not a folder or a model id")
        take_whole(self, "window", "short_side")
        expect(self, "window", self.window >= 1 and self.window % 2 == 1, "is not odd and >= 1")
        require_one_of(self, "reading", CaptionReading)
        require_one_of(self, "answer", WindowAnswer)
        expect(self, "short_side", self.short_side >= 16, "is not >= 16")


@dataclass(frozen=True, slots=True)
class SamplerConfig(Settings):
    """The settings of a sampler, one part per stage; a part may be given as a dict.

    Attributes:
        grid: The frames that are decoded to choose from.
        proposal: Frame proposals by STACFP.
        encode: The frames that are embedded.
        score: Scores by KeyScore.
        select: The rule that turns scores into a selection.
        clips: The scenes of the sampler ``clips``, and where it takes frames from them.
        judge: The frames that ``kframes`` shows a Video-LLM, and the length of its answer.
        llmvs: The language model, and the trained head, that find the importance of frames.
        guide: The text that scores: the ``"given"`` one (the caption if both are given, a generated
            caption if neither is), always the ``"caption"`` (given or generated), the
            ``"question"``, ``"both"``, joined as texts of unknown worth, or with ``keyscore`` no
            text: the ``"importance"`` of each frame by `LlmvsConfig` stands in for the cosine
            (ours).
        split: Parts of a text that score each on their own, joined as texts of unknown worth: the
            ``"options"`` of a multiple-choice question; all ``"parts"`` that quotation marks and
            conjunctions set apart; what the ``"model"`` of `LlmvsConfig`, or else the captioner,
            names in it; ``"none"``. Ours, measured by evals.needle.joins: parts hit both of two
            things for .94 of the queries with 8 frames (.78 as one text), but cost one thing whose
            sentence has a conjunction .21 within 1 s.
        route: Whether ``keyscore`` gives even frames to a question about the video as a whole, such
            as "How does it end?", instead of scoring them with it. Ours.
        heard: Speech model whose words score, too, as subtitles do: the folder of a Whisper model
            converted for CTranslate2, or a name that faster-whisper downloads, such as ``"small"``.
            None transcribes nothing. Ours; needs the extra ``speech``.
        written: Whether what is written in the picture scores, too. Ours; needs the extra ``ocr``.
        index: Index of videos, as `IndexConfig.given` takes it; None keeps nothing. It changes no
            selection.

    Raises:
        InputError: A setting is unknown or out of range.
    """

    grid: GridConfig = field(default_factory=GridConfig)
    proposal: ProposalConfig = field(default_factory=ProposalConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    llmvs: LlmvsConfig = field(default_factory=LlmvsConfig)
    guide: Guide = "given"
    split: Split = "options"
    route: bool = True
    heard: str | None = None
    written: bool = False
    index: IndexConfig | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", IndexConfig.given(self.index))
        for name, stage in _STAGES.items():
            value = getattr(self, name)
            if not isinstance(value, stage):
                object.__setattr__(self, name, stage.from_dict(value))
        require_one_of(self, "guide", Guide)
        require_one_of(self, "split", Split)
        expect(self, "route", isinstance(self.route, bool), "is not true or false")
        is_model = self.heard is None or (isinstance(self.heard, str) and bool(self.heard))
        expect(self, "heard", is_model, "is not a folder or a name of a speech model")
        expect(self, "written", isinstance(self.written, bool), "is not true or false")

    def to_dict(self) -> dict[str, Any]:
        """The settings that decide a selection, as plain JSON values: all but the index."""
        values = asdict(self)
        del values["index"]
        values["proposal"]["bins"] = list(self.proposal.bins)
        return values

    def with_index(self, index: Any) -> "SamplerConfig":
        """These settings with another index, as `IndexConfig.given` takes it; None keeps theirs.

        Raises:
            InputError: The value describes no index.
        """
        return self if index is None else replace(self, index=index)

    @classmethod
    def names(cls) -> list[str]:
        """Names of all settings; those of a stage are written ``"grid.kind"``."""
        inner = [f"{name}.{one}" for name, stage in _STAGES.items() for one in stage.names()]
        return [*cls.__dataclass_fields__, *inner]


_STAGES: dict[str, type[Settings]] = {
    "grid": GridConfig,
    "proposal": ProposalConfig,
    "encode": EncodeConfig,
    "score": ScoreConfig,
    "select": SelectConfig,
    "clips": ClipsConfig,
    "judge": JudgeConfig,
    "llmvs": LlmvsConfig,
}
