"""No recording whose path speaks of a fault is learned as healthy, wherever the word stands, whatever is around it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offkey.datasets import folder
from offkey.datasets.labels import read_phrase
from offkey.datasets.names import rows_by_name
from offkey.datasets.vocabulary import FAULTY, HEALTHY, HINT, NEUTRAL
from offkey.errors import OffkeyError

BASE = Path("root")


def words(text):
    return [" ".join(word.split()) for word in text.split(",")]


faults = st.sampled_from(words(FAULTY))
others = st.one_of(
    st.sampled_from(
        [*words(HEALTHY), *words(HINT), *words(NEUTRAL), "speed", "load", "alpha", "Xyz", "train", "test"]
    ),
    st.integers(0, 99999).map(str),
)


@st.composite
def phrases(draw, core):
    """Words around one, written together as users do."""
    parts = [*draw(st.lists(others, max_size=2)), draw(core), *draw(st.lists(others, max_size=2))]
    style = draw(st.sampled_from(["_", "-", ".", " ", "__", " - ", "camel"]))
    if style == "camel":
        return "".join(part[:1].upper() + part[1:] for part in " ".join(parts).split())
    return draw(st.sampled_from([str, str.upper, str.title]))(style.join(" ".join(parts).split(" ")))


plain = st.lists(phrases(others), max_size=2)


@st.composite
def faulty_paths(draw):
    """Paths with a word for a fault in one of their parts, folder or file name."""
    parts = [*draw(plain), draw(phrases(faults)), *draw(plain)]
    parts = [part.strip(". ") or "x" for part in parts]
    return BASE.joinpath(*parts[:-1], f"{parts[-1]}.wav")


@settings(max_examples=300)
@given(
    path=faulty_paths(),
    others=st.lists(st.sampled_from(["normal/1.wav", "press-a/ok/1.wav", "2.wav", "ng/3.wav"])),
)
def test_what_speaks_of_a_fault_is_never_learned(path, others):
    rows = rows_by_name(BASE, [path, *(BASE / name for name in sorted(set(others)))])
    row = next(row for row in rows if row.path == path)
    assert row.doubt or row.label != 0
    assert all(not read_phrase(name).speaks for name in row.folders)


@settings(max_examples=300)
@given(name=phrases(faults))
def test_no_word_hides_a_fault(name):
    phrase = read_phrase(name)
    assert phrase.undecided or phrase.label == 1
    assert 1 in phrase.mentions


@settings(max_examples=300)
@given(name=st.text(max_size=30))
def test_any_text_is_read(name):
    phrase = read_phrase(name)
    assert not (phrase.undecided and phrase.label is not None)


@settings(max_examples=40, deadline=None)
@given(paths=st.lists(faulty_paths(), min_size=1, max_size=4))
def test_a_folder_of_them_is_refused_or_learned_without_them(paths, tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    files = {root / path.relative_to(BASE) for path in paths}
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    healthy = root / "machine x" / "normal" / "1.wav"
    healthy.parent.mkdir(parents=True, exist_ok=True)
    healthy.touch()
    try:
        data = folder(root)
    except OffkeyError:
        return
    assert set(data.train.paths) == {healthy}


@pytest.mark.parametrize("word", ["faulty", "NG", "異常", "défaut", "n.i.O"])
def test_the_same_wherever_the_root_lies(tmp_path, word, monkeypatch):
    root = tmp_path / word / "d"
    (root / "press").mkdir(parents=True)
    (root / "press" / "1.wav").touch()
    monkeypatch.chdir(root)
    for spelling in (root, ".", f"../{root.name}", root / "press" / ".."):
        assert [(c.machine_id, c.label) for c in folder(spelling).clips] == [("press", 0)]
