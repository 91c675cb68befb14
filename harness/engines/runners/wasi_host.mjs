// A small WASI for Node, Bun and Deno, the same for all three. Device side.
//
// The module has one directory, `.`, and nothing outside can be reached: a path is walked name by name, `..` not above
// the directory, and symbolic links are not followed. (Node's own WASI follows them.) Calls that neither the suites nor
// an interpreter's start make (links, renaming, sockets) answer that they do not exist.
import fs from 'node:fs';

const BADF = 8, FAULT = 21, INVAL = 28, IO = 29, LOOP = 32, MFILE = 33, NOSYS = 52, SPIPE = 70, NOTCAPABLE = 76;
const ERRNO = {
  EACCES: 2, EBADF: BADF, EEXIST: 20, EFBIG: 22, EINVAL: INVAL, EISDIR: 31, ELOOP: LOOP, EMFILE: MFILE,
  ENAMETOOLONG: 37, ENOENT: 44, ENOSPC: 51, ENOTDIR: 54, ENOTEMPTY: 55, EPERM: 63, EPIPE: 64, ESPIPE: SPIPE,
};
const PREOPENED = 3, MOST_FILES = 256, MOST_SLICES = 1024, ALL_RIGHTS = (1n << 29n) - 1n;
const CREATE = 1, DIRECTORY = 2, EXCLUSIVE = 4, TRUNCATE = 8, CLOCK = 0, ABSOLUTE = 1;
const cell = new Int32Array(new SharedArrayBuffer(4));
const ABSENT = [
  'fd_advise', 'fd_allocate', 'fd_datasync', 'fd_fdstat_set_rights', 'fd_filestat_set_size', 'fd_filestat_set_times',
  'fd_renumber', 'fd_sync', 'path_filestat_set_times', 'path_link', 'path_readlink', 'path_rename', 'path_symlink',
  'sock_accept', 'sock_recv', 'sock_send', 'sock_shutdown',
];

export class Exit {
  constructor(code) { this.code = code; }
}

class Refused {
  constructor(number) { this.number = number; }
}

const isFile = (status) => status.isFile();
const typeOf = (s) => s.isCharacterDevice() ? 2 : s.isDirectory() ? 3 : s.isFile() ? 4 : s.isSymbolicLink() ? 7 : 0;

// One execution's files and the functions that a module imports. `memory` is set once the module is instantiated.
export class Host {
  constructor({ argv, preopens, stdin, stdout, stderr }) {
    this.argv = argv.map((word) => new TextEncoder().encode(word + '\0'));
    // An open file: its descriptor, where it stands (null: a stream), its path if it is a directory.
    this.files = new Map([stdin, stdout, stderr].map((fd, number) => [number, { fd, at: null, ours: false }]));
    if (preopens.length) this.files.set(PREOPENED, { fd: null, folder: preopens[0][1], depth: 0 });
  }

  close() {
    for (const file of this.files.values()) if (file.ours) fs.closeSync(file.fd);
  }

  imports() {
    const functions = {};
    for (const name of ABSENT) functions[name] = () => NOSYS;
    for (const name of Object.getOwnPropertyNames(Host.prototype)) {
      if (/^(args|environ|clock|random|fd|path|poll|sched)_/.test(name)) functions[name] = this.guarded(name);
    }
    functions.proc_exit = (code) => { throw new Exit(code >>> 0); };
    return { wasi_snapshot_preview1: functions };
  }

  // The call as the module sees it: a failure is an error number.
  guarded(name) {
    const call = this[name].bind(this);
    return (...given) => {
      try {
        return call(...given) ?? 0;
      } catch (error) {
        if (error instanceof Refused) return error.number;
        if (error?.code in ERRNO) return ERRNO[error.code];
        if (error?.code) return IO;
        throw error;
      }
    };
  }

