"""Pictures of what scored when and what was chosen (Figure 4), and of samplers compared."""

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
