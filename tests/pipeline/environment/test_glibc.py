"""The source of the newer glibc, and the errors of its download."""

import pytest

from graft.pipeline.environment import glibc


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """Put an `apt-get` on PATH that answers what the test says."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def answer(text, status=0):
        program = tmp_path / "apt-get"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {status}\n")
        program.chmod(0o755)

    return answer


def test_uri_is_that_of_the_main_archive(apt):
    apt(
        "Debian-Security|Packages|http://security.example/debian-security/\n"
        "Debian|Translations|http://wrong.example/\n"
        "Debian|Packages|http://mirror.example/debian/"
    )
    assert glibc._main_archive_uri() == "http://mirror.example/debian/"


def test_no_archive(apt):
    apt("Ubuntu|Packages|http://mirror.example/ubuntu/")
    with pytest.raises(glibc.GlibcError, match="apt-get update"):
        glibc._main_archive_uri()


def test_failure_of_apt_is_shown(apt):
    apt("E: no such option", status=100)
    with pytest.raises(glibc.GlibcError, match="`apt-get indextargets …` failed"):
        glibc._main_archive_uri()


def test_missing_keyring(tmp_path, monkeypatch):
    monkeypatch.setattr(glibc, "KEYRING", tmp_path / "absent.gpg")
    with pytest.raises(glibc.GlibcError, match="debian-archive-keyring"):
        glibc.fetch_libraries(tmp_path)
    assert not list(tmp_path.iterdir())


def test_apt_is_kept_away_from_the_hosts_own_state(apt, tmp_path):
    apt("Debian|Packages|http://mirror.example/debian/")
    folder = tmp_path / "scratch"
    options = dict(option[2:].split("=", 1) for option in glibc._apt_options(folder))
    for key in ("Dir::State::Lists", "Dir::State::Status", "Dir::Cache"):
        assert options[key].startswith(str(folder))
    sources = (folder / "sources.list").read_text()
    assert f"[signed-by={glibc.KEYRING}] http://mirror.example/debian/" in sources
