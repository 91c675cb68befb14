"""The command that says where one workload is to run: offload."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.app import group
from harness.cli.decide import ModelPath
from harness.cli.options import DEVICES_YAML, AsCsv, AsJson, Benchmarks, DevicesFile, form_of, listed
from harness.output import show, stderr

command = group("Decide")


@command(
    "harness offload lab.npz -w polybench/small/gemm --here pi-4 --there pi-5",
    "harness offload lab.npz -w polybench/small/gemm --here pi-4:wasm3-i --max-latency 20 --else fail",
    "harness offload lab.npz -w polybench/small/gemm --here local --there pi-5 --no-probe --history datasets/lab",
)
def offload(
    model: ModelPath,
    workload: Annotated[
        str, typer.Option("--workload", "-w", help="What is to run.", autocompletion=completion.workloads)
    ],
    here: Annotated[
        str,
        typer.Option(metavar="DEVICE[:ENGINE]", help="Where it is now.", autocompletion=completion.devices),
    ],
    there: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE[:ENGINE]",
            help="Where it might go, one or several; the fastest engine unless named.",
            callback=listed,
            show_default="every other device",
            autocompletion=completion.devices,
        ),
    ] = None,
    bytes_in: Annotated[
        float | None,
        typer.Option(
            "--in",
            metavar="BYTES",
            help="What has to be sent.",
            show_default="inputs, and the module if it is not there",
            min=0,
        ),
    ] = None,
    bytes_out: Annotated[
        float | None,
        typer.Option("--out", metavar="BYTES", help="What comes back.", show_default="4096", min=0),
    ] = None,
    handshakes: Annotated[float, typer.Option(help="Round trips that are waited for.", min=0)] = 4,
    eps: Annotated[
        float | None, typer.Option(help="Compare bounds that are exceeded so often, not expected times.")
    ] = None,
    max_latency: Annotated[
        float | None, typer.Option(metavar="MS", help="A device with a longer round trip is out.", min=0)
    ] = None,
    prefer: Annotated[
        str,
        typer.Option(metavar="WHICH", help="Which to take where both would do: faster, remote or local."),
    ] = "faster",
    otherwise: Annotated[
        str,
        typer.Option(
            "--else", metavar="local|fail", help="Where no other device is left: here, or exit code 1."
        ),
    ] = "local",
    history: Annotated[
        list[Path] | None,
        typer.Option(
            help="Samples of load and links: a history file, or a dataset. Repeatable.",
            show_default="~/.local/state/harness/links.jsonl",
        ),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Look at the devices now, and remember what was seen.")
    ] = True,
    devices_file: DevicesFile = DEVICES_YAML,
    benchmarks: Benchmarks = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say whether a workload ends sooner here or on another device. It decides, and runs nothing."""
    from harness.decide import offload as going
    from harness.decide.inequality import Wishes
    from harness.decide.predict import load_model
    from harness.progress import bar

    form, console = form_of(as_json, as_csv), stderr()
    wishes = Wishes.of(eps, max_latency, prefer, otherwise)
    freight = bytes_in, bytes_out, handshakes
    question = going.Question.of(
        workload, here, there or [], *freight, history or [], probe, devices_file, benchmarks
    )
    loaded = load_model(model)
    with bar(console, "looking", 1) as progress:
        rows, notes = going.ask(loaded, question, wishes, progress)
    show(rows, going.OFFLOAD_COLUMNS, form)
    for line in (*notes, *going.sentences(workload, rows, wishes)):
        console.print(line)
    if not any(row["choice"] in ("here", "there") for row in rows):
        raise typer.Exit(1)
