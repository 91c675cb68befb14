"""Random WebAssembly expressions, and how a part of a module is written."""

from __future__ import annotations

import random
import struct
from collections import Counter

from harness.opcodes.instruction_set import CODES, OPCODES, Opcode
from harness.opcodes.leb import signed, unsigned

LETTERS = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128"}
TYPE_BYTES = {
    "i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C, "v128": 0x7B, "funcref": 0x70, "externref": 0x6F,
    "anyref": 0x6E, "exnref": 0x69,
}  # fmt: skip
NUMBERS = ("i32", "i64", "f32", "f64")
VALUES = (*NUMBERS, "v128")
TYPES = (*VALUES, "funcref", "externref")
Signature = tuple[tuple[str, ...], tuple[str, ...]]

PROC_EXIT, FIRST_FUNCTION = 0, 1
FIRST_TYPE = 5  # of functions, after those of objects
FUEL, TABLE_SIZE, PAGES = 0, 8, 1
# A wait traps without another thread, and the older exceptions are not run by the engine.
_PLAIN = [op for op in OPCODES.values() if op.signature not in ("*", ":") and ".wait" not in op.name]
_MAKING = {
    name: [opcode for opcode in _PLAIN if opcode.signature.endswith(f":{letter}")]
    for letter, name in LETTERS.items()
}
_DOING = [op for op in OPCODES.values() if op.signature.endswith(":") and op.name != "nop"]
_F32 = [
    0x00000000,
    0x80000000,
    0x3F800000,
    0xBFC00000,
    0x7F800000,
    0xFF800000,
    0x7FC00000,
    0xFFA00001,
    1,
    0x4F000000,
]
_F64 = [
    0, 1 << 63, 0x3FF0000000000000, 0xBFF8000000000000, 0x7FF0000000000000, 0xFFF0000000000000,
    0x7FF8000000000000, 0xFFF4000000000001, 1, 0x41E0000000000000, 0x43E0000000000000, 0x380FFFFFE0000000,
]  # fmt: skip


def encode(opcode: Opcode) -> bytes:
    return bytes([opcode.prefix]) + (b"" if opcode.number is None else unsigned(opcode.number))


def vector(entries: list[bytes]) -> bytes:
    return unsigned(len(entries)) + b"".join(entries)


def sized(content: bytes) -> bytes:
    return unsigned(len(content)) + content


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + sized(content)


