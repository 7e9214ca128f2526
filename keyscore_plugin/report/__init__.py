"""The picture of a selection: what scored when, and which frames were chosen (Figure 4)."""

from keyscore_plugin.report.write import report_picture, require_report_suffix, write_report

__all__ = ["report_picture", "require_report_suffix", "write_report"]
