// drawings.js - the things of the shop, drawn by code: 16 shapes of 64 x 64 in 8 colors
import { describe } from './visits.js';

// of each color: its own, a darker and a lighter one
const TONES = {
    red: ['#d9483b', '#9f2a22', '#f9cfc7'],
    orange: ['#e8833a', '#ab5317', '#fcdcc0'],
    yellow: ['#e5b52e', '#a4780d', '#fbecbb'],
    green: ['#5c9f4a', '#376a2b', '#d2ebc8'],
    teal: ['#2f9c95', '#1b6863', '#c2e8e4'],
    blue: ['#3f76c9', '#274f92', '#cbdcf9'],
    violet: ['#8a5cc2', '#5b378e', '#e4d5f7'],
    gray: ['#7b8491', '#4d5560', '#dfe4ea'],
};

const fill = (color, d) => `<path fill="${color}" d="${d}"/>`;
const line = (color, width, d) => `<path fill="none" stroke="${color}" stroke-width="${width}" d="${d}"/>`;
const disc = (color, x, y, r) => `<circle fill="${color}" cx="${x}" cy="${y}" r="${r}"/>`;
const oval = (color, x, y, a, b) => `<ellipse fill="${color}" cx="${x}" cy="${y}" rx="${a}" ry="${b}"/>`;
const box = (color, x, y, width, height, round = 0) =>
    `<rect fill="${color}" x="${x}" y="${y}" width="${width}" height="${height}" rx="${round}"/>`;

const SHAPES = {
    kettle: (own, dark, light) =>
        line(dark, 4, 'M18 28a14 16 0 0 1 28 0') + fill(dark, 'M44 36c5-1 6-8 8-10l7-1c-2 9-5 20-14 23z') +
        fill(own, 'M11 50c-1-14 8-24 20-24s21 10 20 24q0 6-6 6H17q-6 0-6-6z') +
        disc(dark, 31, 24, 4) + line(light, 3, 'M18 47c0-7 3-12 8-14'),
    mug: (own, dark, light) =>
        line(dark, 5, 'M43 26h5a7 7 0 0 1 7 7v3a9 9 0 0 1-9 9h-3') +
        fill(own, 'M11 16h34v30a10 10 0 0 1-10 10H21a10 10 0 0 1-10-10z') + box(light, 11, 27, 34, 8) +
        oval(dark, 28, 16, 17, 4),
    plate: (own, dark, light) =>
        disc(own, 32, 32, 26) + disc(light, 32, 32, 17) + line(dark, 2, 'M32 15a17 17 0 0 1 0 34') +
        line(own, 3, 'M24 32a8 8 0 0 1 8-8'),
    pan: (own, dark, light) =>
        line(dark, 7, 'M40 25L58 10') + disc(dark, 26, 37, 21) + disc(own, 26, 37, 16) +
        line(light, 3, 'M16 36a10 10 0 0 1 9-9'),
    chair: (own, dark, light) =>
        line(dark, 4, 'M18 44l-3 14M46 44l3 14') + box(own, 16, 6, 32, 28, 8) +
        line(light, 3, 'M26 12v16M32 12v16M38 12v16') + box(dark, 12, 35, 40, 10, 5),
    lamp: (own, dark, light) =>
        line(dark, 4, 'M32 30v25') + box(dark, 20, 53, 24, 6, 3) + fill(own, 'M22 7h20l10 26H12z') +
        fill(light, 'M27 12h4l-5 16h-6z'),
    rug: (own, dark, light) =>
        line(dark, 2.5, 'M4 20h56M4 26h56M4 32h56M4 38h56M4 44h56') + box(own, 9, 15, 46, 34, 2) +
        line(light, 2.5, 'M14 20h36v24H14z') + fill(light, 'M32 24l10 8-10 8-10-8z') +
        fill(dark, 'M32 28l5 4-5 4-5-4z'),
    clock: (own, dark, light) =>
        disc(own, 32, 32, 26) + disc(light, 32, 32, 19) + line(dark, 3.5, 'M32 20v12l8 6') +
        line(dark, 2, 'M32 15v3M32 46v3M15 32h3M46 32h3') + disc(dark, 32, 32, 2.5),
    towel: (own, dark, light) =>
        box(dark, 6, 9, 52, 5, 2.5) + box(own, 15, 9, 34, 46, 2) + box(light, 15, 40, 34, 4) +
        box(light, 15, 47, 34, 3) + line(dark, 2, 'M38 15v24'),
    soap: (own, dark, light) =>
        line(dark, 4, 'M32 20v-9H20v3') + box(dark, 26, 18, 12, 8, 2) + box(own, 17, 25, 30, 33, 8) +
        box(light, 22, 36, 20, 13, 3),
    mirror: (own, dark, light) =>
        line(dark, 4, 'M32 50v8M22 58h20') + oval(own, 32, 28, 20, 24) + oval(light, 32, 28, 15, 19) +
        line('#fff', 3, 'M24 30l10-13M27 37l13-17'),
    plant: (own, dark) =>
        fill('#4f9a55', 'M32 38C20 36 15 26 17 13c12 2 17 13 15 25z') +
        fill('#3a7d45', 'M32 38c-1-13 4-24 17-28 2 14-5 25-17 28z') + fill(own, 'M19 42h26l-4 17H23z') +
        box(dark, 16, 36, 32, 8, 2),
    tent: (own, dark, light) =>
        line(dark, 3, 'M32 12l4-6M32 12l-4-6') + fill(own, 'M32 10l28 46H4z') +
        fill(dark, 'M32 22l15 34H17z') + fill(light, 'M32 22l3 34h12z'),
    lantern: (own, dark, light) =>
        line(dark, 3, 'M20 20a12 14 0 0 1 24 0') + fill(own, 'M25 13h14l7 9H18z') +
        box(light, 21, 22, 22, 25) + fill('#f0a92b', 'M32 27c5 6 6 9 6 12a6 6 0 0 1-12 0c0-3 1-6 6-12z') +
        line(dark, 2.5, 'M21 22v25M43 22v25') + box(own, 17, 46, 30, 11, 3),
    boots: (own, dark, light) =>
        fill(own, 'M17 7h18v25l15 7q8 4 8 13v2H17z') + box(dark, 15, 52, 45, 6, 2) +
        box(dark, 15, 7, 22, 6, 3) + line(light, 2.5, 'M27 21h8M27 27h8M28 33l8 2'),
    bag: (own, dark, light) =>
        line(dark, 4, 'M25 13V9a7 7 0 0 1 14 0v4') + box(dark, 9, 30, 46, 20, 6) +
        box(own, 14, 12, 36, 46, 12) + box(dark, 20, 36, 24, 16, 4) +
        line(light, 2.5, 'M21 27h22M25 42h14'),
};

// The picture of an item as SVG. Its name stands beside it, so it is hidden from screen readers.
export function drawing(id) {
    const { color, kind } = describe(id);
    return '<svg viewBox="0 0 64 64" aria-hidden="true" stroke-linecap="round" stroke-linejoin="round">' +
        `${SHAPES[kind](...TONES[color])}</svg>`;
}
