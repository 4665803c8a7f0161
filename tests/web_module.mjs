// web_module.mjs - the module of examples/web without a browser: the same bits as the command line
//
//     node web_module.mjs FOLDER SESSREC WORK
//
// FOLDER is what `make web` made, SESSREC the command line. Writes WORK/expected.json for web_page.mjs.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, report as closingLine, same } from './web_expect.mjs';

const [folder, sessrec, work] = process.argv.slice(2).map((path) => resolve(path));
const { load, loadTraining } = await import(pathToFileURL(join(folder, 'sessrec.js')));
const { ITEMS, log: visits } = await import(pathToFileURL(join(folder, 'visits.js')));
const file = (name) => join(work, name);
const native = (...words) => execFileSync(sessrec, words, { cwd: work, stdio: 'pipe' });

function thrown(call) {
    try {
        call();
    } catch (error) {
        return error.message;
    }
    return null;
}
const rejected = (promise) => promise.then(() => null, (error) => error.message);

// ---- what the page does, here and on the command line ----

const wasm = await load(readFileSync(join(folder, 'sessrec.wasm')));
const training = await loadTraining(readFileSync(join(folder, 'sessrec_train.wasm')));
const worker = readFileSync(join(folder, 'worker.js'), 'utf8');
const setting = (name) => worker.match(new RegExp(`${name} = ([^,;]+)`))[1];
const NETWORK = Function(`return {${worker.match(/NETWORK = \{(.*?)\}/)[1]}}`)();
const BLEND_WEIGHT = Number(setting('BLEND_WEIGHT')), TRAINED_SHARE = Number(setting('TRAINED_SHARE'));
const CUTOFF = Number(setting('CUTOFF')), SHOWN = 6;
const CLICKS = ['green-kettle', 'green-mug', 'teal-mug'];

const month = training.log(visits());
const [before, after] = month.split(month.begin + TRAINED_SHARE * (month.end - month.begin));
expect('the log has the items of the shop', month.items === ITEMS.length);
expect('a split leaves out only what spans it', before.events + after.events <= month.events &&
    before.events + after.events > 0.99 * month.events && before.end < after.begin);

// The part that is trained on, as a file for the command line.
const end = before.end, lines = visits().trimEnd().split('\n'), sessions = new Map();
for (const line of lines.slice(1)) {
    const id = line.slice(0, line.indexOf('\t'));
    if (!sessions.has(id)) sessions.set(id, []);
    sessions.get(id).push(line);
}
const timeOf = (line) => Number(line.slice(line.lastIndexOf('\t') + 1));
const write = (name, kept) => writeFileSync(file(name), `${[lines[0], ...[...sessions.values()]
    .filter(kept).flat()].join('\n')}\n`);
write('before.tsv', (session) => timeOf(session.at(-1)) <= end);
write('after.tsv', (session) => timeOf(session[0]) >= after.begin);

let calls = 0;
const gru = training.train(before, NETWORK, () => { ++calls; });
const neighbors = training.neighbors(before, 'vstan'), blend = training.blend(gru, neighbors, BLEND_WEIGHT);
expect('progress is reported at least once in each epoch', calls >= NETWORK.epochs, `${calls} times`);
const options = Object.entries(NETWORK).flatMap(([name, value]) => [`--${name}`, String(value)]);
native('train', 'before.tsv', '-o', 'gru', ...options);
native('train', 'before.tsv', '-o', 'neighbors', '--model', 'knn', '--preset', 'vstan');
expect('WebAssembly trains the same model as the command line, bit for bit',
    Buffer.compare(Buffer.from(gru), readFileSync(file('gru'))) === 0);
expect('and makes the same index of neighbors',
    Buffer.compare(Buffer.from(neighbors), readFileSync(file('neighbors'))) === 0);
writeFileSync(file('blend'), blend);
native('export', 'gru', '--int8', '-o', 'int8');
native('export', 'gru', '--int8', '--no-ids', '-o', 'numbers');

// The command line's answers to clicks: [{ item, score } ..] after the last one.
function nativeAnswer(name, clicks, k) {
    const input = clicks.map((id) => `visitor\t${id}\n`).join('');
    const answers = execFileSync(sessrec, ['recommend', name, '-k', String(k), '--json'],
        { cwd: work, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] }).trimEnd().split('\n');
    return JSON.parse(answers.at(-1)).items.map(({ item, score }) => ({ item, score }));
}

const files = { neighbors, gru, blend }, expected = { clicks: CLICKS, table: [] };
for (const [name, bytes] of Object.entries(files)) {
    const visitor = (await wasm.open(bytes)).session();
    let answers = null, wrong = 0;
    for (let seen = 1; seen <= CLICKS.length; ++seen) {
        visitor.click(CLICKS[seen - 1]);
        answers = visitor.recommend(SHOWN);
        const there = nativeAnswer(name, CLICKS.slice(0, seen), SHOWN);
        wrong += !same(answers.map((a) => a.item), there.map((a) => a.item)) ||
            !answers.every((a, i) => Math.abs(a.score - there[i].score) <= 1e-5 * Math.abs(a.score));
    }
    expect(`${name} recommends what the command line does after each click`, wrong === 0,
        JSON.stringify(answers));
    expected[name] = answers.map((a) => a.item);
    const report = training.evaluate(bytes, after, CUTOFF);
    expected.table.push([Number(report.recall.toFixed(3)), Number(report.mrr.toFixed(3))]);
    native('evaluate', name, 'after.tsv', '--cutoffs', String(CUTOFF), '--json', 'report.json');
    const there = JSON.parse(readFileSync(file('report.json'), 'utf8')).test;
    expect(`${name} is evaluated as on the command line`, report.events === there.events &&
        Math.abs(report.recall - there.recall[CUTOFF]) < 1e-8 &&
        Math.abs(report.mrr - there.mrr[CUTOFF]) < 1e-8,
    `${JSON.stringify(report)} instead of ${JSON.stringify(there)}`);
}
writeFileSync(file('expected.json'), JSON.stringify(expected));

