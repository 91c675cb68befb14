// Runs one module under Node, Bun or Deno. Device side; speaks the protocol described in runner.py.
import fs from 'node:fs';
import { Exit, Host } from './wasi_host.mjs';

const SPIN_MS = 2, TELL_MS = 100, POLL_MS = 3; // as in runner.py
const COLLECT_MS = 20, COLLECT_EACH = globalThis.Bun ? 40 : 400; // at the latest: processor time and executions between collections
const COLLECT_BYTES = globalThis.Bun ? 0 : 30 << 20; // of memories of ended instances and the next; V8 collects by itself from 32 MiB on
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

// CLOCK_MONOTONIC in ns, as all processes of the device have it.
async function monotonic() {
  if (!globalThis.Bun && !globalThis.Deno) return process.hrtime.bigint;
  const ask = await clockGettime(), told = new BigInt64Array(2);
  return () => {
    ask(MONOTONIC, new Uint8Array(told.buffer));
    return told[0] * 1_000_000_000n + told[1];
  };
}

// How far that clock is ahead of ours, which makes no garbage: of many readings the one taken quickest.
function clockOffset(ask) {
  let best = { width: Infinity, offset: 0n };
  for (let i = 0; i < 200; i++) {
    const before = clock(), told = ask(), width = clock() - before;
    if (width < best.width) best = { width, offset: told - BigInt(Math.round((before + width / 2) * 1e6)) };
  }
  return best.offset;
}

const clock = performance.now.bind(performance); // ms
const offset = clockOffset(await monotonic());
const toNs = (ms) => BigInt(Math.round(ms * 1e6)) + offset;
const toMs = (ns) => Number(BigInt(ns) - offset) / 1e6;
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
  for (let left = at - clock(); left > 0; left = at - clock()) {
    if (left > SPIN_MS) pause(left - SPIN_MS);
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

let command, module, instantiated = null, made = 0, latest = 0; // bytes of memories since the last collection, and of the last one

function execute(stdout) {
  const host = new Host({ ...command, stdin: command.stdinFd, stdout, stderr: command.nullFd });
  try {
    const { exports } = new WebAssembly.Instance(module, host.imports());
    instantiated = clock();
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
    latest = host.memory?.buffer.byteLength ?? 0;
    made += latest;
  }
}

// Garbage is collected between executions and is no part of any: an instance leaves as much behind as it uses. One that
// sleeps leaves none, so processor time counts: collecting takes some of it, and a sleeper must not load the device.
const processorMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const collect = globalThis.Bun ? (await import('bun:jsc')).gcAndSweep : globalThis.gc ?? (() => {});

// Executions one after another, each recorded as two readings of the clock in an array that was there before.
class Run {
  constructor(room) {
    this.times = new Float64Array(2 * room).fill(1); // start and end of each; written once, so that its pages are there
    this.filled = this.told = 0;
    this.used = process.resourceUsage();
  }

  // Say what was recorded since the last time.
  tell(event, exitCode, more) {
    const before = this.used, since = this.times.subarray(this.told, this.filled);
    this.used = process.resourceUsage();
    this.told = this.filled;
    say({
      event, exit_code: exitCode, ...more,
      times: Buffer.from(BigInt64Array.from(since, toNs).buffer).toString('base64'),
      user_ns: (this.used.userCPUTime - before.userCPUTime) * 1000,
      sys_ns: (this.used.systemCPUTime - before.systemCPUTime) * 1000,
      max_rss_kb: this.used.maxRSS,
    });
  }

  once(stdout) {
    if (command.stdin) command.stdinFd = fs.openSync(command.stdin, 'r');
    const start = clock();
    const exitCode = execute(stdout);
    const end = clock();
    if (command.stdin) fs.closeSync(command.stdinFd);
    if (this.filled < this.times.length) { // what comes after a full array is load only
      this.times[this.filled++] = start;
      this.times[this.filled++] = end;
    }
    this.end = end;
    this.took = end - start;
    return exitCode;
  }

  run(next) {
    waitUntil(toMs(next.at_ns));
    while (next.after && !fs.existsSync(next.after)) pause(0.1);
    say({ event: 'looping', start_ns: Number(toNs(clock())) });
    let exitCode;
    try {
      exitCode = this.loop(toMs(next.until_ns), 2 * next.least, toMs(next.most_ns), next.stop, next.look_ns / 1e6);
    } catch (error) {
      this.tell('ran', 0, { last: true });
      throw error;
    }
    this.tell('ran', exitCode, { last: true });
  }

  loop(until, least, most, stop, lookMs) {
    const began = clock();
    let tellAt = lookMs ? began + lookMs : most;
    for (let first, look = 0, enough = false, looked = clock(), used = processorMs(), since = 1; ; since++) {
      const exitCode = this.once(command.nullFd);
      first ??= exitCode;
      if (this.took >= TELL_MS || this.end >= tellAt) {
        this.tell('ran', exitCode, { last: false });
        if (lookMs && this.end >= tellAt) tellAt = began + (lookMs *= 1.5);
      }
      if (exitCode !== first || this.end >= most) return exitCode;
      if (!enough && this.end >= until && (this.filled >= least || this.filled === this.times.length)) {
        if (stop === null) return exitCode;
        enough = true;
        say({ event: 'enough', untold: (this.filled - this.told) / 2 });
      }
      if (stop !== null && this.end >= look) {
        if (fs.existsSync(stop)) return exitCode;
        look = this.end + POLL_MS;
      }
      if (since < COLLECT_EACH && (made + latest < COLLECT_BYTES || this.end - looked < COLLECT_MS)) continue;
      if (since >= COLLECT_EACH || processorMs() - used >= COLLECT_MS) {
        collect();
        since = made = 0;
        used = processorMs();
      }
      looked = clock();
    }
  }
}

try {
  say({ event: 'started' });
  for (const line of lines()) {
    const next = JSON.parse(line);
    if (next.cmd === 'load') {
      const nullFd = fs.openSync('/dev/null', 'r+');
      command = { ...next, nullFd, stdinFd: nullFd };
      const bytes = limited(fs.readFileSync(command.module), Math.floor(command.memory_bytes / 65536));
      const start = clock();
      module = new WebAssembly.Module(bytes);
      say({ event: 'loaded', compile_ns: Math.round((clock() - start) * 1e6), load_ns: 0, cached: false });
    } else if (next.cmd === 'first') {
      const stdout = fs.openSync(command.stdout, 'w'), run = new Run(1);
      const exitCode = run.once(stdout);
      fs.closeSync(stdout);
      const instantiate = instantiated === null ? null : Math.round((instantiated - run.times[0]) * 1e6);
      run.tell('first', exitCode, { instantiate_ns: instantiate });
    } else if (next.cmd === 'run') {
      new Run(next.room).run(next);
    }
  }
} catch (error) {
  const device = ['ENOSPC', 'EDQUOT', 'EIO', 'ENOENT', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(error.code);
  say({ event: error instanceof Trap ? 'trap' : device ? 'unfit' : 'fail', reason: String(error.message).slice(0, 500) });
}
