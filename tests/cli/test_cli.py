"""The command line as a user's shell runs it."""

import csv
import dataclasses
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from recon_detect import Provenance, Row, RunInfo
from recon_detect.answers import KINDS
from recon_detect.cli.app import app
from recon_detect.cli.hits import ONLY
from recon_detect.cli.tables import print_answers, print_table
from recon_detect.output import Journal
from recon_detect.results import MethodInfo, Score
from recon_detect.settings import DEFAULTS

COMMAND = [sys.executable, "-m", "recon_detect"]


@pytest.fixture
def score(cli, tiny_model):
    """Runs `score` with a small random model."""

    def run(*arguments, **options):
        model = ["--method", "aeroblade", "--models", tiny_model, "--distance", "l2", "--device", "cpu"]
        return cli("score", *arguments, *model, **options)

    return run


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_json_lines_in_a_pipe_and_remarks_on_stderr(score, image_folder):
    done = score(image_folder, code=3)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert len(rows) == 8
    assert sum(row["score"] is None for row in rows) == 1
    assert {row["run"] for row in rows} == {rows[0]["run"]}
    assert "8 images, 1 failed; aeroblade (l2) with" in done.err


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_results_and_maps_in_files(score, image_folder, tmp_path, suffix):
    output, maps = tmp_path / f"out.{suffix}", tmp_path / "maps"
    done = score(image_folder, "--output", output, "--maps", maps, "--quiet", code=3)
    assert done.out == "" and done.err == ""
    assert output.stat().st_size > 500 and (tmp_path / f"out.{suffix}.run.json").exists()
    assert len(list(maps.glob("*.png"))) == 7


def test_what_the_library_warns_of_is_told_once(score, image_folder, monkeypatch):
    monkeypatch.setattr("recon_detect.models.loading.has_bfloat16", lambda device: False)
    for _ in range(2):
        told = score(image_folder, "--dtype", "bfloat16", code=3).err
        assert told.count("recon-detect: warning: this CPU has no bfloat16") == 1
    assert "warning" not in score(image_folder, code=3).err


def test_what_a_folder_holds_besides_is_told_once(score, image_folder):
    (image_folder / "notes.doc").write_bytes(b"x")
    assert score(image_folder, code=3).err.count("1 entry left out: .doc 1") == 1


