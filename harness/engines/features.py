"""A module for each thing that was added to WebAssembly since 2017: what an engine has of them is found by running it.

Each uses its feature and traps where the result is wrong. `FEATURES` is in the order of their standardisation: up to
`simd` they are WebAssembly 2.0, up to `memory64` 3.0, the rest are proposals or, `legacy-exceptions`, what was there
before.
"""

from __future__ import annotations

_MEMORY = '(memory (export "memory") 1)'


def _checks(expression: str, expected: str, type_: str = "i32", before: str = "") -> str:
    """A module whose `_start` traps unless the expression gives what is expected."""
    start = f'(func (export "_start") (if ({type_}.ne {expression} ({type_}.const {expected})) (then unreachable)))'
    return f"(module {_MEMORY} {before} {start})"


# By name, in the text format or assembled.
FEATURES: dict[str, str | bytes] = {
    "mutable-globals": _checks(
        "(global.get $g)", "7", before='(global $g (export "g") (mut i32) (i32.const 7))'
    ),
    "sign-extension": _checks("(i32.extend8_s (i32.const 0x80))", "-128"),
    "saturating-conversions": _checks("(i32.trunc_sat_f32_s (f32.const nan))", "0"),
    "multi-value": _checks(
        "(i32.sub (call $two))",
        "3",
        before="(func $two (result i32 i32) (i32.const 5) (i32.const 2))",
    ),
    "bulk-memory": _checks(
        "(block (result i32) (memory.fill (i32.const 8) (i32.const 3) (i32.const 2)) (i32.load16_u (i32.const 8)))",
        "0x303",
    ),
    "reference-types": _checks(
        "(ref.is_null (table.get $t (i32.const 1)))", "1", before="(table $t 2 externref)"
    ),
    "simd": _checks(
        "(i32x4.extract_lane 3 (i32x4.add (v128.const i32x4 1 2 3 4) (i32x4.splat (i32.const 10))))", "14"
    ),
    "extended-const": _checks(
        "(global.get $g)", "7", before="(global $g i32 (i32.add (i32.const 3) (i32.const 4)))"
    ),
    "tail-call": _checks(
        "(call $down (i32.const 1000000))",
        "9",
        before="(func $down (param i32) (result i32) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 9)) "
        "(else (return_call $down (i32.sub (local.get 0) (i32.const 1))))))",
    ),
    "multi-memory": _checks(
        "(block (result i32) (i32.store $second (i32.const 4) (i32.const 6)) (i32.load (i32.const 4)))",
        "0",
        before="(memory $second 1)",
    ),
    "exceptions": _checks(
        "(block $caught (result i32) (try_table (catch $e $caught) (throw $e (i32.const 8))) (i32.const 0))",
        "8",
        before="(tag $e (param i32))",
    ),
    "function-references": _checks(
        "(call_ref $t (ref.func $f))",
        "4",
        before="(type $t (func (result i32))) (func $f (type $t) (i32.const 4)) (elem declare func $f)",
    ),
    "gc": _checks(
        "(struct.get $s 0 (struct.new $s (i32.const 5)))", "5", before="(type $s (struct (field i32)))"
    ),
    "relaxed-simd": _checks(
        "(i32x4.extract_lane 0 (i32x4.relaxed_trunc_f32x4_s (f32x4.splat (f32.const 2.5))))", "2"
    ),
    # Growing by 2^33 pages fails; without 64 bits they would be none.
    "memory64": '(module (memory (export "memory") i64 1) (func (export "_start") (if (i64.ne '
    "(memory.grow (i64.const 0x200000000)) (i64.const -1)) (then unreachable))))",
    "threads": '(module (memory (export "memory") 1 1 shared) (func (export "_start") (if (i32.ne '
    "(i32.atomic.rmw.add (i32.const 8) (i32.const 3)) (i32.const 0)) (then unreachable))))",
    "wide-arithmetic": f'(module {_MEMORY} (func (export "_start") (local $high i64) (i64.mul_wide_u (i64.const -1) '
    "(i64.const 2)) (local.set $high) (drop) (if (i64.ne (local.get $high) (i64.const 1)) (then unreachable))))",
    # Its text is no longer read by the assembler: (try (result i32) (do (throw $e (i32.const 8)) …) (catch $e)).
    "legacy-exceptions": bytes.fromhex(
        "0061736d0100000001080260017f006000000302010105030100010d0301000007130206"
        "6d656d6f72790200065f737461727400000a16011400067f41080800410007000b4108470440000b0b"
    ),
}


def feature_module(name: str) -> bytes:
    """The module that uses a feature."""
    import wasmtime  # takes a tenth of a second, which most commands do not need

    text = FEATURES[name]
    return text if isinstance(text, bytes) else bytes(wasmtime.wat2wasm(text))
