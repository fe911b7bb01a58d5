import tensorflow as tf

from graft.components.features.feature_records import read_records
from graft.contract import example_keys

MORE_THAN_ONE_BATCH = 1030


def write_records(path, number: int, compression: str = "") -> str:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for index in range(number):
            example = tf.train.Example()
            for key, value in (
                (example_keys.CONTENT_HASH_KEY, f"{index:064x}"),
                (example_keys.FILENAME_KEY, f"cat/{index}.jpg"),
                (example_keys.CLASS_NAME_KEY, "cat"),
                (example_keys.IMAGE_KEY, "not read"),
            ):
                example.features.feature[key].bytes_list.value.append(value.encode())
            writer.write(example.SerializeToString())
    return str(path)


def test_records_come_in_the_order_of_the_file(tmp_path) -> None:
    for path in (
        write_records(tmp_path / "plain", MORE_THAN_ONE_BATCH),
        write_records(tmp_path / "zipped.gz", MORE_THAN_ONE_BATCH, "GZIP"),
    ):
        records = read_records(path)

        numbers = [int.from_bytes(key, "big") for key in records.keys]
        assert numbers == list(range(MORE_THAN_ONE_BATCH))
        assert records.filenames[-1] == b"cat/1029.jpg"
        assert records.class_names == [b"cat"] * MORE_THAN_ONE_BATCH


def test_a_shard_without_images_has_no_records(tmp_path) -> None:
    records = read_records(write_records(tmp_path / "empty", 0))

    assert (records.keys, records.filenames, records.class_names) == ([], [], [])
