import pytest

from offkey._util import ranks

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
}


def numbers():
    return ranks.rank(), ranks.world_size(), ranks.local_rank(), ranks.local_world_size()


def test_alone_without_torchrun(monkeypatch):
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    assert not ranks.launched()
    assert numbers() == (0, 1, 0, 1)


def test_what_torchrun_says(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert ranks.launched()
    assert numbers() == (5, 8, 1, 4)


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE"])
def test_variables_of_another_launcher_do_not_count(monkeypatch, name):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv(name, "3")
    assert numbers() == (0, 1, 0, 1)