// ---- the module ----

const model = await wasm.open(neighbors), visitor = model.session(2);
expect('ids and numbers belong together', ITEMS.every((id) => model.id(model.find(id)) === id));
expect('an unknown id is -1 and null', model.find('no such thing') === -1 && model.id(-1) === null &&
    model.id(1e6) === null && model.find('x'.repeat(1000)) === -1);
expect('an unknown click is only counted', visitor.click('no such thing') === false);
visitor.click('red-tent');
visitor.click('red-lantern');
expect('what a visitor has just clicked is left out', !visitor.recommend(ITEMS.length)
    .some(({ item }) => ['red-tent', 'red-lantern'].includes(item)));
expect('unless the caller wants it', visitor.recommend(ITEMS.length, { skipSeen: false })
    .some(({ item }) => item === 'red-lantern'));
const [{ item }] = visitor.recommend(1), reasons = visitor.reasons(item, 5);
expect('a reason is a session of the index that holds the item', reasons.length > 0 &&
    reasons.every(({ part, time, session }) => part > 0 && time > 0 && model.visit(session).includes(item)));
expect('the strongest reason comes first', reasons.every((r, i) => !i || r.part <= reasons[i - 1].part));
expect('a network gives no reasons', (await wasm.open(gru)).session().reasons(item).length === 0);
const first = visitor.recommend(3);
visitor.end();
visitor.click('red-tent');
visitor.click('red-lantern');
expect('after the end a new session begins', same(visitor.recommend(3), first));
const copies = Array.from({ length: 500 }, () => model.session(20));
expect('many visitors have one model', new Set(copies.map((copy) => {
    copy.click('red-tent');
    return JSON.stringify(copy.recommend(3));
})).size === 1);

const vectors = await load(readFileSync(join(folder, 'sessrec_train.wasm')));
const fast = await vectors.open(gru), plain = await wasm.open(gru);
const answerOf = (opened) => {
    const someone = opened.session();
    for (const id of CLICKS) someone.click(id);
    return someone.recommend(ITEMS.length);
};
expect('vectors and plain kernels recommend the same, bit for bit', fast.simd === 'v128' &&
    plain.simd === 'plain' && same(answerOf(fast), answerOf(plain)));

const int8 = await wasm.open(readFileSync(file('int8')));
const numbers = await wasm.open(readFileSync(file('numbers')));
const someone = int8.session(), number = numbers.session();
for (const id of CLICKS) {
    someone.click(id);
    number.click(int8.find(id));
}
const best = someone.recommend(SHOWN), there = nativeAnswer('int8', CLICKS, SHOWN);
expect('a model of 8 bits recommends what it does on the command line', same(best.map((a) => a.item),
    there.map((a) => a.item)) && best.every((a, i) => Math.abs(a.score - there[i].score) < 1e-6));
expect('without ids items are known by number', !numbers.hasIds && numbers.find('no such thing') === -1 &&
    numbers.find('') === -1 && numbers.find(ITEMS.length) === -1 && numbers.id(ITEMS.length) === null &&
    numbers.id(3) === '3' &&
    same(number.recommend(SHOWN), best.map(({ item, score }) => ({ item: String(int8.find(item)), score }))));

const damaged = Uint8Array.from(gru);
damaged[damaged.length / 2 | 0] ^= 1;
expect('a damaged file is refused with a sentence', /damaged/.test(await rejected(wasm.open(damaged))));
expect('and so is an empty one', (await rejected(wasm.open(new Uint8Array(0))))?.length > 10);
expect('an impossible setting is refused with a sentence',
    /lr|learning/.test(thrown(() => training.train(before, { lr: -1 }))));
expect('and so is a log without the columns', /SessionId/.test(thrown(() => training.log('a,b\n1,2\n'))));
expect('and a preset that does not exist', /vstan/.test(thrown(() => training.neighbors(before, 'best'))));
const stopped = training.train(before, NETWORK, () => true);
expect('training that is stopped gives a model that can be used',
    (await wasm.open(stopped)).itemCount === ITEMS.length);
before.free();

// ---- sizes ----

const size = (name) => statSync(join(folder, name)).size;
const small = size('sessrec.wasm'), large = size('sessrec_train.wasm');
const page = ['index.html', 'shop.css', 'page.js', 'drawings.js', 'visits.js', 'worker.js', 'offline.js',
    'sessrec.js'].reduce((sum, name) => sum + size(name), small + large);
expect('what recommends is below 60 KB', small < 60000, `${small} bytes`);
expect('what trains is below 250 KB', large < 250000, `${large} bytes`);
expect('all of the page is below 350 KB', page < 350000, `${page} bytes`);
console.log(`        sessrec.wasm ${small} bytes, sessrec_train.wasm ${large}, the page with both ${page}`);
closingLine();
