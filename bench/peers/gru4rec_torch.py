#!/usr/bin/env python3
"""GRU4Rec in plain PyTorch: a second opinion on every loss, and a peer to race against.

    gru4rec_torch.py witness DUMP            replay what build/witness wrote, from a file or - for standard
                                             input; a line for each
                                             mini-batch: its loss, the loss computed here
    gru4rec_torch.py speed LOG [options]     train on a log (columns SessionId, ItemId, Time; tab-separated)
                                             and print mini-batches
                                             and evaluated events a second; --help lists the options
    gru4rec_torch.py race LOG                the same for settings on standard input, as `speed ITEMS -
                                             settings` prints them, and clicks
                                             to the 20 best items; lines as those of bench/speed.c

Papers: Hidasi, Karatzoglou, Baltrunas, Tikk (ICLR 2016); Hidasi, Karatzoglou (CIKM 2018); Cho et al. (2014)
for the GRU.
Conventions are those of sessrec.h: gates in the order r, z, n; h' = (1-z) h + z n; gradients stop at one time
step.
"""
import argparse
import csv
import itertools
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

TABLES = ("Wy", "By", "E")  # updated row by row, all other parameters as a whole


def gru_cell(x, h, p, layer, form):
    """One time step; reset-before applies r to the state, reset-after to what the state contributes to the
    candidate."""
    W, U, b = (p[f"L{layer}.{name}"] for name in "WUb")
    H = h.shape[1]
    gates = x @ W + b.view(-1)
    if form == "before":
        r, z = torch.sigmoid(gates[:, :2 * H] + h @ U[:, :2 * H]).chunk(2, 1)
        n = torch.tanh(gates[:, 2 * H:] + (r * h) @ U[:, 2 * H:])
    else:
        past = h @ U + p[f"L{layer}.c"].view(-1)
        r, z = torch.sigmoid(gates[:, :2 * H] + past[:, :2 * H]).chunk(2, 1)
        n = torch.tanh(gates[:, 2 * H:] + r * past[:, 2 * H:])
    return (1 - z) * h + z * n


def activate(scores, activation):
    name, _, a = activation.partition(":")
    return {"linear": lambda: scores, "tanh": lambda: torch.tanh(scores),
            "elu": lambda: F.elu(scores, float(a))}[name]()


def row_losses(scores, kind, activation, bpreg, log_proposal):
    """scores [B, B+N]; the target of row i is column i, every other column a negative."""
    rows = len(scores)
    if log_proposal is not None:
        scores = scores - log_proposal
    y = activate(scores, activation)
    target = y.diagonal().unsqueeze(1)
    if kind == "xe":
        return -F.log_softmax(y, 1).diagonal()
    if kind == "bpr":
        return -F.logsigmoid(target - y).sum(1)
    regularized = torch.sigmoid(y - target) + torch.sigmoid(y ** 2)
    if kind == "top1":
        return regularized.mean(1) - torch.sigmoid(target ** 2).squeeze(1) / y.shape[1]
    own = torch.eye(rows, y.shape[1], dtype=torch.bool, device=y.device)
    log_w = F.log_softmax(y.masked_fill(own, -torch.inf), 1)
    w = log_w.exp()
    if kind == "top1-max":
        return (w * regularized).sum(1)
    if kind == "bpr-max":
        return -torch.logsumexp(log_w + F.logsigmoid(target - y), 1) + bpreg * (w * y ** 2).sum(1)
    raise ValueError(f"no loss {kind}")


class Adagrad:
    """Adagrad with classical momentum on the scaled step. Of a table only the rows that took part move."""

    def __init__(self, parameters, rate, momentum, eps=1e-6):
        self.parameters, self.rate, self.momentum, self.eps = parameters, rate, momentum, eps
        self.acc = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.vel = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def dense(self, name, gradient):
        root = self.acc[name].addcmul_(gradient, gradient).add(self.eps).sqrt_()
        self.parameters[name].add_(self.vel[name].mul_(self.momentum).addcdiv_(gradient, root,
                value=-self.rate))

    def sparse(self, name, ids, gradients):
        rows, place = ids.unique(return_inverse=True)
        # duplicates are added first
        gradient = gradients.new_zeros(len(rows), gradients.shape[1]).index_add_(0, place, gradients)
        acc = self.acc[name].index_select(0, rows).addcmul_(gradient, gradient)
        step = self.vel[name].index_select(0, rows).mul_(self.momentum).addcdiv_(gradient,
                (acc + self.eps).sqrt_(), value=-self.rate)
        self.acc[name].index_copy_(0, rows, acc)
        self.vel[name].index_copy_(0, rows, step)
        self.parameters[name].index_add_(0, rows, step)


