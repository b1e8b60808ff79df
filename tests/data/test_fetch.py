"""Cards and fetching, against a small server on this machine."""

import gzip
import hashlib
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pydantic import ValidationError

from nnctl.core.errors import DataError, DiskError
from nnctl.data import cards
from nnctl.data.cards import Card, card_names, data_folder, read_card
from nnctl.data.fetch import fetch, hash_of
from nnctl.data.prepare import prepare
from nnctl.data.scaling import NoScaling
from nnctl.data.sources import Source
from nnctl.data.splits import SplitPlan

CONTENT = b"x,y\n" + b"".join(b"%d,%d\n" % (i, i % 2) for i in range(400_000))
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT in several manners; `asked` keeps the Range of every request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.breaks = 0

    def url(self, manner):
        return f"http://127.0.0.1:{self.server_address[1]}/{manner}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        manner = self.path[1:]
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append((manner, asked))
        if manner == "missing":
            self.send_error(404)
            return
        body = {"wrong": b"something else", "gzip": gzip.compress(CONTENT, mtime=7)}.get(manner, CONTENT)
        start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and manner != "deaf" else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = len(body)
        if manner == "cut" or (manner == "breaks" and server.breaks > 0):
            server.breaks -= 1
            end = start + (len(body) - start) // 2 if manner == "breaks" else start + 1000
        self.wfile.write(body[start:end])

    def log_message(self, *words):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def card(*urls, sha=SHA, hash_of="file"):
    return Card(
        name="toy", title="t", about="a", licence="l", origin="o",
        files=[{"name": "a.csv", "sha256": sha, "hash_of": hash_of, "urls": list(urls)}],
        source={"csv": {"path": "a.csv", "target": "y"}},
    )  # fmt: skip


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once_and_its_progress_told(server, tmp_path):
    told = []
    wanted = card(server.url("plain"))
    [path] = fetch(wanted, tmp_path / "deep" / "toy", progress=lambda *now: told.append(now))
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == ["a.csv"]
    assert told[-1] == ("a.csv", len(CONTENT), len(CONTENT))
    assert [now[1] for now in told] == sorted(now[1] for now in told)
    fetch(wanted, path.parent)
    assert len(server.asked) == 1


def part_of(folder, url):
    mark = hashlib.sha256(url.encode()).hexdigest()[:8]
    return folder / f".a.csv.{mark}.part"


def test_a_broken_download_is_taken_up_where_it_stopped(server, tmp_path):
    url = server.url("plain")
    part_of(tmp_path, url).write_bytes(CONTENT[:1234])
    fetch(card(url), tmp_path)
    assert server.asked == [("plain", "bytes=1234-")]
    assert (tmp_path / "a.csv").read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_at_once(server, tmp_path):
    server.breaks = 2
    fetch(card(server.url("breaks")), tmp_path)
    assert len(server.asked) == 3
    assert server.asked[1][1] == f"bytes={len(CONTENT) // 2}-"
    assert leftovers(tmp_path) == ["a.csv"]


