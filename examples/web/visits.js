// visits.js - a made-up shop and what its visitors click: a log for the page to learn from
//
// A visitor has a theme and a favorite color in mind. After a thing they mostly look at what goes with it in
// the same color, in a fixed order (a kettle, then mugs, plates, pans), else at the same thing in another
// color. Integers only, so that every browser makes the same log.

export const COLORS = ['red', 'orange', 'yellow', 'green', 'teal', 'blue', 'violet', 'gray'];
export const THEMES = {
    kitchen: ['kettle', 'mug', 'plate', 'pan'],
    living: ['chair', 'lamp', 'rug', 'clock'],
    bath: ['towel', 'soap', 'mirror', 'plant'],
    outdoors: ['tent', 'lantern', 'boots', 'bag'],
};
const THEME_NAMES = Object.keys(THEMES);
// What somebody may think of after a thing of another theme.
const ASIDE = {
    mug: 'chair', lamp: 'lantern', rug: 'towel', plant: 'chair', lantern: 'kettle', bag: 'towel',
};
const OPENING = 1735689600, DAY = 86400, DAYS = 30, PLACES = 8;

export const ITEMS = THEME_NAMES.flatMap((theme) =>
    THEMES[theme].flatMap((kind) => COLORS.map((color) => `${color}-${kind}`)));

export function describe(id) {
    const [color, kind] = id.split('-');
    return { color, kind, name: `${color[0].toUpperCase()}${color.slice(1)} ${kind}` };
}

// Numbers in [0,n) that depend on the seed only.
function dice(seed) {
    let state = seed | 0;
    return (n) => {
        state = (state + 0x6d2b79f5) | 0;
        let x = Math.imul(state ^ (state >>> 15), state | 1);
        x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
        return ((x ^ (x >>> 14)) >>> 0) % n;
    };
}

// Lower numbers are more frequent.
const popular = (roll, n) => Math.min(roll(n), roll(n));

function next(roll, { color, kind, theme }, favorite) {
    const kinds = THEMES[theme], at = kinds.indexOf(kind), mood = roll(100);
    if (mood < 50) return { color, kind: kinds[(at + 1) % kinds.length], theme };
    if (mood < 72) return { color: COLORS[(COLORS.indexOf(color) + 1 + roll(2)) % PLACES], kind, theme };
    if (mood < 86) return { color: favorite, kind: kinds[popular(roll, kinds.length)], theme };
    if (mood < 94 && ASIDE[kind]) {
        const aside = ASIDE[kind];
        return { color, kind: aside, theme: THEME_NAMES.find((name) => THEMES[name].includes(aside)) };
    }
    return start(roll, COLORS[popular(roll, PLACES)]);
}

function start(roll, color) {
    const theme = THEME_NAMES[popular(roll, THEME_NAMES.length)];
    return { color, kind: THEMES[theme][popular(roll, THEMES[theme].length)], theme };
}

// One visit: two clicks at least, five on average.
function visit(roll) {
    const favorite = COLORS[popular(roll, PLACES)], clicks = [start(roll, favorite)];
    do {
        clicks.push(next(roll, clicks.at(-1), favorite));
    } while (clicks.length < 20 && roll(4));
    return clicks;
}

// The log of a month as text: SessionId, ItemId, Time.
export function log(visits = 6000, seed = 1) {
    const roll = dice(seed), lines = ['SessionId\tItemId\tTime'];
    for (let number = 0; number < visits; ++number) {
        let time = OPENING + Math.floor((DAYS * DAY * number) / visits);
        for (const { color, kind } of visit(roll)) {
            lines.push(`visit-${number + 1}\t${color}-${kind}\t${time}`);
            time += 5 + roll(60);
        }
    }
    return `${lines.join('\n')}\n`;
}
