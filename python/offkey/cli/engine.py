"""What scores an archive, as options of a command."""

from __future__ import annotations

import dataclasses
from typing import Literal

from cyclopts import Parameter

from offkey.archive import RayCluster
from offkey.errors import ParameterError

__all__ = ["EngineOptions"]


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What scores an archive.

    Parameters
    ----------
    engine
        `local`: this process; `ray`: the workers of a Ray cluster, each with a detector, which see the recordings and
        RESULT under the same paths. The result is the same: docs/cluster.md.
    ray_address
        The cluster, such as `10.0.0.1:6379`, or `auto` for the one that runs on this machine; by default that of the
        environment variable RAY_ADDRESS, or one that this machine is alone, for this command.
    workers
        How many workers score; by default as many as fit.
    worker_cpus
        Processor cores of each worker; 1 by default.
    worker_gpus
        GPUs of each worker, such as 0.5 where two share one; 0 by default.
    """

    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    workers: int | None = None
    worker_cpus: int = 1
    worker_gpus: float = 0.0

    def chosen(self) -> Literal["local"] | RayCluster:
        """Return the engine.

        Raises
        ------
        ParameterError
            If something is asked of workers where there are none, or a number is outside its range.
        """
        if self.engine == "local":
            if self != EngineOptions():
                raise ParameterError(
                    "--ray-address, --workers, --worker-cpus, --worker-gpus: of a cluster; give them with --engine ray"
                )
            return "local"
        return RayCluster(
            address=self.ray_address, workers=self.workers, cpus=self.worker_cpus, gpus=self.worker_gpus
        )
