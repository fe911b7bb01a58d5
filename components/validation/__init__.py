"""Statistics and schema of the data: an anomaly of severity error ends the run.

statistics.py      StatisticsGen, in memory if the records fit
curated_schema.py  import the schema that a user wrote
anomalies.py       what ExampleValidator found, as sentences
anomaly_check.py   end the run on an anomaly that is an error

`quality` checks the content of images.
"""
