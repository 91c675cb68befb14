"""A model on disk: one .npz of plain arrays, whose array `header` is JSON.

History of FORMAT: 1 (first).
Loading never unpickles, reads no more than it expects, and checks every array's type, shape and size before
it makes room for it.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
import zlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.conformal import EPS_GRID, Calibration, Pool
from pitot_core.errors import ModelFileError, NotFitted, PitotError
from pitot_core.features import Features
from pitot_core.learned import Learned
from pitot_core.observations import Observations
from pitot_core.settings import Settings
from pitot_core.spread import Spread

if TYPE_CHECKING:
    from pitot_core.model import Pitot

FORMAT = 1
KIND = "pitot_core model"
LARGEST_HEADER = 16 << 20
LARGEST_ARRAY = 1 << 30
LARGEST_TOTAL = 2 << 30
MOST_ARRAYS = 200
FLOAT32 = {"platforms", "workloads", "heads_platforms", "heads_workloads", "spread_table"}
OTHER = {
    "seen_platforms": "b1", "seen_workloads": "b1", "new_platforms": "b1", "new_workloads": "b1", "header": "u1",
    "spread_degrees": "i8", "calibration_platform": "i4", "calibration_workload": "i4",
    "calibration_co_runners": "i4", "calibration_job": "i8",
}  # fmt: skip
CALIBRATION_ROWS = ("platform", "workload", "co_runners", "log_ns", "job")
POOL = ("scores", "choice_margin")


def save(model: Pitot, path: Path) -> None:
    """Write to a temporary name beside `path`, then rename: a crash leaves the old file whole."""
    if model.learned is None or model.features is None:
        raise NotFitted
    arrays: dict[str, NDArray[Any]] = {
        "feature_workloads": model.features.workloads,
        "feature_platforms": model.features.platforms,
        "seen_workloads": model.seen_workloads,
        "seen_platforms": model.seen_platforms,
        "new_workloads": model.new_workloads,
        "new_platforms": model.new_platforms,
    }
    networks = {"": model.learned}
    if model.heads is not None and model.heads is not model.learned:
        networks["heads_"] = model.heads
    for prefix, learned in networks.items():
        arrays |= {prefix + name: getattr(learned, name) for name in learned.array_names()}
    if model.spread is not None:
        arrays |= {"spread_degrees": model.spread.degrees, "spread_table": model.spread.table}
    for n, pool in model.calibration.pools.items():
        arrays |= {f"pool{n}_{part}": getattr(pool, part) for part in POOL}
    for side, calibration in model.new_calibration.items():
        arrays |= {f"pool{n}_{side}": pool.scores for n, pool in calibration.pools.items()}
    if model.calibration_rows is not None:
        arrays |= {f"calibration_{name}": getattr(model.calibration_rows, name) for name in CALIBRATION_ROWS}
    header = {
        "new_sides": sorted(model.new_calibration),
        "kind": KIND,
        "format": FORMAT,
        "units": "ns",
        "settings": asdict(model.settings),
        "networks": {prefix: [n.rank, n.types, n.slope] for prefix, n in networks.items()},
        "workload_names": model.features.workload_names,
        "platform_names": model.features.platform_names,
        "pools": sorted(model.calibration.pools),
        "rows_used": model.rows_used,
        "fingerprint": model.fingerprint,
        "card": model.card,
    }
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    arrays = {
        name: np.ascontiguousarray(array, "<" + _type(name) if _type(name)[1] != "1" else _type(name))
        for name, array in arrays.items()
    }
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(draft, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def restore(model: Pitot, path: Path) -> None:
    """Fill `model` from a file. Raises ModelFileError with one sentence for anything that is not ours."""
    try:
        arrays = _arrays(path)
        header = _header(arrays.pop("header"))
        model.settings = Settings(**header["settings"])
        features = Features(
            arrays["feature_workloads"], arrays["feature_platforms"],
            tuple(header["workload_names"]), tuple(header["platform_names"]),
        )  # fmt: skip
        networks = {}
        for prefix, (rank, types, slope) in header["networks"].items():
            values: dict[str, Any] = {name: arrays[prefix + name] for name in Learned.array_names()}
            networks[prefix] = Learned(**values, rank=int(rank), types=int(types), slope=float(slope))
            _check_network(networks[prefix], features)
        model.learned = networks[""]
        model.heads = networks.get("heads_")
        if model.settings.bounds == "shared":
            model.heads = model.learned
        sizes = len(features.platforms), len(features.workloads)
        if "spread_table" in arrays:
            model.spread = Spread(arrays["spread_degrees"], arrays["spread_table"])
            _check_shape("spread_table", model.spread.table, (len(model.spread.degrees), *sizes, None))
            _check_shape("spread_degrees", model.spread.degrees, (None,))
        model.seen_platforms, model.seen_workloads = (
            arrays["seen_platforms"].copy(),
            arrays["seen_workloads"].copy(),
        )
        _check_shape("seen_platforms", model.seen_platforms, sizes[:1])
        _check_shape("seen_workloads", model.seen_workloads, sizes[1:])
        model.calibration = Calibration(
            {int(n): Pool(*(arrays[f"pool{int(n)}_{part}"] for part in POOL)) for n in header["pools"]}
        )
        for name, size in (("new_platforms", sizes[0]), ("new_workloads", sizes[1])):
            _check_shape(name, arrays[name], (size,))
            setattr(model, name, arrays[name].copy())
        model.features = features
        model.calibration_rows = Observations(*(arrays[f"calibration_{name}"] for name in CALIBRATION_ROWS))
        features.check(model.calibration_rows)
        model.new_calibration = {
            str(side): Calibration(
                {
                    n: replace(pool, scores=arrays[f"pool{n}_{side}"])
                    for n, pool in model.calibration.pools.items()
                }
            )
            for side in header["new_sides"]
        }
        candidates = len(model._candidates.names)
        for pool in model.calibration.pools.values():
            _check_shape("scores", pool.scores, (candidates, None))
            _check_shape("choice_margin", pool.choice_margin, (candidates, len(EPS_GRID)))
        for calibration in model.new_calibration.values():
            for pool in calibration.pools.values():
                _check_shape("scores", pool.scores, (candidates, None))
        model.rows_used = {str(k): int(v) for k, v in header["rows_used"].items()}
        model.fingerprint = str(header["fingerprint"])
        model.card = dict(header["card"])
    except ModelFileError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, PitotError) as problem:
        raise ModelFileError(f"{path} is a damaged model file ({problem})") from None


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = {Path(m.filename).stem for m in members}
            if "header" not in names:
                raise ModelFileError(f"{path} is not a model of pitot_core: it has no header")
            if len(members) > MOST_ARRAYS or sum(m.file_size for m in members) > LARGEST_TOTAL:
                raise ModelFileError(f"{path} is too large to be a model of pitot_core")
            return {Path(m.filename).stem: _array(archive, m, path) for m in members}
    except FileNotFoundError:
        raise ModelFileError(f"there is no model file at {path}") from None
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
    ) as problem:
        raise ModelFileError(f"{path} is not a model of pitot_core ({problem})") from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    """One .npy of a plain type, at most as large as both the archive and its own header say."""
    name = Path(member.filename).stem
    limit = LARGEST_HEADER if name == "header" else LARGEST_ARRAY
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelFileError(f"{path}: array {name!r} is packed in a way no model of pitot_core is")
    if member.file_size > limit:
        raise ModelFileError(
            f"{path}: array {name!r} claims {member.file_size} bytes; at most {limit} are read"
        )
    with archive.open(member) as file:
        raw = file.read(member.file_size + 1)
    if len(raw) != member.file_size:
        raise ModelFileError(f"{path}: array {name!r} is not as long as it claims")
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream)
    except ValueError as problem:
        raise ModelFileError(f"{path}: array {name!r} is damaged ({problem})") from None
    if dtype.str[1:] != _type(name):
        raise ModelFileError(f"{path}: array {name!r} has the type {dtype}, which no model of pitot_core has")
    if fortran or math.prod(shape) * dtype.itemsize != len(raw) - stream.tell():
        raise ModelFileError(f"{path}: array {name!r} does not fit its shape {shape}")
    array = np.frombuffer(raw, dtype, offset=stream.tell()).reshape(shape)
    if dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise ModelFileError(f"{path}: array {name!r} holds a number that is not finite")
    return array


def _header(raw: NDArray[Any]) -> dict[str, Any]:
    header = json.loads(raw.tobytes().decode())
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise ModelFileError("the file's header is not that of a model of pitot_core")
    if header.get("format") != FORMAT:
        raise ModelFileError(
            f"the model has format {header.get('format')!r}; this version reads {FORMAT}; train it again"
        )
    return header


def _type(name: str) -> str:
    """The only type an array of this name may have."""
    return "f4" if name in FLOAT32 or name.startswith("pool") else OTHER.get(name, "f8")


def _check_network(learned: Learned, features: Features) -> None:
    members, n_platforms, n_workloads = len(learned.startup), len(features.platforms), len(features.workloads)
    if learned.rank < 1 or learned.types < 0:
        raise ModelFileError(
            f"a network of rank {learned.rank} with {learned.types} interference types is none"
        )
    _check_shape(
        "platforms", learned.platforms, (members, n_platforms, learned.rank * (1 + 2 * learned.types))
    )
    _check_shape("workloads", learned.workloads, (members, n_workloads, None))
    _check_shape("startup", learned.startup, (members, n_platforms))
    _check_shape("platform_level", learned.platform_level, (members, n_platforms))
    _check_shape("workload_level", learned.workload_level, (members, n_workloads))
    if learned.workloads.shape[2] % learned.rank or not learned.heads:
        raise ModelFileError(
            f"workload embeddings {learned.workloads.shape[2]} wide do not fit rank {learned.rank}"
        )


def _check_shape(name: str, array: NDArray[Any], shape: tuple[int | None, ...]) -> None:
    """None stands for any length."""
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ModelFileError(f"array {name!r} has shape {array.shape}, not {shape}")
