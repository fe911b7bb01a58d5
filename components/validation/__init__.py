"""Statistics and schema of the data: an anomaly of severity error ends the run.

statistics.py      StatisticsGen, in memory where the records fit
curated_schema.py  the schema that a user wrote
anomaly_check.py   the stop, and the reading of anomalies

What images show is checked in `quality`.
"""
