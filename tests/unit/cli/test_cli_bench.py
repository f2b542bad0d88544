"""`offkey bench`."""

import json

import numpy as np
import pytest
import soundfile as sf
from machines import write_tree


def test_tables_go_to_stdout_and_files_and_progress_to_stderr(offkey, tree, tmp_path):
    shown = offkey("bench", "dcase2020", tree, "--recipes", "spectral", "--seeds", "1")
    assert shown.code == 0
    assert shown.out.startswith("Table 2: AUC (%) of the DCASE 2020 development data\n")
    assert "Table 3: AUC (%) of the DCASE 2020 evaluation data" in shown.out
    assert "run 2 of 2: pump, recipe spectral, seed 0" in shown.err
    assert shown.err.splitlines()[-1].startswith("tables written to bench/tables.md")
    assert (tmp_path / "bench" / "tables.md").read_text().startswith("## Table 2: ")
    again = offkey("bench", "dcase2020", tree, "--recipes", "spectral", "--seeds", "1")
    assert again.out == shown.out
    assert again.err.count("done before") == 2


def test_json_and_recipes_of_ones_own(offkey, few_mels, tree, tiny):
    shown = offkey(
        "bench", "dcase2020", tree, "-o", "b", "--recipes", f"{few_mels},{tiny}", "--seeds", "1",
        "--machines", "fan", "--device", "cpu", "--json",
    )  # fmt: skip
    assert shown.code == 0
    made = json.loads(shown.out)
    assert [record["recipe"] for record in made["records"]] == ["spectral", "tiny"]
    assert "stage 1 (id, augmentation): 2 epochs" in shown.err


def test_fields_of_recipes_are_set_where_a_recipe_has_them(offkey, few_mels, tree):
    command = ("bench", "dcase2020", tree, "--recipes", f"{few_mels},ae", "--seeds", "1", "--machines", "fan")
    sets = (
        "--set",
        "ae.epochs=1",
        "ae.hidden=[8]",
        "spectral.ridge=0.01",
        "--set",
        "ae.normalisation=standard",
    )
    shown = offkey(*command, *sets)
    assert shown.code == 0
    for text in ("ae.epochs = 1, not 100", "ae.normalisation = standard, not none", "spectral.ridge = 0.01"):
        assert text in shown.out
    for wrong, message in (
        ("near.steps=3", "no section 'near' in spectral, ae"),
        ("epochs=3", "expected SECTION.FIELD=VALUE"),
        ("ae.epoch=3", "unknown field `epoch`"),
        ("ae.epochs=few", "ae.epochs"),
    ):
        shown = offkey(*command, "--set", wrong)
        assert shown.code == 2
        assert message in shown.err


def test_a_failed_run_makes_the_exit_code_3(offkey, few_mels, own_tree):
    next((own_tree / "fan" / "test").iterdir()).write_bytes(b"")
    shown = offkey("bench", "dcase2020", own_tree, "--recipes", few_mels, "--seeds", "1")
    assert shown.code == 3
    assert "error: fan, recipe spectral, seed 0: 1 of 16 test clips cannot be scored" in shown.err
    assert "Table 2" in shown.out


def test_what_is_not_learned_from_makes_the_exit_code_3_and_stands_in_the_tables(
    offkey, few_mels, own_tree, tmp_path
):
    training = sorted((own_tree / "fan" / "train").iterdir())
    training[0].write_bytes(b"RIFF, but no sound")
    (training[1].parent / "more.m4a").touch()
    command = ("bench", "dcase2020", own_tree, "--machines", "fan", "--recipes", few_mels, "--seeds", "1")
    for _ in range(2):  # a finished run says it again
        shown = offkey(*command)
        assert shown.code == 3
        assert f"fan: not learned from: {training[0]}: " in shown.out
        assert "passed over: 1 file of a sound format that offkey does not read" in shown.out
    assert "not learned from" in (tmp_path / "bench" / "tables.md").read_text()


def test_where_every_run_fails_nothing_is_done(offkey, few_mels, own_tree):
    next((own_tree / "fan" / "test").iterdir()).write_bytes(b"")
    shown = offkey(
        *("bench", "dcase2020", own_tree, "--machines", "fan", "--recipes", few_mels, "--seeds", "1")
    )
    assert shown.code == 2


def test_a_channel_is_learned_in_place_of_the_recipes_and_tells_runs_apart(offkey, few_mels, tmp_path):
    tree = write_tree(tmp_path / "two", machines=("fan",), train=8, test=3)
    for path in tree.rglob("*.wav"):
        samples, rate = sf.read(path)
        sf.write(path, np.stack([np.zeros_like(samples), samples], axis=1), rate)
    command = ("bench", "dcase2020", tree, "--recipes", few_mels, "--seeds", "1", "--json")
    tables = {}
    for channel in ("1", "mean", "loudest"):
        shown = offkey(*command, "--channel", channel)
        assert shown.code == 0, shown.err
        tables[channel] = json.loads(shown.out)
    assert len(list((tmp_path / "bench" / "runs" / "fan").iterdir())) == 3
    notes = {channel: " ".join(table["records"][0]["notes"]) for channel, table in tables.items()}
    assert "have 2 channels; channel 1" in notes["1"]
    assert "have 2 channels; the mean" in notes["mean"]
    figures = {channel: table["records"][0]["figures"] for channel, table in tables.items()}
    assert figures["loudest"] == figures["1"]


def test_a_test_recording_longer_than_max_seconds_fails_its_run(offkey, few_mels, tree):
    shown = offkey(
        *("bench", "dcase2020", tree, "--machines", "fan", "--recipes", few_mels, "--seeds", "1"),
        *("--max-seconds", "0.5"),
    )
    assert shown.code == 2
    assert "longer than 0.5 s" in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dcase2020", "TREE", "--snr-db", "6"], "`offkey bench dcase2020` has no such option"),
        (["dcase2020", "TREE", "--split", "random75"], "has no such option"),
        (["mimii", "TREE", "--also", "TREE"], "`offkey bench mimii` has no such option"),
        (["mimii", "TREE"], "no folder of an SNR"),
        (["dcase2020", "nowhere"], "nowhere"),
        (["dcase2020", "TREE", "--recipes", "papper"], "recipe 'papper'"),
        (["dcase2020", "TREE", "--max-seconds", "0"], "--max-seconds 0.0: expected seconds above 0"),
        (["dcase2021", "TREE"], "dcase2021"),
        (
            ["dcase2020", "TREE", "--channel", "near,far"],
            "--channel near,far: the recordings of MIMII and DCASE",
        ),
        (["dcase2020", "TREE", "--channel", "left"], "expected the number of a channel"),
    ],
)
def test_bench_refuses_options_of_the_other_suite_and_bad_values(offkey, tree, arguments, message):
    shown = offkey("bench", *[str(tree) if a == "TREE" else a for a in arguments])
    assert shown.code == 2
    assert message in " ".join((shown.out + shown.err).split())
