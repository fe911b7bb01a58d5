"""The default runner of Apache Beam."""

from __future__ import annotations

from apache_beam.options.pipeline_options import StandardOptions

LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"


def keep_beam_local() -> None:
    """Make Beam's in-process runner the default.

    Otherwise Beam downloads a Go program from GitHub for every job, without a hash, and
    uses the in-process runner only if GitHub can't be reached. Hosts with and without
    internet access would run different code.
    """
    StandardOptions.DEFAULT_RUNNER = LOCAL_RUNNER
