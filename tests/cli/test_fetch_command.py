"""nnctl fetch, against a small server on this machine; how files are fetched is tested in tests/data."""

from __future__ import annotations

import hashlib
import io
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

from nnctl.cli.render import Screen
from nnctl.data import cards

ROWS = b"x,y\n" + b"".join(b"%d,%d\n" % (i, i % 2) for i in range(60))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(ROWS)))
        self.end_headers()
        self.wfile.write(ROWS)

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def card(here, monkeypatch, address):
    """A card called toy, whose one file the server has."""
    path = here / "cards" / "toy.yaml"
    path.parent.mkdir()

    def write(url: str = f"{address}/rows", sha: str = hashlib.sha256(ROWS).hexdigest()) -> Path:
        path.write_text(
            f"name: toy\ntitle: Sixty [red]rows[/]\nabout: nothing\nlicence: free\norigin: here\n"
            f"files: [{{name: rows.csv, sha256: {sha}, bytes: {len(ROWS)}, urls: ['{url}']}}]\n"
            f"source: {{csv: {{path: rows.csv, target: y}}}}\n"
        )
        return path

    monkeypatch.setattr(cards, "_cards", lambda: {"toy": path})
    write()
    return write


def test_a_data_set_is_fetched_into_datasets_and_a_spec_reads_it(nnctl, here, card):
    code, out, err = nnctl("fetch", "toy")
    assert (code, err) == (0, "")
    assert (here / "datasets" / "toy" / "rows.csv").read_bytes() == ROWS
    assert "fetched rows.csv" in out
    assert "source: toy" in out
    assert "licence free" in out
    (here / "spec.yaml").write_text("data: {source: toy}\narchitecture: [dense: outputs]\nloss: cross_entropy\n")
    assert nnctl("validate").code == 0


def test_on_a_terminal_a_bar_shows_how_far_it_is(card):
    screen = Screen()
    screen.console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with screen.fetching() as progress:
        progress("[red]rows.csv", 250_000, 1_000_000)
        progress("[red]rows.csv", 500_000, 1_000_000)
    shown = screen.console.file.getvalue()
    assert "[red]rows.csv" in shown
    assert "0.5/1.0 MB" in shown


def test_it_can_be_kept_elsewhere(nnctl, here, card, monkeypatch):
    assert "NNCTL_DATASETS=kept" in nnctl("fetch", "toy", "--folder", "kept").out
    assert (here / "kept" / "toy" / "rows.csv").exists()
    monkeypatch.setenv("NNCTL_DATASETS", str(here / "shelf"))
    assert nnctl("fetch", "toy").code == 0
    assert (here / "shelf" / "toy" / "rows.csv").exists()


def test_files_that_are_there_are_taken(nnctl, here, card):
    card(url="http://127.0.0.1:9/nobody")
    (here / "mine").mkdir()
    (here / "mine" / "other-name.csv").write_bytes(ROWS)
    assert nnctl("fetch", "toy", "--from", "mine").code == 0
    assert (here / "datasets" / "toy" / "rows.csv").read_bytes() == ROWS


def test_alone_it_lists_what_there_is_and_what_is_here(nnctl, here, card):
    code, out, _ = nnctl("fetch")
    assert code == 0
    assert "toy: Sixty [red]rows[/]" in out
    assert "licence free; not here" in out
    assert "0.3 KiB" in out
    nnctl("fetch", "toy")
    assert f"here, in {here}/datasets/toy" in nnctl("fetch").out


def test_the_cards_of_the_project_are_listed_with_licence_and_size(nnctl):
    out = nnctl("fetch").out
    assert "mnist: 70,000 handwritten digits" in out
    assert "10.7 MiB" in out
    assert "size unknown" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ty"], "'toy'"),
        (["iris"], "source: iris"),
        (["--from", "."], "--from needs the name"),
        (["toy", "more"], "more"),
    ],
)
def test_a_wrong_command_line_ends_with_2(nnctl, card, arguments, said):
    code, _, err = nnctl("fetch", *arguments)
    assert code == 2
    assert said in err


def test_what_cannot_be_had_ends_with_3(nnctl, here, card, address):
    card(url=f"{address}/missing")
    code, _, err = nnctl("fetch", "toy")
    assert code == 3
    assert "404" in err
    card(sha="a" * 64)
    code, _, err = nnctl("fetch", "toy")
    assert code == 3
    assert "SHA-256" in err
    assert not (here / "datasets" / "toy" / "rows.csv").exists()
    assert nnctl("fetch", "toy", "--from", "nowhere").code == 3


def test_a_folder_that_cannot_be_made_ends_with_74(nnctl, here, card):
    (here / "kept").write_text("a file")
    assert nnctl("fetch", "toy", "--folder", "kept").code == 74
