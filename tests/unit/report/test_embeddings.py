"""The map of embeddings: which recordings are on it, where, and why there is none."""

import re
from pathlib import Path

import numpy as np
import pytest
from machines import write_tree
from tiny_network import RECIPE

import offkey
from offkey import datasets
from offkey.errors import AudioError
from offkey.report import html as write_report
from offkey.report.page.clips import ClipReader
from offkey.report.page.embeddings import Place, embedding_map, places_of
from offkey.report.page.machines import Columns, machines_of


class Ears:
    """Hears two kinds of recordings, by the numbers in their names."""

    def embeddings(self, files):
        numbers = np.array([int(file.stem) for file in files])
        rng = np.random.default_rng(0)
        return np.where(numbers % 2, 9.0, 0.0)[:, None] + rng.normal(size=(len(files), 4))


@pytest.fixture
def folder(tmp_path):
    for at in range(40):
        (tmp_path / f"{at}.wav").touch()
    return tmp_path


def places(count, machines=2, mark="labelled anomalous"):
    return [
        Place(source=Path(f"{at}.wav"), machine=f"fan {at % machines}", mark=mark if at % 4 == 1 else "")
        for at in range(count)
    ]


def dots(svg, style):
    path = re.search(f'class="{style}" d="([^"]*)"/>(?!<text)', svg)
    return np.array([[float(x), float(y)] for x, y in re.findall(r"M(-?[\d.]+),(-?[\d.]+)", path[1])])


def test_what_sounds_alike_lies_together(folder):
    svg, caption = embedding_map(places(40), ClipReader(folder, None), Ears())
    even, odd = dots(svg, "dots hue0"), dots(svg, "dots hue1")
    crossed = dots(svg, "crosses hue1") + 3
    assert (len(even), len(odd), len(crossed)) == (20, 10, 10)
    assert np.linalg.norm(even.mean(axis=0) - odd.mean(axis=0)) > 3 * odd.std()
    assert np.linalg.norm(odd.mean(axis=0) - crossed.mean(axis=0)) < 2 * odd.std()
    assert ">fan 0<" in svg
    assert caption == "40 recordings, by t-SNE: near means alike. Crosses: those labelled anomalous."
    inside = np.concatenate([even, odd])
    assert (inside > 0).all()
    assert (inside < [520, 430]).all()


def test_of_many_machines_none_has_a_colour_of_its_own(folder):
    svg, _ = embedding_map(places(40, machines=10), ClipReader(folder, None), Ears())
    assert len(dots(svg, "dots hue0")) == 30
    assert "hue1" not in svg
    assert "fan 3" not in svg


def test_why_there_is_no_map(folder):
    class Deaf:
        def embeddings(self, files):
            raise AudioError(f"{files[0]}: empty")

    reader = ClipReader(folder, None)
    assert embedding_map(places(40), reader, Deaf()).startswith("no map of embeddings: ")
    lost = [Place(source=Path("gone.wav"), machine="fan", mark="")] * 9
    assert "0 recordings are there" in embedding_map(lost, reader, Ears())


def test_each_machine_has_recordings_over_the_whole_range_of_its_scores():
    n = 2000
    table = offkey.ScoreTable(
        path=[f"{at}.wav" for at in range(n)],
        machine_id=["00"] * (n - 10) + ["02"] * 10,
        anomaly_score=np.arange(n, dtype=float),
        decision=[0] * (n - 1) + [1],
    )
    columns = Columns(table)
    chosen = places_of(table, machines_of(table, columns), columns)
    of_first = [int(place.source.stem) for place in chosen if place.machine == "machine 00"]
    assert len(of_first) == 200
    assert (max(of_first), min(of_first)) == (n - 11, 0)
    assert max(np.diff(sorted(of_first))) <= 11
    assert [place.mark for place in chosen if place.mark] == ["that sound wrong"]
    assert len(chosen) == 210


def test_a_detector_with_a_network_has_a_map_on_its_page(tmp_path):
    tree = write_tree(tmp_path / "dev_data", train=10, test=3)
    data = datasets.dcase2020(tree, machine="fan")
    detector = offkey.Detector(RECIPE.replace(features__sample_rate=16_000)).fit(data, device="cpu")
    assert detector.has_embeddings
    write_report(
        detector.score(data.test), tmp_path / "r.html", detector=detector, recordings=tree, most_shown=1
    )
    text = (tmp_path / "r.html").read_text()
    assert 'id="embeddings"' in text
    assert "12 recordings, by t-SNE" in text
