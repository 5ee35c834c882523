import types

import numpy as np

from recon_detect import Method, load_detector
from recon_detect.methods import METHODS, find_method


def test_every_method_is_complete():
    for name in METHODS:
        method = find_method(name)
        assert method.name == name and method.title and method.models
        assert method.paper.startswith("arXiv:")


def test_a_new_method_is_one_file_and_one_line(monkeypatch, tiny_model, picture):
    """Written as its file would be: a formula over evidence."""

    def second_pass_ratio(e):
        return e.error("l2", passes=1) / e.error("l2", passes=2)

    module = types.ModuleType("ratio")
    module.RATIO = Method(
        "ratio", "first over second pass", second_pass_ratio, False, "l2", ("taesd",), "arXiv:0000.00000"
    )
    monkeypatch.setitem(__import__("sys").modules, "ratio", module)
    monkeypatch.setitem(METHODS, "ratio", "ratio:RATIO")
    result = load_detector("ratio", models=tiny_model).score([picture(seed=n) for n in range(2)], progress=False)
    assert result.run.method == "ratio" and np.isfinite(result.scores).all() and (result.scores < 0).all()
