"""What one name, of a folder or a file, says of the state of a machine: healthy, faulty, neither, or nothing certain.

A name is read word by word. It decides where every word of it is understood: ``NG01``, ``test_abnormal``,
``no_fault``, ``n.i.O.``, ``fehlerfrei``, ``不良品``. A word for healthy or faulty inside a longer phrase decides
nothing: ``normal_speed``, ``before_fault``, ``ok_to_ng``; such a name is undecided, and so is one with a word that
speaks of a state without saying which (``after_repair``). The words are in `offkey.datasets.vocabulary`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

from offkey.datasets import vocabulary

__all__ = ["LABEL_NAMES", "Label", "Phrase", "fold", "read_phrase"]

Label = Literal[0, 1]

LABEL_NAMES: tuple[str, str] = ("healthy", "faulty")
"""What the labels 0 and 1 are called."""


class _Kind(enum.Enum):
    HEALTHY = 0
    FAULTY = 1
    NOT = 2
    FREE = 3
    HINT = 4
    TRAIN = 5
    TEST = 6
    NEUTRAL = 7
    STEM = 8
    UNKNOWN = 9


_STATES = (_Kind.HEALTHY, _Kind.FAULTY)
_SPEAKING = frozenset({*_STATES, _Kind.STEM, _Kind.HINT})
_ASIAN = "\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[0-9]+|[{_ASIAN}]+|[^\W\d_{_ASIAN}]+")
_CAPITALS = re.compile(r"(?<=[^\W\d_])(?=[^\W\d_])")
_MOST_PARTS = 4
_DIGITS = re.compile(r"[0-9]+")
_ASIAN_RUN = re.compile(rf"[{_ASIAN}]+")
# the letters that number things; not f, n and x, which stand for fault, no and a cross
_LETTERS = frozenset("abcdeghijklmopqrstuvwyz")

_SET_NAME = re.compile(
    r"(?P<label>normal|anomaly)_id_[0-9A-Za-z]+(?=[_.]|$)"
    r"|section_\d+_(?:source|target)_(?:train|test)_(?P<section_label>normal|anomaly)(?=[_.]|$)"
)
"""How the recordings of DCASE Task 2 are named: the label has its place there, whatever follows it."""

_SET_SPLIT = re.compile(r"(?:source|target)_(train|test)")
"""Folders of DCASE 2021 Task 2: a split of one domain."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """What a name says."""

    label: Label | None = None
    """1 = faulty, 0 = healthy, None where it does not decide."""
    undecided: bool = False
    """It has words of a state, but is not understood as a whole."""
    mentions: frozenset[Label] = frozenset()
    """What its words name; in an undecided phrase a negated word for a fault names one too."""
    names_fault: bool = False
    """It is undecided only because it says more than that there is a fault: ``broken_large``."""
    split: Literal["train", "test"] | None = None
    """`train` or `test`, alone or beside a label that decides."""

    @property
    def speaks(self) -> bool:
        """Whether it has any word of a state: such a name is no machine's."""
        return self.label is not None or self.undecided


def fold(text: str) -> str:
    """Return a text without what makes no difference: capitals, accents, widths, forms of Unicode."""
    if text.isascii():
        return text.casefold()
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", "".join(c for c in plain if not unicodedata.combining(c)))


def read_phrase(name: str) -> Phrase:
    """Return what the name of a folder, or of a file without its ending, says.

    Examples
    --------
    >>> read_phrase("NG01").label, read_phrase("no_fault").label, read_phrase("normandy").label
    (1, 0, None)
    >>> read_phrase("normal_speed").undecided, read_phrase("normandy").undecided
    (True, False)
    """
    return _phrase(_DIGITS.sub("0", name))  # numbers say nothing: names that differ by them are read once


@functools.lru_cache(maxsize=65536)
def _phrase(name: str) -> Phrase:
    match = _SET_NAME.match(name)
    if split := _SET_SPLIT.fullmatch(name):
        return Phrase(split="train" if split[1] == "train" else "test")
    if match is None:
        return _read(name)
    label: Label = 1 if (match["label"] or match["section_label"]) == "anomaly" else 0
    rest = _read(name[match.end() :])
    mentions = rest.mentions | {label}
    if label == 0 and 1 in mentions:
        return Phrase(undecided=True, mentions=mentions)
    return Phrase(label=label, mentions=mentions)


def _read(name: str) -> Phrase:
    kinds = _kinds(_words(name))
    if not _SPEAKING.intersection(kinds):
        kinds = _kinds(_words(name, acronyms=True))
    labels, whole = _meaning(kinds)
    split = _split(kinds)
    if not _SPEAKING.intersection(kinds):
        return Phrase(split=split if len(kinds) == 1 else None)
    if whole and len(labels) == 1:
        label = next(iter(labels))
        return Phrase(label=label, mentions=frozenset(labels), split=split)
    named: set[Label] = {1} if {_Kind.FAULTY, _Kind.STEM}.intersection(kinds) else set()
    turned = {_Kind.NOT, _Kind.FREE, _Kind.HINT}.intersection(kinds)
    mentions = frozenset(labels | named)
    return Phrase(undecided=True, mentions=mentions, names_fault=mentions == {1} and not turned)


def _split(kinds: Sequence[_Kind]) -> Literal["train", "test"] | None:
    train, test = _Kind.TRAIN in kinds, _Kind.TEST in kinds
    return None if train == test else "train" if train else "test"


