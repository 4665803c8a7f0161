// The types of sessrec.js.

/** The content of a file: a model, neighbors, rules or a blend, as C, Python or the command line wrote it. */
export type FileContent = ArrayBuffer | ArrayBufferView;

/** A .wasm file: its address, a response with it, its bytes, or the compiled module. */
export type Source = string | URL | Response | BufferSource | WebAssembly.Module;

/** Loads sessrec.wasm, which recommends. */
export function load(source: Source): Promise<Library>;

/** Loads sessrec_train.wasm, which also trains. It computes for seconds: call it in a worker. */
export function loadTraining(source: Source): Promise<Training>;

export interface Library {
    /** Opens a file; fails with a sentence if it is damaged. Drop the model to free its memory. */
    open(data: FileContent): Promise<Model>;
}

export interface Model {
    readonly itemCount: number;
    /** false: the file was written without ids, and an item's number stands for its id. */
    readonly hasIds: boolean;
    /** The kernels in use: 'plain' or 'v128'. */
    readonly simd: string;
    /** The number of an id, -1 if the model does not know it. */
    find(id: string | number): number;
    /** The id of an item's number, null if there is none. */
    id(item: number): string | null;
    /** A visitor, to whom their last `remember` items (default 20) are not recommended. */
    session(remember?: number): Session;
    /** The ids that a session of an index of neighbors clicked, in order; [] in other files. */
    visit(session: number, most?: number): string[];
}

export interface Recommendation {
    item: string;
    score: number;
}

/** A session of the index that holds the item: its share of the score, and when it ended. */
export interface NeighborReason {
    part: number;
    session: number;
    time: number;
}

/** A rule: after these clicks, the last one first, `held` of `of` sessions went on to the item. */
export interface RuleReason {
    part: number;
    context: string[];
    held: number;
    of: number;
}

export interface Session {
    /** The visitor clicked an item. Returns whether the model knows it. */
    click(id: string | number): boolean;
    /** The best k items (default 10), the best first. */
    recommend(k?: number, options?: { skipSeen?: boolean }): Recommendation[];
    /** Why an item is recommended, the strongest reason first; a network gives none. */
    reasons(id: string | number, most?: number): Array<NeighborReason | RuleReason>;
    /** The visitor has gone: the next click begins a new session. */
    end(): void;
}

export interface Progress {
    epoch: number;
    epochs: number;
    step: number;
    steps: number;
    /** Pairs of clicks of the epoch so far. */
    events: number;
    /** The mean over these pairs. */
    loss: number;
    eventsPerSecond: number;
}

export interface Log {
    readonly events: number;
    readonly sessions: number;
    readonly items: number;
    /** Seconds of the first session's first click, and of the last click of all. */
    readonly begin: number;
    readonly end: number;
    /** The sessions that end before a time in seconds, and those that begin then or later. */
    split(time: number): [Log, Log];
    free(): void;
}

export interface Report {
    events: number;
    /** Events of items that the file does not know. */
    unknown: number;
    recall: number;
    mrr: number;
}

export interface Training {
    readonly simd: string;
    /** Reads clicks: a header line and the columns SessionId, ItemId and Time, as CSV, TSV or JSON lines. */
    log(clicks: string): Log;
    /** Trains a network; settings have the names of the command line. The result is a model file. */
    train(log: Log, settings?: Record<string, string | number>,
          progress?: ((progress: Progress) => boolean | void) | null): Uint8Array;
    /** An index of session neighbors. */
    neighbors(log: Log, preset?: 'sknn' | 'vsknn' | 'stan' | 'vstan' | 'vmis'): Uint8Array;
    /** A network and neighbors in one file. */
    blend(network: FileContent, neighbors: FileContent, weight?: number): Uint8Array;
    /** Recall@cutoff and MRR@cutoff (default 20) over every click but the first of each session. */
    evaluate(file: FileContent, log: Log, cutoff?: number): Report;
}
