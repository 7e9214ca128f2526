"""Pictures of a selection, with its scores over time (Figure 4), and of several samplers."""

from keyscore_plugin.report.write import (
    report_picture,
    require_picture_suffix,
    require_report_suffix,
    write_comparison,
    write_report,
)

__all__ = [
    "report_picture",
    "require_picture_suffix",
    "require_report_suffix",
    "write_comparison",
    "write_report",
]
