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
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.conformal import Calibration, Pool
from pitot_core.errors import ModelFileError, NotFitted, PitotError
from pitot_core.features import Features
from pitot_core.settings import Settings

if TYPE_CHECKING:
    from pitot_core.model import Pitot

FORMAT = 1
KIND = "pitot_core model"
LARGEST_HEADER = 16 << 20
LARGEST_ARRAY = 1 << 30
LARGEST_TOTAL = 2 << 30
MOST_ARRAYS = 200
LEARNED = (
    "platforms",
    "workloads",
    "startup",
    "platform_level",
    "workload_level",
    "seen_platforms",
    "seen_workloads",
)
EXPECTED = {
    "platforms": "f4",
    "workloads": "f4",
    "seen_platforms": "b1",
    "seen_workloads": "b1",
    "header": "u1",
}


def save(model: Pitot, path: Path) -> None:
    """Write to a temporary name beside `path`, then rename: a crash leaves the old file whole."""
    if model.learned is None or model.features is None:
        raise NotFitted
    arrays: dict[str, NDArray[Any]] = {name: getattr(model.learned, name) for name in LEARNED}
    arrays["feature_workloads"], arrays["feature_platforms"] = (
        model.features.workloads,
        model.features.platforms,
    )
    for n, pool in model.calibration.pools.items():
        arrays[f"pool{n}_scores"] = pool.scores
        arrays[f"pool{n}_choice_score"] = pool.choice_score
        arrays[f"pool{n}_choice_scale"] = pool.choice_scale
    header = {
        "kind": KIND,
        "format": FORMAT,
        "units": "ns",
        "settings": asdict(model.settings),
        "rank": model.learned.rank,
        "types": model.learned.types,
        "workload_names": model.features.workload_names,
        "platform_names": model.features.platform_names,
        "pools": sorted(model.calibration.pools),
        "rows_used": model.rows_used,
        "card": model.card,
    }
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
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
    from pitot_core.model import Learned

    try:
        arrays = _arrays(path)
        header = _header(arrays.pop("header"))
        settings = dict(header["settings"])
        if settings.get("hidden") is not None:
            settings["hidden"] = tuple(settings["hidden"])
        model.settings = Settings(**settings)
        model.features = Features(
            arrays["feature_workloads"],
            arrays["feature_platforms"],
            tuple(header["workload_names"]),
            tuple(header["platform_names"]),
        )
        learned_arrays: dict[str, Any] = {name: arrays[name] for name in LEARNED}
        learned = Learned(rank=int(header["rank"]), types=int(header["types"]), **learned_arrays)
        _check_shapes(learned, model.features)
        model.learned = learned
        model.calibration = Calibration(
            {
                int(n): Pool(
                    *(arrays[f"pool{int(n)}_{part}"] for part in ("scores", "choice_score", "choice_scale"))
                )
                for n in header["pools"]
            }
        )
        model.rows_used = {str(k): int(v) for k, v in header["rows_used"].items()}
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
    if dtype.str[1:] != EXPECTED.get(name, "f8"):
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


def _check_shapes(learned: Any, features: Features) -> None:
    members, n_platforms, n_workloads = len(learned.startup), len(features.platforms), len(features.workloads)
    width = learned.rank * (1 + 2 * learned.types)
    heads = (
        learned.workloads.shape[2] // learned.rank if learned.workloads.ndim == 3 and learned.rank > 0 else 0
    )
    expected = {
        "platforms": (members, n_platforms, width),
        "workloads": (members, n_workloads, heads * learned.rank),
        "startup": (members, n_platforms),
        "platform_level": (members, n_platforms),
        "workload_level": (members, n_workloads),
        "seen_platforms": (n_platforms,),
        "seen_workloads": (n_workloads,),
    }
    for name, shape in expected.items():
        if getattr(learned, name).shape != shape or 0 in shape:
            raise ModelFileError(f"array {name!r} has shape {getattr(learned, name).shape}, not {shape}")
