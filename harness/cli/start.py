"""Commands to start with: demo, devices, build, count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import completion
from harness.cli.app import group
from harness.cli.options import DEVICES_YAML, AsCsv, AsJson, Benchmarks, DevicesFile, Memory, form_of, listed
from harness.errors import UsageError
from harness.output import Form, show, stderr

command = group("Start")


@command("harness demo", "harness demo -o datasets/demo --minutes 5")
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where everything goes.")] = Path(
        "datasets/demo"
    ),
    minutes: Annotated[float, typer.Option(help="How long measuring may take, about.", min=0.2)] = 2.0,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """The main job on this machine: build, measure alone and together, count opcodes, train, predict, report."""
    from harness.cli.demo import run_demo

    run_demo(output, minutes, benchmarks, form_of(as_json, as_csv), stderr())


@command(
    "harness devices",
    "harness devices pi-4 pi-5 --setup",
    "harness devices pi-4 --setup --with iwasm=lab/iwasm-arm64",
    "harness devices --check",
)
def devices(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Which devices; all of them by default.", autocompletion=completion.devices),
    ] = None,
    setup: Annotated[
        bool,
        typer.Option("--setup", help="Install the engines a device lacks, without root or internet there."),
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="ENGINE=PATH", help="Bring this program of an engine there instead."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="ENGINE", help="Take away what was brought.", callback=listed),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where --setup finds releases of engines, in place of its own list."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Measure for a minute what is known beforehand: can times there be trusted?"
        ),
    ] = False,
    features: Annotated[
        bool,
        typer.Option("--features", help="Run a module of each WebAssembly feature: which engine has it?"),
    ] = False,
    devices_file: DevicesFile = DEVICES_YAML,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Reach every device: what it is, which engines it has, and what would spoil measurements."""
    from harness.fleet.bring import parse_brought, program_of
    from harness.fleet.devices import choose, load_devices
    from harness.fleet.inspection import Change, inspect_all, show_inspection
    from harness.fleet.releases import read_releases
    from harness.measure.feature_check import FEATURE_COLUMNS, IN_SHORT, check_features, in_short
    from harness.measure.placebo import PLACEBO_COLUMNS, in_digits
    from harness.measure.placebo_check import check_devices

    form, console = form_of(as_json, as_csv), stderr()
    known = load_devices(devices_file, console.print)
    chosen = choose(known, names or [], devices_file)
    if (given or without) and not names:
        raise UsageError("--with and --without change devices; name those that are meant.")
    if manifest and not setup:
        raise UsageError("--manifest is where --setup finds releases; give --setup too.")
    change = Change(
        setup, parse_brought(given or []), [program_of(name) for name in without or []],
        read_releases(manifest) if setup else (),
    )  # fmt: skip
    if features:
        if check or setup or given or without:
            raise UsageError("--features is a table of its own; give it alone, after the others.")
        rows = check_features(chosen, console)
        short = form is Form.table
        show(in_short(rows) if short else rows, IN_SHORT if short else FEATURE_COLUMNS, form)
        return
    found = inspect_all(chosen, console, change)
    if not check:
        show_inspection(found, form)
    else:
        if form is Form.table:
            show_inspection(found, form)
            print()
        rows = check_devices([d for d, one in zip(chosen, found, strict=True) if not one.problem], console)
        show(in_digits(rows) if form is Form.table else rows, PLACEBO_COLUMNS, form)
    if not all(one.done for one in found):
        raise typer.Exit(1)


@command("harness build", "harness build polybench/mini", "harness build --import lab/modules --as lab")
def build(
    suites: Annotated[
        list[str] | None,
        typer.Argument(
            help="Suites, suite/size or workloads; by default all but the optional suites.",
            autocompletion=completion.workloads,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compile and check even what has not changed.")
    ] = False,
    imported: Annotated[
        Path | None, typer.Option("--import", metavar="DIR", help="Make a suite of modules built elsewhere.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="SUITE", help="What it is called.", show_default="as DIR")
    ] = None,
    limit: Annotated[float, typer.Option(metavar="SECONDS", help="How long each may run.", min=0.01)] = 600.0,
    memory: Memory = 1024,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Compile suites to WebAssembly and check what every module prints."""
    from harness.suites.imported import import_modules
    from harness.suites.ready import BUILD_COLUMNS, build_and_verify, refused_rows
    from harness.suites.verified import RIGHT

    if name and not imported:
        raise UsageError("--as names what is imported; give --import DIR too.")
    console = stderr()
    rows: list[dict[str, Any]] = []
    if imported:
        found = import_modules(imported, name, benchmarks, console.print)
        rows = refused_rows(found.refused)
        suites = [*(suites or []), *([found.suite.name] if found.suite else [])]
    if suites or not imported:
        rows = rows + build_and_verify(
            suites or [], benchmarks, console, force=force, limit_s=limit, memory_bytes=memory << 20
        )
    form = form_of(as_json, as_csv)
    if form is Form.table:
        rows = [row | {"sha256": row["sha256"][:16]} for row in rows]
    show(rows, BUILD_COLUMNS, form)
    if any(row["output"] not in RIGHT for row in rows):
        raise typer.Exit(1)


@command("harness count polybench/mini --verify", "harness count own.wasm --arg 7 --dir .=data --opcodes")
def count(
    workloads: Annotated[
        list[str] | None,
        typer.Argument(
            help="Workloads, suites, or .wasm files; by default what collect takes.",
            autocompletion=completion.programs,
        ),
    ] = None,
    opcodes: Annotated[
        bool, typer.Option("--opcodes", help="A row per opcode instead of one per workload.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Count with the interpreter too, and compare; at most a minute each."),
    ] = False,
    slowdown: Annotated[bool, typer.Option("--slowdown", help="Also measure what counting costs.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Count again what was counted before.")] = False,
    limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="How long each may run.", min=0.01, show_default="until it ends"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DATASET", help="Also put the counts into a dataset."),
    ] = None,
    args: Annotated[list[str] | None, typer.Option("--arg", help="An argument for the .wasm files.")] = None,
    stdin: Annotated[Path | None, typer.Option(help="What the .wasm files read from stdin.")] = None,
    directories: Annotated[
        list[str] | None, typer.Option("--dir", metavar="GUEST=HOST", help="A directory that they may use.")
    ] = None,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Count every opcode that a program executes, exactly."""
    from harness.suites.counting import Wanted, count_all, count_columns

    form = form_of(as_json, as_csv)
    wanted = Wanted(
        workloads or [], args or [], stdin, directories or [], benchmarks, opcodes, verify, slowdown, fresh, limit
    )  # fmt: skip
    rows = count_all(wanted, output, stderr())
    show(rows, count_columns(wanted, form), form)
    failed = any(row.get("total", 0) is None for row in rows)
    if failed or any(str(row.get("interpreter", "")).startswith("differs") for row in rows):
        raise typer.Exit(1)
