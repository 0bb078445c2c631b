"""What people run: recon, recon-opt, the documentation's generator, and the Python interface in ``tools.driver``."""

VERSION = "0.1.0"
"""The version of the project, as in pyproject.toml; program files record it."""

DEFAULT_MACHINE = "edge4k"
"""The machine that is planned for when none is named."""

CONSTANTS = "recon.constants"
"""The attribute of a textual module that names the side file of its constants."""
