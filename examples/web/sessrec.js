// sessrec.js - recommendations inside a web page: an ES module over sessrec.wasm and sessrec_train.wasm
//
//     import { load } from './sessrec.js';
//     const library = await load('sessrec.wasm');
//     const model = await library.open(await (await fetch('shop.model')).arrayBuffer());
//     const visitor = model.session();
//     visitor.click('red-3');
//     console.log(visitor.recommend(5));  // [{ item: 'red-4', score: 2.31 }, ...]
//
// It runs in browsers, in workers and in Node. Nothing is sent anywhere. sessrec.d.ts has the types.

const text = { encoder: new TextEncoder(), decoder: new TextDecoder() };
const MAX_ID = 255;                     // bytes of an id, as in sessrec.h
const REASON = 48, CONTEXT = 8;         // sizeof(sessrec_reason), offsetof(sessrec_reason, context)
const WASI_NOT_SUPPORTED = 58;

// Compiles a .wasm file: from its address, a Response, or its bytes.
export async function load(source) {
    return new Library(await compile(source));
}

// The same of sessrec_train.wasm. It computes for seconds: call it in a worker.
export async function loadTraining(source) {
    const training = new Training();
    training.attach(await instantiate(await compile(source), (...numbers) => training.report(...numbers)));
    return training;
}

async function compile(source) {
    if (typeof source === 'string' || source instanceof URL) source = await fetch(source);
    if (typeof Response !== 'undefined' && source instanceof Response) {
        if (!source.ok) throw new Error(`${source.url}: ${source.status} ${source.statusText}`);
        source = await source.arrayBuffer();  // works also where the server does not know the type of .wasm
    }
    return source instanceof WebAssembly.Module ? source : WebAssembly.compile(source);
}

// An instance with what it imports: a clock and the page's progress; it has no other system calls.
async function instantiate(module, progress) {
    let exports = null;
    const supplied = {
        progress,
        clock_time_get(clock, precision, out) {
            const now = BigInt(Math.round(performance.now() * 1e6));
            new DataView(exports.memory.buffer).setBigUint64(out, now, true);
            return 0;
        },
    };
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module))
        (imports[from] ||= {})[name] = supplied[name] || (() => WASI_NOT_SUPPORTED);
    exports = (await WebAssembly.instantiate(module, imports)).exports;
    return new Memory(exports);
}

// What an instance's memory holds, as JavaScript's values.
class Memory {
    constructor(exports) {
        this.exports = exports;
    }

    // Room for `size` bytes.
    take(size) {
        const pointer = this.exports.web_take(size);
        if (!pointer) throw new Error(`out of memory for ${size} bytes`);
        return pointer;
    }

    // Bytes of the caller, copied.
    put(bytes) {
        const pointer = this.take(bytes.length);
        new Uint8Array(this.exports.memory.buffer).set(bytes, pointer);
        return pointer;
    }

    // Text and the zero that ends it, at most `room` bytes.
    write(pointer, string, room) {
        const bytes = new Uint8Array(this.exports.memory.buffer, pointer, room);
        const { read, written } = text.encoder.encodeInto(string, bytes.subarray(0, room - 1));
        bytes[written] = 0;
        return read === string.length;
    }

    string(pointer) {
        const bytes = new Uint8Array(this.exports.memory.buffer);
        return text.decoder.decode(bytes.subarray(pointer, bytes.indexOf(0, pointer)));
    }

    view(pointer, size) {
        return new DataView(this.exports.memory.buffer, pointer, size);
    }

    copy(pointer, size) {
        return new Uint8Array(this.exports.memory.buffer).slice(pointer, pointer + size);
    }

    // Throws what the library says unless a call went well: a negative code or NULL means that it did not.
    check(result, failed = result < 0) {
        if (failed) throw new Error(this.string(this.exports.web_error()));
        return result;
    }
}

function bytesOf(data) {
    if (data instanceof Uint8Array) return data;
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    throw new TypeError('the content of a file is an ArrayBuffer or a Uint8Array');
}

// sessrec.wasm, compiled once for any number of models.
class Library {
    constructor(module) {
        this.module = module;
    }