class GRU4Rec:
    def __init__(self, parameters, support, options):
        self.p, self.o = parameters, options
        self.log_support = torch.log(support.clamp(min=1).to(torch.get_default_dtype()))
        self.layers = sum(name.endswith(".U") for name in parameters)
        self.tied = "E" not in parameters
        self.h = [torch.zeros(options.batch, parameters[f"L{l}.U"].shape[0]) for l in range(self.layers)]
        self.scores = self.higher = torch.empty(0, 0)
        self.optimizer = Adagrad(parameters, options.rate, options.momentum)
        self.loss = torch.compile(self.forward, dynamic=True) if options.compile else self.forward

    def forward(self, dense, x, wy, by, h, log_proposal):
        """From the rows of the tables that the mini-batch needs to its loss and the new states."""
        states = []
        x = F.dropout(x, self.o.dropout_input) if self.o.dropout_input else x
        for layer, state in enumerate(h):
            x = gru_cell(x, state, dense, layer, self.o.form)
            # the dropped state is also the one that is carried on
            x = F.dropout(x, self.o.dropout) if self.o.dropout else x
            states.append(x)
        rows = row_losses(x @ wy.T + by.view(-1), self.o.loss, self.o.activation, self.o.bpreg, log_proposal)
        return rows.sum() / self.o.batch, states

    def step(self, inputs, targets, start, previous_rows, negatives):
        columns = torch.cat([targets, negatives])
        h = [state[previous_rows].masked_fill(start.bool().unsqueeze(1), 0) for state in self.h]
        leaf = lambda tensor: tensor.detach().requires_grad_()
        dense = {name: leaf(p) for name, p in self.p.items() if name not in TABLES}
        rows = lambda name, ids: leaf(self.p[name].index_select(0, ids))  # faster than [ids]
        x, wy, by = rows("Wy" if self.tied else "E", inputs), rows("Wy", columns), rows("By", columns)
        log_proposal = None
        if self.o.loss == "xe" and self.o.logq:
            log_proposal = self.o.logq * torch.cat([self.log_support[targets],
                                                    self.o.alpha * self.log_support[negatives]])
        loss, states = self.loss(dense, x, wy, by, h, log_proposal)
        gradients = torch.autograd.grad(loss, [x, wy, by, *dense.values()])
        self.h = [state.detach() for state in states]  # gradients stop here

        d_x, d_wy, d_by = gradients[:3]
        if self.tied:
            self.optimizer.sparse("Wy", torch.cat([inputs, columns]), torch.cat([d_x, d_wy]))
        else:
            self.optimizer.sparse("E", inputs, d_x)
            self.optimizer.sparse("Wy", columns, d_wy)
        self.optimizer.sparse("By", columns, d_by)
        for name, gradient in zip(dense, gradients[3:]):
            self.optimizer.dense(name, gradient)
        return loss

    @torch.no_grad()
    def ranks(self, inputs, targets, start, previous_rows):
        """Ranks of the targets among the whole catalogue, first among equals."""
        x = self.p["Wy" if self.tied else "E"][inputs]
        for layer, state in enumerate(self.h):
            h = state[previous_rows].masked_fill(start.bool().unsqueeze(1), 0)
            x = self.h[layer] = gru_cell(x, h, self.p, layer, self.o.form)
        rows = len(x)
        if len(self.scores) < rows:  # kept: new memory for each mini-batch takes longer than the product
            self.scores = torch.empty(rows, len(self.p["Wy"]))
            self.higher = torch.empty(rows, len(self.p["Wy"]), dtype=torch.bool)
        scores, higher = self.scores[:rows], self.higher[:rows]
        torch.addmm(self.p["By"].view(-1), x, self.p["Wy"].T, out=scores)
        torch.gt(scores, scores.gather(1, targets.unsqueeze(1)), out=higher)
        return 1 + higher.sum(1, dtype=torch.int32)  # the default, of 64 bits, takes twice as long


def mini_batches(sessions, width):
    """Session-parallel mini-batches of item lists: inputs, targets, starts, previous rows."""
    queue = iter(s for s in sessions if len(s) > 1)
    # a session, the position in it, the row one mini-batch ago
    slots = [[s, 0, row] for s, row in zip(queue, range(width))]
    while slots:
        pairs = [(s[at], s[at + 1], at == 0, row) for s, at, row in slots]
        yield [torch.tensor(column) for column in zip(*pairs)]
        live = []
        for row, (session, at, _) in enumerate(slots):
            slot = [session, at + 1, row] if at + 2 < len(session) else [next(queue, None), 0, row]
            if slot[0] is not None:
                live.append(slot)
        slots = live


