"""`harness predict`: one question, a table, a batch; and every bad question in one sentence."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.decide.row_file import read_rows
from pitot_core import Pitot
from tests.conftest import synthetic


def test_one_question_gets_a_mean_and_a_bound_with_units(harness, model_path: Path) -> None:
    ran = harness(
        "predict",
        model_path,
        "-w",
        "s/small/w3",
        "-p",
        "engine1:device0",
        "--with",
        "s/small/w4",
        "--eps",
        "0.1",
    )
    assert ran.code == 0
    head, row = ran.out.strip().splitlines()
    assert "stays below (ε = 0.1)" in head
    assert row.startswith("s/small/w3")
    assert any(unit in row for unit in ("µs", "ms", " s"))


def test_numbers_are_the_models_own(harness, model_path: Path) -> None:
    from harness.decide.predict import Question, answer

    ran = harness("predict", model_path, "-w", "s/small/w3", "--json")
    model = Pitot.load(model_path)
    platforms = sorted(synthetic()[1].platform_names)
    expected = answer(model, [Question("s/small/w3", platform) for platform in platforms], 0.05)
    assert sorted(json.loads(ran.out), key=lambda row: row["platform"]) == [
        {key: row[key] for key in ("workload", "platform", "with", "mean_ns", "bound_ns")} for row in expected
    ]


def test_an_explanation_adds_up(harness, model_path: Path) -> None:
    asked = ["-w", "s/small/w3", "-p", "engine1:device0", "--with", "s/small/w4", "--explain", "--json"]
    [row] = json.loads(harness("predict", model_path, *asked).out)
    total = row["startup_ns"] + row["work_ns"] + row["interference_ns"]
    assert total == pytest.approx(row["mean_ns"], rel=1e-6)
    assert row["interference_ns"] > 0
    assert "s/small/w3" not in row["like_workloads"]
    assert len(row["like_workloads"]) >= 3


def test_what_is_left_out_is_asked_for_all(harness, model_path: Path) -> None:
    def platforms(*options: str) -> set[str]:
        return {row["platform"] for row in json.loads(harness("predict", model_path, *options, "--json").out)}

    assert len(platforms("-w", "s/small/w0")) == 6
    assert platforms("-w", "s/small/w0", "-d", "device1") == {f"engine{i}:device1" for i in range(3)}
    assert platforms("-w", "s/small/w0", "-e", "engine2") == {"engine2:device0", "engine2:device1"}
    assert len(json.loads(harness("predict", model_path, "-p", "engine0:device0", "--json").out)) == 20


def test_the_order_of_co_runners_does_not_matter(harness, tmp_path: Path) -> None:
    import numpy as np

    from pitot_core import Observations

    observations, features = synthetic(1200)
    beside = observations.co_runners.copy()
    beside[::3, 1] = (beside[::3, 0] + 1) % 20
    beside[beside[:, 0] < 0] = -1
    triples = Observations.of(
        observations.platform, observations.workload, np.where(beside == observations.workload[:, None], -1, beside),
        log_ns=observations.log_ns,
    )  # fmt: skip
    Pitot(calibration_share=0.2).fit(triples, features).save(tmp_path / "m.npz")
    asked = ["predict", tmp_path / "m.npz", "-w", "s/small/w1", "-p", "engine0:device0", "--json", "--with"]
    one, other = harness(*asked, "s/small/w2,s/small/w3"), harness(*asked, "s/small/w3,s/small/w2")
    [a], [b] = json.loads(one.out), json.loads(other.out)
    assert (a["mean_ns"], a["bound_ns"]) == (b["mean_ns"], b["bound_ns"])


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_batch_keeps_its_columns_and_gains_two(
    suffix: str, harness, model_path: Path, tmp_path: Path
) -> None:
    rows = [
        {"note": "first", "workload": "s/small/w1", "platform": "engine0:device1", "with": "s/small/w2"},
        {"note": "second", "workload": "s/small/w1", "platform": "engine0:device1", "with": ""},
    ]
    asked, answered = tmp_path / f"asked{suffix}", tmp_path / f"answered{suffix}"
    if suffix == ".csv":
        with open(asked, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), asked)
    else:
        asked.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = harness("predict", model_path, "--batch", asked, "-o", answered)
    assert ran.code == 0, ran.err
    if suffix == ".csv":
        found = list(csv.DictReader(io.StringIO(answered.read_text())))
    elif suffix == ".parquet":
        found = pq.read_table(answered).to_pylist()
    else:
        found = [json.loads(line) for line in answered.read_text().splitlines()]
    assert [row["note"] for row in found] == ["first", "second"]
    assert list(found[0]) == ["note", "workload", "platform", "with", "mean_ns", "bound_ns"]
    assert float(found[0]["mean_ns"]) > float(found[1]["mean_ns"])  # beside another it takes longer
    assert all(float(row["bound_ns"]) > float(row["mean_ns"]) for row in found)


def test_a_batch_explains_every_row_and_leaves_out_a_bound_that_cannot_be_promised(
    harness, model_path: Path, tmp_path: Path
) -> None:
    names = [f"s/small/w{i}" for i in range(4)]
    rows = [
        {"workload": names[i % 4], "platform": f"engine{i % 3}:device{i % 2}", "with": names[1:i]}
        for i in range(1, 4)
    ]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = harness(
        "predict", model_path, "--batch", tmp_path / "asked.jsonl", "--explain", "-o", tmp_path / "a.jsonl"
    )
    assert ran.code == 0, ran.err
    found = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["bound_ns"] is None for row in found] == [False, False, True]
    for row, asked in zip(found, rows, strict=True):
        one = harness(
            "predict", model_path, "-w", row["workload"], "-p", row["platform"], "--with", ",".join(asked["with"]),
            "--explain", "--json",
        )  # fmt: skip
        [expected] = json.loads(one.out)
        expected.pop("eps", None)
        assert row == expected | {"with": asked["with"]}
    as_json = harness("predict", model_path, "--batch", tmp_path / "asked.jsonl", "--explain", "--json")
    assert json.loads(as_json.out) == found
    as_csv = harness("predict", model_path, "--batch", tmp_path / "asked.jsonl", "--explain")
    lines = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [line["with"] for line in lines] == ["", "s/small/w1", "s/small/w1;s/small/w2"]
    assert [line["bound_ns"] == "" for line in lines] == [False, False, True]
    assert lines[0]["like_workloads"] == ";".join(found[0]["like_workloads"])


def test_an_empty_batch_is_answered_by_nothing(harness, model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_text("workload,platform,with\n")
    ran = harness("predict", model_path, "--batch", tmp_path / "asked.csv")
    assert (ran.code, ran.out) == (0, "workload,platform,with,mean_ns,bound_ns\n")
    assert ran.err == f"{tmp_path / 'asked.csv'} has column names and no row, so nothing is answered\n"
    assert harness("predict", model_path, "--batch", tmp_path / "asked.csv", "--json").out == "[]\n"


def test_columns_of_any_kind_come_back_as_json(harness, model_path: Path, tmp_path: Path) -> None:
    kept = {
        "a {brace}": [1, None], "share": [0.1, float("nan")], "yes": [True, None], "tags": [["x", 'y "z"'], None],
        "when": pa.array([0, None], pa.timestamp("s")), "where": pa.array(["é", None]).dictionary_encode(),
    }  # fmt: skip
    asked = {"workload": ["s/small/w1"] * 2, "platform": ["engine0:device1"] * 2} | kept
    pq.write_table(pa.table(asked), tmp_path / "asked.parquet")
    first, second = json.loads(
        harness("predict", model_path, "--batch", tmp_path / "asked.parquet", "--json").out
    )
    assert [first[name] for name in kept] == [1, 0.1, True, ["x", 'y "z"'], "1970-01-01 00:00:00", "é"]
    assert [second[name] for name in kept] == [None] * 6


def test_a_bound_that_cannot_be_promised_is_infinite_and_explained(harness, model_path: Path) -> None:
    asked = ("predict", model_path, "-w", "s/small/w3", "-p", "engine1:device0", "--eps", "0.0001")
    ran = harness(*asked)
    assert ran.code == 0
    assert "∞" in ran.out
    assert "calibration rows with no co-runner support no ε below" in ran.err
    assert json.loads(harness(*asked, "--json").out)[0]["bound_ns"] is None


def test_the_expected_time_is_given_also_where_a_number_of_co_runners_was_never_measured(
    harness, model_path: Path
) -> None:
    ran = harness(
        "predict",
        model_path,
        "-w",
        "s/small/w1",
        "-p",
        "engine0:device0",
        "--with",
        "s/small/w2,s/small/w3",
        "--json",
    )
    [row] = json.loads(ran.out)
    assert (ran.code, row["bound_ns"]) == (0, None)
    assert row["mean_ns"] > 0
    assert "no bound can be promised at ε = 0.05: no measured job had 2 co-runners. Collect more" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["-w", "s/small/w33"],
            "no workload named 's/small/w33' in the model (it was never observed); did you mean",
        ),
        (["-w", "s/small/w3", "--with", "s/small/x9"], "no workload named 's/small/x9'"),
        (
            ["-d", "device7"],
            "no device named 'device7' in the model (it was never observed); did you mean device",
        ),
        (
            ["-e", "engin0"],
            "no engine named 'engin0' in the model (it was never observed); did you mean engine0",
        ),
        (["-p", "engine0"], "no platform named 'engine0'"),
        (["-p", "engine0:device0", "-d", "device0"], "give either -p ENGINE:DEVICE or -d and -e, not both"),
        (["-w", "s/small/w1", "--eps", "0"], "--eps 0 must be between 0 and 1"),
        (["-w", "s/small/w1", "--eps", "1"], "--eps 1 must be between 0 and 1"),
        (["-w", "s/small/w1", "--eps", "nan"], "--eps nan must be a finite number"),
        (
            ["-w", "s/small/w1", "--with", "s/small/w2,s/small/w3,s/small/w4,s/small/w5"],
            "4 co-runners were given; at most 3 are measured and calibrated",
        ),
        (["-w", ""], "--workload '' names nothing; give names, with commas between."),
        (["-d", " , "], "--device ' , ' names nothing"),
        (["-e", "engine0,engine9"], "no engine named 'engine9'"),
        (["-p", ","], "--platform ',' names nothing"),
        (["--batch", "nowhere.csv"], "no file nowhere.csv"),
        (["-w", "s/small/w1", "-o", "x.csv"], "--output goes with --batch"),
        (["--json", "--csv"], "give either --json or --csv, not both"),
    ],
)
def test_a_bad_question_is_one_sentence_and_exit_code_2(
    options: list[str], told: str, harness, model_path: Path
) -> None:
    ran = harness("predict", model_path, *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("workload\ns/small/w1\n", "asked.csv has no column 'platform', its columns are: 'workload'"),
        (
            "s/small/w1,engine0:device0\n",
            "asked.csv has no column 'workload', its columns are: 's/small/w1', ",
        ),
        ("workload,platform\ns/small/w1,\n", "row 1: column 'platform' is missing or empty"),
        ("workload,platform\ns/small/nope,engine0:device0\n", "no workload named 's/small/nope'"),
        ("workload,platform\ns/small/w1,engine0:device0\ns/small/w1,engine0:device9\n", "asked.csv, row 2)"),
        ("workload,platform,with\ns/small/w1,engine0:device0,s/small/w2; nope\n", "asked.csv, row 1)"),
        (
            "workload,platform,with\ns/small/w1,engine0:device0," + ";".join(["s/small/w2"] * 4) + "\n",
            "asked.csv, row 1: it has 4 co-runners",
        ),
    ],
)
def test_a_bad_row_in_a_batch_stops_it_before_anything_is_written(
    content: str, told: str, harness, model_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "asked.csv").write_text(content)
    ran = harness("predict", model_path, "--batch", tmp_path / "asked.csv", "-o", tmp_path / "answered.csv")
    assert ran.code == 2
    assert told in ran.err
    assert not (tmp_path / "answered.csv").exists()


def test_what_is_no_model_is_refused(harness, tmp_path: Path) -> None:
    missing = harness("predict", tmp_path / "none.npz")
    assert missing.code == 2
    assert "make one with `harness train DATASET" in missing.err
    (tmp_path / "junk.npz").write_bytes(b"junk")
    junk = harness("predict", tmp_path / "junk.npz")
    assert junk.code == 2
    path = tmp_path / "junk.npz"
    told = (
        f"harness: {path} is not a model of pitot_core: it is not a whole .npz file (File is not a zip file)"
    )
    assert junk.err == f"{told}; name another model.\n"


def test_what_is_no_file_is_refused_unread(harness, model_path: Path, tmp_path: Path) -> None:
    """A device may have no end, and a dataset is what most often is named in a model's place."""
    device = harness("predict", "/dev/zero")
    assert (device.code, "is a device or a pipe and no file" in device.err) == (2, True)
    (tmp_path / "lab").mkdir()
    folder = harness("predict", tmp_path / "lab")
    assert (folder.code, folder.err.count("is a directory and no file"), "Errno" in folder.err) == (
        2,
        1,
        False,
    )
    (tmp_path / "lab" / "dataset.json").write_text("{}")
    assert (
        "is a dataset and no model; make one with `harness train" in harness("predict", tmp_path / "lab").err
    )
    (tmp_path / "lab" / "model.npz").write_bytes(b"")
    dataset = harness("predict", tmp_path / "lab")
    assert dataset.code == 2
    assert dataset.err.endswith(f"is a dataset and no model; name {tmp_path / 'lab' / 'model.npz'}.\n")


