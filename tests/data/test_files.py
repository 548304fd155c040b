"""Files are found, fetched and checked; what is broken is refused with one message."""

import dataclasses
import hashlib
from pathlib import Path

import pytest
from served import BreaksOff, Serve, gzipped

from resnet_lab.config.checks import ConfigError
from resnet_lab.data.files import RemoteFile, find, unpacked

CONTENT = bytes(range(256)) * 4096
NAME = "images.gz"


def remote(url: str, content: bytes = CONTENT) -> RemoteFile:
    data = gzipped(content)
    return RemoteFile(
        "letters", NAME, f"{url}/{NAME}", f"md5:{hashlib.md5(data).hexdigest()}", hashlib.sha256(content).hexdigest()
    )


def put(folder: Path, data: bytes, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_downloads_into_the_folder_of_the_data_set_and_only_once(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    published = put(tmp_path / "www", gzipped(CONTENT))
    spec = remote(serve(published.parent))
    path = find(tmp_path / "data", spec)
    assert path == tmp_path / "data" / "letters" / NAME
    assert unpacked(path) == CONTENT
    published.unlink()
    assert find(tmp_path / "data", spec) == path
    assert files_in(tmp_path / "data") == [f"letters/{NAME}"]
    assert capfd.readouterr() == ("", "")  # quiet: stderr is not a terminal


def test_a_download_that_breaks_off_leaves_nothing_and_works_the_next_time(serve: Serve, tmp_path: Path) -> None:
    published = put(tmp_path / "www", gzipped(CONTENT))
    with pytest.raises(ConfigError, match=r"IncompleteRead"):
        find(tmp_path / "data", remote(serve(published.parent, BreaksOff)))
    assert files_in(tmp_path / "data") == []
    assert unpacked(find(tmp_path / "data", remote(serve(published.parent)))) == CONTENT


@pytest.mark.parametrize("flaw", ["flipped", "cut", "404"])
def test_a_download_with_another_checksum_is_refused_and_not_kept(serve: Serve, tmp_path: Path, flaw: str) -> None:
    data = gzipped(CONTENT)
    served = {"flipped": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:500], "404": data}[flaw]
    published = put(tmp_path / "www", served, "other" if flaw == "404" else NAME)
    with pytest.raises(ConfigError, match="404" if flaw == "404" else "wrong checksum"):
        find(tmp_path / "data", remote(serve(published.parent)))
    assert files_in(tmp_path / "data") == []


def test_without_a_network_one_line_says_what_is_missing_and_where_to_put_it(closed_port: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find(tmp_path, remote(closed_port))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "data=letters",
        NAME,
        f"{closed_port}/{NAME}",
        "Connection refused",
        f"{tmp_path}/letters",
        "data.root",
    ):
        assert part in message


@pytest.mark.parametrize("place", ["letters", ".", "../system"])
@pytest.mark.parametrize("packing", ["published", "gzipped again", "plain"])
def test_files_by_hand_and_of_the_system_are_known_by_their_content(
    closed_port: str, tmp_path: Path, place: str, packing: str
) -> None:
    data = {"published": gzipped(CONTENT), "gzipped again": gzipped(CONTENT, 1), "plain": CONTENT}[packing]
    path = put(tmp_path / "data" / place, data, "images" if packing == "plain" else NAME)
    found = find(tmp_path / "data", remote(closed_port), [tmp_path / "system"])
    assert found.samefile(path)
    assert unpacked(found) == CONTENT


def test_the_home_folder_is_expanded(closed_port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = put(tmp_path / "pictures" / "letters", gzipped(CONTENT))
    assert find(Path("~/pictures"), remote(closed_port)) == path


@pytest.mark.parametrize("place", ["letters", "../system"])
@pytest.mark.parametrize("flaw", ["cut in half", "other content", "not gzipped", "empty"])
def test_a_damaged_file_is_refused_by_name_and_not_replaced(
    serve: Serve, tmp_path: Path, place: str, flaw: str
) -> None:
    whole = gzipped(CONTENT)
    data = {
        "cut in half": whole[: len(whole) // 2],
        "other content": gzipped(CONTENT[:-1]),
        "not gzipped": b"<html>",
        "empty": b"",
    }[flaw]
    published = put(tmp_path / "www", whole)
    path = put(tmp_path / "data" / place, data)
    with pytest.raises(ConfigError, match=r"delete it") as caught:
        find(tmp_path / "data", remote(serve(published.parent)), [tmp_path / "system"])
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == data


def test_another_data_sets_file_of_the_same_name_is_passed_over_in_the_root(
    serve: Serve, closed_port: str, tmp_path: Path
) -> None:
    other = put(tmp_path / "data", gzipped(CONTENT[::-1]))
    published = put(tmp_path / "www", gzipped(CONTENT))
    with pytest.raises(ConfigError, match=f"{other} has other content"):
        find(tmp_path / "data", remote(closed_port))
    assert unpacked(find(tmp_path / "data", remote(serve(published.parent)))) == CONTENT
    assert unpacked(other) == CONTENT[::-1]
    of_numbers = dataclasses.replace(remote(closed_port, CONTENT[::-1]), dataset="numbers")
    assert find(tmp_path / "data", of_numbers) == other


def test_a_file_cut_in_half_is_nobodys(serve: Serve, tmp_path: Path) -> None:
    published = put(tmp_path / "www", gzipped(CONTENT))
    put(tmp_path / "data", gzipped(CONTENT)[:400])
    with pytest.raises(ConfigError, match="delete it"):
        find(tmp_path / "data", remote(serve(published.parent)))


def test_a_folder_that_cannot_be_written_is_named(serve: Serve, tmp_path: Path) -> None:
    published = put(tmp_path / "www", gzipped(CONTENT))
    root = put(tmp_path, b"", "a file")
    with pytest.raises(ConfigError, match=r"Not a directory: .*a file/letters"):
        find(root, remote(serve(published.parent)))
