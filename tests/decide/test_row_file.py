"""Tables that a person hands over: whoever reads one tells file and row alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.decide.batch import Batch
from harness.decide.demands import check_names, read_demands
from harness.decide.predict import load_model
from harness.decide.traces import Pool
from harness.errors import UsageError
from pitot_core import Pitot

KNOWN = "s/small/w1"
RIGHT = {"workload": KNOWN, "platform": "engine0:device0", "deadline_ms": "5", "arrival_s": "1"}
WRONG = {
    "no such name": ({"workload": "s/small/w1x"}, "no workload named 's/small/w1x' in the {where}"),
    "no name": ({"workload": ""}, "{file}, row 3: column 'workload' is missing or empty; put a name there."),
}


def batch(path: Path, model: Pitot) -> None:
    Batch(path, model)


def place(path: Path, model: Pitot) -> None:
    assert model.features is not None
    check_names(read_demands(path, str), model.features.workload_names, ["device0"])


def simulate(path: Path, model: Pitot) -> None:
    Pool((KNOWN,), (1.0,), (1.0,), 1).from_file(path, 0)


@pytest.fixture(scope="module")
def model(model_path: Path) -> Pitot:
    return load_model(model_path)


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n\n" for row in rows))
    else:
        path.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n")
    return path


@pytest.mark.parametrize("content", [b"\xff\xfe\x00a,b\n\x93,\x80", bytes(range(256))])
def test_what_is_no_text_is_told_in_a_sentence(
    content: bytes, model: Pitot, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_bytes(content)
    with pytest.raises(UsageError, match="UTF-8"):
        batch(tmp_path / "rows.csv", model)
    assert capfd.readouterr().err == ""


def test_column_names_need_no_end_of_line_and_a_byte_order_mark_is_no_word(
    model: Pitot, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("workload,platform")
    assert len(Batch(tmp_path / "rows.csv", model).queries) == 0
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(UsageError, match="is empty"):
        batch(tmp_path / "rows.csv", model)


@pytest.mark.parametrize("read", [batch, place, simulate])
@pytest.mark.parametrize("text", ["null\n", "null\nnull\n", f"null\n{json.dumps(RIGHT)}\n"])
def test_a_row_of_null_ends_no_process(
    text: str, read: Callable[[Path, Pitot], None], model: Pitot, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(UsageError, match=r"rows\.jsonl, row 1: it is no JSON object; correct it\."):
        read(tmp_path / "rows.jsonl", model)


@pytest.mark.parametrize("read", [batch, place, simulate])
@pytest.mark.parametrize("form", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_row_is_told_with_its_file_and_number(
    kind: str, form: str, read: Callable[[Path, Pitot], None], model: Pitot, tmp_path: Path
) -> None:
    change, told = WRONG[kind]
    path = write(tmp_path / f"asked{form}", [RIGHT, RIGHT, RIGHT | change, RIGHT])
    with pytest.raises(UsageError) as refused:
        read(path, model)
    where = {
        batch: f"model (it was never observed; {path}, row 3); did you mean",
        place: f"model (it was never observed; {path}, row 3); did you mean",
        simulate: f"held-out times ({path}, row 3); did you mean",
    }[read]
    assert told.format(file=path, where=where) in str(refused.value)


@pytest.mark.parametrize("read", [batch, place, simulate])
@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "a.csv",
            "{heads}\n{row}\n{row},6,7\n",
            "row 2: it has 6 cells, and there are 4 columns; correct it.",
        ),
        ("a.jsonl", "{json}\n\n{{\n", "row 2: it is not JSON ("),
        ("a.jsonl", "{json}\n[1]\n", "row 2: it is no JSON object; correct it."),
    ],
)
def test_what_is_no_row_is_told_with_its_file_and_number(
    name: str, text: str, told: str, read: Callable[[Path, Pitot], None], model: Pitot, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text.format(heads=",".join(RIGHT), row=",".join(RIGHT.values()), json=json.dumps(RIGHT)))
    with pytest.raises(UsageError) as refused:
        read(path, model)
    assert f"{path}, {told}" in str(refused.value)


@pytest.mark.parametrize("read", [batch, place, simulate])
@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", ""), ("a.csv", "\n\n"), ("a.jsonl", ""), ("a.jsonl", "\n \n"), ("a.parquet", "")],
)
def test_a_file_without_a_word_is_told(
    name: str, text: str, read: Callable[[Path, Pitot], None], model: Pitot, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as refused:
        read(tmp_path / name, model)
    assert f"{tmp_path / name} is empty; give it rows with the columns " in str(refused.value)


LONG = "x" * (3 << 20)


@pytest.mark.parametrize("read", [batch, place, simulate])
@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.csv", f"{','.join(RIGHT)}\n{','.join(RIGHT.values())}\n{LONG},,,\n", ", row 2"),
        ("a.csv", f'{",".join(RIGHT)}\n\n{KNOWN},"a\nb\n{LONG}\n', ", row 1"),
        ("a.csv", f"{LONG},{','.join(RIGHT)}\n1\n", ", the line of column names"),
        ("a.jsonl", f"{json.dumps(RIGHT)}\n\n{json.dumps(RIGHT | {'workload': LONG})}\n", ", row 2"),
    ],
)
def test_a_row_of_several_megabytes_is_told_by_its_number(
    name: str, text: str, where: str, read: Callable[[Path, Pitot], None], model: Pitot, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as refused:
        read(tmp_path / name, model)
    assert f"{tmp_path / name}{where}: it is longer than 1 MiB, the most that is read; " in str(refused.value)


@pytest.mark.parametrize("read", [batch, place, simulate])
@pytest.mark.parametrize(
    "change", [{"workload": LONG}, {"deadline_ms": LONG, "arrival_s": LONG, "platform": LONG}]
)
def test_of_a_long_cell_a_sentence_has_the_beginning(
    change: dict[str, str], read: Callable[[Path, Pitot], None], model: Pitot, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.parquet", [RIGHT, RIGHT | change])
    with pytest.raises(UsageError, match=r"'x+'… \(3,145,728 letters\)") as refused:
        read(path, model)
    assert len(str(refused.value)) < 600


def test_a_row_of_a_batch_is_counted_from_1_whatever_is_wrong_with_it(model: Pitot, tmp_path: Path) -> None:
    many = {"with": ";".join([KNOWN] * 4)}
    path = write(tmp_path / "a.csv", [RIGHT | {"with": ""}, RIGHT | many])
    with pytest.raises(UsageError, match=r"a\.csv, row 2: it has 4 co-runners; at most 3 fit; correct it\."):
        Batch(path, model)
    path = write(tmp_path / "b.csv", [RIGHT | {"with": ""}, RIGHT | {"with": f"{KNOWN};nobody"}])
    with pytest.raises(UsageError, match=r"no workload named 'nobody' in the model .*b\.csv, row 2"):
        Batch(path, model)
