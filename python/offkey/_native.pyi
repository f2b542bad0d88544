"""Types of the Rust kernels. Checked against the built module by `mypy.stubtest`."""

__all__: list[str]
__version__: str
