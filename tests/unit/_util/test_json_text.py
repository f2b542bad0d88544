"""JSON text that holds any name."""

import os

import msgspec
import pytest

from offkey._util.json_text import from_json, to_json


class Errors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was wrong with which recording."""

    texts: dict[int, str]


def test_names_that_are_no_utf8_come_back():
    errors = Errors({3: os.fsdecode(b"L\xfcfter.wav: damaged"), 5: "ポンプ", 7: "\ud83d"})
    text = to_json(errors, indent=1)
    assert text.isascii()
    assert from_json(text.encode(), Errors) == errors


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"\xff", b'{"texts": 5}', b'{"x": 1}', b"9" * 5000]
)
def test_what_is_none_of_ours_is_one_kind_of_error(content):
    with pytest.raises(msgspec.DecodeError):
        from_json(content, Errors)
