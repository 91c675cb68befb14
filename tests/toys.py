"""A small suite in a temporary directory."""

from __future__ import annotations

from pathlib import Path

from harness.suites.catalogue import suites_in
from harness.suites.suite import Suite

FLAGS = (
    """flags = ["--target=wasm32-freestanding", "-mcpu=mvp", "-O1", "-s", "-nostdlib", "-Wl,--no-entry"]"""
)

EMPTY = '__attribute__((export_name("_start"))) void _start(void) {}\n'


TWO_SIZES = "[[workload]]\nname = 'a'\nsizes = { s = { define = { N = 1 } }, l = { define = { N = 2 } } }\n"

# Copies stdin, then the file its argument names, to stdout; its exit code is the number of its arguments.
COPY = """
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
typedef unsigned long long u64;
struct slice { char *start; unsigned bytes; };
WASI(fd_read) int fd_read(int, const struct slice *, int, unsigned *);
WASI(fd_write) int fd_write(int, const struct slice *, int, unsigned *);
WASI(path_open) int path_open(int, int, const char *, int, int, u64, u64, int, int *);
WASI(args_sizes_get) int args_sizes_get(unsigned *, unsigned *);
WASI(args_get) int args_get(char **, char *);
WASI(proc_exit) _Noreturn void proc_exit(int);

static char text[1000], *arguments[9];

static void copy(int fd)
{
    for (;;) {
        struct slice part = {text, sizeof text};
        if (fd_read(fd, &part, 1, &part.bytes) || part.bytes == 0)
            return;
        fd_write(1, &part, 1, &part.bytes);
    }
}

__attribute__((export_name("_start"))) void _start(void)
{
    static char storage[1000];
    unsigned count, bytes, length = 0;
    int fd;
    args_sizes_get(&count, &bytes);
    args_get(arguments, storage);
    copy(0);
    while (arguments[1][length])
        length++;
    if (path_open(3, 0, arguments[1], (int)length, 0, 2, 2, 0, &fd))
        proc_exit(70);
    copy(fd);
    proc_exit((int)count);
}
"""


def write_suite(root: Path, entries: str, sources: dict[str, str] | None = None, name: str = "toys") -> Path:
    suite = root / name
    suite.mkdir(parents=True, exist_ok=True)
    (suite / "suite.toml").write_text(f'title = "Toys"\n[build]\n{FLAGS}\n{entries}')
    for file, text in (sources or {}).items():
        (suite / file).parent.mkdir(parents=True, exist_ok=True)
        (suite / file).write_text(text)
    return suite


def one_suite(root: Path) -> Suite:
    (suite,) = suites_in(root).values()
    return suite
