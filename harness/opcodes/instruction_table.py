"""The instruction set as text: every opcode of WebAssembly 3.0, and those of threads, wide
arithmetic and the older form of exception handling.

Each line reads ``code name operands:results immediates``. Operand letters: ``i`` i32, ``I`` i64, ``f`` f32,
``F`` f64, ``v`` v128; ``*`` where types depend on context. Codes of ONE_BYTE are hexadecimal, numbers behind
a prefix decimal. A line of a table of runs gives opcodes of one signature, numbered upwards from the first.
"""

ONE_BYTE = """
00 unreachable *
01 nop :
02 block * block
03 loop * block
04 if * block
05 else *
06 try * block
07 catch * tag
08 throw * tag
09 rethrow * label
0A throw_ref *
0B end *
0C br * label
0D br_if * label
0E br_table * labels
0F return *
10 call * func
11 call_indirect * type table
12 return_call * func
13 return_call_indirect * type table
14 call_ref * type
15 return_call_ref * type
18 delegate * label
19 catch_all *
1A drop *
1B select *
1C select * types
1F try_table * block catches
20 local.get * local
21 local.set * local
22 local.tee * local
23 global.get * global
24 global.set * global
25 table.get * table
26 table.set * table
28 i32.load i:i memarg
29 i64.load i:I memarg
2A f32.load i:f memarg
2B f64.load i:F memarg
2C i32.load8_s i:i memarg
2D i32.load8_u i:i memarg
2E i32.load16_s i:i memarg
2F i32.load16_u i:i memarg
30 i64.load8_s i:I memarg
31 i64.load8_u i:I memarg
32 i64.load16_s i:I memarg
33 i64.load16_u i:I memarg
34 i64.load32_s i:I memarg
35 i64.load32_u i:I memarg
36 i32.store ii: memarg
37 i64.store iI: memarg
38 f32.store if: memarg
39 f64.store iF: memarg
3A i32.store8 ii: memarg
3B i32.store16 ii: memarg
3C i64.store8 iI: memarg
3D i64.store16 iI: memarg
3E i64.store32 iI: memarg
3F memory.size :i memory
40 memory.grow i:i memory
41 i32.const :i i32
42 i64.const :I i64
43 f32.const :f f32
44 f64.const :F f64
45 i32.eqz i:i
50 i64.eqz I:i
A7 i32.wrap_i64 I:i
A8 i32.trunc_f32_s f:i
A9 i32.trunc_f32_u f:i
AA i32.trunc_f64_s F:i
AB i32.trunc_f64_u F:i
AC i64.extend_i32_s i:I
AD i64.extend_i32_u i:I
AE i64.trunc_f32_s f:I
AF i64.trunc_f32_u f:I
B0 i64.trunc_f64_s F:I
B1 i64.trunc_f64_u F:I
B2 f32.convert_i32_s i:f
B3 f32.convert_i32_u i:f
B4 f32.convert_i64_s I:f
B5 f32.convert_i64_u I:f
B6 f32.demote_f64 F:f
B7 f64.convert_i32_s i:F
B8 f64.convert_i32_u i:F
B9 f64.convert_i64_s I:F
BA f64.convert_i64_u I:F
BB f64.promote_f32 f:F
BC i32.reinterpret_f32 f:i
BD i64.reinterpret_f64 F:I
BE f32.reinterpret_i32 i:f
BF f64.reinterpret_i64 I:F
C0 i32.extend8_s i:i
C1 i32.extend16_s i:i
C2 i64.extend8_s I:I
C3 i64.extend16_s I:I
C4 i64.extend32_s I:I
D0 ref.null * heap
D1 ref.is_null *
D2 ref.func * func
D3 ref.eq *
D4 ref.as_non_null *
D5 br_on_null * label
D6 br_on_non_null * label
"""

# Runs of opcodes with the same signature, numbered upwards from the first.
RUNS = """
46 i32 ii:i eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
51 i64 II:i eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
5B f32 ff:i eq ne lt gt le ge
61 f64 FF:i eq ne lt gt le ge
67 i32 i:i clz ctz popcnt
6A i32 ii:i add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr
79 i64 I:I clz ctz popcnt
7C i64 II:I add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr
8B f32 f:f abs neg ceil floor trunc nearest sqrt
92 f32 ff:f add sub mul div min max copysign
99 f64 F:F abs neg ceil floor trunc nearest sqrt
A0 f64 FF:F add sub mul div min max copysign
"""

