"""Saved detectors with something wrong in them, most of them with a checksum that fits again."""

import copy
import io
import json
import random
import zipfile
from hashlib import sha256
from typing import Any

import numpy as np
from safetensors.numpy import save

from offkey import detector_file

STRANGE = [
    None,
    True,
    0,
    -1,
    3,
    2**31,
    2**63,
    10**40,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\ud800",
    "\0",
    "a" * 10_000,
    [],
    {},
    [[]],
    [None] * 1000,
    {"": {}},
]
RAW_LABELS = [
    "[" * 100_000,
    '{"header": ' * 10_000,
    '{"header": {"format_version": 1, "x": NaN}, "sha256": ""}',
    '{"header": {"format_version": 1, "x": 1e999}, "sha256": ""}',
    '{"header": {"format_version": NaN}, "sha256": ""}',
    '{"header": {"format_version": -1}, "sha256": ""}',
    '{"header": {"format_version": ' + "9" * 5000 + '}, "sha256": ""}',
    '{"header": {"format_version": true}, "sha256": []}',
    '{"header": [], "sha256": ""}',
    "null",
    "",
]


def mutated(arrays: dict[str, np.ndarray], metadata: dict[str, Any], rng: random.Random) -> bytes:
    """Return the file of a detector that has been changed in one to three places."""
    if rng.random() < 0.05:
        return save(arrays, metadata={"offkey": rng.choice(RAW_LABELS)})
    arrays, metadata = dict(arrays), copy.deepcopy(metadata)
    for _ in range(rng.randint(1, 3)):
        change = rng.choice([_change_metadata, _change_metadata, _change_recipe, _change_array])
        change(arrays, metadata, rng)
    content = _file(arrays, metadata)
    if rng.random() < 0.3:
        content = _change_bytes(content, rng)
    return content


def _file(arrays: dict[str, np.ndarray], header: dict[str, Any]) -> bytes:
    """Write a file as `detector_file.write` does, but of anything."""
    try:
        checksum = detector_file._checksum(arrays, header)
    except ValueError:  # NaN, which no detector has
        checksum = sha256().hexdigest()
    return save(arrays, metadata={"offkey": json.dumps({"header": header, "sha256": checksum})})


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    """All containers of a tree with a key or place in them."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [node for key, value in items for node in [(tree, key), *_nodes(value)]]


def _change_tree(tree: Any, rng: random.Random) -> None:
    nodes = _nodes(tree)
    if not nodes:
        return
    parent, key = rng.choice(nodes)
    match rng.randrange(4):
        case 0 if isinstance(parent, dict):
            del parent[key]
        case 1:
            other, place = rng.choice(nodes)
            parent[key] = copy.deepcopy(other[place])
        case 2 if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        case _:
            parent[key] = copy.deepcopy(rng.choice(STRANGE))


def _change_metadata(_: dict[str, np.ndarray], metadata: dict[str, Any], rng: random.Random) -> None:
    _change_tree(metadata, rng)


def _change_recipe(_: dict[str, np.ndarray], metadata: dict[str, Any], rng: random.Random) -> None:
    """The recipe is a text of its own."""
    try:
        recipe = json.loads(metadata["recipe"])
    except (KeyError, TypeError, ValueError):
        return
    _change_tree(recipe, rng)
    metadata["recipe"] = json.dumps(recipe)


def _change_array(arrays: dict[str, np.ndarray], _: dict[str, Any], rng: random.Random) -> None:
    if not arrays:
        return
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    match rng.randrange(7):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = array.astype(
                rng.choice([np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_])
            )
        case 2:
            arrays[name] = array.reshape(-1)[: rng.randrange(array.size + 1)]
        case 3:
            arrays[name] = np.zeros([rng.randrange(4) for _ in range(rng.randrange(5))], array.dtype)
        case 4:
            arrays[name + rng.choice(["x", ".", ""])] = arrays[rng.choice(sorted(arrays))]
        case 5:
            arrays[name] = np.ascontiguousarray(array.T)
        case _:
            with np.errstate(all="ignore"):
                value = np.array(rng.choice([0, -1, np.nan, np.inf, 1e300, 1e-300])).astype(array.dtype)
            changed = np.array(array)
            changed.reshape(-1)[: rng.choice([1, array.size])] = value
            arrays[name] = changed


def _change_bytes(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    header = 8 + int.from_bytes(content[:8], "little")
    for _ in range(rng.randint(1, 4)):
        match rng.randrange(4):
            case 0:
                changed[rng.randrange(min(header, len(changed)))] = rng.randrange(256)
            case 1:
                del changed[rng.randrange(9, len(changed)) :]
            case 2:
                place = rng.randrange(min(header, len(changed)))
                changed[place:place] = rng.choice([b"0", b"9", b"-", b"\xff", b'"', b"[", b"1e9"])
            case _:
                changed[:8] = rng.choice([header, 2**63, 2**64 - 1, 100_000_000, 0]).to_bytes(8, "little")
    return bytes(changed)


def _bare(header: dict[str, Any] | bytes, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def _tensor(**change: Any) -> bytes:
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | change
    return _bare({"a": tensor, "__metadata__": {"offkey": "{}"}}, bytes(4))


def _zip_bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.offkey", bytes(20_000_000))
        archive.writestr(zipfile.ZipInfo("../link"), "/etc/passwd")
    return content.getvalue()


NO_DETECTORS = {
    "empty": b"",
    "a length alone": bytes(8),
    "the longest header": b"\xff" * 8,
    "a header longer than the file": (10**8).to_bytes(8, "little") + b"{",
    "a shape beyond memory": _tensor(shape=[2**62]),
    "a product beyond 64 bits": _tensor(shape=[2**32, 2**32]),
    "nothing, times very much": _tensor(shape=[0, 2**62], data_offsets=[0, 0]),
    "a hundred dimensions": _tensor(shape=[1] * 100),
    "a negative shape": _tensor(shape=[-1]),
    "negative offsets": _tensor(data_offsets=[-4, 0]),
    "offsets behind the end": _tensor(data_offsets=[4, 8]),
    "a dtype that numpy lacks": _tensor(dtype="F8_E4M3", shape=[4]),
    "a dtype that nobody has": _tensor(dtype=">f4"),
    "a name twice": _bare(
        b'{"a":%b,"a":%b}' % ((b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]}',) * 2), bytes(4)
    ),
    "a ZIP file that grows": _zip_bomb(),
    "a gzip file": b"\x1f\x8b" + bytes(100),
    "a pickle": b"\x80\x04K\x01.",
}
"""Files that are no detectors, by what is wrong with them."""
