"""Test runs under several BLAS kernels: each runs in its own process, and one failure fails the whole run."""

import pytest

from parity_tests import kernels

ONE = ["--threads", "1", "-n", "0", "-p", "no:cacheprovider"]


@pytest.fixture
def tests(tmp_path):
    path = tmp_path / "test_it.py"
    path.write_text("import os\n\ndef test_kernel():\n    assert os.environ.get('OPENBLAS_CORETYPE') != 'Haswell'\n")
    return [f"--rootdir={tmp_path}", str(path)]


@pytest.mark.slow
def test_a_failure_under_one_kernel_fails_the_whole_run(tests, capfd):
    assert kernels.main(["--kernels", "Nehalem,Haswell", *ONE, *tests]) == 1
    out = capfd.readouterr().out
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line.startswith("│")}
    assert [part.strip() for part in rows["Nehalem"].split("│")[3:6]] == ["1", "1", "0"]
    assert [part.strip() for part in rows["Haswell"].split("│")[3:6]] == ["1", "0", "1"]
    assert "Haswell, threads 1: test_it::test_kernel" in out
    assert kernels.main(["--kernels", "Nehalem", *ONE, *tests]) == 0


def test_an_unsupported_kernel_is_no_failure(tests, capfd, monkeypatch):
    result = kernels.Result("Haswell", 1)
    monkeypatch.setattr(kernels, "PROBE", "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert kernels.run_tests("Haswell", 1, tests) == result
    assert not result.can_run
    assert kernels.main(["--kernels", "Haswell", *ONE, *tests]) == 1, "a run without any test counts as a failure"
    assert "cannot run here" in capfd.readouterr().out


def test_a_run_without_tests_is_a_failure(tmp_path):
    (tmp_path / "test_nothing.py").write_text("")
    assert kernels.run_tests("Nehalem", 2, ["-p", "no:cacheprovider", str(tmp_path)]).failed == ["pytest ended with status 5"]


def test_the_environment_selects_only_the_requested_kernel(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")
    assert "OPENBLAS_CORETYPE" not in kernels.environment(kernels.NATIVE, 2)
    assert kernels.environment("Haswell", 2)["OPENBLAS_CORETYPE"] == "Haswell"
    assert kernels.environment("Haswell", 2)["OPENBLAS_NUM_THREADS"] == "2"


@pytest.mark.parametrize(("argv", "complaint"), [(["--kernels", "Zen,"], "names of OpenBLAS"), (["--threads", "0"], "got '0'")])
def test_wrong_options_are_refused(argv, complaint, capsys):
    with pytest.raises(SystemExit, match="2"):
        kernels.main(argv)
    assert complaint in capsys.readouterr().err