FC = """
0 i32.trunc_sat_f32_s f:i
1 i32.trunc_sat_f32_u f:i
2 i32.trunc_sat_f64_s F:i
3 i32.trunc_sat_f64_u F:i
4 i64.trunc_sat_f32_s f:I
5 i64.trunc_sat_f32_u f:I
6 i64.trunc_sat_f64_s F:I
7 i64.trunc_sat_f64_u F:I
8 memory.init iii: data memory
9 data.drop : data
10 memory.copy iii: memory memory
11 memory.fill iii: memory
12 table.init iii: elem table
13 elem.drop : elem
14 table.copy iii: table table
15 table.grow * table
16 table.size :i table
17 table.fill * table
19 i64.add128 IIII:II
20 i64.sub128 IIII:II
21 i64.mul_wide_s II:II
22 i64.mul_wide_u II:II
"""

FB = """
0 struct.new * type
1 struct.new_default * type
2 struct.get * type field
3 struct.get_s * type field
4 struct.get_u * type field
5 struct.set * type field
6 array.new * type
7 array.new_default * type
8 array.new_fixed * type count
9 array.new_data * type data
10 array.new_elem * type elem
11 array.get * type
12 array.get_s * type
13 array.get_u * type
14 array.set * type
15 array.len *
16 array.fill * type
17 array.copy * type type
18 array.init_data * type data
19 array.init_elem * type elem
20 ref.test * heap
21 ref.test * heap
22 ref.cast * heap
23 ref.cast * heap
24 br_on_cast * nulls label heap heap
25 br_on_cast_fail * nulls label heap heap
26 any.convert_extern *
27 extern.convert_any *
28 ref.i31 *
29 i31.get_s *
30 i31.get_u *
"""

FE = """
0 memory.atomic.notify ii:i memarg
1 memory.atomic.wait32 iiI:i memarg
2 memory.atomic.wait64 iII:i memarg
3 atomic.fence : zero
16 i32.atomic.load i:i memarg
17 i64.atomic.load i:I memarg
18 i32.atomic.load8_u i:i memarg
19 i32.atomic.load16_u i:i memarg
20 i64.atomic.load8_u i:I memarg
21 i64.atomic.load16_u i:I memarg
22 i64.atomic.load32_u i:I memarg
23 i32.atomic.store ii: memarg
24 i64.atomic.store iI: memarg
25 i32.atomic.store8 ii: memarg
26 i32.atomic.store16 ii: memarg
27 i64.atomic.store8 iI: memarg
28 i64.atomic.store16 iI: memarg
29 i64.atomic.store32 iI: memarg
30 i32.atomic.rmw.add ii:i memarg
31 i64.atomic.rmw.add iI:I memarg
32 i32.atomic.rmw8.add_u ii:i memarg
33 i32.atomic.rmw16.add_u ii:i memarg
34 i64.atomic.rmw8.add_u iI:I memarg
35 i64.atomic.rmw16.add_u iI:I memarg
36 i64.atomic.rmw32.add_u iI:I memarg
37 i32.atomic.rmw.sub ii:i memarg
38 i64.atomic.rmw.sub iI:I memarg
39 i32.atomic.rmw8.sub_u ii:i memarg
40 i32.atomic.rmw16.sub_u ii:i memarg
41 i64.atomic.rmw8.sub_u iI:I memarg
42 i64.atomic.rmw16.sub_u iI:I memarg
43 i64.atomic.rmw32.sub_u iI:I memarg
44 i32.atomic.rmw.and ii:i memarg
45 i64.atomic.rmw.and iI:I memarg
46 i32.atomic.rmw8.and_u ii:i memarg
47 i32.atomic.rmw16.and_u ii:i memarg
48 i64.atomic.rmw8.and_u iI:I memarg
49 i64.atomic.rmw16.and_u iI:I memarg
50 i64.atomic.rmw32.and_u iI:I memarg
51 i32.atomic.rmw.or ii:i memarg
52 i64.atomic.rmw.or iI:I memarg
53 i32.atomic.rmw8.or_u ii:i memarg
54 i32.atomic.rmw16.or_u ii:i memarg
55 i64.atomic.rmw8.or_u iI:I memarg
56 i64.atomic.rmw16.or_u iI:I memarg
57 i64.atomic.rmw32.or_u iI:I memarg
58 i32.atomic.rmw.xor ii:i memarg
59 i64.atomic.rmw.xor iI:I memarg
60 i32.atomic.rmw8.xor_u ii:i memarg
61 i32.atomic.rmw16.xor_u ii:i memarg
62 i64.atomic.rmw8.xor_u iI:I memarg
63 i64.atomic.rmw16.xor_u iI:I memarg
64 i64.atomic.rmw32.xor_u iI:I memarg
65 i32.atomic.rmw.xchg ii:i memarg
66 i64.atomic.rmw.xchg iI:I memarg
67 i32.atomic.rmw8.xchg_u ii:i memarg
68 i32.atomic.rmw16.xchg_u ii:i memarg
69 i64.atomic.rmw8.xchg_u iI:I memarg
70 i64.atomic.rmw16.xchg_u iI:I memarg
71 i64.atomic.rmw32.xchg_u iI:I memarg
72 i32.atomic.rmw.cmpxchg iii:i memarg
73 i64.atomic.rmw.cmpxchg iII:I memarg
74 i32.atomic.rmw8.cmpxchg_u iii:i memarg
75 i32.atomic.rmw16.cmpxchg_u iii:i memarg
76 i64.atomic.rmw8.cmpxchg_u iII:I memarg
77 i64.atomic.rmw16.cmpxchg_u iII:I memarg
78 i64.atomic.rmw32.cmpxchg_u iII:I memarg
"""

