// web_page.mjs - the page of examples/web in a headless Chromium, as a visitor uses it
//
//     node web_page.mjs CHROMIUM FOLDER EXPECTED [SCREENSHOT]
//
// FOLDER is what `make web` made. EXPECTED has what the library recommends outside of a browser, as JSON:
// { "clicks": [id ..], "neighbors": [id ..], "gru": [id ..], "blend": [id ..] }. It drives Chromium through
// its debugging pipe and needs nothing else. With SCREENSHOT the trained page is kept as a picture.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { expect, report, same } from './web_expect.mjs';

const [chromium, folder, expectedFile, screenshot] = process.argv.slice(2);
const expected = JSON.parse(readFileSync(expectedFile, 'utf8'));
const LONGEST = 60000;                 // milliseconds that anything may take

// ---- a file server, and a browser ----

const TYPES = {
    '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm',
};
const server = createServer((request, response) => {
    const path = request.url === '/' ? '/index.html' : request.url;
    try {
        const content = readFileSync(join(folder, path));
        response.writeHead(200, { 'Content-Type': TYPES[extname(path)] || 'application/octet-stream' });
        response.end(content);
    } catch {
        response.writeHead(404).end();
    }
});

const sentenceOf = ({ exception, text }) => exception?.description || text;

class Browser {
    #waiting = new Map();
    #number = 0;
    #rest = '';

