"""Types of the Rust kernels. Checked against the built module by `mypy.stubtest`."""

__version__: str