FD = """
0 v128.load i:v memarg
1 v128.load8x8_s i:v memarg
2 v128.load8x8_u i:v memarg
3 v128.load16x4_s i:v memarg
4 v128.load16x4_u i:v memarg
5 v128.load32x2_s i:v memarg
6 v128.load32x2_u i:v memarg
7 v128.load8_splat i:v memarg
8 v128.load16_splat i:v memarg
9 v128.load32_splat i:v memarg
10 v128.load64_splat i:v memarg
11 v128.store iv: memarg
12 v128.const :v v128
13 i8x16.shuffle vv:v lanes
14 i8x16.swizzle vv:v
15 i8x16.splat i:v
16 i16x8.splat i:v
17 i32x4.splat i:v
18 i64x2.splat I:v
19 f32x4.splat f:v
20 f64x2.splat F:v
21 i8x16.extract_lane_s v:i lane
22 i8x16.extract_lane_u v:i lane
23 i8x16.replace_lane vi:v lane
24 i16x8.extract_lane_s v:i lane
25 i16x8.extract_lane_u v:i lane
26 i16x8.replace_lane vi:v lane
27 i32x4.extract_lane v:i lane
28 i32x4.replace_lane vi:v lane
29 i64x2.extract_lane v:I lane
30 i64x2.replace_lane vI:v lane
31 f32x4.extract_lane v:f lane
32 f32x4.replace_lane vf:v lane
33 f64x2.extract_lane v:F lane
34 f64x2.replace_lane vF:v lane
77 v128.not v:v
82 v128.bitselect vvv:v
83 v128.any_true v:i
84 v128.load8_lane iv:v memarg lane
85 v128.load16_lane iv:v memarg lane
86 v128.load32_lane iv:v memarg lane
87 v128.load64_lane iv:v memarg lane
88 v128.store8_lane iv: memarg lane
89 v128.store16_lane iv: memarg lane
90 v128.store32_lane iv: memarg lane
91 v128.store64_lane iv: memarg lane
92 v128.load32_zero i:v memarg
93 v128.load64_zero i:v memarg
94 f32x4.demote_f64x2_zero v:v
95 f64x2.promote_low_f32x4 v:v
99 i8x16.all_true v:i
100 i8x16.bitmask v:i
101 i8x16.narrow_i16x8_s vv:v
102 i8x16.narrow_i16x8_u vv:v
116 f64x2.ceil v:v
117 f64x2.floor v:v
122 f64x2.trunc v:v
123 i8x16.avgr_u vv:v
124 i16x8.extadd_pairwise_i8x16_s v:v
125 i16x8.extadd_pairwise_i8x16_u v:v
126 i32x4.extadd_pairwise_i16x8_s v:v
127 i32x4.extadd_pairwise_i16x8_u v:v
130 i16x8.q15mulr_sat_s vv:v
131 i16x8.all_true v:i
132 i16x8.bitmask v:i
133 i16x8.narrow_i32x4_s vv:v
134 i16x8.narrow_i32x4_u vv:v
148 f64x2.nearest v:v
155 i16x8.avgr_u vv:v
163 i32x4.all_true v:i
164 i32x4.bitmask v:i
174 i32x4.add vv:v
177 i32x4.sub vv:v
186 i32x4.dot_i16x8_s vv:v
195 i64x2.all_true v:i
196 i64x2.bitmask v:i
206 i64x2.add vv:v
209 i64x2.sub vv:v
227 f32x4.sqrt v:v
239 f64x2.sqrt v:v
248 i32x4.trunc_sat_f32x4_s v:v
249 i32x4.trunc_sat_f32x4_u v:v
250 f32x4.convert_i32x4_s v:v
251 f32x4.convert_i32x4_u v:v
252 i32x4.trunc_sat_f64x2_s_zero v:v
253 i32x4.trunc_sat_f64x2_u_zero v:v
254 f64x2.convert_low_i32x4_s v:v
255 f64x2.convert_low_i32x4_u v:v
256 i8x16.relaxed_swizzle vv:v
257 i32x4.relaxed_trunc_f32x4_s v:v
258 i32x4.relaxed_trunc_f32x4_u v:v
259 i32x4.relaxed_trunc_f64x2_s_zero v:v
260 i32x4.relaxed_trunc_f64x2_u_zero v:v
265 i8x16.relaxed_laneselect vvv:v
266 i16x8.relaxed_laneselect vvv:v
267 i32x4.relaxed_laneselect vvv:v
268 i64x2.relaxed_laneselect vvv:v
273 i16x8.relaxed_q15mulr_s vv:v
274 i16x8.relaxed_dot_i8x16_i7x16_s vv:v
275 i32x4.relaxed_dot_i8x16_i7x16_add_s vvv:v
"""

