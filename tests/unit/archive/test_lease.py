"""Leases on object storage: who has one, and who takes over from a process that has ended."""

import contextlib
import json

import pytest

from offkey._util.storage import StorageError, Url
from offkey.archive import lease
from offkey.archive.lease import Lease, leased
from offkey.archive.shard import Shard
from offkey.errors import OffkeyWarning, ParameterError

fsspec = pytest.importorskip("fsspec")
FOLDER = Url("memory://plant/scores")


@pytest.fixture(autouse=True)
def in_short(monkeypatch):
    """Make what takes seconds take milliseconds, and the storage empty."""
    for name, seconds in (("RENEW_S", 0.02), ("LOST_S", 30.0), ("STALE_S", 1.0)):
        monkeypatch.setattr(lease, name, seconds)
    yield
    with contextlib.suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm("/plant", recursive=True)


def left(name, **changes):
    """Leave a lease that nobody renews."""
    state = {"holder": "process 7 on far", "since": "then", "token": "t", "renewed": 3} | changes
    (FOLDER / name).write_bytes(json.dumps(state).encode())


def test_one_holds_it_and_lets_go():
    with leased(FOLDER, Shard()) as held:
        assert FOLDER.names() == ["_lock"]
        first = (FOLDER / "_lock").read_bytes()
        with (
            pytest.warns(OffkeyWarning, match="may have ended: waiting"),
            pytest.raises(
                ParameterError, match=r"scores: process \d+ on .*, since .* UTC, is writing to it now; wait"
            ),
            leased(FOLDER, Shard()),
        ):
            pass
        assert (FOLDER / "_lock").read_bytes() != first  # it is renewed
        held.check()
    assert FOLDER.names() == []


def test_shards_hold_each_other_off_only_where_they_are_the_same():
    with leased(FOLDER, Shard(1, 2)), leased(FOLDER, Shard(2, 2)):
        for shard in (Shard(1, 2), Shard()):
            with (
                pytest.warns(OffkeyWarning),
                pytest.raises(ParameterError, match="is writing to it now"),
                leased(FOLDER, shard),
            ):
                pass
        assert FOLDER.names() == ["_lock-0001-of-0002", "_lock-0002-of-0002"]


@pytest.mark.parametrize("name", ["_lock", "_lock-0001-of-0002"])
def test_what_a_process_has_left_that_has_ended_is_taken_over(name):
    left(name)
    with (
        pytest.warns(OffkeyWarning, match=r"process 7 on far, since then, held the result.* waiting 1 s"),
        leased(FOLDER, Shard()) as held,
    ):
        held.check()
    assert "_lock" not in FOLDER.names()


def test_a_damaged_lease_is_nobodys():
    (FOLDER / "_lock").write_bytes(b"[")
    with pytest.warns(OffkeyWarning, match="another process held"), leased(FOLDER, Shard()):
        pass
    assert FOLDER.names() == []


def test_a_lease_that_another_has_taken_over_is_noticed_and_left_to_it(monkeypatch):
    with leased(FOLDER, Shard()) as held:
        left("_lock")
        held._thread.join(20)
        with pytest.raises(StorageError, match="process 7 on far, since then, has taken over the result"):
            held.check()
    assert FOLDER.names() == ["_lock"]


def test_a_holder_that_cannot_renew_it_stops(monkeypatch):
    def silent(self, content, *, new=False):
        raise StorageError("no answer")

    with leased(FOLDER, Shard()) as held:
        monkeypatch.setattr(Url, "write_bytes", silent)
        monkeypatch.setattr(lease, "LOST_S", 0.0)
        with pytest.raises(StorageError, match="no answer"):
            held.check()
        monkeypatch.undo()
        held.check()


def test_of_two_on_a_storage_that_knows_no_conditions_one_has_it(monkeypatch):
    write, others = Url.write_bytes, []

    def overwriting(self, content, *, new=False):
        write(self, content)
        if not others:
            others.append(self)
            left("_lock")

    monkeypatch.setattr(Url, "write_bytes", overwriting)
    with pytest.raises(ParameterError, match="process 7 on far"):
        Lease(FOLDER / "_lock").take()
