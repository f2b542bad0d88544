"""Synthetic machines asked for with impossible parameters."""

import math

import pytest

from offkey.datasets import synthetic
from offkey.errors import ParameterError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"machine_type": "lathe"}, r"machine type 'lathe': expected one of fan, pump, slider, valve"),
        ({"machine_id": ""}, "machine_id: expected a text"),
        ({"clip": -1}, "clip = -1: expected at least 0"),
        ({"seed": -1}, "seed = -1"),
        ({"channels": 0}, "channels = 0: expected at least 1"),
        ({"fault": "leak"}, "fault 'leak': a fan has imbalance, clogging, bearing"),
        ({"fault": "bearing", "severity": 1.5}, r"severity = 1\.5: expected 0 to 1"),
        ({"severity": math.nan}, "severity = nan"),
        ({"seconds": 0.5}, r"seconds = 0\.5: expected 1 to 600"),
        ({"seconds": math.inf}, "seconds = inf"),
        ({"sample_rate": 100}, "sample_rate = 100: expected a whole number from 4000"),
        ({"snr_db": math.nan}, "snr_db = nan"),
        ({"snr_db": -1e9}, "snr_db"),
        ({"far_db": 3.0}, r"far_db = 3\.0: expected -60 to 0 dB"),
        ({"far_db": math.nan}, "far_db = nan"),
        ({"far_db": -20.0, "channels": 8}, "far_db: beside one near microphone, not 8"),
    ],
)
def test_render(change, message):
    options = {"machine_type": "fan", "machine_id": "00", "seconds": 1.0} | change
    with pytest.raises(ParameterError, match=message):
        synthetic.render(options.pop("machine_type"), options.pop("machine_id"), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "dcase2021"}, "layout = 'dcase2021': expected one of dcase2020, mimii"),
        ({"machines": "fan"}, "machines = .* expected some of fan, pump"),
        ({"machines": ()}, r"machines = \(\)"),
        ({"machines": ("fan", "fan")}, "each once"),
        ({"ids": ("00", "00")}, "each once"),
        ({"ids": ("00",), "eval_ids": ("00",)}, "each once"),
        ({"ids": ("../x",)}, "names of letters and digits"),
        ({"clips_train": 0}, "clips_train = 0: expected a whole number of at least 1"),
        ({"clips_test_normal": -1}, "clips_test_normal = -1"),
        ({"clips_test_anomaly": 1.5}, r"clips_test_anomaly = 1\.5"),
        ({"seconds": 0.0}, "seconds"),
        ({"sample_rate": 44_100.5}, "sample_rate"),
        ({"snr_db": ()}, "snr_db"),
        ({"snr_db": (0, 0)}, "each once"),
        ({"snr_db": math.nan}, "snr_db"),
        ({"snr_db": (0, 6)}, "'dcase2020' has no folders for several SNRs"),
        ({"layout": "mimii", "eval_ids": ("01",)}, "'mimii' has no evaluation part"),
        ({"far_db": -61.0}, r"far_db = -61\.0: expected -60 to 0 dB"),
        (
            {"far_db": -20.0, "layout": "mimii"},
            "far_db: beside one near microphone, not 8; layout 'mimii' has 8",
        ),
        ({"seed": -1}, "seed = -1"),
        ({"num_workers": 0}, "num_workers = 0"),
    ],
)
def test_write_refuses_before_it_touches_the_disk(tmp_path, change, message):
    with pytest.raises(ParameterError, match=message):
        synthetic.write(tmp_path / "out", **({"seconds": 1.0, "sample_rate": 8_000} | change))
    assert not (tmp_path / "out").exists()
