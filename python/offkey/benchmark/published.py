"""The figures of Tables 1 to 3 of Zhang et al. (2023), AUC in %, every cell as printed there."""

from __future__ import annotations

import dataclasses

__all__ = [
    "DEVELOPMENT",
    "EVALUATION",
    "MACHINES",
    "MIMII",
    "SNRS_DB",
    "PublishedRow",
]

MACHINES = ("fan", "pump", "valve", "slider")
"""The machine types of the paper, in the order of its columns."""
SNRS_DB = (-6.0, 0.0, 6.0)


@dataclasses.dataclass(frozen=True, slots=True)
class PublishedRow:
    """One system of a table of the paper."""

    system: str
    figures: str
    """In %, in the order of the table's columns, averages included, a space between two."""
    complexity: str = ""
    """Number of parameters; Table 3 alone has it."""
    recipe: str = ""
    """The recipe that makes this system anew, where there is one."""

    @property
    def cells(self) -> list[str]:
        """The figures, as printed."""
        return self.figures.split()


MIMII = (
    PublishedRow(
        "AE",
        "68.73 84.85 95.30 71.00 81.61 86.86 50.26 54.86 59.47 73.42 78.49 90.27 65.85 74.95 82.98 74.59",
        recipe="mimii_ae",
    ),
    PublishedRow(
        "Variational AE",
        "71.47 84.88 94.76 70.97 81.68 87.69 49.79 54.67 57.29 70.54 78.11 89.74 65.69 74.84 82.37 74.30",
        recipe="vae",
    ),
    PublishedRow(
        "GRLNet",
        "69.93 86.62 95.34 77.46 85.31 90.12 53.41 57.01 63.93 74.97 80.85 91.10 68.94 77.45 85.12 77.17",
    ),
    PublishedRow(
        "paper, a_maha",
        "87.34 92.60 94.76 88.85 90.90 98.29 97.87 98.07 99.60 92.99 97.17 99.53 91.76 94.69 98.05 94.83",
    ),
    PublishedRow(
        "paper, a_out",
        "83.16 88.41 80.85 88.22 89.37 97.25 88.90 94.03 95.88 85.42 95.80 98.59 86.43 91.90 93.14 90.49",
    ),
    PublishedRow(
        "paper, a_arc",
        "65.51 78.11 76.14 80.09 71.82 70.83 96.05 81.84 70.24 94.41 86.74 73.62 84.02 79.63 72.71 78.78",
    ),
    PublishedRow(
        "paper, combined",
        "87.78 92.60 96.82 89.77 91.15 98.91 97.94 98.30 99.78 94.41 97.50 99.74 92.48 94.89 98.81 95.39",
    ),
)
"""Table 1: each type at -6, 0 and 6 dB, the average over types at each of the three, and that over all."""

DEVELOPMENT = (
    PublishedRow("official baseline", "65.83 72.89 66.28 84.76 72.44", recipe="ae"),
    PublishedRow("IDNN", "67.71 73.76 84.09 86.45 78.00", recipe="idnn"),
    PublishedRow("Glow_Aff", "74.90 83.40 91.40 94.60 86.08"),
    PublishedRow("GroupMADE", "70.10 75.68 89.68 93.29 82.19"),
    PublishedRow("IDCAE", "79.29 84.58 82.21 81.25 81.83", recipe="idcae"),
    PublishedRow("paper", "88.80 94.12 100.00 96.52 94.86"),
)
"""Table 2: each type of the DCASE 2020 development data, and their average."""

EVALUATION = (
    PublishedRow("official baseline", "82.80 82.37 57.37 79.41 75.49", "269K", recipe="ae"),
    PublishedRow("GroupMADE", "84.52 88.07 84.23 95.18 88.00", "663K"),
    PublishedRow("IDCAE", "90.70 92.65 88.01 88.01 89.84", "2M", recipe="idcae"),
    PublishedRow("DDCSAD", "95.14 92.14 96.08 97.60 95.24", "5M"),
    PublishedRow("paper", "95.42 91.72 97.33 97.69 95.54", "2M"),
    PublishedRow("fusion of 2 systems (Giri et al.)", "94.54 93.65 96.13 97.63 95.49", "2M"),
    PublishedRow("fusion of 3 systems (Daniluk et al.)", "99.13 95.07 90.97 98.18 95.84", "179M"),
)
"""Table 3: each type of the DCASE 2020 evaluation data, their average, and the number of parameters."""
