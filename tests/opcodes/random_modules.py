"""Random valid modules that use every opcode, trap and exit early now and then, and always end.

`random_module(seed)` gives the same bytes for the same seed. Loops and calls use up a counter in global 0; when it is
spent the program exits or traps. Everything computed ends up in globals and memory, and the globals are written to
memory at the end, so equal memories mean equal computation.
"""

from __future__ import annotations

from collections import Counter

from harness.opcodes.leb import signed, unsigned
from tests.opcodes.random_expressions import (
    FIRST_FUNCTION,
    TABLE_SIZE,
    TYPE_BYTES,
    TYPES,
    VALUES,
    Signature,
    section,
    sized,
    vector,
)
from tests.opcodes.random_references import OBJECT_TYPES
from tests.opcodes.random_statements import Statements


class Maker(Statements):
    def function(self, signature: Signature, size: int) -> bytes:
        params, self.results = signature
        extra = [self.random.choice(TYPES) for _ in range(self.random.randint(1, 6))]
        self.locals = [*params, *extra]
        self.labels, self.code, self.left = [self.results], bytearray(), size
        self.use_fuel()
        for _ in range(self.random.randint(1, 6)):
            self.statement(self.random.randint(2, 5))
        for type_ in self.results:
            self.expression(type_, 3)
        self.op("end")
        return sized(vector([b"\1" + bytes([TYPE_BYTES[type_]]) for type_ in extra]) + bytes(self.code))

    def start(self) -> bytes:
        """`_start`: call every function a few times, then write the globals to memory."""
        self.locals, self.labels, self.code, self.results = [], [()], bytearray(), ()
        for _ in range(self.random.randint(1, 3)):
            for number, (params, results) in enumerate(self.signatures):
                for type_ in params:
                    self.constant(type_)
                self.op("call", unsigned(FIRST_FUNCTION + number))
                for _ in results:
                    self.op("drop")
        for place, type_ in enumerate(VALUES):
            self.i32(16 * place)
            self.op("global.get", unsigned(1 + place))
            self.op(f"{type_}.store", b"\0\0")
        self.op("end")
        return sized(b"\0" + bytes(self.code))

    def module(self) -> bytes:
        exit_type = self.type_index((("i32",), ()))
        nothing = self.type_index(((), ()))
        values = self.type_index((("i32", "f64"), ()))
        type_indices = [self.type_index(signature) for signature in self.signatures]
        size = self.random.choice((50, 200, 600))
        bodies = [self.function(signature, size) for signature in self.signatures]
        bodies.append(self.start())
        count = len(self.signatures)
        name = b"".join(sized(text) for text in (b"wasi_snapshot_preview1", b"proc_exit"))
        types = [
            b"\x60"
            + vector([bytes([TYPE_BYTES[t]]) for t in params])
            + vector([bytes([TYPE_BYTES[t]]) for t in results])
            for params, results in self.types
        ]
        globals_ = [b"\x7f\1\x41" + signed(self.random.choice((5, 50, 300))) + b"\x0b"]
        for type_ in TYPES:
            self.code = bytearray()
            self.constant(type_)
            globals_.append(bytes([TYPE_BYTES[type_], 1]) + bytes(self.code) + b"\x0b")
        globals_.append(b"\x6e\1\xd0\x71\x0b")  # where objects are kept
        references = [unsigned(FIRST_FUNCTION + number) for number in range(count)]
        exports = [sized(b"_start") + b"\0" + unsigned(FIRST_FUNCTION + count)]
        exports += [
            sized(b"memory" + b"2" * number) + b"\2" + unsigned(number) for number in range(self.memories)
        ]
        content = self.random.randbytes(200)
        return b"\0asm\1\0\0\0" + b"".join(
            (
                section(1, vector(OBJECT_TYPES + types)),
                section(2, vector([name + b"\0" + unsigned(exit_type)])),
                section(3, vector([unsigned(n) for n in [*type_indices, nothing]])),
                section(
                    4,
                    vector(
                        [b"\x70\1" + unsigned(TABLE_SIZE) + unsigned(20), b"\x6f\0" + unsigned(TABLE_SIZE)]
                    ),
                ),
                section(5, vector([b"\1\1\3", b"\1\1\5"][: self.memories])),
                section(13, vector([b"\0" + unsigned(nothing), b"\0" + unsigned(values)])),
                section(6, vector(globals_)),
                section(7, vector(exports)),
                section(
                    9,
                    vector(
                        [
                            b"\0\x41\0\x0b" + vector(references),
                            b"\5\x70"
                            + vector([b"\xd2" + reference + b"\x0b" for reference in references] * 2),
                        ]
                    ),
                ),
                section(12, b"\2"),
                section(10, vector(bodies)),
                section(11, vector([b"\0\x41\5\x0b" + sized(content), b"\1" + sized(content)])),
            )
        )


def random_module(seed: int, executed: Counter[str] | None = None) -> bytes:
    """A valid module; with `executed`, opcodes that are rare in it become likely."""
    return Maker(seed, executed).module()
