// Runs one module under Node, Bun or Deno. Device side; speaks the protocol described in runner.py.
import fs from 'node:fs';
import { Exit, Host } from './wasi_host.mjs';

const SPIN_NS = 2_000_000n;
const CHUNK_NS = 50_000_000;
const MONOTONIC = 1;

if (process.argv.includes('--detect')) {
  const version = globalThis.Bun?.version ?? globalThis.Deno?.version.deno ?? process.version.slice(1);
  fs.writeSync(1, JSON.stringify({ version }));
  process.exit(0);
}

// The C library's clock_gettime: Bun's and Deno's own clocks start with the process.
async function clockGettime() {
  const name = fs.existsSync(`/lib/libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`) ? 'libc.so' : 'libc.so.6';
  if (globalThis.Deno) {
    return Deno.dlopen(name, { clock_gettime: { parameters: ['i32', 'buffer'], result: 'i32' } }).symbols.clock_gettime;
  }
  const { dlopen, ptr } = await import('bun:ffi');
  const { symbols } = dlopen(name, { clock_gettime: { args: ['i32', 'ptr'], returns: 'i32' } });
  return (clock, buffer) => symbols.clock_gettime(clock, ptr(buffer));
}

// How far the clock of all processes is ahead of ours: of many readings the one taken quickest.
async function clockOffset() {
  if (!globalThis.Bun && !globalThis.Deno) return 0n;
  const ask = await clockGettime(), told = new BigInt64Array(2);
  let best = { width: 1n << 62n, offset: 0n };
  for (let i = 0; i < 200; i++) {
    const before = process.hrtime.bigint();
    ask(MONOTONIC, new Uint8Array(told.buffer));
    const width = process.hrtime.bigint() - before;
    if (width < best.width) best = { width, offset: told[0] * 1_000_000_000n + told[1] - before - width / 2n };
  }
  return best.offset;
}

const offset = await clockOffset();
const now = () => process.hrtime.bigint() + offset;
const say = (message) => fs.writeSync(1, JSON.stringify(message) + '\n');

function* lines() {
  const chunk = Buffer.alloc(65536);
  let rest = '';
  for (;;) {
    const n = fs.readSync(0, chunk);
    if (!n) return;
    rest += chunk.toString('utf8', 0, n);
    for (let end; (end = rest.indexOf('\n')) >= 0; rest = rest.slice(end + 1)) yield rest.slice(0, end);
  }
}

const cell = new Int32Array(new SharedArrayBuffer(4));
const pause = (ms) => Atomics.wait(cell, 0, 0, ms);

function waitUntil(at) {
  for (let left = at - now(); left > 0n; left = at - now()) {
    if (left > SPIN_NS) pause(Number(left - SPIN_NS) / 1e6);
  }
}

// The module with its own memory declared to end at `pages`, so that growing further fails as memory.grow does.
function limited(bytes, pages) {
  let at = 8;
  const unsigned = () => {
    let value = 0, scale = 1, byte;
    do {
      byte = bytes[at++];
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128);
    return value;
  };
  const encoded = (value) => {
    const out = [];
    for (; value >= 128; value = Math.floor(value / 128)) out.push(value % 128 + 128);
    return [...out, value];
  };
  while (at < bytes.length) {
    const start = at, id = bytes[at++], size = unsigned(), end = at + size;
    if (id !== 5) {
      at = end;
      continue;
    }
    if (unsigned() !== 1) return bytes;
    const flags = bytes[at++], least = unsigned(), most = flags & 1 ? unsigned() : Infinity;
    if (flags > 1 || at !== end) return bytes; // shared, 64-bit, or damaged: as it is
    const memory = [1, 1, ...encoded(least), ...encoded(Math.min(most, Math.max(least, pages)))];
    return Buffer.concat([bytes.subarray(0, start), Buffer.from([5, ...encoded(memory.length), ...memory]), bytes.subarray(end)]);
  }
  return bytes;
}

class Trap extends Error {}

let command, module;

function execute(stdout) {
  const host = new Host({ ...command, stdin: command.stdinFd, stdout, stderr: command.nullFd });
  try {
    const { exports } = new WebAssembly.Instance(module, host.imports());
    host.memory = exports.memory;
    if (!exports._start) throw new Error('the module exports no _start');
    exports._start();
    return 0;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) throw new Trap(error.message);
    throw error;
  } finally {
    host.close();
  }
}

function sample(stdout) {
  if (command.stdin) command.stdinFd = fs.openSync(command.stdin, 'r');
  const before = process.resourceUsage();
  const start = now();
  const exitCode = execute(stdout);
  const wall = now() - start;
  const after = process.resourceUsage();
  if (command.stdin) fs.closeSync(command.stdinFd);
  const taken = [Number(start), Number(wall), (after.userCPUTime - before.userCPUTime) * 1000,
    (after.systemCPUTime - before.systemCPUTime) * 1000, after.maxRSS];
  return [taken, exitCode];
}

try {
  say({ event: 'started' });
  for (const line of lines()) {
    const next = JSON.parse(line);
    if (next.cmd === 'load') {
      const nullFd = fs.openSync('/dev/null', 'r+');
      command = { ...next, nullFd, stdinFd: nullFd };
      const bytes = limited(fs.readFileSync(command.module), Math.floor(command.memory_bytes / 65536));
      const start = now();
      module = new WebAssembly.Module(bytes);
      say({ event: 'loaded', compile_ns: Number(now() - start), load_ns: 0, cached: false });
    } else if (next.cmd === 'warm') {
      const stdout = fs.openSync(next.stdout, 'w');
      const [taken, exitCode] = sample(stdout);
      fs.closeSync(stdout);
      say({ event: 'warm', sample: taken, exit_code: exitCode });
    } else if (next.cmd === 'loop') {
      waitUntil(BigInt(next.at_ns));
      while (next.after && !fs.existsSync(next.after)) pause(0.1);
      say({ event: 'looping', start_ns: Number(now()) });
      while (next.record && !fs.existsSync(next.record)) sample(command.nullFd);
      for (let i = 0; i < next.report; i++) {
        const [taken, exitCode] = sample(command.nullFd);
        say({ event: 'sample', sample: taken, exit_code: exitCode });
      }
      say({ event: 'done' });
      while (next.keep_running) {
        let count = 0, wall = 0, end = 0, code = 0;
        for (const since = Number(now()); count === 0 || end - since < CHUNK_NS; count++) {
          const [taken, exitCode] = sample(command.nullFd);
          wall += taken[1];
          end = taken[0] + taken[1];
          code = exitCode;
        }
        say({ event: 'more', count, wall_ns: wall, until_ns: end, exit_code: code });
      }
    }
  }
} catch (error) {
  say({ event: error instanceof Trap ? 'trap' : 'fail', reason: String(error.message).slice(0, 500) });
}
