import argparse

import pytest
import torch

from benchmarks.common.sampling import ALL, SAMPLE, add_argument, in_turn, number_of


def test_every_prefix_of_the_order_is_a_sample_of_both_classes():
    families = ["", "", "", "", "", "", "sd", "sd", "sd", "sd", "flux", "flux"]
    rows = [{"label": "generated" if f else "real", "path": str(n), "autoencoder": f} for n, f in enumerate(families)]
    ordered = in_turn(rows)
    assert [row["label"] for row in ordered] == ["real", "generated"] * 6
    generated = [row["autoencoder"] for row in ordered if row["label"] == "generated"]
    assert generated.count("flux") == 2 and generated[:3].count("flux") == 1
    assert sorted(row["path"] for row in ordered) == sorted(row["path"] for row in rows)
    assert ordered == in_turn(rows)


@pytest.mark.parametrize("given, long, device, number", [
    ([], False, "cpu", ALL),
    ([], True, "cpu", SAMPLE),
    ([], True, "cuda", ALL),
    (["--images", "6"], False, "cpu", 6),
    (["--images", "6"], True, "cuda", 6),
    (["--images", "all"], True, "cpu", ALL),
])  # fmt: skip
def test_what_is_long_takes_a_sample_on_a_cpu(given, long, device, number):
    parser = argparse.ArgumentParser()
    add_argument(parser, "all")
    images = parser.parse_args(given).images
    assert number_of(images, torch.device(device), long=long) == number


@pytest.mark.parametrize("text", ["0", "1", "-3", "many"])
def test_a_sample_has_both_classes(text, capsys):
    parser = argparse.ArgumentParser()
    add_argument(parser, "all")
    with pytest.raises(SystemExit):
        parser.parse_args(["--images", text])
    assert "--images" in capsys.readouterr().err