def test_labels_give_an_auroc(score, tmp_path, picture):
    for number, label in enumerate(("real", "fake")):
        (tmp_path / label).mkdir()
        Image.fromarray(picture(seed=number)).save(tmp_path / label / "a.png")
    assert "(n = 1 real, 1 generated" in score(tmp_path).err


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(cli, tiny_model, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(60):
        Image.fromarray(generator.integers(0, 256, (256, 256, 3), np.uint8)).save(folder / f"{number:02}.png")
    options = [
        "--method",
        "aeroblade",
        "--models",
        tiny_model,
        "--distance",
        "l2",
        "--device",
        "cpu",
        "--batch-size",
        "1",
    ]
    cli("score", folder, *options, "-o", tmp_path / "whole.csv")
    partial = tmp_path / "out.csv.partial"
    command = [*COMMAND, "score", folder, *options, "-o", tmp_path / "out.csv"]
    for lines in (10, 25):
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
        while not partial.exists() or partial.read_bytes().count(b"\n") < lines:
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
        process.wait()
    assert not (tmp_path / "out.csv").exists()
    done = cli("score", folder, *options, "-o", tmp_path / "out.csv")
    assert "of 60 images are done already" in done.err
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not partial.exists()


def test_an_interrupted_published_run_starts_over(cli, kl_model, tmp_path, picture):
    """Its noise depends on the files before; going on would give other scores than an undisturbed run."""
    (tmp_path / "images").mkdir()
    for number in range(4):
        Image.fromarray(picture(seed=number)).save(tmp_path / "images" / f"{number}.png")
    options = [
        tmp_path / "images",
        "--method",
        "aeroblade",
        "--models",
        kl_model,
        "--distance",
        "l2",
        "--device",
        "cpu",
        "--compat",
        "published",
    ]
    cli("score", *options, "-o", tmp_path / "whole.jsonl")
    run = (tmp_path / "whole.jsonl.run.json").read_text()
    first = (tmp_path / "whole.jsonl").read_text().splitlines()[0]
    (tmp_path / "out.jsonl.partial").write_text(json.dumps(json.loads(run)) + "\n" + first + "\n")
    cli("score", *options, "-o", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == (tmp_path / "whole.jsonl").read_text()


@pytest.mark.slow
def test_interrupt_ends_with_130(tiny_model, tmp_path):
    for number in range(200):
        Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(tmp_path / f"{number}.png", compress_level=0)
    model = ["--method", "aeroblade", "--models", tiny_model, "--distance", "l2"]
    # A shell starts background jobs with interrupts ignored, and a test run may be one.
    heeding = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from recon_detect.cli import main; main()"
    )
    command = [sys.executable, "-c", heeding, "score", tmp_path, *model, "--batch-size", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(list(map(str, command)), **pipes) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert "interrupted" in stderr and "Traceback" not in stderr


def test_usage_errors_end_with_2(cli, score, tmp_path, image_folder, tiny_model):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no images in this folder" in score(empty, code=2).err
    assert "unknown method 'x'; known: aedr, " in cli("score", image_folder, "--method", "x", code=2).err
    assert "No such option" in cli("score", image_folder, "--nonsense", code=2).err
    assert "ends in .jsonl, .csv, .parquet" in score(image_folder, "-o", tmp_path / "a.txt", code=2).err


def test_missing_weights_end_with_4_and_devices_with_5(cli, offline, image_folder, tiny_model):
    done = cli("score", image_folder, "--models", "taesd", code=4)
    assert "recon-detect models download taesd" in done.err and "Traceback" not in done.err
    assert (
        "'cuda:7' is not available"
        in cli("score", image_folder, "--method", "hfi", "--models", tiny_model, "--device", "cuda:7", code=5).err
    )


def test_help_is_instant_because_nothing_heavy_is_imported(cli):
    program = (
        "import sys; from recon_detect.cli.app import app; import recon_detect\n"
        "print([m for m in ('torch', 'diffusers', 'numpy', 'PIL', 'sklearn', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "Detect images made by generative models" in cli("--help").out
    assert "higher means more likely generated" in cli("score", "--help").out
    assert cli("--version").out.startswith("recon-detect 0.")


def test_defaults_are_those_of_the_api():
    import typer

    command = typer.main.get_command(app).commands["score"]
    options = {parameter.name: parameter.default for parameter in command.params}
    shared = {f.name for f in dataclasses.fields(DEFAULTS)} & set(options)
    assert shared >= {"device", "dtype", "batch_size", "workers", "max_pixels", "exif_orientation"}
    assert {name: options[name] for name in shared} == {name: getattr(DEFAULTS, name) for name in shared}


def test_doctor_names_what_is_missing(cli, offline):
    done = cli("doctor")
    assert "torchvision" in done.out and "lpips: not here, and not needed by the default" in done.out
    assert "default models: mini-sd in" in done.out


def test_doctor_and_verify_with_real_weights(cli, shared_weights):
    assert "bad" not in cli("doctor").out
    assert cli("models", "verify", "tiny").out.count(": ok ") == 4


def test_verify_finds_a_changed_file(cli, shared_weights, tmp_path, monkeypatch):
    (tmp_path / "taesd").mkdir()
    monkeypatch.setenv("RECON_DETECT_WEIGHTS", str(tmp_path))
    for file in (shared_weights / "taesd").iterdir():
        data = bytearray(file.read_bytes())
        if file.suffix == ".safetensors":
            data[-1] ^= 1
        (tmp_path / "taesd" / file.name).write_bytes(data)
    assert "is none of the known files" in cli("models", "verify", "taesd", code=4).out


def test_csv_has_one_row_per_image(score, image_folder, tmp_path):
    score(image_folder, "-o", tmp_path / "a.csv", code=3)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["error"]) for row in rows].count(True) == 1


def test_a_checkpoint_is_converted_and_scored_with(cli, tmp_path, picture):
    import torch

    from tests.models.adm import ADM

    torch.save(ADM().state_dict(), tmp_path / "adm.pt")
    options = ("--num-head-channels", 16, "--image-size", 16)
    done = cli("convert", "guided-diffusion", tmp_path / "adm.pt", tmp_path / "adm", *options)
    assert "channels 32, 64; 1 residual blocks a level" in done.out and "with a learned variance" in done.out
    Image.fromarray(picture(24, 24)).save(tmp_path / "a.png")
    done = cli("score", tmp_path / "a.png", "--method", "dire", "--models", tmp_path / "adm", "--inversion-steps", 5)
    assert json.loads(done.out)["score"] < 0
    done = cli("convert", "guided-diffusion", tmp_path / "adm.pt", tmp_path / "adm", "--num-heads", 3, code=2)
    assert "do not divide into heads" in done.err or "no published size" in done.err
    done = cli("convert", "guided-diffusion", tmp_path / "a.png", tmp_path / "adm", code=4)
    assert "not a checkpoint of tensors alone" in done.err


def test_calibrated_verdicts_and_a_gate(cli, score, tiny_model, tmp_path, picture):
    for number in range(35):
        folder = tmp_path / ("photographs" if number < 30 else "inbox")
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture(seed=number)).save(folder / f"{number}.png")
    calibration = tmp_path / "cal.json"
    options = ("--method", "aeroblade", "--models", tiny_model, "--distance", "l2", "--device", "cpu")
    real = ("--real", tmp_path / "photographs", "--output", calibration)
    done = cli("calibrate", *real, "--fpr", 0.1, *options)
    assert "30 photographs and 0 generated images" in done.out and "likely generated above" in done.out
    assert "at most 10.00% of photographs like these, with 95% confidence; n = 30" in done.out
    done = score(tmp_path / "inbox", "--calibration", calibration)
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert {row["verdict"] for row in rows} <= {"likely generated", "inconclusive"}
    assert all(0 < row["p_value"] <= 1 and row["stratum"] == "all" for row in rows)
    threshold = json.loads(calibration.read_text())["strata"]["all"]["threshold"]
    flagged = [row["path"] for row in rows if row["verdict"] == "likely generated"]
    assert flagged == [row["path"] for row in rows if row["score"] > threshold] and len(flagged) == 1
    assert "1 found" in done.err and "(by the calibration; p is the share of its photographs" in done.err
    assert [row["path"] for row in rows if row["answer"]["kind"] == "found"] == flagged
    score(tmp_path / "inbox", "--calibration", calibration, "--fail-on", "generated", code=1)
    score(tmp_path / "photographs" / "1.png", "--calibration", calibration, "--fail-on", "generated")
    score(tmp_path / "inbox", "--calibration", calibration, "--output", tmp_path / "out.csv", "--quiet")
    gate = ("--calibration", calibration, "--output", tmp_path / "out.csv", "--fail-on", "generated")
    assert "already complete: 5 images, 0 failed" in score(tmp_path / "inbox", *gate, code=1).err
    with (tmp_path / "out.csv").open() as file:
        assert [float(row["p_value"]) for row in csv.DictReader(file)] == [row["p_value"] for row in rows]
    before = calibration.read_bytes()
    done = cli("calibrate", *real, "--fpr", 0.01, *options, code=2)
    assert (
        "30 photographs: a threshold that at most 1.00% of photographs exceed, with 95% confidence, needs 299"
        in done.err
    )
    assert "--fpr 0.0951 or more" in done.err and calibration.read_bytes() == before
    done = score(tmp_path / "inbox", "--calibration", tmp_path / "none.json", code=2)
    assert "none.json: No such file; 'recon-detect calibrate --real PHOTOS'" in done.err
    assert "--fail-on x: expected 'generated'" in score(tmp_path / "inbox", "--fail-on", "x", code=2).err
    done = score(tmp_path / "inbox", "--fail-on", "generated", code=2)
    assert "aeroblade ships none: add --threshold SCORE, or --calibration FILE" in done.err
    done = score(tmp_path / "inbox", "--calibration", calibration, "--threshold", 1, code=2)
    assert "both decide" in done.err


