"""Lines that are said or written in a joined video, on things that its pictures do not show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keyscore_plugin.video.samples.joined import NeedleVideo
from keyscore_plugin.video.samples.sources import Source

Kind = Literal["said", "written"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and what is asked about it.

    Attributes:
        words: Words of the line.
        question: Question that the line answers, in other words where that is natural.
    """

    words: str
    question: str


SAID = (
    Line("We sold the bakery to my cousin in March.", "Who says that the bakery was sold?"),
    Line("The train to Lyon leaves from platform nine.", "Which train is announced?"),
    Line("My grandmother never learned to swim.", "Who is said to be unable to swim?"),
    Line("Inflation rose to four percent last month.", "What is said about prices and inflation?"),
    Line("He scored twice in the second half.", "Who mentions how many goals were scored?"),
    Line("Add two eggs and a pinch of salt.", "What does the speaker say about the recipe?"),
    Line("The court postponed the trial until June.", "When does she say the trial will be?"),
    Line("I have been allergic to peanuts since I was six.", "Which allergy is mentioned?"),
    Line("Their second album was recorded in Berlin.", "What is said about a music album?"),
    Line("Please keep your seat belts fastened.", "What are the passengers told to do?"),
    Line("The vaccine needs two doses, four weeks apart.", "How does he explain the vaccine?"),
    Line("Tomorrow it will snow above one thousand metres.", "What does the forecast say of snow?"),
    Line("She forgot her umbrella on the bus again.", "What is said about a lost umbrella?"),
    Line("The museum is free on the first Sunday.", "When is the museum said to cost nothing?"),
    Line("Our password was leaked by an old supplier.", "Who talks about the stolen password?"),
    Line("Bees dance to tell the others where food is.", "What does the narrator explain of bees?"),
    Line("The bridge will be closed for repairs.", "What is said about the repairs of a bridge?"),
    Line("They named the baby after his uncle.", "What is said about the name of a baby?"),
    Line("The library returns fifty years of fines.", "What is told about fines of a library?"),
    Line("Nobody has climbed the north face in winter.", "What is said of climbing in winter?"),
    Line("You should tune the guitar before every song.", "What is said about tuning a guitar?"),
    Line("The election results will be known at midnight.", "When does he say who won the vote?"),
    Line("My landlord raised the rent by a third.", "Who complains and says the rent is higher?"),
    Line("It tasted like burnt coffee and rubber.", "How does someone say that it tasted?"),
)
WRITTEN = (
    Line("PLATFORM NINE", "a sign of a railway platform"),
    Line("WET PAINT", "a sign that warns of fresh paint"),
    Line("BAKERY OPEN DAILY", "What does the sign of the bakery say?"),
    Line("NO SWIMMING", "a sign that forbids swimming"),
    Line("ELECTION RESULTS", "a headline about the results of an election"),
    Line("MUSEUM OF GLASS", "the sign of a museum"),
    Line("INTEREST RATES RISE", "a headline about interest rates"),
    Line("CHAPTER TWELVE", "the title of a chapter"),
    Line("LOST DOG REWARD", "a poster about a lost dog"),
    Line("EMERGENCY EXIT", "a sign of the emergency exit"),
    Line("SALE HALF PRICE", "a banner about a sale at half price"),
    Line("DANGER HIGH VOLTAGE", "a sign that warns of high voltage"),
    Line("PHOTOSYNTHESIS", "the slide with the title photosynthesis"),
    Line("GOLDEN GATE HOTEL", "What is written on the hotel?"),
    Line("SPEED LIMIT 30", "a sign with a speed limit"),
    Line("HAPPY BIRTHDAY ANNA", "a banner for a birthday"),
    Line("TICKETS SOLD OUT", "What does the sign say about tickets?"),
    Line("QUARTERLY REVENUE", "the slide about the revenue of the quarter"),
    Line("BEWARE OF BEARS", "a sign that warns of bears"),
    Line("CAR WASH 5 DOLLARS", "What does the sign of the car wash say?"),
    Line("PUBLIC LIBRARY", "the sign of a library"),
    Line("SNOW STORM WARNING", "a headline about a snow storm"),
    Line("FRESH ORANGE JUICE", "a label of orange juice"),
    Line("SECOND HALF 2 - 1", "What is written about the second half?"),
)
_LINES: dict[Kind, tuple[Line, ...]] = {"said": SAID, "written": WRITTEN}
_STEP = 5  # videos begin at different lines


def lines_of(kind: Kind, n: int, *, order: int) -> tuple[Line, ...]:
    """The lines of a video, one a clip.

    Args:
        kind: Whether they are said or written.
        n: Number of clips, at most the number of lines.
        order: Number of the video.
    """
    lines = _LINES[kind]
    return tuple(lines[(order * _STEP + place) % len(lines)] for place in range(n))


@dataclass(frozen=True, slots=True)
class Signed:
    """A clip that shows a sign in its middle half.

    Attributes:
        clip: The clip.
        words: Words on the sign.
    """

    clip: Source
    words: str

    @property
    def caption(self) -> str:
        """The clip's own sentence."""
        return self.clip.caption

    def render(self, n_frames: int, rng: np.random.Generator) -> Iterator[Image.Image]:
        """The clip's pictures, with the sign in the upper left."""
        font = ImageFont.load_default(26)
        for place, picture in enumerate(self.clip.render(n_frames, rng)):
            if n_frames <= 4 * place < 3 * n_frames:
                draw = ImageDraw.Draw(picture)
                right = 40 + draw.textlength(self.words, font=font)
                draw.rectangle((20, 20, right, 64), fill=(20, 40, 120))
                draw.text((30, 26), self.words, font=font, fill="white")
            yield picture


def with_subtitles(video: NeedleVideo, lines: Sequence[Line]) -> NeedleVideo:
    """The video with a file of subtitles, a line in the middle half of each clip.

    The file does not have the name of the video, so that it counts only where it is given.
    """
    path = Path(f"{video.path}.said.srt")
    cues: list[str] = []
    for needle, line in zip(video.needles, lines, strict=True):
        ((start, end),) = needle.spans
        quarter = (end - start) / 4
        times = " --> ".join(_clock(at) for at in (start + quarter, end - quarter))
        cues.append(f"{len(cues) + 1}\n{times}\n{line.words}\n")
    path.write_text("\n".join(cues), encoding="utf-8")
    return replace(video, subtitles=path)


def _clock(seconds: float) -> str:
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"
