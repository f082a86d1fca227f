"""Sentences of meetings and daily life from a small grammar (about 230 words).

Every sentence of more than five words belongs, by a hash of its text, either to training or to the held-out
set, so the two can be generated independently and never share one.
"""

from __future__ import annotations

import hashlib
import random
import re


def _words(line: str) -> list[str]:
    return line.split()


SLOTS: dict[str, list[str]] = {
    "NUM": _words("two three four six seven eight ten twelve twenty"),
    "DAY": _words("Monday Wednesday Thursday Friday Saturday"),
    "MONTH": _words("January April August October December"),
    "CITY": _words("London Paris Berlin Madrid Vienna Chicago Dublin Amsterdam"),
    "NAME": _words("Anna Peter Sophie Robert Julia Thomas Martin Olivia"),
    "VEHICLE": _words("train bus taxi bicycle airplane"),
    "FOOD": _words("coffee bread cheese soup salad chocolate apples"),
    "PLACE": _words("kitchen garden office library station hospital museum hotel restaurant"),
    "THING": _words("table window camera computer telephone letter picture ticket umbrella microphone"),
    "TOPIC": _words("budget schedule project contract interview recording report presentation software"),
    "COLOR": _words("red yellow green black purple orange"),
    "QUALITY": _words("new expensive broken beautiful empty heavy"),
    "OPINION": _words("important interesting finished difficult excellent ready"),
    "FEEL": _words("happy tired hungry busy"),
    "TIME": _words("morning afternoon evening"),
    "WEATHER": _words("rain snow sunshine wind"),
    "DID": _words("found opened cleaned painted bought forgot"),
    "PERSON": _words("mother brother doctor teacher neighbour manager"),
    "OFTEN": _words("always usually never sometimes"),
}

TEMPLATES = [
    # meetings
    "Good {TIME}, everybody.",
    "Good {TIME}, {NAME}.",
    "Let us begin with the {TOPIC}.",
    "The first question is about the {TOPIC}.",
    "I think the {TOPIC} is {OPINION}.",
    "In my opinion the {TOPIC} is not {OPINION}.",
    "What do you think about the {TOPIC}, {NAME}?",
    "Can you send the {TOPIC} to {NAME} before {DAY}?",
    "{NAME} will send us the {TOPIC} on {DAY} {TIME}.",
    "We need {NUM} people for the {TOPIC}.",
    "The {TOPIC} will be {OPINION} in {NUM} weeks.",
    "I have {NUM} questions about the {TOPIC}.",
    "Could you repeat that, please?",
    "Our next meeting is on {DAY} {TIME}.",
    "The meeting in {CITY} starts at {NUM}.",
    "I agree with {NAME} about the {TOPIC}.",
    "Maybe {NAME} can help us with the {TOPIC}.",
    "We should talk about the {TOPIC} and the {TOPIC} today.",
    "{NAME} and {NAME} are working together on the {TOPIC}.",
    "How much money do we have for the {TOPIC}?",
    "The {TOPIC} costs {NUM} thousand dollars.",
    "Please call {NAME} before {DAY} {TIME}.",
    "We are recording this interview in {CITY}.",
    "Nobody told me about the {TOPIC}.",
    "That sounds very {OPINION}.",
    "Thank you very much, {NAME}.",
    "Yes, that is a good idea.",
    "No, that is not possible.",
    "All right, next question.",
    "Wait a moment, please.",
    "Of course.",
    "Exactly.",
    # travel
    "The {VEHICLE} to {CITY} leaves at {NUM}.",
    "The {COLOR} {VEHICLE} is {NUM} minutes late.",
    "{NAME} is going to {CITY} by {VEHICLE}.",
    "In {MONTH} we are going to {CITY} with {NAME}.",
    "My {PERSON} lives near the {PLACE} in {CITY}.",
    "Turn left behind the {PLACE} and then turn right.",
    "How long does the {VEHICLE} need from {CITY} to {CITY}?",
    "We are waiting for the {VEHICLE} in front of the {PLACE}.",
    "I bought {NUM} tickets for the {PLACE} in {CITY}.",
    "The {PLACE} is closed in {MONTH}.",
    "There will be {WEATHER} in {CITY} on {DAY}.",
    "In {MONTH} there is {OFTEN} {WEATHER} in {CITY}.",
    "I visited the {QUALITY} {PLACE} last {MONTH}.",
    # daily life
    "My {PERSON} works in the {PLACE}.",
    "My {PERSON} {DID} the {COLOR} {THING} yesterday.",
    "{NAME} {DID} the {QUALITY} {THING} last {DAY}.",
    "Who {DID} the {THING} in the {PLACE}?",
    "Where did you leave the {COLOR} {THING}?",
    "Please put the {THING} behind the {QUALITY} {THING}.",
    "How much is the {COLOR} {THING}?",
    "The {COLOR} {THING} costs {NUM} dollars.",
    "The {THING} in the {PLACE} is {QUALITY}.",
    "I can see {NUM} {QUALITY} boxes in the {PLACE}.",
    "{NAME} would like some {FOOD} and {FOOD}.",
    "We need more {FOOD} for the {TIME}.",
    "My {PERSON} {OFTEN} brings {FOOD} and {FOOD}.",
    "I {OFTEN} eat {FOOD} on {DAY} {TIME}.",
    "The {FOOD} from the {PLACE} was excellent.",
    "{NAME} is {FEEL} because the {THING} is {QUALITY}.",
    "I was very {FEEL} yesterday {TIME}.",
    "Are you {FEEL}, {NAME}?",
    "My {PERSON} was born in {CITY} in {MONTH}.",
    "The children are playing in the {PLACE} every {TIME}.",
    "They were sitting in the {PLACE} with {NUM} {COLOR} flowers.",
    "See you on {DAY}, {NAME}.",
]

SHORT_WORDS = 5
"""Sentences of at most this many words may occur in both splits."""
HELDOUT_SHARE = 16
"""One in this many of the longer sentences is held out."""


def expand(rng: random.Random) -> str:
    """Draw one sentence; the same slot word is not used twice in it."""
    template = rng.choice(TEMPLATES)
    used: set[str] = set()

    def fill(match: re.Match[str]) -> str:
        word = rng.choice([w for w in SLOTS[match[1]] if w not in used])
        used.add(word)
        return word

    text = re.sub(r"\{(\w+)\}", fill, template)
    return text[0].upper() + text[1:]


def split_of(text: str) -> str:
    """Return the split that a sentence of more than `SHORT_WORDS` words belongs to."""
    digest = hashlib.sha256(text.lower().encode()).digest()
    return "heldout" if digest[0] % HELDOUT_SHARE == 0 else "train"


def sentence(rng: random.Random, split: str) -> str:
    """Draw a sentence for the split ``train`` or ``heldout``."""
    while True:
        text = expand(rng)
        if len(text.split()) <= SHORT_WORDS or split_of(text) == split:
            return text


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation, one per whitespace-separated word."""
    return [re.sub(r"[^a-z']", "", word) for word in text.lower().split()]


def vocabulary() -> list[str]:
    """All words of the grammar in lower case, sorted."""
    words: set[str] = set()
    for template in TEMPLATES:
        words.update(words_of(re.sub(r"\{\w+\}", " ", template)))
    for options in SLOTS.values():
        words.update(word.lower() for word in options)
    return sorted(words - {""})
