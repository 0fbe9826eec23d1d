"""From a run's numbers and images to what people read: tables, plots, grids, one page."""

from reports.build import write_reports

__all__ = ["write_reports"]
