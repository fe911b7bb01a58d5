from __future__ import annotations

import subprocess
import sys

import pytest

from graft.contract.errors import UserError
from graft.storage import atomic, drivers, files


@pytest.mark.parametrize(
    "path", ["ftp://host/a", "file:///a", "hdfs://host/a", "minio://bucket/a"]
)
@pytest.mark.parametrize(
    "call", [files.exists, files.read_bytes, files.list_folder, files.make_folder]
)
def test_an_unknown_scheme_is_refused(path: str, call) -> None:
    with pytest.raises(UserError, match=r"begin with gs:// or s3://.*Received: '"):
        call(path)


def test_a_missing_driver_is_named() -> None:
    # In a process of its own: fsspec remembers the drivers that it has imported.
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from graft.storage import files; files.exists('s3://bucket/a')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert "StorageError: s3:// needs the package `s3fs`" in done.stderr
    assert "pip install s3fs" in done.stderr


def test_a_name_that_s3fs_would_cut_off_is_refused(s3_folder: str) -> None:
    with pytest.raises(UserError, match="versionId"):
        atomic.write_bytes(f"{s3_folder}/a?versionId=1", b"")


def test_a_server_that_is_away_is_an_error_for_the_user(
    s3_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("FSSPEC_S3_RETRIES", "1")
    drivers.disconnect()
    with pytest.raises(OSError, match="can't be reached") as caught:
        files.read_bytes(f"{s3_folder}/a")
    assert isinstance(caught.value, UserError)


def test_a_missing_bucket_is_a_missing_file(s3_folder: str) -> None:
    assert not files.exists("s3://graft-no-such-bucket/a")
    with pytest.raises(FileNotFoundError):
        files.read_bytes("s3://graft-no-such-bucket/a")


def test_what_another_process_writes_is_seen_at_once(s3_folder: str) -> None:
    import boto3

    bucket = s3_folder.split("/")[2]
    atomic.write_bytes(f"{s3_folder}/a", b"1")
    assert files.list_folder(s3_folder) == ["a"]
    boto3.client("s3").put_object(Bucket=bucket, Key="folder/b", Body=b"2")
    assert files.list_folder(s3_folder) == ["a", "b"]
    boto3.client("s3").delete_object(Bucket=bucket, Key="folder/a")
    assert not files.exists(f"{s3_folder}/a")


def test_google_storage_is_asked_by_its_json_interface_alone(gs_folder: str) -> None:
    """gcsfs' other class asks by gRPC first, and waits a minute for the answer."""
    driver, _ = drivers.driver_of(gs_folder)
    assert type(driver).__module__ == "gcsfs.core"
