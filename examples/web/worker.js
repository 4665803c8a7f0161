// worker.js - learns and evaluates while the page stays responsive
import { loadTraining } from './sessrec.js';
import { log as visits } from './visits.js';

const NETWORK = { layers: 32, epochs: 6, negatives: 0, 'dropout-hidden': 0.2, seed: 1 };
const NEIGHBORS = 'vstan', BLEND_WEIGHT = 0.2;
const TRAINED_SHARE = 0.85;             // of the month; the rest is for the comparison
const CUTOFF = 5;
const POINT = 500;                      // pairs of clicks that a point of the loss curve is the mean of

let training, before, after;
const files = {}, seconds = {};         // of the methods: neighbors, gru, blend

function learn(method, how) {
    const begin = performance.now();
    files[method] = how();
    seconds[method] = (performance.now() - begin) / 1000;
    postMessage({ learned: method, file: files[method] });
}

async function open() {
    training = await loadTraining(new URL('sessrec_train.wasm', import.meta.url));
    const month = training.log(visits());
    [before, after] = month.split(month.begin + TRAINED_SHARE * (month.end - month.begin));
    postMessage({ log: { visits: before.sessions, clicks: before.events, simd: training.simd } });
    learn('neighbors', () => training.neighbors(before, NEIGHBORS));
}

// Sends the mean loss of the pairs since the last message: the library reports the mean of the epoch so far.
function lossCurve() {
    let epoch = -1, events = 0, sum = 0;
    return (now) => {
        if (now.epoch !== epoch) [epoch, events, sum] = [now.epoch, 0, 0];
        const fresh = now.events - events, total = now.loss * now.events;
        if (fresh < POINT) return;
        postMessage({
            at: (now.epoch + now.step / now.steps) / now.epochs, loss: (total - sum) / fresh,
            epoch: now.epoch + 1, epochs: now.epochs, eventsPerSecond: now.eventsPerSecond,
        });
        [events, sum] = [now.events, total];
    };
}

function train() {
    learn('gru', () => training.train(before, NETWORK, lossCurve()));
    learn('blend', () => training.blend(files.gru, files.neighbors, BLEND_WEIGHT));
    seconds.blend += seconds.gru + seconds.neighbors;
}

function compare() {
    if (!files.gru) train();
    for (const method of ['neighbors', 'gru', 'blend']) {
        const { events, recall, mrr } = training.evaluate(files[method], after, CUTOFF);
        postMessage({ compared: method, cutoff: CUTOFF, events, recall, mrr, seconds: seconds[method] });
    }
}

const actions = { train, compare };
const opened = open();

onmessage = async ({ data }) => {
    try {
        await opened;
        actions[data]();
        postMessage({ done: data });
    } catch (error) {
        postMessage({ failed: error.message });
    }
};
opened.catch((error) => postMessage({ failed: error.message }));
