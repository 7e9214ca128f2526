"""Questions about a video as a whole, found by their words.

Ours; DIG (arXiv 2512.04000) asks a language model whether a question is global, and finds that even
frames serve such a question as well as chosen ones.
"""

import re

from keyscore_plugin.samplers.parts import parts_of

# Words that name no thing, being and action that a frame could show.
_NO_NAMES = """
a an the this that these those it its they them their he him his she her hers you your we us our i
me my one ones someone something anything everything is are was were be been being am do does did
done doing has have had having will would can could should may might must what which who whom whose
when where why how many much long often and or but if then than so as of in on at by for from to
into onto with without within about over under between among during through after before while until
since there here not no nor any all some each every both few more most less least other another
these according same different various several please tell give write list name state say explain
describe describes described answer question option options following correct best true false
statement statements choose pick select identify mention mentioned think know see seen cant dont
many first second third last next following up out
"""
# Words about a video as a whole.
_WHOLE = """
video videos clip film movie footage recording story plot narrative scene scenes shot shots part
parts section sections segment segments end ends ended ending endings finish finishes finally final
begin begins began beginning start starts started starting open opens opening close closing conclude
concludes concluded conclusion summary summaries summarise summarises summarised summarize
summarizes summarized summarizing summarising overview outline topic topics theme themes subject
message messages purpose goal aim point idea title titles headline genre category type kind style
mood tone atmosphere order sequence chronological chronology event events happen happens happened
happening take takes took place occur occurs occurred course time times change changes changed
develop develops developed development progress progresses unfold unfolds learn learned learnt
lesson takeaway takeaways intended audience narrator author creator shown show shows showing
depicted depict depicts presented present presents content contents duration length detail details
detailed main mainly major primary primarily key overall whole entire entirely throughout general
generally complete full total short brief briefly sentence sentences word words paragraph
"""
# Those of them by which a multiple-choice question is about the whole, whatever its options name.
_GLOBAL = """
summary summarise summarises summarised summarize summarizes summarized overview outline topic
topics theme themes title titles genre category mood tone atmosphere order sequence chronological
overall whole entire entirely throughout mainly primarily scenes events story plot message purpose
"""
_SHORTENED = re.compile(r"['\u2019](?:s|re|ve|ll|d|m)\b")  # as in "What's the video about?"
_KNOWN = frozenset(f"{_NO_NAMES} {_WHOLE}".split())
_GLOBAL_WORDS = frozenset(_GLOBAL.split())


def is_about_the_whole(question: str) -> bool:
    """Whether a question asks about a video as a whole, so that no frame alone shows the answer.

    All its words, those of its options apart, name nothing that a frame could show. With options
    one of the words is also about the whole ("topic", "summarise", "order"), because options may
    name what the question does not.

    Ours, by words alone. How far the scores spread decides nothing: a rule that also took questions
    with one other word if no frame stood out by more than 2 standard deviations lost .06 of the
    clips that such questions name (tuning split of evals.needle, 8 frames).

    Args:
        question: The question, with its options if it has some.

    Example:
        >>> is_about_the_whole("How does the video end?")
        True
        >>> is_about_the_whole("What does the dog do at the end?")
        False
        >>> is_about_the_whole("Which of these is shown? A. a dog B. a cat")
        False
    """
    asked, *options = parts_of(question, "options")
    words = re.findall(r"[^\W\d_]+", _SHORTENED.sub("", asked.lower()).replace("'", ""))
    is_global = not _GLOBAL_WORDS.isdisjoint(words)
    return bool(words) and _KNOWN.issuperset(words) and (is_global or not options)