FD_RUNS = """
35 i8x16 vv:v eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
45 i16x8 vv:v eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
55 i32x4 vv:v eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
65 f32x4 vv:v eq ne lt gt le ge
71 f64x2 vv:v eq ne lt gt le ge
78 v128 vv:v and andnot or xor
96 i8x16 v:v abs neg popcnt
103 f32x4 v:v ceil floor trunc nearest
107 i8x16 vi:v shl shr_s shr_u
110 i8x16 vv:v add add_sat_s add_sat_u sub sub_sat_s sub_sat_u
118 i8x16 vv:v min_s min_u max_s max_u
128 i16x8 v:v abs neg
135 i16x8 v:v extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u
139 i16x8 vi:v shl shr_s shr_u
142 i16x8 vv:v add add_sat_s add_sat_u sub sub_sat_s sub_sat_u
149 i16x8 vv:v mul min_s min_u max_s max_u
156 i16x8 vv:v extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u
160 i32x4 v:v abs neg
167 i32x4 v:v extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u
171 i32x4 vi:v shl shr_s shr_u
181 i32x4 vv:v mul min_s min_u max_s max_u
188 i32x4 vv:v extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u
192 i64x2 v:v abs neg
199 i64x2 v:v extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u
203 i64x2 vi:v shl shr_s shr_u
213 i64x2 vv:v mul eq ne lt_s gt_s le_s ge_s
220 i64x2 vv:v extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u
224 f32x4 v:v abs neg
228 f32x4 vv:v add sub mul div min max pmin pmax
236 f64x2 v:v abs neg
240 f64x2 vv:v add sub mul div min max pmin pmax
261 f32x4 vvv:v relaxed_madd relaxed_nmadd
263 f64x2 vvv:v relaxed_madd relaxed_nmadd
269 f32x4 vv:v relaxed_min relaxed_max
271 f64x2 vv:v relaxed_min relaxed_max
"""

# First byte -> the proposal it belongs to, for messages about what is not supported.
UNSUPPORTED = {0xE0 + number: "stack switching" for number in range(7)}
