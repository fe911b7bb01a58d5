"""Which runner Apache Beam takes when nobody names one."""

from __future__ import annotations

from apache_beam.options.pipeline_options import StandardOptions

LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"


def keep_beam_local() -> None:
    """Make Beam's own in-process runner the default.

    Beam's default is to download a Go program from GitHub for every job, with no hash
    to check, and to fall back to this runner only where GitHub can't be reached: a
    connected host would run other code than a closed one.
    """
    StandardOptions.DEFAULT_RUNNER = LOCAL_RUNNER
