// web_expect.mjs - counts what the tests of the web page expect

let passed = 0, failed = 0;

// A sentence that says what is true, and whether it is; `detail` is shown if it is not.
export function expect(sentence, holds, detail = '') {
    if (holds) ++passed;
    else {
        ++failed;
        console.log(`FAILED  ${sentence}${detail && `\n        ${detail}`}`);
    }
}

export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// The closing line and the exit status.
export function report() {
    console.log(`${passed} passed, ${failed} failed, 0 skipped`);
    process.exitCode = failed ? 1 : 0;
}