def test_a_server_that_knows_no_ranges_sends_it_all_again(server, tmp_path):
    url = server.url("deaf")
    part_of(tmp_path, url).write_bytes(b"the beginning")
    fetch(card(url), tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("junk", [b"junk" * 100, b"j" * (len(CONTENT) + 5)], ids=["short", "longer than the file"])
def test_a_part_that_is_no_beginning_of_the_file_is_thrown_away(server, tmp_path, junk):
    url = server.url("plain")
    part_of(tmp_path, url).write_bytes(junk)
    fetch(card(url), tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["a.csv"]


def test_a_wrong_hash_is_refused_with_both_hashes_and_not_kept(server, tmp_path):
    wrong = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DataError, match=rf"SHA-256 {wrong}; the card says {SHA}") as error:
        fetch(card(server.url("wrong")), tmp_path)
    assert error.value.exit_code == 3
    assert leftovers(tmp_path) == []


def test_the_next_mirror_is_tried(server, tmp_path):
    fetch(card(server.url("missing"), server.url("wrong"), server.url("plain")), tmp_path)
    assert [manner for manner, _ in server.asked] == ["missing", "wrong", "plain"]
    assert leftovers(tmp_path) == ["a.csv"]


def test_what_every_mirror_said_is_told(server, tmp_path):
    with pytest.raises(DataError, match=r"(?s)a\.csv cannot be fetched.*HTTP Error 404.*--from DIR"):
        fetch(card(server.url("missing")), tmp_path)


def test_a_truncated_download_keeps_its_part_for_the_next_time(server, tmp_path):
    url = server.url("cut")
    with pytest.raises(DataError, match=r"the connection broke 3 times; 3,000 of"):
        fetch(card(url), tmp_path)
    assert part_of(tmp_path, url).read_bytes() == CONTENT[:3000]
    assert not (tmp_path / "a.csv").exists()


def test_a_server_that_is_not_there_is_an_error_in_one_message(tmp_path, server):
    url = server.url("plain")
    server.server_close()
    with pytest.raises(DataError, match=r"cannot be fetched"):
        fetch(card(url), tmp_path)


def test_a_hash_of_the_content_ignores_the_wrapping(server, tmp_path):
    [path] = fetch(card(server.url("gzip"), hash_of="content"), tmp_path)
    assert gzip.decompress(path.read_bytes()) == CONTENT
    assert hash_of(path, "content") == SHA
    assert hash_of(path, "file") != SHA


def test_a_damaged_file_that_is_here_is_fetched_anew(server, tmp_path):
    (tmp_path / "a.csv").write_bytes(CONTENT[:-1])
    fetch(card(server.url("plain")), tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"cannot be made"):
        fetch(card("http://127.0.0.1/"), tmp_path / "file" / "toy")


@pytest.mark.parametrize("place", ["a.csv", "other-name.txt", "sub/a.csv", "sub/other-name.txt"])
def test_files_that_are_there_already_are_found_by_name_or_hash(tmp_path, place):
    (tmp_path / "from" / "sub").mkdir(parents=True)
    (tmp_path / "from" / "noise").write_bytes(b"noise")
    (tmp_path / "from" / place).write_bytes(CONTENT)
    [path] = fetch(card("http://127.0.0.1/"), tmp_path / "to", from_dir=tmp_path / "from")
    assert path.read_bytes() == CONTENT


def test_a_file_of_that_name_with_another_hash_is_not_taken(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"other")
    with pytest.raises(DataError, match=rf"the card says {SHA}\. It was not taken"):
        fetch(card("http://127.0.0.1/"), tmp_path / "to", from_dir=tmp_path)
    assert leftovers(tmp_path / "to") == []


def test_a_folder_without_the_file_is_told(tmp_path):
    with pytest.raises(DataError, match=r"holds no a\.csv"):
        fetch(card("http://127.0.0.1/"), tmp_path / "to", from_dir=tmp_path)
    with pytest.raises(DataError, match=r"no such folder"):
        fetch(card("http://127.0.0.1/"), tmp_path / "to", from_dir=tmp_path / "nowhere")


def test_the_cards_of_the_project_are_whole():
    assert {"adult", "california", "mnist", "shakespeare"} <= set(card_names())
    for name in card_names():
        known = read_card(name)
        assert known.name == name
        [(kind, fields)] = known.source.items()
        if kind in Source.members():
            assert Source.parse({kind: fields}).name == kind
            assert set(known.columns) <= {*fields.get("columns", known.columns)}
        files = {file.name for file in known.files}
        assert files == files & {value for value in fields.values() if isinstance(value, str)}


def test_cards_document_their_fields():
    assert set(Card.field_docs()) == set(Card.model_fields)
    assert set(cards.CardFile.field_docs()) == set(cards.CardFile.model_fields)


def test_a_card_is_a_source_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "toy.yaml").write_text(card("http://127.0.0.1/").model_dump_json())
    monkeypatch.setattr(cards, "_cards", lambda: {"toy": tmp_path / "cards" / "toy.yaml"})
    monkeypatch.setenv("NNCTL_DATASETS", str(tmp_path / "data"))
    source = Source.parse("toy")
    assert Source.parse(source.spelled()) == source
    with pytest.raises(DataError, match=r"toy is not here yet \(.*\)\. Type: nnctl fetch toy"):
        source.load(tmp_path, 0)
    data_folder("toy").mkdir(parents=True)
    (data_folder("toy") / "a.csv").write_bytes(CONTENT[: CONTENT.index(b"\n40,") + 1])
    made = prepare(source, SplitPlan(), NoScaling(), task="classification")
    assert made.features == ("x",)
    assert Source.parse({"toy": {"categorical": ["x"], "encoding": "ordinal"}}).source().encoding == "ordinal"
    with pytest.raises(ValidationError, match=r"unknown key\. Did you mean 'encoding'"):
        Source.parse({"toy": {"encodin": "ordinal"}})


def test_text_sources_are_said_to_be_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("NNCTL_DATASETS", str(tmp_path))
    monkeypatch.delitem(Source.registry, "text", raising=False)
    (tmp_path / "shakespeare").mkdir()
    (tmp_path / "shakespeare" / "input.txt").write_text("To be")
    with pytest.raises(DataError, match=r"shakespeare is a text data set, and text sources are not supported yet"):
        Source.parse("shakespeare").load(tmp_path, 0)


def test_an_unknown_source_is_compared_with_the_cards_too():
    with pytest.raises(ValidationError, match=r"unknown source 'mnits'\. Did you mean 'mnist'"):
        Source.parse("mnits")
    with pytest.raises(ValidationError, match=r"unknown source 'zzz'\. Known: .*iris.*adult, california, mnist"):
        Source.parse({"zzz": 1})
    with pytest.raises(DataError, match=r"there is no data set 'mnits'\. Did you mean 'mnist'"):
        read_card("mnits")


def test_a_damaged_card_is_told(tmp_path, monkeypatch):
    path = tmp_path / "toy.yaml"
    monkeypatch.setattr(cards, "_cards", lambda: {"toy": path})
    for text, message in (("name: [", "is not YAML"), ("name: toy\nfile: 1\n", "Did you mean 'files'")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_card("toy")


def test_data_folders_are_here_unless_the_environment_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.delenv("NNCTL_DATASETS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert data_folder("toy") == tmp_path / "datasets" / "toy"
