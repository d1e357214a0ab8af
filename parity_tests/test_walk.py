"""Run the steps of docs/your-own-implementation.md and compare their output with the page."""

from parity_tests.pages import BLOCK, WALK, WalkReader, with_outputs


def test_the_page_shows_the_commands_real_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    page = WALK.read_text()
    assert with_outputs(page, WalkReader()) == page
    assert len(BLOCK.findall(page)) > 20
