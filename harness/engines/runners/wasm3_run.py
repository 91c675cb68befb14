"""Runs one module under the pywasm3 package. Device side: Python 3.8+, beside runner.py and wasi_host.py."""

from __future__ import annotations

import argparse
import ctypes
import json
import resource
import sys
import time
from typing import Any

import runner
import wasi_host  # type: ignore[import-not-found,unused-ignore]
import wasm3  # type: ignore[import-not-found,import-untyped,unused-ignore]

STACK_BYTES = 64 << 10  # as the wasm3 command has it; deeper ones overflow the C stack first
ENGINE_BYTES = 128 << 20
LETTERS = {"i32": "i", "i64": "I", None: "v"}


class Wasm3:
    def __init__(self) -> None:
        self.environment = wasm3.Environment()
        self.host = wasi_host.Host()
        self.library = ctypes.CDLL(wasm3.__file__)
        self.library.m3_FreeRuntime.argtypes = [ctypes.c_void_p]

    def load(self, command: dict[str, Any]) -> dict[str, Any]:
        """Parse only: wasm3 compiles a function at its first call, anew in each instance."""
        self.command = command
        limit = command["memory_bytes"] + ENGINE_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        with open(command["module"], "rb") as file:
            self.code = file.read()
        start = time.perf_counter_ns()
        try:
            self.environment.parse_module(self.code)
        except RuntimeError as error:
            raise runner.Fail("does not compile: %s" % error) from error
        return {"compile_ns": time.perf_counter_ns() - start, "load_ns": 0, "cached": False}

    def execute(self, stdout: str) -> int:
        command = self.command
        instance = self.environment.new_runtime(STACK_BYTES)
        with self.host.open(
            lambda: instance.get_memory(0), command["argv"], command["preopens"], command["stdin"], stdout
        ):
            try:
                module = self.environment.parse_module(self.code)
                instance.load(module)
                for name, (types, function) in self.host.functions.items():
                    if name.encode() in self.code:  # linking each takes 10 us
                        *parameters, result = [LETTERS[t] for t in types]
                        link(module, name, "%s(%s)" % (result, "".join(parameters)), function)
                start = instance.find_function("_start")
                self.instantiated_ns = time.monotonic_ns()
                start()
            except wasi_host.Exit as leave:
                return int(leave.code)
            except RuntimeError as error:
                text = str(error)
                if text.startswith("[trap] "):
                    raise runner.Trap(text[len("[trap] ") :]) from error
                raise runner.Fail("cannot run: " + text) from error
            finally:
                self.release(instance)
        return 0

    def release(self, instance: Any) -> None:
        """Free what an instance holds. pywasm3 0.5.0 never does, and ten thousand would fill a gigabyte.

        Its object is a reference count, a type, an environment and the pointer that m3_FreeRuntime takes.
        """
        if wasm3.M3_VERSION == "0.5.0" and type(instance).__basicsize__ == ctypes.sizeof(ctypes.c_void_p * 4):
            self.library.m3_FreeRuntime((ctypes.c_void_p * 4).from_address(id(instance))[3])


def link(module: Any, name: str, signature: str, function: Any) -> None:
    """A function that the module does not import is passed over by pywasm3."""
    try:
        module.link_function("wasi_snapshot_preview1", name, signature, function)
    except RuntimeError as error:
        raise RuntimeError("%s: %s" % (name, error)) from error


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--detect", action="store_true")
    if parser.parse_args().detect:
        json.dump({"version": wasm3.M3_VERSION}, sys.stdout)
    else:
        runner.serve(Wasm3())


if __name__ == "__main__":
    main()