  bytes(at, size) {
    const { buffer } = this.memory, start = at >>> 0, length = size >>> 0;
    if (start + length > buffer.byteLength) throw new Refused(FAULT);
    return new Uint8Array(buffer, start, length);
  }

  view(at, size) {
    const bytes = this.bytes(at, size);
    return new DataView(bytes.buffer, bytes.byteOffset, size);
  }

  put32(at, value) { this.view(at, 4).setUint32(0, value, true); }
  put64(at, value) { this.view(at, 8).setBigUint64(0, BigInt(value), true); }

  file(fd) {
    const file = this.files.get(fd);
    if (!file) throw new Refused(BADF);
    return file;
  }

  stream(fd) {
    const file = this.file(fd);
    if (file.folder !== undefined) throw new Refused(BADF);
    return file;
  }

  slices(at, count) {
    if (count >>> 0 > MOST_SLICES) throw new Refused(INVAL);
    const list = this.view(at, 8 * count);
    return Array.from({ length: count }, (_, i) => this.bytes(list.getUint32(8 * i, true), list.getUint32(8 * i + 4, true)));
  }

  // The path on this machine, and how deep below the preopened directory it is.
  place(fd, path, length) {
    const { folder, depth } = this.file(fd);
    const text = new TextDecoder().decode(this.bytes(path, length).slice());
    if (folder === undefined || text.includes('\0')) throw new Refused(INVAL);
    if (text.startsWith('/')) throw new Refused(NOTCAPABLE);
    const names = text.split('/').filter((name) => name !== '' && name !== '.');
    const walked = [];
    names.forEach((name, index) => {
      if (name === '..') {
        if (walked.pop() === undefined) throw new Refused(NOTCAPABLE);
        return;
      }
      walked.push(name);
      const status = fs.lstatSync([folder, ...walked].join('/'), { throwIfNoEntry: false });
      if (status?.isSymbolicLink()) throw new Refused(LOOP);
      if (index < names.length - 1 && !status?.isDirectory()) throw new Refused(ERRNO[status ? 'ENOTDIR' : 'ENOENT']);
    });
    return { path: [folder, ...walked].join('/'), depth: depth + walked.length };
  }

  args_sizes_get(count, size) {
    this.put32(count, this.argv.length);
    this.put32(size, this.argv.reduce((sum, word) => sum + word.length, 0));
  }

  args_get(pointers, buffer) {
    this.argv.forEach((word, index) => {
      this.put32(pointers + 4 * index, buffer);
      this.bytes(buffer, word.length).set(word);
      buffer += word.length;
    });
  }

  environ_sizes_get(count, size) {
    this.put32(count, 0);
    this.put32(size, 0);
  }

  environ_get() {}

  now(clock) {
    if (clock >>> 0 > 3) throw new Refused(INVAL);
    const cpu = () => { const { user, system } = process.cpuUsage(); return BigInt(user + system) * 1000n; };
    return clock === 0 ? BigInt(Date.now()) * 1000000n : clock === 1 ? process.hrtime.bigint() : cpu();
  }

  clock_time_get(clock, _precision, at) { this.put64(at, this.now(clock)); }

  clock_res_get(clock, at) {
    if (clock >>> 0 > 3) throw new Refused(INVAL);
    this.put64(at, [1000000, 1, 1000, 1000][clock]);
  }

  random_get(at, size) {
    const bytes = this.bytes(at, size);
    for (let start = 0; start < bytes.length; start += 65536) crypto.getRandomValues(bytes.subarray(start, start + 65536));
  }

  sched_yield() {}

  transfer(how, file, slices, offset, done) {
    let moved = 0;
    for (const slice of slices) {
      if (!slice.length) continue;
      const position = offset !== null ? offset + moved : file.at !== null && !file.appends ? file.at : null;
      const count = how(file.fd, slice, 0, slice.length, position);
      moved += count;
      if (offset === null && file.at !== null) file.at += count;
      if (count < slice.length) break;
    }
    this.put32(done, moved);
  }

