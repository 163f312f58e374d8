"""The command line, the settings and the embedded stack: wires the parts together, decides nothing."""

__version__ = "0.1.0"