    // The content of a file: a model, neighbors, rules or a blend. The memory is free again when the model
    // is no longer used.
    async open(data) {
        const memory = await instantiate(this.module, () => 0);
        const bytes = bytesOf(data);
        memory.check(memory.exports.web_open(memory.put(bytes), bytes.length));
        return new Model(memory);
    }
}

class Model {
    #memory;
    #id;

    constructor(memory) {
        this.#memory = memory;
        this.#id = memory.take(MAX_ID + 1);
        this.itemCount = memory.exports.web_item_count();
        this.hasIds = memory.exports.web_has_ids() === 1;
        this.simd = memory.string(memory.exports.web_simd());
    }

    // The number of an id, -1 if the model does not know it. In a file that was written without ids an item's
    // number stands for its id.
    find(id) {
        if (!this.hasIds) return /^[0-9]+$/.test(id) && this.#holds(Number(id)) ? Number(id) : -1;
        const fits = this.#memory.write(this.#id, String(id), MAX_ID + 1);
        return fits ? this.#memory.exports.web_find_item(this.#id) : -1;
    }

    // The id of an item's number, null if there is none.
    id(item) {
        if (!this.#holds(item)) return null;
        return this.hasIds ? this.#memory.string(this.#memory.exports.web_item_id(item)) : String(item);
    }

    #holds(item) {
        return item >= 0 && item < this.itemCount;
    }

    // A visitor. The last `remember` items that they clicked are not recommended to them.
    session(remember = 20) {
        const pointer = this.#memory.exports.web_session(remember);
        this.#memory.check(pointer, !pointer);
        return new Session(this, this.#memory, pointer);
    }

    // The ids that a session of an index of neighbors clicked, in order.
    visit(session, most = 64) {
        const memory = this.#memory, items = memory.take(4 * most);
        const length = memory.exports.web_session_items(session, items, most);
        const view = memory.view(items, 4 * most);
        return Array.from({ length: Math.min(length, most) }, (_, i) => this.id(view.getInt32(4 * i, true)));
    }
}

class Session {
    #model;
    #memory;
    #session;
    #room = 0;
    #out = 0;

    constructor(model, memory, session) {
        this.#model = model;
        this.#memory = memory;
        this.#session = session;
    }

    // The visitor clicked an item. Returns whether the model knows it; an unknown one is only counted.
    click(id) {
        const item = this.#model.find(id);
        this.#memory.check(this.#memory.exports.web_click(this.#session, item));
        return item >= 0;
    }

