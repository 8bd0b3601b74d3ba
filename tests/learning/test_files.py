"""Files that are whole, and for their owner alone."""

from __future__ import annotations

import os

import msgspec

from fusion.learning import files


class Content(msgspec.Struct):
    number: int


def test_what_stands_in_the_way_is_not_written_to(tmp_path):
    """A link, or a file that others may read, of the name that is written to first."""
    path, other = tmp_path / "fit.json", tmp_path / "other"
    beside = tmp_path / f"fit.json.{os.getpid()}.new"
    other.write_text("untouched")
    beside.symlink_to(other)
    files.write(path, Content(1), "it")
    assert other.read_text() == "untouched"
    beside.touch(mode=0o666)
    beside.chmod(0o666)
    files.write(path, Content(2), "it")
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert files.read(path, Content, "it") == Content(2)
    assert not beside.exists()
