// web.mjs - how fast the header is as WebAssembly: bench/web.sh builds and runs it
//
//     node web.mjs FOLDER
//
// Trains networks on a made-up log and times a click with its 20 best items, with plain kernels and with
// vectors, in turns; prints a table of the fastest of five.
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const folder = resolve(process.argv[2]);
const { load, loadTraining } = await import(pathToFileURL(join(folder, 'sessrec.js')));
const read = (name) => readFileSync(join(folder, name));
const TURNS = 5, CLICKS = 200;

// A log with `items` items, each session five clicks that depend on each other.
function log(items, sessions) {
    const lines = ['SessionId\tItemId\tTime'];
    let state = 1;
    const below = (n) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 4294967296) * n);
    };
    for (let session = 0; session < sessions; ++session)
        for (let click = 0, item = below(items); click < 5; ++click, item = (item * 3 + 1 + below(3)) % items)
            lines.push(`${session}\t${item}\t${session * 60 + click}`);
    return `${lines.join('\n')}\n`;
}

function time(call) {
    const begin = performance.now();
    call();
    return performance.now() - begin;
}

function row(what, plain, vectors, times) {
    console.log(`| ${what} | ${plain} | ${vectors} | ${times ? times.toFixed(1) : ''} |`);
}

// Mini-batches per second of 32 rows, by width of the network; epochs are short, so that turns are.
async function training(hidden, sessions) {
    const text = log(2000, sessions), found = { plain: [], v128: [] };
    const settings = { layers: hidden, epochs: 1, negatives: 0, seed: 1 };
    let bytes = null;
    for (let turn = 0; turn < TURNS; ++turn)
        for (const name of ['sessrec_plain_train.wasm', 'sessrec_train.wasm']) {
            const library = await loadTraining(read(name)), clicks = library.log(text);
            let steps = 0, file = null;
            const took = time(() => {
                file = library.train(clicks, settings, (now) => { steps = now.steps; });
            });
            if (bytes && Buffer.compare(bytes, file)) throw new Error('the bits differ');
            bytes = Buffer.from(file);
            found[library.simd].push(steps / (took / 1000));
        }
    const [plain, vectors] = [Math.max(...found.plain), Math.max(...found.v128)];
    row(`training, 2,000 items, H = ${hidden}`, `${plain.toFixed(0)} steps/s`,
        `${vectors.toFixed(0)} steps/s`, vectors / plain);
}

// Microseconds of a click and its 20 best items, for the same model.
async function clicking(items, hidden) {
    const library = await loadTraining(read('sessrec_train.wasm'));
    const settings = { layers: hidden, epochs: 1, negatives: 0 };
    const file = library.train(library.log(log(items, 2 * items)), settings);
    const found = { plain: [], v128: [] };
    let answers = null;
    for (let turn = 0; turn < TURNS; ++turn)
        for (const name of ['sessrec.wasm', 'sessrec_vectors.wasm']) {
            const model = await (await load(read(name))).open(file), visitor = model.session();
            let best = null;
            const took = time(() => {
                for (let click = 0; click < CLICKS; ++click) {
                    visitor.click((click * 37) % items);
                    best = visitor.recommend(20);
                }
            });
            if (answers && answers !== JSON.stringify(best)) throw new Error('the answers differ');
            answers = JSON.stringify(best);
            found[model.simd].push((took * 1000) / CLICKS);
        }
    const [plain, vectors] = [Math.min(...found.plain), Math.min(...found.v128)];
    row(`a click and 20 items of ${items}, H = ${hidden}`, `${plain.toFixed(0)} us`,
        `${vectors.toFixed(0)} us`, plain / vectors);
}

console.log('| | plain | 128-bit vectors | times as fast |\n|---|---|---|---|');
await training(32, 2000);
await training(100, 600);
for (const [items, hidden] of [[128, 32], [2000, 64], [10000, 100]]) await clicking(items, hidden);
const size = (name) => statSync(join(folder, name)).size.toLocaleString('en');
row('bytes, recommending', size('sessrec.wasm'), size('sessrec_vectors.wasm'));
row('bytes, with training', size('sessrec_plain_train.wasm'), size('sessrec_train.wasm'));