def test_a_threshold_decides_for_any_method_and_hits_are_shown_and_taken(cli, score, tmp_path, picture):
    for folder, seed in (("a", 1), ("b", 2), ("b", 3)):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(picture(seed=seed)).save(tmp_path / folder / ("same.png" if seed < 3 else "other.png"))
    rows = [json.loads(line) for line in score(tmp_path / "a", tmp_path / "b").out.splitlines()]
    lowest, *higher = sorted(row["score"] for row in rows)
    images = (tmp_path / "a", tmp_path / "b", "--threshold", lowest)
    copies, links = tmp_path / "copies", tmp_path / "links"
    take = ("--copy-to", copies, "--link-to", links)
    done = score(*images, "--only", "generated", "--fail-on", "generated", *take, code=1)
    hits = [json.loads(line) for line in done.out.splitlines()]
    assert sorted(row["score"] for row in hits) == higher and {row["answer"]["kind"] for row in hits} == {"found"}
    assert "2 found; 1 nothing found (scores above" in done.err
    assert "\nnothing found (scores above" in score(tmp_path / "a", "--threshold", 99).err
    for folder in (copies, links):
        assert sorted(path.read_bytes() for path in folder.iterdir()) == sorted(
            Path(row["path"]).read_bytes() for row in hits
        )
    assert all(path.is_symlink() for path in links.iterdir()) and not any(p.is_symlink() for p in copies.iterdir())
    score(*images[:2], "--threshold", higher[-1], "--fail-on", "generated")
    out = ("--output", tmp_path / "out.csv")
    score(*images, *out)
    with (tmp_path / "out.csv").open() as file:
        assert sorted(row["answer"] for row in csv.DictReader(file)) == ["found", "found", "nothing"]
    assert "already complete: 3 images" in score(*images, *out, "--fail-on", "generated", code=1).err
    assert "answers by another mode or threshold" in score(*images[:2], *out, code=2).err
    assert "--only, --copy-to and --link-to" in score(*images, *out, *take, code=2).err
    assert "unknown answer of --only 'real'" in score(*images, "--only", "real", code=2).err