class Expressions:
    def __init__(self, seed: int, executed: Counter[str] | None = None) -> None:
        self.random = random.Random(seed)
        self.executed = executed  # the opcodes executed least so far are preferred
        self.types: list[Signature] = []
        self.memories = self.random.choice((1, 1, 2))
        self.signatures: list[Signature] = [self.signature() for _ in range(self.random.randint(1, 4))]
        self.code = bytearray()
        self.locals: list[str] = []
        self.labels: list[tuple[str, ...]] = []
        self.results: tuple[str, ...] = ()
        self.left = 0  # instructions this function may still grow by

    def signature(self) -> Signature:
        pick = self.random.choice
        params = tuple(pick(TYPES) for _ in range(self.random.randint(0, 3)))
        results = tuple(pick(TYPES) for _ in range(pick((0, 1, 1, 1, 2))))
        return params, results

    def type_index(self, signature: Signature) -> int:
        if signature not in self.types:
            self.types.append(signature)
        return FIRST_TYPE + self.types.index(signature)

    # Emitting.

    def op(self, name: str, *immediates: bytes) -> None:
        self.left -= 1
        self.code += encode(OPCODES[CODES[name]]) + b"".join(immediates)

    def i32(self, value: int) -> None:
        self.op("i32.const", signed(value))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def choose(self, opcodes: list[Opcode]) -> Opcode:
        """One of them at random; where it is known what was executed, often one of the rarest."""
        if self.executed is None or self.chance(0.3):
            return self.random.choice(opcodes)
        executed, few = self.executed, self.random.sample(opcodes, len(opcodes) // 2 + 1)
        return min(few, key=lambda opcode: executed[opcode.name])

    def constant(self, type_: str) -> None:
        pick, bits = self.random.choice, self.random.getrandbits
        if type_ == "i32":
            self.i32(pick((0, 1, -1, 7, 2**31 - 1, -(2**31), bits(16), bits(31))))
        elif type_ == "i64":
            self.op("i64.const", signed(pick((0, 1, -1, 63, 2**63 - 1, -(2**63), bits(33), bits(62)))))
        elif type_ == "f32":
            small = struct.unpack("<I", struct.pack("<f", self.random.uniform(-1000, 1000)))[0]
            self.op("f32.const", struct.pack("<I", pick((*_F32, small, small, small, bits(32)))))
        elif type_ == "f64":
            small = struct.unpack("<Q", struct.pack("<d", self.random.uniform(-1000, 1000)))[0]
            self.op("f64.const", struct.pack("<Q", pick((*_F64, small, small, small, bits(64)))))
        elif type_ == "v128":
            self.op("v128.const", bits(128).to_bytes(16, "little"))
        elif type_ == "funcref" and self.chance(0.6):
            self.op("ref.func", unsigned(FIRST_FUNCTION + self.random.randrange(len(self.signatures))))
        else:
            self.op("ref.null", bytes([TYPE_BYTES[type_]]))

    def expression(self, type_: str, depth: int) -> None:
        """Leave one value of the type on the stack."""
        if type_ not in TYPES:
            self.constant(type_)
            return
        places = [number for number, local in enumerate(self.locals) if local == type_]
        if depth <= 0 or self.left <= 0 or self.chance(0.15):
            if places and self.chance(0.6):
                self.op("local.get", unsigned(self.random.choice(places)))
            elif self.chance(0.3):
                self.op("global.get", unsigned(1 + TYPES.index(type_)))
            else:
                self.constant(type_)
            return
        choice = self.random.random()
        if choice < 0.5 and type_ in VALUES:
            self.operation(self.choose(_MAKING[type_]), depth)
        elif choice < 0.55 and places:
            self.expression(type_, depth - 1)
            self.op("local.tee", unsigned(self.random.choice(places)))
        elif choice < 0.62:
            self.expression(type_, depth - 1)
            self.expression(type_, depth - 1)
            self.expression("i32", depth - 1)
            if type_ in VALUES and self.chance(0.5):
                self.op("select")
            else:
                self.code += b"\x1c\x01" + bytes([TYPE_BYTES[type_]])
        elif choice < 0.75:
            self.block((type_,), depth)
        elif choice < 0.85:
            self.call((type_,), depth)
        elif choice < 0.9 and type_ in ("funcref", "externref"):
            self.index(TABLE_SIZE, depth)
            self.op("table.get", unsigned(("funcref", "externref").index(type_)))
        elif type_ == "i32":
            kind = self.random.choice(("funcref", "externref"))
            self.expression(kind, depth - 1)
            if self.chance(0.5):
                self.op("ref.is_null")
            else:
                self.i32(self.random.randint(0, 2))
                self.op("table.grow", unsigned(("funcref", "externref").index(kind)))
        else:
            self.constant(type_)

    def index(self, size: int, depth: int, *, safe: float = 0.97) -> None:
        """An i32 below `size` (a power of two), nearly always."""
        self.expression("i32", depth - 1)
        if self.chance(safe):
            self.i32(size - 1)
            self.op("i32.and")

    def memarg(self, opcode: Opcode) -> bytes:
        memory = self.random.randrange(self.memories)
        if ".atomic." in opcode.name:
            access = "".join(filter(str.isdigit, opcode.name.partition(".atomic.")[2])) or opcode.name[1:3]
            alignment = (int(access) // 8 if opcode.name[0] == "i" else 4).bit_length() - 1
            flags = bytes([alignment | 0x40]) + unsigned(memory) if memory else bytes([alignment])
            return flags + unsigned(8 * self.random.randrange(20))
        offset = self.random.choice((0, 0, 1, 8, 100, 60000 if self.chance(0.1) else 4))
        return (bytes([0x40]) + unsigned(memory) if memory else b"\0") + unsigned(offset)

    def operation(self, opcode: Opcode, depth: int) -> None:
        """Operands and the instruction."""
        name = opcode.name
        operands = opcode.signature.partition(":")[0]
        category = opcode.category
        immediates: list[bytes] = []
        if "const" in name:
            self.constant(LETTERS[opcode.signature[-1]])
            return
        if "memarg" in opcode.immediates:
            self.index(4096, depth)
            if ".atomic." in name and self.chance(0.98):
                self.i32(-8)
                self.op("i32.and")
            for letter in operands[1:]:
                self.expression(LETTERS[letter], depth - 1)
            immediates.append(self.memarg(opcode))
        elif operands == "iii":
            for size in (64, 8 if "init" in name or "table" in name else 256, 8):
                self.index(size if "table" not in name else 4, depth)
        elif name == "memory.grow":
            self.index(2, depth, safe=0.9)
        elif "div" in name or "rem" in name:
            for letter in operands:
                self.expression(LETTERS[letter], depth - 1)
            if category == "int" and self.chance(0.9):
                kind = name[:3]
                self.op(f"{kind}.const", b"\1")
                self.op(f"{kind}.or")
        elif ".trunc_f" in name and category == "convert" and self.chance(0.95):
            self.index(128, depth)
            self.op(f"f{name[11:13]}.convert_i32_s")
        else:
            for letter in operands:
                self.expression(LETTERS[letter], depth - 1)
        for kind in opcode.immediates:
            if kind == "lane":
                digits = "".join(filter(str.isdigit, name[5:])) if name.startswith("v128") else ""
                lanes = 128 // int(digits) if digits else int(name[name.index("x") + 1 :].split(".")[0])
                immediates.append(bytes([self.random.randrange(lanes)]))
            elif kind == "lanes":
                immediates.append(bytes(self.random.randrange(32) for _ in range(16)))
            elif kind == "zero":
                immediates.append(b"\0")
            elif kind == "memory":
                immediates.append(unsigned(self.random.randrange(self.memories)))
            elif kind == "table":
                immediates.append(b"\0")
            elif kind in ("data", "elem"):
                immediates.append(b"\1")
        self.op(name, *immediates)

    def call(self, results: tuple[str, ...], depth: int) -> None:
        """A call, direct or through the table, whose results are these; else constants."""
        fitting = [number for number, (_, made) in enumerate(self.signatures) if made == results]
        if not fitting:
            for type_ in results:
                self.constant(type_)
            return
        number = self.random.choice(fitting)
        for type_ in self.signatures[number][0]:
            self.expression(type_, depth - 1)
        if self.chance(0.6):
            self.op("call", unsigned(FIRST_FUNCTION + number))
        else:
            self.table_place(number)
            self.op("call_indirect", unsigned(self.type_index(self.signatures[number])), b"\0")

    def table_place(self, number: int) -> None:
        """Where function `number` stands in table 0 (it may have been overwritten: then the call traps)."""
        if self.chance(0.95):
            self.i32(number)
        else:
            self.expression("i32", 1)
