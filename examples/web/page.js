// page.js - the shop: tiles to click, what is recommended and why, training, comparison
import { drawing } from './drawings.js';
import { load } from './sessrec.js';
import { COLORS, ITEMS, THEMES, describe } from './visits.js';

const SHOWN = 6, LIKE_VISITS = 5;       // recommendations; things of a similar visit that are drawn
const ABOUT = {
    neighbors: 'From similar visits of the past month. No training, and a reason for every answer.',
    gru: 'From a recurrent network, which has learned the order of clicks.',
    blend: 'From both: the scores of the network and of the neighbors, added.',
};
const $ = (id) => document.getElementById(id);

const methods = {};                     // { model, session } of each that has been learned
const trail = [];                       // what this visitor has clicked
let library, chosen = 'neighbors', theme = Object.keys(THEMES)[0];

function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
}

// The picture of an item; `label` is what a screen reader says where no name stands beside it.
function picture(id, label = null) {
    const made = element('span', { className: 'picture', innerHTML: drawing(id) });
    if (label) {
        made.setAttribute('role', 'img');
        made.setAttribute('aria-label', label);
    }
    return made;
}

// ---- the catalog ----

function showThemes() {
    for (const name of Object.keys(THEMES)) {
        const checked = name === theme;
        const input = element('input', { type: 'radio', name: 'theme', value: name, checked });
        input.addEventListener('change', () => showTiles(name));
        $('themes').append(element('label', {}, input, element('span', { textContent: name })));
    }
}

function showTiles(name = theme) {
    theme = name;
    const items = ITEMS.filter((id) => THEMES[theme].includes(describe(id).kind));
    $('tiles').replaceChildren(...items.map((id, index) => {
        const button = element('button', { type: 'button', tabIndex: index ? -1 : 0 }, picture(id),
            element('span', { textContent: describe(id).name.replace(' ', '\n') }));
        button.dataset.item = id;
        button.addEventListener('click', () => click(id));
        return element('li', {}, button);
    }));
    markClicked();
}

function markClicked() {
    for (const button of $('tiles').querySelectorAll('button'))
        button.classList.toggle('clicked', trail.includes(button.dataset.item));
}

// Arrow keys, Home and End move among the tiles; Tab leaves them.
function moveFocus(event) {
    const tiles = [...$('tiles').querySelectorAll('button')], at = tiles.indexOf(document.activeElement);
    const columns = getComputedStyle($('tiles')).gridTemplateColumns.split(' ').length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -at,
        End: tiles.length - 1 - at };
    const to = tiles[at + steps[event.key]];
    if (at < 0 || !to) return;
    event.preventDefault();
    tiles[at].tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
}

// ---- recommendations ----

function click(id) {
    trail.push(id);
    for (const { session } of Object.values(methods)) session.click(id);
    markClicked();
    showTrail();
    const best = showRecommendations();
    $('news').textContent = `${describe(id).name} clicked. Recommended: ` +
        best.slice(0, 3).map(({ item }) => describe(item).name).join(', ');
}

function newVisit() {
    trail.length = 0;
    for (const { session } of Object.values(methods)) session.end();
    markClicked();
    showTrail();
    showRecommendations();
    $('news').textContent = 'A new visitor, who has not clicked anything yet.';
}

function showTrail() {
    $('new-visit').disabled = !trail.length;
    $('trail').replaceChildren(...(trail.length
        ? trail.map((id) => element('li', {}, picture(id, describe(id).name)))
        : [element('li', { className: 'empty', textContent: 'Click things that go together.' })]));
    $('trail').scrollLeft = $('trail').scrollWidth;
}

// How strong a score is beside the best one: neighbors' scores are sums, the others' logarithms.
function strength(score, best) {
    return chosen === 'neighbors' ? score / best : Math.exp((score - best) / 2);
}

// The most similar visit that holds an item, drawn; what this visitor clicked too is marked.
function whyOf(item) {
    const { model, session } = methods.neighbors, [reason] = session.reasons(item, 1);
    const words = (text) => element('span', { className: 'words', textContent: text });
    if (!trail.length) return [words('popular')];
    if (!reason) return [words('no similar visit holds it')];
    const visit = model.visit(reason.session), from = Math.max(0, visit.indexOf(item) + 2 - LIKE_VISITS);
    return [words('a visit like yours:'), ...visit.slice(from, from + LIKE_VISITS).map((id) => {
        const thing = picture(id, describe(id).name);
        thing.className = trail.includes(id) ? 'met' : '';
        return thing;
    })];
}

function showRecommendations() {
    if (!methods[chosen]) return [];
    const before = new Set([...$('recommendations').querySelectorAll('button')].map((b) => b.dataset.item));
    const best = methods[chosen].session.recommend(SHOWN);
    $('recommendations').replaceChildren(...best.map(({ item, score }) => {
        const bar = element('i'), button = element('button', { type: 'button' }, picture(item),
            element('span', { className: 'name', textContent: describe(item).name }),
            element('span', { className: 'bar' }, bar),
            element('span', { className: 'why' }, ...whyOf(item)));
        bar.style.width = `${100 * strength(score, best[0].score)}%`;
        button.dataset.item = item;
        button.classList.toggle('fresh', !before.has(item));
        button.addEventListener('click', () => click(item));
        return element('li', {}, button);
    }));
    $('about').textContent = ABOUT[chosen];
    return best;
}