  fd_read(fd, at, count, done) { this.transfer(fs.readSync, this.stream(fd), this.slices(at, count), null, done); }
  fd_write(fd, at, count, done) { this.transfer(fs.writeSync, this.stream(fd), this.slices(at, count), null, done); }

  fd_pread(fd, at, count, offset, done) {
    this.transfer(fs.readSync, this.stream(fd), this.slices(at, count), Number(offset), done);
  }

  fd_pwrite(fd, at, count, offset, done) {
    this.transfer(fs.writeSync, this.stream(fd), this.slices(at, count), Number(offset), done);
  }

  fd_seek(fd, offset, whence, to) {
    const file = this.stream(fd);
    if (file.at === null) throw new Refused(SPIPE);
    if (whence >>> 0 > 2) throw new Refused(INVAL);
    const at = Number(offset) + [0, file.at, whence === 2 ? fs.fstatSync(file.fd).size : 0][whence];
    if (at < 0) throw new Refused(INVAL);
    file.at = at;
    this.put64(to, at);
  }

  fd_tell(fd, to) {
    const file = this.stream(fd);
    if (file.at === null) throw new Refused(SPIPE);
    this.put64(to, file.at);
  }

  fd_close(fd) {
    const file = this.file(fd);
    if (file.ours) fs.closeSync(file.fd);
    this.files.delete(fd);
  }

  status(fd) {
    const file = this.file(fd);
    return file.folder === undefined ? fs.fstatSync(file.fd) : fs.lstatSync(file.folder);
  }

  fd_fdstat_get(fd, at) {
    const type = typeOf(this.status(fd)), view = this.view(at, 24);
    const rights = type === 2 ? ALL_RIGHTS & ~0x24n : ALL_RIGHTS; // no seek and tell: a terminal, for wasi-libc
    view.setBigUint64(0, BigInt(type | (this.file(fd).appends ? 1 << 16 : 0)), true);
    view.setBigUint64(8, rights, true);
    view.setBigUint64(16, rights, true);
  }

  fd_fdstat_set_flags(fd) { this.file(fd); }
  fd_filestat_get(fd, at) { this.putStatus(this.status(fd), at); }

  putStatus(s, at) {
    const view = this.view(at, 64);
    const told = [s.dev, s.ino, typeOf(s), s.nlink, s.size, ...[s.atimeMs, s.mtimeMs, s.ctimeMs].map((ms) => ms * 1e6)];
    told.forEach((value, i) => view.setBigUint64(8 * i, BigInt(Math.max(0, Math.round(value ?? 0))), true));
  }

  fd_prestat_get(fd, at) {
    if (fd !== PREOPENED) throw new Refused(BADF);
    this.file(fd);
    this.put32(at, 0);
    this.put32(at + 4, 1);
  }

  fd_prestat_dir_name(fd, at, size) {
    if (fd !== PREOPENED || size < 1) throw new Refused(BADF);
    this.bytes(at, 1)[0] = 0x2e;
  }

  path_open(fd, _lookup, path, length, how, rights, _inherited, flags, to) {
    const place = this.place(fd, path, length);
    let number = PREOPENED + 1;
    while (this.files.has(number)) number++;
    if (number === MOST_FILES) throw new Refused(MFILE);
    const status = fs.statSync(place.path, { throwIfNoEntry: false });
    if (status?.isDirectory()) {
      if (how & (EXCLUSIVE | TRUNCATE)) throw new Refused(ERRNO[how & EXCLUSIVE ? 'EEXIST' : 'EISDIR']);
      this.files.set(number, { fd: null, folder: place.path, depth: place.depth });
    } else {
      if (status && how & DIRECTORY) throw new Refused(ERRNO.ENOTDIR);
      const c = fs.constants, reads = rights & 2n, writes = rights & 64n;
      const mode = (writes ? (reads ? c.O_RDWR : c.O_WRONLY) : c.O_RDONLY) | (how & CREATE ? c.O_CREAT : 0)
        | (how & EXCLUSIVE ? c.O_EXCL : 0) | (how & TRUNCATE ? c.O_TRUNC : 0) | (flags & 1 ? c.O_APPEND : 0)
        | c.O_NOFOLLOW | c.O_NONBLOCK;
      const opened = fs.openSync(place.path, mode, 0o600);
      this.files.set(number, { fd: opened, at: isFile(fs.fstatSync(opened)) ? 0 : null, ours: true, appends: flags & 1 });
    }
    this.put32(to, number);
  }