def test_an_image_alone_or_on_stdin_is_scored(cli, monkeypatch, tmp_path, picture):
    file = tmp_path / "picture.png"
    Image.fromarray(picture(96, 96, seed=1)).save(file)
    (row,) = map(json.loads, cli(file, "--method", "grid").out.splitlines())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    done = cli("--debug", "-", "--method", "grid")
    (piped,) = map(json.loads, done.out.splitlines())
    assert (piped["path"], piped["score"], piped["answer"]) == ("-", row["score"], row["answer"])
    assert done.err.startswith("1 image, 0 failed; grid")
    done = cli("nowhere.png", "--method", "grid", code=3)
    (missing,) = map(json.loads, done.out.splitlines())
    assert missing["answer"]["kind"] == "error" and missing["error"].startswith("UnreadableImage: ")
    assert done.err.splitlines()[1:] == ["not scored"]
    assert "No such command 'scor'" in cli("scor", file, code=2).err


def test_unknown_names_are_said_before_anything_else(cli, tmp_path):
    (tmp_path / "odd").mkdir()
    for options, message in (
        (("--method", "grian"), "unknown method 'grian'"),
        (("--models", "tasd"), "unknown model 'tasd'"),
        (("--mode", "sure"), "unknown mode 'sure'"),
    ):
        done = cli("score", tmp_path / "odd", *options, code=2)
        assert done.err.startswith(f"recon-detect: {message}") and not done.out


