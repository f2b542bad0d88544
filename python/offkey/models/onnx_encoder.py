"""An encoder in an ONNX file, run by onnxruntime on the CPU."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from pathlib import Path
from typing import Any, Self

import numpy as np

from offkey.errors import MissingExtraError, ParameterError

__all__ = ["OnnxEncode"]


class OnnxEncode:
    """Calls the model of an ONNX file with one clip, and returns its first output.

    The model has one input of float32 of 1 to 4 dimensions: a clip is put after as many axes of length 1 as it takes.
    Where its last axis has a fixed length, a clip is cut into windows of it, the last of which ends where the clip
    ends; a shorter clip is repeated; what comes of each stands one after the other. A first axis of length 1 of an
    output is the batch, and is left out.
    Each call uses one thread, so that the result does not depend on how many there are.
    """

    sha256: str
    """Of the file."""

    def __init__(self, content: bytes, *, path: Path) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise MissingExtraError(
                f"{path}: needs onnxruntime, which is not installed: pip install 'offkey[onnx]'"
            ) from None
        self.sha256 = hashlib.sha256(content).hexdigest()
        self._path = path.resolve()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        with (
            tempfile.TemporaryDirectory() as empty
        ):  # where weights in other files are looked for: none are read
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", empty)
            try:
                self._session = onnxruntime.InferenceSession(
                    content, options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:
                text = " ".join(str(error).split())
                raise ParameterError(
                    f"{path}: onnxruntime cannot load it: {text[:300]}; expected one whole ONNX file, weights inside"
                ) from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or not 1 <= len(inputs[0].shape) <= 4:
            given = ", ".join(f"{each.name}: {each.type} {each.shape}" for each in inputs)
            raise ParameterError(
                f"{path}: inputs {given}; expected a single one, tensor(float) of 1 to 4 dimensions"
            )
        self._name, self._shape = inputs[0].name, tuple(inputs[0].shape)
        self._output = self._session.get_outputs()[0].name

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a file; as long as one of the same content is in use, that one is used.

        Raises
        ------
        ParameterError
            If it is no ONNX model of one input, or keeps its weights in other files.
        MissingExtraError
            If onnxruntime is not installed.
        OSError
            If it cannot be read.
        """
        content = path.read_bytes()
        known = _IN_USE.get(hashlib.sha256(content).hexdigest())
        if known is None:
            known = cls(content, path=path)
            _IN_USE[known.sha256] = known
        return known  # type: ignore[return-value]

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process, such as a worker of a cluster, as the path of the file."""
        return _again, (self._path, self.sha256)

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """Return the first output for a clip ``(samples,)`` or ``(n_mels, frames)`` float32."""
        if array.ndim > len(self._shape):
            raise ValueError(f"the model's input has shape {self._shape}; given {array.shape}")
        length = self._shape[-1]
        outputs = [
            self._of_window(window)
            for window in (_windows(array, length) if isinstance(length, int) else [array])
        ]
        return outputs[0] if len(outputs) == 1 else np.concatenate(list(map(_over_time, outputs)))

    def _of_window(self, window: np.ndarray) -> np.ndarray:
        given = np.ascontiguousarray(window).reshape((1,) * (len(self._shape) - window.ndim) + window.shape)
        output: Any = self._session.run([self._output], {self._name: given})[0]
        array = np.asarray(output)
        return array[0] if array.ndim > 1 and array.shape[0] == 1 else array


def _again(path: Path, sha256: str) -> OnnxEncode:
    encode = OnnxEncode.of(path)
    if encode.sha256 != sha256:
        raise ParameterError(
            f"{path}: a file of SHA-256 {encode.sha256}; expected {sha256}, as where it comes from"
        )
    return encode


_IN_USE: weakref.WeakValueDictionary[str, OnnxEncode] = weakref.WeakValueDictionary()


def _windows(array: np.ndarray, length: int) -> list[np.ndarray]:
    """Return windows of so many samples or frames that cover a clip, the last of which ends where the clip ends."""
    if not array.shape[-1]:
        raise ValueError("the clip is empty")
    if array.shape[-1] < length:
        times = -(-length // array.shape[-1])
        return [np.concatenate([array] * times, axis=-1)[..., :length]]
    starts = [*range(0, array.shape[-1] - length, length), array.shape[-1] - length]
    return [array[..., start : start + length] for start in starts]


def _over_time(output: np.ndarray) -> np.ndarray:
    """Return a vector as vectors over time, of which there is one."""
    return output[None] if output.ndim < 2 else output