  // The names as they are when the first is asked for, so that removing files meanwhile skips none.
  fd_readdir(fd, at, size, cookie, done) {
    const directory = this.file(fd), window = this.bytes(at, size);
    if (directory.folder === undefined) throw new Refused(ERRNO.ENOTDIR);
    if (cookie === 0n || !directory.listing) directory.listing = ['.', '..', ...fs.readdirSync(directory.folder).sort()];
    let told = 0;
    for (let place = Number(BigInt.asUintN(64, cookie)); place < directory.listing.length && told < window.length; place++) {
      const name = directory.listing[place], text = new TextEncoder().encode(name);
      const path = name === '..' ? directory.folder : `${directory.folder}/${name}`;
      const status = fs.lstatSync(path, { throwIfNoEntry: false });
      const entry = new Uint8Array(24 + text.length), view = new DataView(entry.buffer);
      view.setBigUint64(0, BigInt(place + 1), true);
      view.setBigUint64(8, BigInt(status?.ino ?? 0), true);
      view.setUint32(16, text.length, true);
      view.setUint8(20, status ? typeOf(status) : 0);
      entry.set(text, 24);
      window.set(entry.subarray(0, window.length - told), told);
      told = Math.min(told + entry.length, window.length);
    }
    this.put32(done, told);
  }

  // Files are always ready. Where only clocks are waited for, sleep until the first is.
  poll_oneoff(wanted, events, count, done) {
    if (count < 1 || count > MOST_SLICES) throw new Refused(INVAL);
    const list = this.view(wanted, 48 * count), clocks = [];
    let ready = [];
    for (let at = 0; at < 48 * count; at += 48) {
      const data = list.getBigUint64(at, true), kind = list.getUint8(at + 8), what = list.getUint32(at + 16, true);
      if (kind === CLOCK) {
        const now = list.getUint16(at + 40, true) & ABSOLUTE ? this.now(what) : 0n;
        clocks.push({ data, kind, error: 0, left: list.getBigUint64(at + 24, true) - now });
      } else ready.push({ data, kind, error: this.files.has(what) ? 0 : BADF });
    }
    if (!ready.length) {
      const first = clocks.reduce((least, { left }) => left < least ? left : least, clocks[0].left);
      if (first > 0n) Atomics.wait(cell, 0, 0, Number(first) / 1e6);
      ready = clocks.filter(({ left }) => left <= first || left <= 0n);
    }
    ready.forEach(({ data, error, kind }, index) => {
      const event = this.view(events + 32 * index, 32);
      for (let at = 0; at < 32; at += 8) event.setBigUint64(at, 0n, true);
      event.setBigUint64(0, data, true);
      event.setUint16(8, error, true);
      event.setUint8(10, kind);
    });
    this.put32(done, ready.length);
  }

  path_filestat_get(fd, _lookup, path, length, at) { this.putStatus(fs.lstatSync(this.place(fd, path, length).path), at); }
  path_create_directory(fd, path, length) { fs.mkdirSync(this.place(fd, path, length).path, 0o700); }
  path_remove_directory(fd, path, length) { fs.rmdirSync(this.place(fd, path, length).path); }
  path_unlink_file(fd, path, length) { fs.unlinkSync(this.place(fd, path, length).path); }
}
