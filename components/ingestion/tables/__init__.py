"""Labels and splits in files: manifests, tables beside images, TFRecords.

manifests.py, manifest_rows.py    a manifest: CSV or JSON lines with path and label
label_tables.py, table_labels.py  a table beside images, and the column of its labels
records.py, record_labels.py      TFRecord files of tf.Examples
labels_in_paths.py            labels that contradict the images' paths
split_lists.py, split_tables.py   lists and tables of splits
wrong_start.py                paths that lead to no file

The layout of folders is detected in `folders`.
"""