    constructor(profile) {
        this.messages = [];             // what the page wrote to the console, and exceptions
        this.process = spawn(chromium, ['--headless', '--no-sandbox', '--disable-gpu',
            '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions', `--user-data-dir=${profile}`,
            '--remote-debugging-pipe'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
        this.process.stdio[4].setEncoding('utf8').on('data', (text) => this.#receive(text));
    }

    async open(url, width, height) {
        const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' }, null);
        const attached = await this.send('Target.attachToTarget', { targetId, flatten: true }, null);
        this.session = attached.sessionId;
        for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.send(`${domain}.enable`);
        await this.send('Emulation.setDeviceMetricsOverride',
            { width, height, deviceScaleFactor: 1, mobile: width < 600 });
        await this.send('Emulation.setScrollbarsHidden', { hidden: true });
        await this.send('Page.navigate', { url });
        await this.until(() => document.readyState === 'complete');
    }

    send(method, params = {}, session = this.session) {
        const id = ++this.#number;
        const message = { id, method, params, sessionId: session || undefined };
        this.process.stdio[3].write(`${JSON.stringify(message)}\0`);
        return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    }

    async evaluate(expression) {
        const { result, exceptionDetails } = await this.send('Runtime.evaluate',
            { expression, returnByValue: true, awaitPromise: true });
        if (exceptionDetails) throw new Error(sentenceOf(exceptionDetails));
        return result.value;
    }

    // Calls a function in the page.
    run(call, ...values) {
        return this.evaluate(`(${call})(${values.map((value) => JSON.stringify(value)).join()})`);
    }

    async until(condition) {
        for (const begin = Date.now(); ;) {
            if (await this.run(condition).catch(() => false)) return;
            if (Date.now() - begin > LONGEST) throw new Error(`never became true: ${condition}`);
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    }

    async press(key, shift = false) {
        for (const type of ['keyDown', 'keyUp'])
            await this.send('Input.dispatchKeyEvent', { type, key, code: key, modifiers: shift ? 8 : 0,
                windowsVirtualKeyCode: { Tab: 9, Enter: 13, ArrowRight: 39, ArrowDown: 40 }[key],
                text: type === 'keyDown' && key === 'Enter' ? '\r' : undefined });
    }

    async picture(path) {
        const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
        writeFileSync(path, Buffer.from(data, 'base64'));
    }

    #receive(text) {
        const parts = (this.#rest + text).split('\0');
        this.#rest = parts.pop();
        for (const part of parts) {
            const { id, result, error, method, params } = JSON.parse(part);
            if (id) {
                const { resolve, reject } = this.#waiting.get(id);
                this.#waiting.delete(id);
                if (error) reject(new Error(error.message));
                else resolve(result);
            } else if (method === 'Runtime.exceptionThrown') {
                this.messages.push(sentenceOf(params.exceptionDetails));
            } else if (method === 'Runtime.consoleAPICalled' && ['error', 'warning'].includes(params.type)) {
                this.messages.push(params.args.map((a) => a.value ?? a.description).join(' '));
            } else if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level)) {
                this.messages.push(`${params.entry.text} ${params.entry.url || ''}`);
            }
        }
    }
}

// ---- what a visitor sees and does: functions that run in the page ----

const recommended = () => [...document.querySelectorAll('#recommendations button')].map((b) =>
    b.dataset.item);
const ready = () => document.querySelector('#recommendations button') &&
    !document.querySelector('#train').disabled;
const textOf = (selector) => document.querySelector(selector).textContent;
const press = (selector) => document.querySelector(selector).click();
const trained = () => document.querySelector('#status').textContent.startsWith('Trained');
const compared = () => [...document.querySelectorAll('#results td')].every((cell) =>
    cell.textContent !== '–');
const table = () => [...document.querySelectorAll('#results tr')].map((row) =>
    [...row.querySelectorAll('td')].slice(0, 2).map((cell) => Number(cell.textContent)));
const lossCurve = () => document.querySelector('#loss').getAttribute('points');

// The tiles of all departments, until the one with the item is shown.
function clickOn(item) {
    for (const department of document.querySelectorAll('#themes input')) {
        department.click();
        const tile = document.querySelector(`#tiles [data-item=${item}]`);
        if (tile) return tile.click();
    }
    throw new Error(`there is no ${item}`);
}

// Whether every recommendation shows a visit with the item in it.
const allHaveReasons = () => [...document.querySelectorAll('#recommendations button')].every((button) =>
    [...button.querySelectorAll('.why [role=img]')].some((picture) =>
        picture.getAttribute('aria-label') === button.querySelector('.name').textContent));

function watchCurve() {
    const curve = document.querySelector('#loss');
    window.curves = new Set();
    new MutationObserver(() => window.curves.add(curve.getAttribute('points')))
        .observe(curve, { attributes: true });
}

// The lowest contrast (WCAG 2) of texts with what lies behind them.
function contrast(selector) {
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const luminance = (color) => channels(color).slice(0, 3).map((v) => linear(v / 255))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
        const color = getComputedStyle(element).backgroundColor;
        return channels(color)[3] === 0 ? behind(element.parentElement) : color;
    };
    return Math.min(...[...document.querySelectorAll(selector)].map((element) => {
        const a = luminance(getComputedStyle(element).color), b = luminance(behind(element));
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
}
const TEXTS = '.about, .empty, .name, .why .words, h1, h2, h3, .tiles span, th, td, footer, .status, ' +
    '.brand, .best, .action, .quiet, #methods input:checked + span, #themes span';

// ---- the tests ----

async function visit(browser) {
    await browser.until(ready);
    const why = await browser.run(textOf, '.why');
    expect('before any click popular things are recommended', why === 'popular', why);
    for (const item of expected.clicks) await browser.run(clickOn, item);
    let shown = await browser.run(recommended);
    expect('after some clicks the neighbors recommend what they do outside of the browser',
        same(shown, expected.neighbors), `${shown} instead of ${expected.neighbors}`);
    expect('each with a similar visit that holds it', await browser.run(allHaveReasons));
}

async function training(browser) {
    await browser.run(watchCurve);
    await browser.run(press, '#train');
    await browser.until(trained);
    expect('while the network is trained its loss curve moves', await browser.evaluate('curves.size') >= 3);
    const heights = (await browser.run(lossCurve)).split(' ').map((point) => Number(point.split(',')[1]));
    expect('and goes down', heights.at(-1) > heights[0] + 5, heights.join());
    for (const method of ['gru', 'blend']) {
        await browser.run(press, `#methods [value=${method}]`);
        const shown = await browser.run(recommended);
        expect(`the ${method} that was trained in the page recommends what it does outside of the browser`,
            same(shown, expected[method]), `${shown} instead of ${expected[method]}`);
    }
    await browser.run(press, '#compare');
    await browser.until(compared);
    const rows = await browser.run(table);
    expect('the comparison has what the library measures outside of the browser', same(rows, expected.table),
        `${JSON.stringify(rows)} instead of ${JSON.stringify(expected.table)}`);
}

async function keyboard(browser) {
    await browser.run(press, '#new-visit');
    await browser.run(press, '#themes [value=kitchen]');
    await browser.evaluate('document.querySelector("#tiles button").focus()');
    for (const key of ['ArrowRight', 'ArrowDown', 'Enter']) await browser.press(key);
    const clicked = await browser.evaluate('document.querySelector("#trail [role=img]")?.ariaLabel');
    expect('the keyboard moves among the tiles and clicks one', clicked === 'Orange mug', clicked);
    expect('a screen reader is told what came of it',
        (await browser.run(textOf, '#news')).startsWith('Orange mug clicked. Recommended: '));
    const { nodes } = await browser.send('Accessibility.getFullAXTree');
    const named = nodes.filter(({ ignored, role }) =>
        !ignored && ['button', 'radio', 'image', 'table', 'list', 'group'].includes(role?.value));
    const unnamed = named.filter(({ role, name }) => !name?.value && !['list', 'group'].includes(role.value));
    expect('every control and picture has a name', named.length > 50 && !unnamed.length,
        `${named.length}: ${JSON.stringify(unnamed.slice(0, 3))}`);
}

async function looks(browser) {
    for (const value of ['light', 'dark']) {
        const features = [{ name: 'prefers-color-scheme', value }];
        await browser.send('Emulation.setEmulatedMedia', { features });
        const lowest = await browser.run(contrast, TEXTS);
        expect(`texts are readable in ${value} colors`, lowest >= 4.5, `contrast ${lowest}`);
    }
    for (const width of [320, 390, 768]) {
        await browser.send('Emulation.setDeviceMetricsOverride',
            { width, height: 800, deviceScaleFactor: 1, mobile: true });
        const needed = await browser.evaluate('document.documentElement.scrollWidth');
        expect(`nothing is wider than a screen of ${width} pixels`, needed <= width, `${needed} pixels`);
    }
}

async function offline(browser, url) {
    await browser.until(() => navigator.serviceWorker.controller !== null);
    await browser.evaluate('navigator.serviceWorker.ready.then(() => true)');
    const { messages } = browser;
    expect('nothing is written to the console', !messages.length, messages.join('\n        '));
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await browser.open(url, 1100, 1060);
    await browser.until(ready);
    expect('a page that was seen once works without the network', true);
}

const profile = mkdtempSync(join(tmpdir(), 'sessrec-page-'));
const browser = new Browser(profile);
const ended = new Promise((resolve) => browser.process.on('close', resolve));
const late = setTimeout(() => browser.process.kill('SIGKILL'), 4 * LONGEST);
try {
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${server.address().port}/`;
    await browser.open(url, 1100, 1060);
    await visit(browser);
    await training(browser);
    if (screenshot) await browser.picture(screenshot);
    await keyboard(browser);
    await looks(browser);
    await offline(browser, url);
} catch (error) {
    const messages = [error.message, ...browser.messages];
    expect('the page does what a visitor wants', false, messages.join('\n        '));
}
clearTimeout(late);
browser.process.kill();
server.close();
await ended;
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
report();
