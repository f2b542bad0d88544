"""One Gaussian for each machine ID, and Mahalanobis distances to them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from offkey import _native
from offkey._util.threads import threads
from offkey.errors import ArrayError, DetectorFileError
from offkey.scoring._checks import positions, sorted_ids

__all__ = ["Gaussian"]

Rows = NDArray[np.float32] | NDArray[np.float64]


def _rows(x: Any) -> Rows:
    rows = np.asarray(x)
    if rows.dtype not in (np.float32, np.float64) or rows.ndim != 2:
        raise ArrayError(
            f"x: dtype {rows.dtype}, shape {rows.shape}; expected float32 or float64 of shape (n, d)"
        )
    return np.require(rows, requirements=["C", "A"])


@dataclasses.dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean and covariance of each machine ID; made by `Gaussian.fit`.

    A covariance that is singular to working precision (a Cholesky pivot of at most 1e-11 of its variance)
    gets a ridge of 1e-6 of its mean eigenvalue when distances are computed; one of zeros is replaced by the
    identity.
    """

    ids: tuple[str, ...]
    """The machine IDs, sorted: the columns of every result."""
    means: NDArray[np.float64]
    """``(ids, d)``."""
    distinct_covariances: NDArray[np.float64]
    """``(m, d, d)``: several IDs may have the same."""
    which: NDArray[np.int64]
    """``(ids,)``: the position of each ID's covariance among the distinct ones."""
    shrinkages: NDArray[np.float64]
    """``(m,)``, in [0, 1]: the weight of the identity in each distinct covariance."""

    def __getstate__(self) -> dict[str, Any]:
        # Without what is cached: a kernel's plan cannot be pickled, and is made again where it is needed.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def fit(
        cls,
        x: Rows,
        ids: Sequence[str],
        *,
        covariance: Literal["ledoit_wolf", "oas", "empirical"] = "ledoit_wolf",
        shared: bool = False,
        num_threads: int | None = None,
    ) -> Gaussian:
        """Fit one Gaussian for each ID.

        Parameters
        ----------
        x
            ``(n, d)`` float32 or float64; sums are float64, around the mean of each ID.
        ids
            The machine ID of each row, ``n`` strings.
        covariance
            `ledoit_wolf` (Ledoit and Wolf 2004), `oas` (Chen et al. 2010) or `empirical`, which divides by
            the number of rows: all as in scikit-learn.
        shared
            One covariance for all IDs, from rows centred on the mean of their own ID: `empirical` then
            divides by rows less IDs; the shrinkers take the centred rows as scikit-learn does with
            ``assume_centered=True``. IDs with one row are left out of it.
        num_threads
            None: all cores, but one in a worker of a `DataLoader`. The result does not depend on it.

        Returns
        -------
        Gaussian
            An ID with one row, or with rows that are all equal, has the shared covariance of the others.

        Raises
        ------
        ArrayError
            If `x` is not ``(n, d)`` of finite numbers with n and d above 0, or `ids` not n strings.
        ParameterError
            If `covariance` is none of the three.
        """
        rows = _rows(x)
        if len(ids) != len(rows) or len(rows) == 0:
            raise ArrayError(
                f"ids: {len(ids)} for {len(rows)} rows of x; expected one for each row, and one row"
            )
        names = sorted_ids(ids)
        # Nothing to look up for one ID, which would take as long as a good part of its fit.
        index = positions(ids, names) if len(names) > 1 else np.zeros(len(ids), dtype=np.int64)
        fitted = _native.fit_gaussians(rows, index, len(names), covariance, shared, threads(num_threads))
        return cls(names, *fitted)

    @property
    def dim(self) -> int:
        """Number of features d."""
        return int(self.means.shape[1])

    @property
    def covariances(self) -> NDArray[np.float64]:
        """The covariance of each ID, ``(ids, d, d)``, before any ridge."""
        return self.distinct_covariances[self.which]

    @property
    def ridges(self) -> NDArray[np.float64]:
        """``(ids,)``: the ridge that each covariance needed, in units of its mean eigenvalue; mostly 0."""
        return self._whitened[1][self.which]

    def factor(self, column: int) -> NDArray[np.float64]:
        """Return F ``(dim, dim)`` of the ID at a position: ``|F' (x - mean)|`` is the Mahalanobis distance."""
        factor: NDArray[np.float64] = self._whitened[0][self.which[column]]
        return factor

    def mahalanobis(
        self, x: Rows, *, out: NDArray[np.float64] | None = None, num_threads: int | None = None
    ) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of each row to each ID.

        Parameters
        ----------
        x
            ``(n, d)`` float32 or float64. float32 rows are computed in float32 where an estimate of the
            rounding error allows a relative error of 1e-5 of the squared distance, else in float64 (64
            features: from condition numbers of about 3e4 on); float64 rows always in float64.
        out
            Where to write the distances: ``(n, ids)`` float64, C-contiguous. None: a new array. After an
            error it is partly written.
        num_threads
            None: all cores, but one in a worker of a `DataLoader`. The result does not depend on it.

        Returns
        -------
        ``(n, ids)`` float64, at least 0: ``sqrt((x - mean)' S^-1 (x - mean))``; `out` if it was given.

        Raises
        ------
        ArrayError
            If `x` is not ``(n, d)`` of finite numbers; the message names row and column. If `out` has another
            shape, dtype or order, is read-only or shares memory with `x`.
        """
        return self._forms.all(_rows(x), out, threads(num_threads), True)

    def mahalanobis_to(
        self,
        x: Rows,
        ids: Sequence[str] | NDArray[np.int64],
        *,
        out: NDArray[np.float64] | None = None,
        num_threads: int | None = None,
    ) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of each row to the ID given for it.

        Parameters
        ----------
        x
            As for `mahalanobis`.
        ids
            The machine ID of each row: n strings, or an int64 array ``(n,)`` of their positions in `ids` of this
            object, which for many rows is much faster.
        out
            Where to write the distances: ``(n,)`` float64, C-contiguous. None: a new array. With positions
            and C-contiguous `x` nothing as large as `x` or `out` is then allocated.
        num_threads
            None: all cores, but one in a worker of a `DataLoader`. The result does not depend on it.

        Returns
        -------
        ``(n,)`` float64; `out` if it was given.

        Raises
        ------
        ArrayError
            If `x` is not ``(n, d)`` of finite numbers, `ids` not n of them, or `out` as for `mahalanobis`.
        ParameterError
            If an ID was not fitted.
        """
        return self._forms.own(_rows(x), self._positions(ids), out, threads(num_threads), True)

    def _positions(self, ids: Sequence[str] | NDArray[np.int64]) -> NDArray[np.int64]:
        if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
            if ids.dtype != np.int64 or ids.ndim != 1:
                raise ArrayError(
                    f"ids: dtype {ids.dtype}, shape {ids.shape}; expected int64 positions (n,), or strings"
                )
            return np.ascontiguousarray(ids)
        return positions(cast("Sequence[str]", ids), self.ids)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that, with `ids`, restore this object."""
        return {
            "means": self.means,
            "covariances": self.distinct_covariances,
            "which": self.which,
            "shrinkages": self.shrinkages,
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], *, ids: Sequence[str]) -> Gaussian:
        """Restore what `state` gave.

        Raises
        ------
        DetectorFileError
            If an array is missing, or has another dtype, another shape or impossible values.
        """
        names = tuple(ids)
        if not names or names != tuple(sorted(set(names))):
            raise DetectorFileError(f"gaussian: ids {names}; expected at least one, sorted, each once")
        missing = {"means", "covariances", "which", "shrinkages"} - set(arrays)
        if missing:
            raise DetectorFileError(f"gaussian: no array {', '.join(sorted(missing))}")
        count, dim = arrays["shrinkages"].size, arrays["means"].size // len(names)
        shapes = {
            "means": (np.float64, (len(names), dim)),
            "covariances": (np.float64, (count, dim, dim)),
            "which": (np.int64, (len(names),)),
            "shrinkages": (np.float64, (count,)),
        }
        for name, (dtype, shape) in shapes.items():
            array = arrays[name]
            if array.dtype != dtype or array.shape != shape:
                raise DetectorFileError(
                    f"gaussian: {name} is {array.dtype} {array.shape}; expected {np.dtype(dtype)} {shape}"
                )
        restored = cls(names, *(np.ascontiguousarray(arrays[name]) for name in shapes))
        try:
            restored._forms  # noqa: B018  # whitens, and so checks every number
        except ArrayError as error:
            raise DetectorFileError(f"gaussian: {error}") from None
        return restored

    @functools.cached_property
    def _whitened(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return _native.whiten(self.distinct_covariances)

    @functools.cached_property
    def _forms(self) -> _native.QuadraticForms:
        return _native.QuadraticForms(self.means, self._whitened[0], self.which)
