"""`results.json`: a report's numbers in one file that travels, its JSON Schema, and what a submission must keep."""