    // The best k items. With skipSeen = false also those that the visitor has just clicked.
    recommend(k = 10, { skipSeen = true } = {}) {
        const memory = this.#memory, out = this.#output(8 * k);
        const count = memory.check(memory.exports.web_recommend(this.#session, k, skipSeen ? 1 : 0, out));
        const view = memory.view(out, 8 * k);
        return Array.from({ length: count }, (_, i) => (
            { item: this.#model.id(view.getInt32(8 * i, true)), score: view.getFloat32(8 * i + 4, true) }));
    }

    // Why an item is recommended, the strongest reason first: sessions that hold it, or rules. A network
    // gives no reasons.
    reasons(id, most = 3) {
        const memory = this.#memory, out = this.#output(REASON * most), item = this.#model.find(id);
        if (item < 0) return [];
        const count = memory.check(memory.exports.web_reasons(this.#session, item, out, most));
        return Array.from({ length: count }, (_, i) => this.#reason(memory.view(out + REASON * i, REASON)));
    }

    // The visitor has gone: the next click begins a new session.
    end() {
        this.#memory.exports.web_end(this.#session);
    }

    #reason(view) {
        const number = (at) => view.getInt32(at, true);
        const context = Array.from({ length: number(4) }, (_, i) => this.#model.id(number(CONTEXT + 4 * i)));
        const part = view.getFloat32(0, true);
        return context.length
            ? { part, context, held: number(24), of: number(28) }
            : { part, session: number(32), time: view.getFloat64(40, true) };
    }

    #output(size) {
        if (size > this.#room) this.#out = this.#memory.take(this.#room = 2 * size);
        return this.#out;
    }
}

// Reads logs, trains and evaluates. Files are Uint8Arrays, the same bytes that C writes and reads.
class Training {
    #memory;
    #progress;

    attach(memory) {
        this.#memory = memory;
        this.simd = memory.string(memory.exports.web_simd());
    }

    report(epoch, epochs, step, steps, events, loss, eventsPerSecond) {
        const stop = this.#progress?.({ epoch, epochs, step, steps, events, loss, eventsPerSecond });
        return stop === true ? 1 : 0;
    }

    // A log of clicks: text with a header line and the columns SessionId, ItemId and Time.
    log(clicks) {
        return this.#with([text.encoder.encode(clicks)], (memory, [pointer], [size]) => {
            const log = memory.exports.web_log(pointer, size);
            return new Log(memory, memory.check(log, !log));
        });
    }

    // Trains a network. Settings have the names of the command line: { layers: 32, epochs: 5, loss: 'xe' }.
    // `progress` is called a few times per second; training ends early, with a usable model, if it returns
    // true.
    train(log, settings = {}, progress = null) {
        const memory = this.#memory;
        memory.exports.web_defaults();
        for (const [name, value] of Object.entries(settings))
            this.#with([zeroEnded(name), zeroEnded(value)], (_, [key, setting]) =>
                memory.check(memory.exports.web_set(key, setting)));
        this.#progress = progress;
        return this.#file(memory.exports.web_train(log.pointer));
    }

    // An index of session neighbors: sknn, vsknn, stan, vstan or vmis.
    neighbors(log, preset = 'vstan') {
        return this.#with([zeroEnded(preset)], (memory, [name]) =>
            this.#file(memory.exports.web_neighbors(log.pointer, name)));
    }

    // A network and neighbors in one file: the network's score + weight * log(the neighbors' score).
    blend(network, neighbors, weight = 1) {
        return this.#with([bytesOf(network), bytesOf(neighbors)], (memory, pointers, sizes) =>
            this.#file(memory.exports.web_blend(pointers[0], sizes[0], pointers[1], sizes[1], weight)));
    }

    // How well a file predicts the next click in the sessions of a log.
    evaluate(file, log, cutoff = 20) {
        return this.#with([bytesOf(file), new Uint8Array(32)], (memory, [bytes, out], [size]) => {
            memory.check(memory.exports.web_evaluate(bytes, size, log.pointer, cutoff, out));
            const [events, unknown, recall, mrr] = doubles(memory, out, 4);
            return { events, unknown, recall, mrr };
        });
    }

    #file(pointer) {
        const memory = this.#memory;
        memory.check(pointer, !pointer);
        const bytes = memory.copy(pointer, memory.exports.web_file_size());
        memory.exports.web_give(pointer);
        return bytes;
    }

    // Lends copies of some bytes to a call.
    #with(blocks, call) {
        const memory = this.#memory, pointers = blocks.map((bytes) => memory.put(bytes));
        try {
            return call(memory, pointers, blocks.map((bytes) => bytes.length));
        } finally {
            for (const pointer of pointers) memory.exports.web_give(pointer);
        }
    }
}

class Log {
    #memory;

    constructor(memory, pointer) {
        this.#memory = memory;
        this.pointer = pointer;
        const out = memory.take(40);
        memory.exports.web_log_numbers(pointer, out);
        [this.events, this.sessions, this.items, this.begin, this.end] = doubles(memory, out, 5);
        memory.exports.web_give(out);
    }

    // The sessions that end before a time in seconds, and those that begin then or later.
    split(time) {
        const memory = this.#memory, out = memory.take(8);
        memory.check(memory.exports.web_log_split(this.pointer, time, out));
        const pair = memory.view(out, 8), logs = [pair.getUint32(0, true), pair.getUint32(4, true)];
        memory.exports.web_give(out);
        return logs.map((pointer) => new Log(memory, pointer));
    }

    // The log is not needed any more.
    free() {
        this.#memory.exports.web_log_destroy(this.pointer);
        this.pointer = 0;
    }
}

function zeroEnded(value) {
    return text.encoder.encode(`${value}\0`);
}

function doubles(memory, pointer, length) {
    const view = memory.view(pointer, 8 * length);
    return Array.from({ length }, (_, i) => view.getFloat64(8 * i, true));
}
