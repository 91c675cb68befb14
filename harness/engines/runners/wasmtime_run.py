"""Runs one module under the wasmtime package. Device side: Python 3.8+, beside runner.py."""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import platform
import re
import sys
import time
from typing import Any

import runner
import wasmtime

M_ARENA_MAX = -8  # of glibc's malloc.h
WINCH = 2  # wasmtime_strategy_t in wasmtime's C header; the Python property knows only auto and cranelift

# What programs use that this engine has switched off by itself; the same where the controller compiles (wasmtime.py).
PROPOSALS = ("wasm_function_references", "wasm_gc", "wasm_exceptions", "wasm_wide_arithmetic")


def one_arena() -> None:
    """Let the C library keep all memory in one arena, where it has several.

    A compiler's threads make more of them, by chance in another way in each process, and what an execution frees then
    goes back to the system now and then: a kernel of 0.1 ms took 10 % longer in half of all processes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


class Exit(Exception):
    """The module called proc_exit; wasmtime's own takes no code above 125."""


def leave(code: int) -> None:
    raise Exit(code & 0xFFFFFFFF)


class Wasmtime:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        config = wasmtime.Config()
        if mode == "winch":
            wasmtime._bindings.wasmtime_config_strategy_set(config.ptr(), WINCH)
        elif mode == "pulley":
            config.target = "pulley64"
        if mode != "winch":  # which knows none of them
            for name in PROPOSALS:
                if hasattr(wasmtime.Config, name):
                    setattr(config, name, True)
        self.engine = wasmtime.Engine(config)
        self.linker = wasmtime.Linker(self.engine)
        self.linker.define_wasi()
        self.linker.allow_shadowing = True
        takes_a_code = wasmtime.FuncType([wasmtime.ValType.i32()], [])
        self.linker.define_func("wasi_snapshot_preview1", "proc_exit", takes_a_code, leave)

    def load(self, command: dict[str, Any]) -> dict[str, Any]:
        self.command = command
        try:
            if command.get("artefact"):
                given = command["artefact"]
                load_ns = self.timed_load(given["path"])
                return {"compile_ns": given["compile_ns"], "load_ns": load_ns, "cached": given["cached"]}
            if self.mode == "aot":
                return self.load_artefact(command)
            start = time.perf_counter_ns()
            self.module = wasmtime.Module.from_file(self.engine, command["module"])
            return {"compile_ns": time.perf_counter_ns() - start, "load_ns": 0, "cached": False}
        except wasmtime.WasmtimeError as error:
            what = (
                "does not take what the controller compiled: "
                if command.get("artefact")
                else "does not compile: "
            )
            raise runner.Fail(what + str(error).strip().splitlines()[-1]) from error

    def load_artefact(self, command: dict[str, Any]) -> dict[str, Any]:
        """Compile once per (module, version, target); the compile time and a hash are kept beside the artefact.

        Wasmtime believes what it reads, so what was cut or changed on the disk must not reach it.
        """
        name = "{}-wasmtime-{}-{}".format(
            os.path.basename(command["module"]), command["version"], platform.machine()
        )
        path = os.path.join(command["artefacts"], name + ".cwasm")
        cached = whole(path)
        if not cached:
            self.compile_artefact(command["module"], path)
        try:
            load_ns = self.timed_load(path)
        except wasmtime.WasmtimeError:  # of another build of the same version
            cached = False
            self.compile_artefact(command["module"], path)
            load_ns = self.timed_load(path)
        with open(path + ".json") as file:
            return {"compile_ns": json.load(file)["compile_ns"], "load_ns": load_ns, "cached": cached}

    def compile_artefact(self, module: str, path: str) -> None:
        start = time.perf_counter_ns()
        serialized = wasmtime.Module.from_file(self.engine, module).serialize()
        compile_ns = time.perf_counter_ns() - start
        runner.write_whole(path, bytes(serialized))
        told = {"compile_ns": compile_ns, "sha256": hashlib.sha256(serialized).hexdigest()}
        runner.write_whole(path + ".json", json.dumps(told).encode())

    def timed_load(self, path: str) -> int:
        start = time.perf_counter_ns()
        self.module = wasmtime.Module.deserialize_file(self.engine, path)
        return time.perf_counter_ns() - start

    def execute(self, stdout: str) -> int:
        command = self.command
        wasi = wasmtime.WasiConfig()
        wasi.argv = command["argv"]
        wasi.stdout_file = stdout
        if command["stdin"]:
            wasi.stdin_file = command["stdin"]
        for guest, host in command["preopens"]:
            wasi.preopen_dir(host, guest)
        store = wasmtime.Store(self.engine)
        store.set_limits(memory_size=command["memory_bytes"])
        store.set_wasi(wasi)
        try:
            instance = self.linker.instantiate(store, self.module)
            start: Any = instance.exports(store)["_start"]
            self.instantiated_ns = time.monotonic_ns()
            start(store)
        except Exit as told:
            return int(told.args[0])
        except wasmtime.Trap as trap:
            raise runner.Trap(trap_reason(trap.message)) from trap
        except wasmtime.WasmtimeError as error:
            raise runner.Fail("cannot run: " + str(error).strip().splitlines()[-1]) from error
        except KeyError:
            raise runner.Fail("the module exports no _start") from None
        finally:
            store.close()
        return 0


def whole(path: str) -> bool:
    """Whether an artefact is as it was written."""
    try:
        with open(path + ".json") as note, open(path, "rb") as file:
            return bool(json.load(note)["sha256"] == hashlib.sha256(file.read()).hexdigest())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def trap_reason(message: str) -> str:
    found = re.search(r"wasm trap: (.*)", message)
    return found.group(1) if found else message.strip().splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=["jit", "aot", "winch", "pulley"], default="jit")
    parser.add_argument("--detect", action="store_true")
    parser.add_argument("--artefact", help="the empty module, as the controller compiled it")
    arguments = parser.parse_args()
    if arguments.detect:
        from importlib.metadata import version  # 20 ms that only detection pays

        if arguments.artefact:
            try:
                Wasmtime(arguments.mode).timed_load(arguments.artefact)
            except wasmtime.WasmtimeError as error:
                sys.exit(str(error).strip().splitlines()[-1])
        json.dump({"version": version("wasmtime")}, sys.stdout)
    else:
        one_arena()
        runner.serve(Wasmtime(arguments.mode))


if __name__ == "__main__":
    main()
