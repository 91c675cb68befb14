// Runs one module under Node's WASI. Device side; speaks the protocol described in runner.py.
import fs from 'node:fs';

process.removeAllListeners('warning'); // node:wasi announces itself as experimental
const { WASI } = await import('node:wasi');
if (process.argv.includes('--detect')) {
  if (!WASI.prototype.getImportObject) throw new Error(`Node ${process.version} is too old for its own WASI`);
  fs.writeSync(1, JSON.stringify({ version: process.version.slice(1) }));
  process.exit(0);
}

const SPIN_NS = 2_000_000n;
const CHUNK_NS = 50_000_000;
const now = () => process.hrtime.bigint();
const say = (message) => fs.writeSync(1, JSON.stringify(message) + '\n');

function* lines() {
  const chunk = Buffer.alloc(65536);
  let rest = '';
  for (;;) {
    const n = fs.readSync(0, chunk);
    if (n === 0) return;
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

class Trap extends Error {}

let command, module;

function execute(stdout) {
  const wasi = new WASI({
    version: 'preview1', returnOnExit: true, args: command.argv, env: {},
    preopens: Object.fromEntries(command.preopens), stdin: command.stdinFd, stdout, stderr: command.nullFd,
  });
  try {
    return wasi.start(new WebAssembly.Instance(module, wasi.getImportObject())) ?? 0;
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) throw new Trap(error.message);
    throw error;
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
      const bytes = fs.readFileSync(command.module);
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