def test_the_terminal_says_what_was_found_and_what_that_means(tmp_path, capsys):
    details = {"decoder": "sdxl", "native_size": [1024, 1024], "scale": 1.28, "offset": [0, 0], "symmetry": "identity"}
    file = Provenance(800, 800, "JPEG", "RGB", "", jpeg_quality=85)
    generated = Row(0, "a\x1b.jpg", {"trace": Score(3.0, {}, details, "trace of sdxl")}, notes=("trace of sdxl",),
                    provenance=file, texture=0.9)  # fmt: skip
    broken = Row(1, "b.jpg", error="UnreadableImage: truncated")
    run = RunInfo((MethodInfo("trace", "", ("sd", "sdxl"), "0"),), None, (), "cpu", False, "white", None, {})
    print_table([generated, broken], run)
    print_answers([generated, broken], run)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == [r"a\x1b.jpg", "trace"] and "3.00" in lines[1] and "trace of sdxl" not in lines[1]
    text = " ".join(" ".join(lines).split())
    assert r"a\x1b.jpg: trace of a known decoder: SDXL, written at 1024 x 1024, reduced to 800 x 800 since" in text
    assert "at most 1 in 740 photographs gives such a score. Looked for traces of the decoders of" in text
    assert "b.jpg: not scored: truncated" in text
    assert text.count("A decoder, the last step of an image generator, leaves a trace") == 1


def test_kinds_of_only_are_those_of_answers():
    assert sorted(ONLY.values()) == sorted(KINDS)


def test_scores_are_combined_generators_named_and_drift_told(cli, tiny_model, tmp_path, picture):
    folders = {"photographs": range(40), "sd": range(40, 52), "gan": range(52, 64)}
    for folder, seeds in folders.items():
        (tmp_path / folder).mkdir()
        for seed in seeds:
            Image.fromarray(picture(seed=seed)).save(tmp_path / folder / f"{seed}.png")
    detector = ("--method", "aeroblade,contrast", "--models", tiny_model, "--distance", "l2", "--device", "cpu")
    calibration = tmp_path / "cal.json"
    named = [part for name in ("sd", "gan") for part in ("--generated", f"{name}={tmp_path / name}")]
    combine = ("--combine", "logistic", "--probability", "temperature", "--strata", "none", "--fpr", 0.2)
    real = ("calibrate", "--real", tmp_path / "photographs", "--output", calibration, *detector)
    done = cli(*real, *named, *combine, "--augment", 1)
    assert "logistic of 2 scores, which are worth" in done.out and "AUROC" in done.out
    written = json.loads(calibration.read_text())
    assert written["attribution"]["classes"] == ["gan", "sd"] and written["odds"]["kind"] == "temperature"
    (tmp_path / "large").mkdir()
    for seed in range(20):
        Image.fromarray(picture(80, 80, seed=seed)).save(tmp_path / "large" / f"{seed}.jpg", quality=30)
    out = tmp_path / "out.csv"
    judge = ("score", tmp_path / "large", "--calibration", calibration, "--output", out, *detector)
    assert "of a kind that" not in cli(*judge).err
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["combined"] and row["probability"] and row["stratum"] == "all" for row in rows)
    cli(*real, "--fpr", 0.1)
    assert "warning: 100% of the images are of a kind that" in cli(*judge, "--overwrite").err
    assert "'best'" in cli(*real, "--combine", "best", code=2).err
    both = cli(*real, "--generated", tmp_path / "photographs", code=2)
    assert "0.png is given as --real and as --generated" in both.err


