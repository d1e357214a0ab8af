"""docs/your-own-implementation.md is true: its code is written into a package of stubs, step by step, and judged."""

from parity_tests.pages import BLOCK, WALK, WalkReader, with_outputs


def test_the_page_prints_what_the_commands_print(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    page = WALK.read_text()
    assert with_outputs(page, WalkReader()) == page
    assert len(BLOCK.findall(page)) > 20