def test_a_batch_comes_out_of_a_pipe(harness, model_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"workload,platform\ns/small/w1,engine0:device0\n")
    os.close(write)
    ran = harness("predict", model_path, "--batch", f"/dev/fd/{read}")
    os.close(read)
    assert (ran.code, ran.out.count("\n")) == (0, 2)


def test_columns_of_every_type_come_out_again(harness, model_path: Path, tmp_path: Path) -> None:
    """What a cell of CSV cannot hold is JSON there, and JSON has no number that is not finite."""
    table = pa.table(
        {
            "workload": pa.array(["s/small/w1"], pa.string_view()),
            "platform": ["engine0:device0"],
            "with": [["s/small/w2"]],
            "numbers": [[1, 2]],
            "object": [{"a": float("nan")}],
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "bytes": [b"\xff"],
        }
    )
    try:
        pq.write_table(table, tmp_path / "asked.parquet")
    except pa.ArrowNotImplementedError:  # the oldest Arrow that is allowed writes no views
        table = table.set_column(0, "workload", pa.array(["s/small/w1"]))
        pq.write_table(table, tmp_path / "asked.parquet")
    asked = ["predict", model_path, "--batch", tmp_path / "asked.parquet"]
    [row] = csv.DictReader(io.StringIO(harness(*asked, "--csv").out))
    [line] = json.loads(harness(*asked, "--json").out, parse_constant=pytest.fail)
    assert [row[name] for name in ("with", "numbers", "object", "map")] == [
        "s/small/w2", "[1, 2]", '{"a": null}', '[["k", 1]]',
    ]  # fmt: skip
    assert [line[name] for name in ("with", "numbers", "object")] == [["s/small/w2"], [1, 2], {"a": None}]
    assert float(row["mean_ns"]) == line["mean_ns"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("spreadsheet.csv", '\ufeffworkload,note\r\nw1,"two\r\nlines"\r\nw2,a\u2028b\r\n'),
        (
            "lines.jsonl",
            '\ufeff{"workload": "w1", "note": "two\\r\\nlines"}\n{"workload": "w2", "note": "a\u2028b"}\n',
        ),
    ],
)
def test_a_table_is_read_as_spreadsheets_and_programs_write_it(
    name: str, content: str, tmp_path: Path
) -> None:
    """A byte-order mark, line ends within quotes, and the separators that only look like line ends."""
    (tmp_path / name).write_bytes(content.encode())
    rows = read_rows(tmp_path / name, "workload")
    assert rows == [{"workload": "w1", "note": "two\r\nlines"}, {"workload": "w2", "note": "a\u2028b"}]