def read_log(path):
    """Sessions as lists of item numbers, in the order of time, and the support of every item."""
    with open(path, newline="") as file:
        rows = sorted((float(r["Time"]), r["SessionId"], r["ItemId"]) for r in csv.DictReader(file,
                delimiter="\t"))
    items, sessions = {}, {}
    for _, session, item in rows:
        sessions.setdefault(session, []).append(items.setdefault(item, len(items)))
    support = np.bincount([item for session in sessions.values() for item in session], minlength=len(items))
    return list(sessions.values()), torch.from_numpy(support)


def random_parameters(items, o):
    """Uniform in +-sqrt(6 / (rows + columns)), biases zero."""
    shapes = {"Wy": (items, o.layers[-1]), "By": (items, 1)}
    if o.embedding:
        shapes["E"] = (items, o.embedding)
    width = o.embedding or o.layers[-1]
    for l, hidden in enumerate(o.layers):
        shapes.update({f"L{l}.W": (width, 3 * hidden), f"L{l}.U": (hidden, 3 * hidden),
                       f"L{l}.b": (1, 3 * hidden)})
        if o.form == "after":
            shapes[f"L{l}.c"] = (1, 3 * hidden)
        width = hidden
    weight = lambda rows, columns: (torch.rand(rows, columns) * 2 - 1) * (6 / (rows + columns)) ** 0.5
    return {name: torch.zeros(shape) if name == "By" or name[-1] in "bc" else weight(*shape) for name,
            shape in shapes.items()}


def witness(o):
    """Replays the stream of bench/witness.c and prints its loss of every mini-batch beside ours."""
    stream = sys.stdin.buffer if o.path == "-" else open(o.path, "rb")
    read = lambda count, kind: np.frombuffer(stream.read(count * np.dtype(kind).itemsize), kind)
    tensor = lambda rows, columns: torch.tensor(read(rows * columns, "<f4").reshape(rows, columns),
                                                dtype=torch.get_default_dtype())
    shapes = {}
    while (line := stream.readline().decode().split())[0] != "end":
        if line[0] == "tensor":
            shapes[line[1]] = int(line[2]), int(line[3])
        else:
            setattr(o, line[0], type(getattr(o, line[0]))(line[1]))
    model = GRU4Rec({name: torch.zeros(shape) for name, shape in shapes.items()},
                    torch.tensor(read(shapes["Wy"][0], "<i8")), o)
    while len(head := read(3, "<i4")):
        rows, negatives, whole_state = (int(n) for n in head)
        if whole_state:
            for name, shape in shapes.items():
                for part in (model.p, model.optimizer.acc, model.optimizer.vel):
                    part[name].copy_(tensor(*shape))
            model.h = [tensor(o.batch, state.shape[1]) for state in model.h]
        batch = torch.tensor(read(4 * rows + negatives, "<i4"),
                             dtype=torch.long).split([rows] * 4 + [negatives])
        print("%.17g %.17g" % (read(1, "<f8")[0], model.step(*batch).item()))


def speed(o):
    """Batches and negatives are made before the clock starts: only the step and the ranking are timed."""
    sessions, support = read_log(o.path)
    model = GRU4Rec(random_parameters(len(support), o), support, o)
    warm_up, batches, wanted = 10, [], o.steps + 10
    while len(batches) < wanted:
        batches += [b for b, _ in zip(mini_batches(sessions, o.batch), range(wanted - len(batches)))
                    if len(b[0]) == o.batch or o.negatives]
    draws = torch.multinomial(support.double() ** o.alpha, wanted * o.negatives,
                              replacement=True).view(wanted, -1) if o.negatives else None
    for i, batch in enumerate(batches):
        if i == warm_up:
            begin = time.perf_counter()
        loss = model.step(*batch, draws[i] if o.negatives else torch.empty(0, dtype=torch.long))
    train = o.steps / (time.perf_counter() - begin)

    model.h = [torch.zeros_like(model.h[l]) for l in range(model.layers)]
    pairs, hits, begin = 0, 0, time.perf_counter()
    for batch, _ in zip(batches, range(o.steps)):
        rank = model.ranks(*batch)
        pairs, hits = pairs + len(rank), hits + (rank <= 20).sum()
    evaluation = pairs / (time.perf_counter() - begin)
    print(f"mini-batches/s {train:.1f}  evaluated events/s {evaluation:.0f}  "
          f"last loss {loss.item():.4f}  recall@20 {hits / pairs:.4f}")


def speed_of(work):
    """Median of five runs of 0.4 s at least, after a warm-up; work returns how much it did."""
    speeds = []
    for _ in range(6):
        begin, done = time.perf_counter(), 0
        while (seconds := time.perf_counter() - begin) < 0.4:
            done += work()
        speeds.append(done / seconds)
    return sorted(speeds[1:])[2]