def _meaning(kinds: Sequence[_Kind]) -> tuple[set[Label], bool]:
    """Return the labels that words name, negations applied, and whether every word was understood."""
    labels: set[Label] = set()
    whole = True
    position = 0
    while position < len(kinds):
        kind, following = kinds[position], kinds[position + 1 : position + 2]
        if kind is _Kind.NOT and following and following[0] in _STATES:
            labels.add(1 if following[0] is _Kind.HEALTHY else 0)
            position += 2
            # not_ok_free, no_fault_less: nobody knows
            whole &= kinds[position : position + 1] != [_Kind.FREE]
        elif kind is _Kind.FAULTY and following == [_Kind.FREE]:
            labels.add(0)
            position += 2
        else:
            if kind in _STATES:
                labels.add(1 if kind is _Kind.FAULTY else 0)
            whole &= kind in (*_STATES, _Kind.TRAIN, _Kind.TEST, _Kind.NEUTRAL)
            position += 1
    return labels, whole


def _words(name: str, *, acronyms: bool = False) -> list[str]:
    """Return the words of a name, folded; `acronyms` cuts `NGpump` after its capitals, not before the last."""
    words: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", name)):
        if word.isdigit():
            words.append(word)
        elif _ASIAN_RUN.fullmatch(word):
            words += _cut(fold(word))
        else:
            words += [fold(part) for part in _humps(word, acronyms=acronyms)]
    return words


def _humps(word: str, *, acronyms: bool) -> Iterator[str]:
    """Yield the parts of a word in camel case."""
    start = 0
    if word.islower() or word.isupper():
        yield word
        return
    for cut in _CAPITALS.finditer(word):
        at = cut.start()
        before, after = word[at - 1], word[at]
        rises = before.islower() and after.isupper()
        if acronyms:
            ends = before.isupper() and after.islower() and at - start > 1
        else:
            ends = before.isupper() and after.isupper() and word[at + 1 : at + 2].islower()
        if rises or ends:
            yield word[start:at]
            start = at
    yield word[start:]


def _cut(run: str) -> Iterator[str]:
    """Yield the words of a run of Chinese, Japanese or Korean, the longest known first."""
    known = _lexicon()
    if (run,) in known:
        yield run
        return
    start = position = 0
    while position < len(run):
        for end in range(len(run), position, -1):
            kind = known.get((run[position:end],))
            # a single character is a part of many words: 奈良
            if kind is not None and (end - position > 1 or kind not in _STATES):
                if start < position:
                    yield run[start:position]
                yield run[position:end]
                start = position = end
                break
        else:
            position += 1
    if start < len(run):
        yield run[start:]


def _kinds(words: Sequence[str]) -> list[_Kind]:
    """Return the kind of each word, or of several that are one in the lexicon."""
    known = _lexicon()
    kinds: list[_Kind] = []
    position = 0
    while position < len(words):
        for count in range(min(_MOST_PARTS, len(words) - position), 0, -1):
            kind = known.get(tuple(words[position : position + count]))
            if kind is not None:
                break
        else:
            count, kind = 1, _single(words[position])
        following = words[position + count : position + count + 1]
        if kind is _Kind.NOT and words[position] == "no" and following and following[0].isdigit():
            kind = _Kind.NEUTRAL  # no. 5
        kinds.append(kind)
        position += count
    return kinds


@functools.lru_cache(maxsize=65536)
def _single(word: str) -> _Kind:
    """Return the kind of a word that is not in the lexicon as it is."""
    if word.isdigit() or word in _LETTERS:
        return _Kind.NEUTRAL
    known = _lexicon()
    for prefix in vocabulary.GLUED_NOT:
        rest = word.removeprefix(prefix)
        kind = known.get((rest,))
        if rest != word and kind in _STATES and max(len(prefix), len(rest)) > 2:
            return _Kind.FAULTY if kind is _Kind.HEALTHY else _Kind.HEALTHY
    for suffix in ("free", "less", "frei", "los"):
        if word.endswith(suffix) and known.get((word.removesuffix(suffix),)) is _Kind.FAULTY:
            return _Kind.HEALTHY
    return _Kind.STEM if any(stem in word for stem in vocabulary.FAULTY_STEMS) else _Kind.UNKNOWN


@functools.cache
def _lexicon() -> dict[tuple[str, ...], _Kind]:
    """Return the kind of each word, and of several in a row."""
    lists = {
        _Kind.NEUTRAL: vocabulary.NEUTRAL,
        _Kind.HINT: vocabulary.HINT,
        _Kind.FREE: vocabulary.FREE,
        _Kind.NOT: vocabulary.NOT,
        _Kind.TRAIN: vocabulary.TRAIN,
        _Kind.TEST: vocabulary.TEST,
        _Kind.HEALTHY: vocabulary.HEALTHY,
        _Kind.FAULTY: vocabulary.FAULTY,
    }
    return {
        words: kind
        for kind, text in lists.items()
        for phrase in text.split(",")
        for words in _spellings(fold(phrase).split())
    }


def _spellings(parts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield each way of writing neighbours together: n i o, ni o, n io, nio."""
    for cuts in itertools.product((False, True), repeat=len(parts) - 1):
        words = [parts[0]]
        for part, cut in zip(parts[1:], cuts, strict=True):
            if cut:
                words.append(part)
            else:
                words[-1] += part
        yield tuple(words)
