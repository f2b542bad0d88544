import pytest

from offkey.scoring.rarity import odds


@pytest.mark.parametrize(
    ("p_value", "more", "expected"),
    [
        (1 / 240, {}, ("about", "1 in 240")),
        (0.4, {}, ("about", "1 in 2.5")),
        (1.0, {}, ("about", "1 in 1")),
        (1 / 401, {}, ("at most", "1 in 401")),
        (1e-9, {"calibration": "tail"}, ("fewer than", "1 in 40,000")),
        (1e-4, {"calibration": "tail"}, ("about", "1 in 10,000")),
        (1e-4, {"calibration": None, "calibration_clips": None}, ("about", "1 in 10,000")),
    ],
)
def test_p_values_in_words(p_value, more, expected):
    row = {"p_value": p_value, "calibration": "own", "calibration_clips": 400} | more
    assert odds(row) == expected
