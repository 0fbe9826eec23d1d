"""From a run's numbers and pictures to what people read: tables, plots, grids, one page."""

from reports.build import write_reports

__all__ = ["write_reports"]
