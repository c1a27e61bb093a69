"""Records: versions and hosts, files that are whole or not there, hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from hificl import __version__, records
from hificl.errors import InputError, RunError
from hificl.records import content_hash, environment, git_commit, host, peak_memory_bytes, read_json, write_json


def test_environment_holds_versions_without_importing() -> None:
    program = "import sys; from hificl import records; print(records.environment()['torch'], 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    version, imported = result.stdout.split()
    assert (version, imported) == (environment()["torch"], "False")
    assert environment()["hificl"] == __version__
    assert environment()["python"] == sys.version.split()[0]
    assert set(environment()) == {"python", "commit", *records.PACKAGES}


def test_a_missing_package_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PACKAGES", ("hificl", "no-such-package-as-this"))
    assert environment()["no-such-package-as-this"] is None


def test_host_describes_the_machine() -> None:
    facts = host()
    assert set(facts) == {"machine", "system", "cpu", "cores", "memory_bytes", "threads", "gpu"}
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert isinstance(facts["memory_bytes"], int)
    assert facts["memory_bytes"] > 2**28
    json.dumps(facts)


class FakeCuda:
    """What torch.cuda shows on a machine with two used devices."""

    reset: list[int] = []

    def is_initialized(self) -> bool:
        return True

    def get_device_name(self) -> str:
        return "Test GPU"

    def device_count(self) -> int:
        return 2

    def max_memory_allocated(self, device: int) -> int:
        return [300, 700][device]

    def reset_peak_memory_stats(self, device: int) -> None:
        self.reset.append(device)


class FakeTorch:
    cuda = FakeCuda()

    def get_num_threads(self) -> int:
        return 3


def test_a_used_gpu_is_named_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", FakeTorch())  # type: ignore[arg-type]
    assert host()["gpu"] == "Test GPU"
    assert host()["threads"] == 3
    assert peak_memory_bytes() == 700
    assert records.reset_peak_memory()
    assert FakeCuda.reset == [0, 1]
    monkeypatch.setattr(FakeCuda, "is_initialized", lambda self: False)
    assert host()["gpu"] is None
    assert peak_memory_bytes() > 700


def test_peak_memory_rises_and_can_be_reset() -> None:
    """Run in a fresh process: 80 MB must be seen, and forgotten after a reset."""
    program = (
        "from hificl.records import peak_memory_bytes as peak, reset_peak_memory\n"
        "start = peak(); block = bytearray(b'x') * 80_000_000; full = peak(); del block\n"
        "done = reset_peak_memory(); print(full - start, peak() - start, done)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    risen, left, done = result.stdout.split()
    assert 70_000_000 < int(risen) < 120_000_000
    assert done == "False" or int(left) < 20_000_000


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.fail("this test needs git")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_commit_of_tracked_files_only(repository: Path) -> None:
    commit = git_commit(repository / "code")
    assert commit is not None
    assert len(commit) == 40
    assert git_commit(repository / "code" / "a.py") == commit
    (repository / "venv").mkdir()
    (repository / "venv" / "b.py").write_text("2")
    assert git_commit(repository / "venv") is None
    assert git_commit(repository / "venv" / "b.py") is None
    assert git_commit(repository / "none" / "c.py") is None
    assert git_commit(repository / "code") == commit
    (repository / "code" / "a.py").write_text("3")
    assert git_commit(repository / "code") == f"{commit}-dirty"


def test_no_commit_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_commit(repository / "code") is None


def test_json_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "record.json"
    value = {
        "score": np.float64(1.5),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "array": np.arange(4).reshape(2, 2),
        "pair": (1, 2.25),
        "path": PurePosixPath("a/b"),
        "unknown": None,
        "text": "größer \u2028",
    }
    write_json(path, value)
    plain = {"score": 1.5, "count": 3, "flag": True, "array": [[0, 1], [2, 3]], "pair": [1, 2.25], "path": "a/b"}
    assert read_json(path) == plain | {"unknown": None, "text": "größer \u2028"}
    assert "größer" in path.read_text(encoding="utf-8")
    assert path.read_bytes().endswith(b"}\n")
    assert os.listdir(path.parent) == ["record.json"]


def test_lists_of_plain_values_stand_on_one_line(tmp_path: Path) -> None:
    write_json(tmp_path / "r.json", {"ids": ["a", "b"], "rows": [{"x": 1}, [2, [3]]], "none": {}, "empty": []})
    assert (tmp_path / "r.json").read_text() == (
        '{\n  "ids": ["a", "b"],\n  "rows": [\n    {\n      "x": 1\n    },\n    [\n      2,\n      [3]\n    ]\n  ],\n'
        '  "none": {},\n  "empty": []\n}\n'
    )


def test_half_a_surrogate_pair_survives(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", ["ü\ud800"])
    assert read_json(tmp_path / "a.json") == ["ü\ud800"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"results": {"scores": [1.0, float("nan")]}}, r"\$\.results\.scores\[1\] is nan"),
        ({"loss": np.float32("inf")}, r"\$\.loss is inf.*write None for an unknown value"),
        ({"seeds": {0: 1.5}}, r"\$\.seeds has the name 0; names in JSON must be texts"),
        ({"when": object()}, r"\$\.when is a object"),
        ({"ids": {1, 2}}, r"\$\.ids is a set"),
    ],
)
def test_what_json_cannot_hold_is_named_and_nothing_is_written(tmp_path: Path, value: object, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text("[]")
    with pytest.raises(InputError, match=message):
        write_json(path, value)
    assert path.read_text() == "[]"
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"old": True})

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, function, full)
    with pytest.raises(RunError, match=r"record\.json: could not be written \(No space left on device\).*make room"):
        write_json(path, {"new": True})
    assert read_json(path) == {"old": True}
    assert os.listdir(tmp_path) == ["record.json"]


def test_an_interrupt_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_json(tmp_path / "a.json", {})
    assert os.listdir(tmp_path) == []


def test_data_are_on_disk_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order of the calls: content synced, then renamed, then the folder synced."""
    calls = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        calls.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "content")
        fsync(descriptor)

    def recorded_replace(source: Path, target: Path) -> None:
        assert source.parent == target.parent
        assert source.read_text() == "[]\n"
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    write_json(tmp_path / "a.json", [])
    assert calls == ["content", "rename", "folder"]


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"a\.json: could not be written"):
        write_json(tmp_path / "file" / "a.json", [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1', r"a\.json:1: invalid JSON at column 8"),
        (b'{\n"a" 1}', r"a\.json:2: invalid JSON"),
        (b"", r"a\.json:1: invalid JSON"),
        (b'{"a": NaN}', r"NaN is not JSON"),
        (b"\xff\xfe{", "not UTF-8 text"),
        (b"[" * 100_000, "invalid JSON"),
    ],
)
def test_unreadable_json(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(path)


def test_missing_json(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)


def test_content_hash_of_bytes_files_and_values(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc" * 100_000)
    assert content_hash(path) == content_hash(b"abc" * 100_000) == hashlib.sha256(b"abc" * 100_000).hexdigest()
    assert content_hash(str(path)) == hashlib.sha256(json.dumps(str(path)).encode()).hexdigest()
    first, second = {"a": 1, "b": [1.5, None]}, {"b": (1.5, None), "a": 1}
    assert content_hash(first) == content_hash(second)
    assert content_hash(first) != content_hash({"a": 1, "b": [1.5, 0]})
    with pytest.raises(InputError, match=r"none\.bin: cannot be read"):
        content_hash(tmp_path / "none.bin")
    with pytest.raises(InputError, match=r"\$\.a is nan"):
        content_hash({"a": float("nan")})
