"""What explanations say."""

import numpy as np
import pytest

from offkey.explain.explanation import Band, Nearest, Stretch
from offkey.explain.healthy import Measure
from offkey.explain.sentences import (
    band_sentence,
    hertz,
    nearest_sentence,
    spoken_sentence,
    verdict,
    warning_sentence,
    when,
    whole_sentences,
)

HEALTHY = np.linspace(-1, 1, 60)


def stretches(*places):
    return tuple(Stretch(start_s=low, end_s=high, share=0.9 / len(places)) for low, high in places)


ALWAYS = (Stretch(start_s=0.0, end_s=10.0, share=1.0),)
BAND = Band(low_hz=2900.0, high_hz=3400.0, share=0.62, stretches=stretches((3.1, 10.0)))


def said(*measures, spoken=None, band=BAND):
    return band_sentence(band, measures, spoken=spoken or {}, clips="60 healthy recordings", end_s=10.0)


def measure(kind, value, **more):
    return Measure(kind=kind, value=value, healthy=HEALTHY, **more)


def test_the_sentence_of_the_purpose():
    assert said(measure("level", 7.04)) == (
        "2.9 to 3.4 kHz is 6.0 dB louder than in any of 60 healthy recordings, above all from 3.1 s on "
        "(62% of what raised the score)."
    )


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("level", -3.2, "is 2.2 dB quieter than in any of 60"),
        ("level", 31.9, "is 30 dB louder than in any of 60"),
        ("level", 1.04, "is louder than in any of 60 healthy recordings (1.0 dB above their median)"),
        ("contrast", 2.1, "stands 1.1 dB higher above its neighbours than in any of 60"),
        ("contrast", -2.1, "lies 1.1 dB lower among its neighbours than in any of 60"),
        (
            "contrast",
            -1.9,
            "lies lower among its neighbours than in any of 60 healthy recordings (1.9 dB below their",
        ),
        ("floor", 2.5, "is 1.5 dB louder in its quietest moments than in any of 60"),
        ("fluctuation", 2.0, "is 2.7 times as unsteady from moment to moment as in any of 60"),
        (
            "fluctuation",
            1.1,
            "is more unsteady from moment to moment than in any of 60 healthy recordings (3.0 times",
        ),
        (
            "fluctuation",
            -2.0,
            "is steadier from moment to moment than in any of 60 healthy recordings (0.1 times their",
        ),
        ("spread", 2.0, "varies 2.7 times as much over time as in any of 60"),
        ("spread", -2.0, "varies less over time than in any of 60"),
        ("level", 0.98, "is louder than in 59 of 60 healthy recordings,"),
        ("spread", -0.98, "varies less over time than in 59 of 60 healthy recordings,"),
        ("level", 0.2, "has nothing odd by itself, what is odd is how it goes with other bands,"),
    ],
)
def test_measures_in_words(kind, value, words):
    assert f"2.9 to 3.4 kHz {words}" in said(measure(kind, value))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.0, "pulses 2.7 times as strongly at 1.0 to 2.5 Hz as in any of 60 healthy recordings"),
        (
            1.01,
            "pulses more strongly at 1.0 to 2.5 Hz than in any of 60 healthy recordings (2.7 times their median)",
        ),
        (
            -1.5,
            "pulses less strongly at 1.0 to 2.5 Hz than in any of 60 healthy recordings (0.2 times their median)",
        ),
        (0.95, "pulses more strongly at 1.0 to 2.5 Hz than in 58 of 60 healthy recordings"),
    ],
)
def test_a_rhythm_names_its_rates(value, words):
    assert words in said(measure("rhythm", value, rates_hz=(1.0, 2.5)))


def test_what_spoke_comes_first_and_two_things_are_said():
    level, jumps = measure("level", 4.0), measure("fluctuation", 4.0)
    louder, stronger = "is 3.0 dB louder than", "is 20 times as unsteady from moment to moment as"
    both = said(level, jumps, measure("contrast", 4.0), spoken={"floor": 0.9})
    assert f"{louder} in any of 60 healthy recordings and {stronger} in any of them" in both
    assert f"{stronger} in any of 60" in said(level, jumps, spoken={"fluctuation": 0.9})
    among = measure("level", 0.92), measure("fluctuation", 0.98)
    assert "is louder than in 57 of 60" in said(*among, spoken={"level": 0.6, "fluctuation": 0.4})
    assert "more unsteady from moment to moment than in 59 of 60" in said(*among, spoken={"fluctuation": 0.9})


def test_without_healthy_clips_a_band_is_only_named():
    assert said().startswith("2.9 to 3.4 kHz raises the score, above all")


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (ALWAYS, "throughout"),
        (stretches((0.0, 2.0)), "above all from 0.0 to 2.0 s"),
        (stretches((3.1, 10.0)), "above all from 3.1 s on"),
        (stretches((1.0, 2.0), (4.0, 4.5)), "above all from 1.0 to 2.0 s and from 4.0 to 4.5 s"),
        (
            stretches(*((n / 8, n / 8 + 0.05) for n in range(70))),
            "above all in 70 moments, about 8.0 a second",
        ),
        (stretches(*((2 * n, 2 * n + 0.1) for n in range(5))), "above all in 5 moments, about every 2.0 s"),
        (
            stretches((0, 0.1), (0.2, 0.3), (0.5, 0.6), (8.0, 9.0)),
            "above all in 4 moments between 0.0 and 9.0 s",
        ),
    ],
)
def test_times_in_words(places, words):
    assert when(places, end_s=10.0) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(12.0, 47.4, "12 to 47 Hz"), (900.0, 1050.0, "0.90 to 1.05 kHz"), (2900.0, 3400.0, "2.9 to 3.4 kHz")],
)
def test_bands_in_words(low, high, words):
    assert hertz(low, high) == words


def test_other_sentences():
    row = {"decision": 1, "anomaly_score": 3.0, "threshold": 2.0, "p_value": 1 / 81}
    row |= {"calibration_clips": 80, "calibration": "ranks"}
    assert verdict(row) == (
        "It sounds wrong: its score is 3.00, the threshold 2.00; of healthy recordings at most 1 in 81 scores so high "
        "(p = 0.012)."
    )
    fine = row | {"decision": 0, "anomaly_score": 1.0, "p_value": 0.5}
    assert verdict(fine).startswith("Nothing stands out: ")
    assert "about 1 in 2 scores so high" in verdict(fine)
    assert spoken_sentence({"level": 0.8, "rhythm": 0.17, "floor": 0.03}) == (
        "The score was raised by the level (80%) and the rhythm (17%)."
    )
    assert whole_sentences(measure("level", 4.0), "60 healthy recordings") == [
        "As a whole it is 3.0 dB louder than any of 60 healthy recordings."
    ]
    assert whole_sentences(measure("level", -1.9), "60 healthy recordings") == []
    assert warning_sentence("8000 Hz, in training 16000 Hz").endswith(
        "recordings: 8000 Hz, in training 16000 Hz."
    )
    assert nearest_sentence([Nearest(path="a.wav", distance=1.0)]).endswith(" a.wav.")
    assert "keeps no healthy recordings" in nearest_sentence([])
