"""From a run's numbers and pictures to what people read: tables, plots, grids, one page."""

from reports.writing import write_reports

__all__ = ["write_reports"]
