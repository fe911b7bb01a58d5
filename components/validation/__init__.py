"""Statistics and schema of the data: an anomaly of severity error ends the run.

statistics.py      StatisticsGen, in memory if the records fit
curated_schema.py  import the schema that a user wrote
anomaly_check.py   read anomalies, and end the run on an error

`quality` checks the content of images.
"""
