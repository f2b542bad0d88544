"""Types of the Rust kernels. Checked against the built module by `mypy.stubtest`."""

from typing import Self, final

import numpy as np
from numpy.typing import NDArray

__all__: list[str]
__version__: str

def fit_gaussians(
    x: NDArray[np.float32] | NDArray[np.float64],
    index: NDArray[np.int64],
    ids: int,
    covariance: str,
    shared: bool,
    num_threads: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]: ...
def whiten(covariances: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def quadratic_forms(
    x: NDArray[np.float32] | NDArray[np.float64],
    means: NDArray[np.float64],
    factors: NDArray[np.float64],
    num_threads: int | None = None,
) -> NDArray[np.float64]: ...
def quadratic_forms_own(
    x: NDArray[np.float32] | NDArray[np.float64],
    means: NDArray[np.float64],
    factors: NDArray[np.float64],
    index: NDArray[np.int64],
    num_threads: int | None = None,
) -> NDArray[np.float64]: ...

@final
class QuadraticForms:
    def __new__(
        cls,
        means: NDArray[np.float64],
        factors: NDArray[np.float64],
        which: NDArray[np.int64] | None = None,
    ) -> Self: ...
    def all(
        self, x: NDArray[np.float32] | NDArray[np.float64], num_threads: int | None = None
    ) -> NDArray[np.float64]: ...
    def own(
        self,
        x: NDArray[np.float32] | NDArray[np.float64],
        index: NDArray[np.int64],
        num_threads: int | None = None,
    ) -> NDArray[np.float64]: ...
