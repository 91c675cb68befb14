"""Random WebAssembly code with exceptions, structures, arrays, small integers, casts and wide arithmetic."""

from __future__ import annotations

from harness.opcodes.instruction_set import CODES, OPCODES
from harness.opcodes.leb import signed, unsigned
from tests.opcodes.random_expressions import FIRST_FUNCTION, VALUES, Expressions

# Types that stand before those of functions: two structures, the second of which extends the first; arrays.
PAIR, TRIPLE, BYTES, WORDS, FUNCTIONS = range(5)
OBJECT_TYPES = [
    b"\x50\0\x5f\2\x78\1\x7e\1",  # i8, i64
    b"\x50\1\0\x5f\3\x78\1\x7e\1\x77\1",  # i8, i64, i16
    b"\x5e\x78\1",  # of i8
    b"\x5e\x7f\1",  # of i32
    b"\x5e\x70\1",  # of functions
]
PLAIN_TAG, VALUE_TAG = 0, 1  # tags: of nothing; of an i32 and an f64
ANY, EXN, EXTERN, STRUCT, ARRAY, EQ, I31 = 0x6E, 0x69, 0x6F, 0x6B, 0x6A, 0x6D, 0x6C
SIZE = 6  # elements of an array


class References(Expressions):
    """`any_global` is the number of a global of type anyref, where objects are left for later."""

    any_global = 1 + 7

    def rare(self, *names: str) -> str:
        return self.choose([OPCODES[CODES[name]] for name in names]).name

    def heap(self) -> bytes:
        """What a reference of the kind `any` may be cast to."""
        return self.random.choice(
            (
                unsigned(PAIR),
                unsigned(TRIPLE),
                unsigned(BYTES),
                bytes([EQ]),
                bytes([I31]),
                bytes([STRUCT]),
                bytes([ARRAY]),
            )
        )

    # Values of reference types.

    def pair(self, depth: int) -> None:
        """A reference to a PAIR, or to a TRIPLE, which is one too."""
        triple = self.chance(0.5)
        type_ = unsigned(TRIPLE if triple else PAIR)
        if self.chance(0.3):
            self.op("struct.new_default", type_)
            return
        self.expression("i32", depth - 1)
        self.expression("i64", depth - 1)
        if triple:
            self.expression("i32", depth - 1)
        self.op("struct.new", type_)

    def array(self, type_: int, depth: int) -> None:
        """A reference to an array; of SIZE elements, if it is not made from a segment."""
        kind = self.random.choice(("new", "new_default", "new_fixed", "new_segment"))
        element = "funcref" if type_ == FUNCTIONS else "i32"
        if kind == "new":
            self.expression(element, depth - 1)
            self.i32(SIZE)
            self.op("array.new", unsigned(type_))
        elif kind == "new_default":
            self.i32(SIZE)
            self.op("array.new_default", unsigned(type_))
        elif kind == "new_fixed":
            for _ in range(3):
                self.constant(element)
            self.op("array.new_fixed", unsigned(type_), unsigned(3))
        else:
            self.index(8, depth, safe=0.9)
            self.index(2 if type_ == FUNCTIONS else 8, depth, safe=0.9)
            self.op("array.new_elem" if type_ == FUNCTIONS else "array.new_data", unsigned(type_), b"\1")

    def anything(self, depth: int) -> None:
        """A value of type anyref."""
        kind = self.random.choice(("pair", "pair", "array", "i31", "global", "null", "extern"))
        if kind == "pair":
            self.pair(depth)
        elif kind == "array":
            self.array(self.random.choice((BYTES, WORDS, FUNCTIONS)), depth)
        elif kind == "i31":
            self.expression("i32", depth - 1)
            self.op("ref.i31")
        elif kind == "global":
            self.op("global.get", unsigned(self.any_global))
        elif kind == "null":
            self.op("ref.null", bytes([ANY]))
        else:
            self.anything(depth - 1)
            self.op("extern.convert_any")
            self.op("any.convert_extern")

    # Statements.

    def reference_statement(self, depth: int) -> None:
        """Something with references that leaves the stack as it was."""
        self.random.choice(
            (
                self.guarded, self.guarded, self.look, self.look, self.structure, self.elements, self.elements,
                self.copies, self.branches, self.branches, self.calls, self.wide, self.keep,
            )
        )(depth)  # fmt: skip

    def keep(self, depth: int) -> None:
        self.anything(depth)
        self.op("global.set", unsigned(self.any_global))

    def result(self, type_: str) -> None:
        """The value on the stack, of a number's type, into a global of the module."""
        self.op("global.set", unsigned(1 + VALUES.index(type_)))

    def look(self, depth: int) -> None:
        self.anything(depth)
        kind = self.random.random()
        if kind < 0.3:
            self.code += b"\xfb" + bytes([self.random.choice((20, 21))]) + self.heap()
        elif kind < 0.35:
            self.op("ref.is_null")
        elif kind < 0.5:
            self.op("ref.as_non_null")
            self.op("ref.is_null")
        elif kind < 0.85:
            self.i31()
        else:
            self.code += b"\xfb\x17" + bytes([EQ])  # ref.cast (ref null eq)
            self.anything(0)
            self.code += b"\xfb\x17" + bytes([EQ])
            self.op("ref.eq")
        self.result("i32")

    def i31(self) -> None:
        """The i32 in an anyref, where it holds one; a trap where that is null; else any number."""
        self.op("block", signed(self.type_index((("anyref",), ("anyref",)))))
        self.code += b"\xfb\x18\3\0" + bytes([ANY, I31])  # br_on_cast 0 anyref i31ref
        self.op("drop")
        self.i32(self.random.getrandbits(30))
        self.op("ref.i31")
        self.op("end")
        self.code += b"\xfb" + bytes([self.random.choice((22, 23)), I31])
        self.op(self.rare("i31.get_s", "i31.get_u"))

    def structure(self, depth: int) -> None:
        if self.chance(0.9):
            self.pair(depth)
        else:
            self.op("global.get", unsigned(self.any_global))
            self.code += b"\xfb\x17" + unsigned(PAIR)  # a trap, unless a pair was left there
        kind = self.random.random()
        if kind < 0.3:
            self.op(self.rare("struct.get_s", "struct.get_u"), unsigned(PAIR), b"\0")
            self.result("i32")
        elif kind < 0.6:
            self.op("struct.get", unsigned(PAIR), b"\1")
            self.result("i64")
        else:
            field = self.random.choice((0, 1))
            self.expression(("i32", "i64")[field], depth - 1)
            self.op("struct.set", unsigned(PAIR), unsigned(field))

    def elements(self, depth: int) -> None:
        type_ = self.random.choice((BYTES, WORDS))
        self.array(type_, depth)
        kind = self.random.random()
        if kind < 0.3:
            self.index(4, depth, safe=0.9)
            self.op(
                self.rare("array.get_s", "array.get_u") if type_ == BYTES else "array.get",
                unsigned(type_),
            )
            self.result("i32")
        elif kind < 0.5:
            self.index(4, depth, safe=0.9)
            self.expression("i32", depth - 1)
            self.op("array.set", unsigned(type_))
        elif kind < 0.7:
            self.op("array.len")
            self.result("i32")
        else:
            self.index(2, depth, safe=0.9)
            self.expression("i32", depth - 1)
            self.index(4, depth, safe=0.9)
            self.op("array.fill", unsigned(type_))

    def copies(self, depth: int) -> None:
        type_ = self.random.choice((BYTES, WORDS, FUNCTIONS))
        self.array(type_, depth)
        self.index(4, depth, safe=0.9)
        copied = self.chance(0.4)
        if copied:
            self.array(type_, depth)
        self.index(4, depth, safe=0.9)
        self.index(2, depth, safe=0.9)
        if copied:
            self.op("array.copy", unsigned(type_), unsigned(type_))
        else:
            self.op("array.init_elem" if type_ == FUNCTIONS else "array.init_data", unsigned(type_), b"\1")

    def branches(self, depth: int) -> None:
        """Branches that depend on a reference, out of a block that gives an i32."""
        self.keep(depth)
        kind = self.rare("br_on_null", "br_on_non_null", "br_on_cast", "br_on_cast_fail")
        if kind == "br_on_null":
            self.op("block", b"\x7f")
            self.i32(1)
            self.op("global.get", unsigned(self.any_global))
            self.op("br_on_null", b"\0")
            self.op("drop")
            self.op("drop")
            self.i32(2)
        elif kind == "br_on_non_null":
            self.op("block", b"\x7f")
            self.op("block", b"\x64" + bytes([ANY]))
            self.op("global.get", unsigned(self.any_global))
            self.op("br_on_non_null", b"\0")
            self.i32(3)
            self.op("br", b"\1")
            self.op("end")
            self.op("ref.is_null")
        else:
            self.op("block", b"\x7f")
            self.op("block", bytes([ANY]))
            self.op("global.get", unsigned(self.any_global))
            nulls = self.random.choice((1, 3))
            self.op(kind, bytes([nulls]), b"\0", bytes([ANY]), self.heap())
            self.op("drop")
            self.i32(4)
            self.op("br", b"\1")
            self.op("end")
            self.op("ref.is_null")
        self.op("end")
        self.result("i32")

    def calls(self, depth: int) -> None:
        number = self.random.randrange(len(self.signatures))
        params, results = self.signatures[number]
        for type_ in params:
            self.expression(type_, depth - 1)
        if self.chance(0.95):
            self.op("ref.func", unsigned(FIRST_FUNCTION + number))
        else:
            self.op("ref.null", unsigned(self.type_index(self.signatures[number])))
        self.op("call_ref", unsigned(self.type_index(self.signatures[number])))
        for _ in results:
            self.op("drop")

    def wide(self, depth: int) -> None:
        name = self.rare("i64.add128", "i64.sub128", "i64.mul_wide_s", "i64.mul_wide_u")
        for _ in range(2 if "mul" in name else 4):
            self.expression("i64", depth - 1)
        self.op(name)
        self.op("i64.rotl")
        self.result("i64")

    def throw(self, depth: int) -> None:
        if self.chance(0.5):
            self.op("throw", unsigned(PLAIN_TAG))
        else:
            self.expression("i32", depth - 1)
            self.expression("f64", depth - 1)
            self.op("throw", unsigned(VALUE_TAG))

    def guarded(self, depth: int) -> None:
        """A try_table whose clauses lead to blocks around it; what is caught is looked at or thrown again."""
        with_reference = self.chance(0.5)
        tag = self.random.choice((None, PLAIN_TAG, VALUE_TAG))
        caught = ("i32", "f64") if tag == VALUE_TAG else ()
        carried = (*caught, "exnref") if with_reference else caught
        clause = bytes([(2 if tag is None else 0) + with_reference])
        clause += (b"" if tag is None else unsigned(tag)) + b"\0"
        self.op("block", b"\x40")
        self.labels.append(())
        self.op("block", signed(self.type_index(((), carried))))
        self.labels.append(carried)
        self.op("try_table", b"\x40", b"\1" + clause)
        self.labels.append(())
        for _ in range(self.random.randint(0, 2)):
            self.statement(depth - 1)
        if self.chance(0.6):
            self.op("block", b"\x40")
            self.labels.append(())
            self.expression("i32", depth - 1)
            self.op("br_if", b"\0")
            self.throw(depth)
            self.labels.pop()
            self.op("end")
        self.labels.pop()
        self.op("end")
        self.labels.pop()
        self.op("br", b"\1")
        self.op("end")
        if with_reference:
            if self.chance(0.4):
                self.op("throw_ref")
            else:
                self.op("drop")
                for type_ in reversed(caught):
                    self.result(type_)
        else:
            for type_ in reversed(caught):
                self.result(type_)
        self.labels.pop()
        self.op("end")