function choose(method) {
    chosen = method;
    for (const input of $('methods').querySelectorAll('input')) input.checked = input.value === method;
    showRecommendations();
}

// A method has been learned: the visitor's clicks so far count for it, too.
async function learned(method, file) {
    const model = await library.open(file), session = model.session();
    for (const id of trail) session.click(id);
    methods[method] = { model, session };
    $('methods').querySelector(`[value=${method}]`).disabled = false;
    if (method === chosen || method === 'gru') choose(method);
}

// ---- training and comparison ----

const CURVE = { left: 44, right: 548, top: 12, bottom: 162 };
const losses = [];

function shape(name, attributes, text = '') {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
}

function showCurve(epochs = 6) {
    const most = Math.ceil(Math.max(4, ...losses.map((l) => l.loss))), { left, right, top, bottom } = CURVE;
    const x = (at) => left + at * (right - left), y = (loss) => bottom - (loss / most) * (bottom - top);
    const axes = [];
    for (let loss = 0; loss <= most; ++loss) {
        axes.push(shape('line', { x1: left, x2: right, y1: y(loss), y2: y(loss) }));
        axes.push(shape('text', { x: left - 10, y: y(loss) + 4, 'text-anchor': 'end' }, loss));
    }
    for (let epoch = 1; epoch <= epochs; ++epoch)
        axes.push(shape('text', { x: x((epoch - 0.5) / epochs), y: bottom + 20, 'text-anchor': 'middle' },
            epoch === 1 ? 'epoch 1' : epoch));
    $('axes').replaceChildren(...axes);
    const points = losses.map(({ at, loss }) => `${x(at).toFixed(1)},${y(loss).toFixed(1)}`);
    $('loss').setAttribute('points', points.join(' '));
    if (!losses.length) return;
    const { at, loss } = losses.at(-1);
    $('area').setAttribute('points', `${x(losses[0].at)},${bottom} ${points.join(' ')} ${x(at)},${bottom}`);
    for (const [key, value] of [['cx', x(at)], ['cy', y(loss)], ['r', 5]]) $('tip').setAttribute(key, value);
}

function showProgress(now) {
    losses.push(now);
    showCurve(now.epochs);
    $('curve-title').textContent =
        `Loss curve: from ${losses[0].loss.toFixed(2)} down to ${now.loss.toFixed(2)}`;
    $('train').textContent = `Epoch ${now.epoch} of ${now.epochs}`;
}

function showResult({ compared, recall, mrr, seconds, events, cutoff }) {
    const cells = $('results').querySelector(`[data-method=${compared}]`).querySelectorAll('td');
    const shown = [recall.toFixed(3), mrr.toFixed(3), `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`];
    shown.forEach((value, i) => { cells[i].textContent = value; });
    for (const column of [0, 1]) {
        const values = [...$('results').rows].map((row) => row.querySelectorAll('td')[column]);
        const best = Math.max(...values.map((cell) => Number(cell.textContent) || 0));
        for (const cell of values) cell.classList.toggle('best', Number(cell.textContent) === best);
    }
    $('compare-about').textContent = `How often is the next click among the first ${cutoff}? Measured on ` +
        `${events.toLocaleString('en')} clicks of the last days, which none of the three has seen.`;
}

function setBusy(busy) {
    for (const id of ['train', 'compare']) $(id).disabled = busy;
}

function finished(action) {
    setBusy(false);
    $('train').textContent = 'Train again';
    if (action === 'train') {
        const { loss, eventsPerSecond } = losses.at(-1);
        $('status').textContent = `Trained in this page: loss ${loss.toFixed(2)}, ` +
            `${Math.round(eventsPerSecond).toLocaleString('en')} clicks a second. It recommends now.`;
    } else {
        $('news').textContent = 'The table of the comparison is filled in.';
    }
}

function start(worker, action) {
    setBusy(true);
    if (action === 'train' || !methods.gru) losses.length = 0;
    if (action === 'compare' && !methods.gru) $('status').textContent = 'The network is trained first.';
    worker.postMessage(action);
}

function failed(message) {
    $('about').textContent = `That did not work: ${message}`;
    $('about').setAttribute('role', 'alert');
}

async function main() {
    $('notice').hidden = true;
    showThemes();
    showTiles();
    showTrail();
    showCurve();
    $('tiles').addEventListener('keydown', moveFocus);
    $('new-visit').addEventListener('click', newVisit);
    for (const input of $('methods').querySelectorAll('input'))
        input.addEventListener('change', () => choose(input.value));
    library = await load(new URL('sessrec.wasm', import.meta.url));
    const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    let order = Promise.resolve();      // models are opened one after the other
    worker.onerror = (event) => failed(event.message);
    worker.onmessage = ({ data }) => {
        if (data.learned) order = order.then(() => learned(data.learned, data.file));
        else if (data.loss !== undefined) showProgress(data);
        else if (data.compared) showResult(data);
        else if (data.done) order.then(() => finished(data.done));
        else if (data.log) {
            $('log').textContent = `A GRU learns from ${data.log.clicks.toLocaleString('en')} clicks in ` +
                `${data.log.visits.toLocaleString('en')} made-up visits, in a worker of this page.`;
            setBusy(false);
        } else failed(data.failed);
    };
    for (const action of ['train', 'compare'])
        $(action).addEventListener('click', () => start(worker, action));
    navigator.serviceWorker?.register('offline.js').catch(() => {});  // without it, only not offline
}

main().catch((error) => failed(error.message));