def race_training(o, setting, sessions, support):
    """Mini-batches a second, of the eager or the compiled form, whichever is faster here. Negatives are drawn
    before the clock starts."""
    name, o.dropout_input, o.dropout = setting[0], float(setting[1]), float(setting[2])
    o.loss = "bpr-max" if "bpr-max" in name else "xe"
    o.activation = "elu:0.5" if o.loss == "bpr-max" else "linear"
    width, o.batch, o.negatives = (int(word.split("=")[1]) for word in name.split() if "=" in word)
    o.layers = [width]
    batches = [b for b, _ in zip(mini_batches(sessions, o.batch), range(1000)) if len(b[0]) == o.batch]
    draws = torch.multinomial(support.double() ** o.alpha, len(batches) * o.negatives,
                              replacement=True).view(len(batches), -1) \
        if o.negatives else torch.empty(len(batches), 0, dtype=torch.long)
    best = 0
    for o.compile in (False, True)[:1 if len(support) > 100000 else 2]:
        torch._dynamo.reset()
        model, at = GRU4Rec(random_parameters(len(support), o), support, o), itertools.cycle(zip(batches,
                draws))

        def step():
            batch, negatives = next(at)
            model.step(*batch, negatives)
            return 1
        try:
            best = max(best, speed_of(step))
        except Exception as error:  # no compiler for torch.compile
            print(f"{name}, compiled: {type(error).__name__}", file=sys.stderr)
    return name, best


@torch.inference_mode()
def race(o):
    settings = [line.rstrip("\n").split("\t") for line in sys.stdin]
    sessions, support = read_log(o.path)
    items, all_threads = len(support), sorted({1, min(16, os.cpu_count())})
    record = lambda value, what: print(f"pytorch\t{what}\t{value:.6g}", flush=True)
    for threads in all_threads:
        torch.set_num_threads(threads)
        suffix = f"{threads} thread{'s' if threads > 1 else ''}"
        for setting in settings:
            with torch.inference_mode(False):
                name, value = race_training(o, setting, sessions, support)
            record(value, f"training, mini-batches/s: {items} items, {name}, {suffix}")
        o.layers, o.batch, o.compile = [100], 128, False
        model = GRU4Rec(random_parameters(items, o), support, o)
        if items <= 100000 and settings:
            batches = itertools.cycle([b for b, _ in zip(mini_batches(sessions, o.batch), range(50))])
            record(speed_of(lambda: len(model.ranks(*next(batches)))),
                   f"evaluation, events/s: {items} items, L=100, {suffix}")
        h, wy, by, seconds = torch.zeros(1, 100), model.p["Wy"], model.p["By"].view(-1), []
        clicks = [item for session in sessions[-1000:] for item in session][:1000 if items > 100000 else 4000]
        for item in clicks[:20] + clicks:
            begin = time.perf_counter()
            h = gru_cell(wy[item:item + 1], h, model.p, 0, o.form)
            torch.topk(torch.addmv(by, wy, h[0]), 20)
            seconds.append(time.perf_counter() - begin)
        seconds = sorted(seconds[20:])
        for share in (0.5, 0.99, 0.999):
            record(1e6 * seconds[int(len(seconds) * share)],
                   f"click and top 20, microseconds: {items} items, {suffix}, p{100 * share:g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("use", choices=["witness", "speed", "race"])
    parser.add_argument("path", help="the dump, or the log")
    parser.add_argument("--layers", type=lambda text: [int(w) for w in text.split(",")], default=[100],
                        help="widths, default 100")
    parser.add_argument("--embedding", type=int, default=0,
                        help="width of a separate embedding; 0 (default): tied")
    parser.add_argument("--form", choices=["before", "after"], default="before")
    parser.add_argument("--loss", choices=["xe", "top1", "bpr", "top1-max", "bpr-max"], default="xe")
    parser.add_argument("--activation", default="linear", help="linear, tanh or elu:A")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--double", action="store_true",
                        help="float64, the truth that float32 programs are measured against")
    parser.add_argument("--compile", action="store_true",
                        help="torch.compile for the forward pass and its gradient")
    for name, value in dict(batch=32, negatives=2048, alpha=0.5, logq=1.0, bpreg=1.0, rate=0.2, momentum=0.2,
                            dropout=0.0, dropout_input=0.0).items():
        parser.add_argument("--" + name, type=type(value), default=value)
    o = parser.parse_args()
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64 if o.double else torch.float32)
    torch.set_num_threads(o.threads)
    # saturated gates make denormal numbers, which slow every product with one of them
    torch.set_flush_denormal(True)
    {"witness": witness, "speed": speed, "race": race}[o.use](o)


if __name__ == "__main__":
    main()