def test_a_calibration_that_was_interrupted_goes_on(cli, tiny_model, tmp_path, picture, monkeypatch):
    (tmp_path / "photographs").mkdir()
    for seed in range(12):
        Image.fromarray(picture(seed=seed)).save(tmp_path / "photographs" / f"{seed}.png")
    added = []
    add = Journal.add

    def at_most(self, row):
        if len(added) == 5:
            raise KeyboardInterrupt
        added.append(row.path)
        add(self, row)

    calibration = tmp_path / "cal.json"
    command = ("calibrate", "--real", tmp_path / "photographs", "--output", calibration, "--method", "aeroblade",
               "--models", tiny_model, "--distance", "l2", "--device", "cpu", "--fpr", 0.3)  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", at_most)
        assert "the same command resumes after" in cli(*command, code=130).err
    assert not calibration.exists() and len(added) == 5
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", lambda self, row: added.append(row.path) or add(self, row))
        cli(*command)
    assert len(added) == len(set(added)) == 12
    assert len(json.loads(calibration.read_text())["strata"]["all"]["scores"]) == 12
    # Scores beside the output are used again, but for a file that has changed.
    with monkeypatch.context() as patch:
        patch.setattr("recon_detect.detector.rows_of", lambda *_, **__: pytest.fail("scored again"))
        cli(*command[:-1], 0.4)
    Image.fromarray(picture(seed=50)).save(tmp_path / "photographs" / "3.png")
    before = json.loads(calibration.read_text())["strata"]["all"]["scores"]
    cli(*command)
    after = json.loads(calibration.read_text())["strata"]["all"]["scores"]
    assert len(set(after) - set(before)) == 1 and len(after) == 12


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_is_calibrated_and_judges_with_the_models_of_the_package(cli, offline, tmp_path, picture):
    """Two commands of the README, one after the other."""
    (tmp_path / "photos").mkdir()
    for seed in range(3):
        Image.fromarray(picture(64, 64, seed=seed)).save(tmp_path / "photos" / f"{seed}.png")
    calibration = tmp_path / "cal.json"
    real = ("calibrate", "--real", tmp_path / "photos", "-o", calibration)
    done = cli(*real, code=2)
    assert "3 photographs: " in done.err and "needs 299" in done.err and not list(tmp_path.glob("cal*"))
    done = cli(*real, "--fpr", 0.5, "--confidence", 0.8)
    assert "3 photographs; this threshold needs 3" in done.err and "trace on 3 photographs" in done.out
    judge = ("score", tmp_path / "photos" / "0.png", "--calibration", calibration, "--fail-on", "generated")
    assert all("verdict" in json.loads(line) for line in cli(*judge).out.splitlines())


def test_images_are_named_once_and_not_held(tmp_path, picture):
    from recon_detect.cli.sources import Sources, labelled
    from recon_detect.errors import UsageError

    for seed in range(3):
        Image.fromarray(picture(8, 8, seed=seed)).save(tmp_path / f"{seed}.png")
    sources = Sources([str(tmp_path), str(tmp_path / "1.png")], "real")
    assert len(sources) == 3 == len(list(sources)) == len(list(sources)) and {s.label for s in sources} == {"real"}
    real, generated = labelled([str(tmp_path / "0.png")], [f"sd={tmp_path / '1.png'}", str(tmp_path / "2.png")])
    assert len(real) == 1 and {name: [s.id for s in of] for name, of in generated.items()} == {
        "sd": [str(tmp_path / "1.png")], None: [str(tmp_path / "2.png")]
    }  # fmt: skip
    with pytest.raises(UsageError, match="given as --real and as --generated"):
        labelled([str(tmp_path)], [str(tmp_path / "1.png")])


def test_methods_are_listed_with_paper_and_needs(cli):
    from recon_detect.methods import METHODS

    lines = {line.split()[0]: line for line in cli("methods", "list").out.splitlines() if line.strip()}
    assert set(METHODS) <= set(lines)
    assert "arXiv:2401.17879" in lines["aeroblade"] and "10 MB" in lines["aeroblade"]
    assert "backbones" in lines["rigid"] and "in the package" in lines["dire"]


@pytest.mark.parametrize("name", ["score", "calibrate", "audit", "reconstruct", "demo"])
def test_every_option_is_described(name):
    described = {option.name: option.help for option in get_command(app).commands[name].params}
    assert len(described) > 1 and all(described.values()), described


def test_options_without_a_value_show_no_type(cli):
    for command in ("score", "calibrate", "audit", "reconstruct", "convert guided-diffusion"):
        types = [line for line in cli(*command.split(), "--help").out.splitlines() if "<bool>" in line]
        assert all("--help" in line for line in types), types
    assert "--version" in cli("--help").out


def test_an_output_is_not_its_own_input(cli, tmp_path):
    output = tmp_path / "a.jsonl"
    output.write_text('{"path": "a.png"}\n')
    answer = cli("score", output, "--output", output, "--overwrite", code=2)
    assert "given as input too" in answer.err and output.read_text() == '{"path": "a.png"}\n'
