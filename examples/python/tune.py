#!/usr/bin/env python3
"""Looks for good settings with Optuna, over the spaces that `sessrec tune --print-space` prints.

    python3 tune.py LOG --valid LOG2 [--model gru|knn|rules|blend] [--trials N] [--storage sqlite:///tune.db]

Where `sessrec tune` draws at random, this learns from the trials so far which values are promising (TPE);
both stop networks early that start badly (successive halving). It calls the command line, so it needs Optuna
and build/sessrec, but not the Python package. With --storage a search goes on where it ended. It never sees a
test log: test the best model once, at the end.
"""
import argparse
import json
import os
import re
import subprocess
import tempfile

import optuna

BESIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "sessrec")


def draw(trial, settings):
    """The settings of a trial by name, as text."""
    drawn = {}
    for setting in settings:
        name = setting["name"]
        if any(drawn.get(other) != value for other, value in setting.get("when", {}).items()):
            continue
        if "values" in setting:
            drawn[name] = trial.suggest_categorical(name, setting["values"])
        else:
            value = trial.suggest_float(name, setting["least"], setting["most"], step=setting["step"])
            drawn[name] = f"{value:g}"
    if drawn.get("embedding") == "layers":  # a table of the layer's width
        drawn["embedding"] = drawn["layers"]
    return drawn


def preset(model, drawn):
    """The value of --preset: its name, and what differs from it."""
    name = "vstan" if model == "knn" else drawn["kind"]
    return ",".join([name] + [f"{key}={value}" for key, value in drawn.items() if key != "kind"])


def command_of(options, drawn, output):
    """The command that makes and judges what was drawn."""
    if options.model == "blend":
        return [options.sessrec, "blend", options.network, options.neighbors, options.valid, "-o", output,
                "--weight", f"{drawn['b']},{drawn['epsilon']}"]
    command = [options.sessrec, "train", options.log, "-o", output, "--test", options.valid,
               "--cutoffs", "20", "--threads", str(options.threads)]
    if options.model != "gru":
        return command + ["--model", options.model, "--preset", preset(options.model, drawn)]
    for key, value in drawn.items():
        command += [f"--{key}", value]
    return command + ["--epochs", str(options.epochs), "--valid", options.valid, "--patience", "3"]


def judge(options, drawn, trial):
    """Recall@20 and MRR@20 of a trial on the validation log. Reports the MRR@20 of every epoch."""
    with tempfile.TemporaryDirectory() as folder:
        results = os.path.join(folder, "results.json")
        command = command_of(options, drawn, os.path.join(folder, "model"))
        if options.model != "blend":
            command += ["--json", results]
        said = []
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            said.append(line)
            epoch = re.match(r"epoch (\d+)/.*validation MRR@20 ([\d.]+)", line)
            if not epoch:
                continue
            trial.report(float(epoch.group(2)), int(epoch.group(1)))
            if trial.should_prune():
                process.kill()
                process.wait()
                raise optuna.TrialPruned()
        if process.wait():
            if "not finite" in said[-1] or "diverged" in said[-1]:
                raise optuna.TrialPruned()
            raise RuntimeError("".join(said[-3:]))
        if options.model == "blend":
            figures = re.search(r"Recall@20 ([\d.]+)  MRR@20 ([\d.]+)", said[-1])
            return float(figures.group(1)), float(figures.group(2))
        with open(results, encoding="utf-8") as file:
            test = json.load(file)["test"]
        return test["recall"]["20"], test["mrr"]["20"]


def main():
    """Searches, and prints the best settings and the command that uses them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("log")
    parser.add_argument("--valid", required=True, help="judge every trial on this log")
    parser.add_argument("--model", default="gru", choices=["gru", "knn", "rules", "blend"])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--by", default="both", choices=["both", "recall", "mrr"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--storage", help="a database of Optuna, to go on later")
    parser.add_argument("--network", help="blend: the network's model file")
    parser.add_argument("--neighbors", help="blend: the neighbors' file")
    parser.add_argument("--sessrec", default=os.environ.get("SESSREC", BESIDE), help="the command line")
    options = parser.parse_args()
    if options.model == "blend" and not (options.network and options.neighbors):
        parser.error("--model blend needs --network MODEL and --neighbors MODEL")
    space = json.loads(subprocess.run([options.sessrec, "tune", "--print-space", "--model", options.model],
                                      check=True, capture_output=True, text=True).stdout)

    def objective(trial):
        drawn = draw(trial, space["settings"])
        recall, mrr = judge(options, drawn, trial)
        trial.set_user_attr("recall", recall)
        trial.set_user_attr("mrr", mrr)
        trial.set_user_attr("command", " ".join(command_of(options, drawn, "MODEL")))
        return {"both": recall + mrr, "recall": recall, "mrr": mrr}[options.by]

    study = optuna.create_study(
        direction="maximize", study_name=f"{options.model} by {options.by}", storage=options.storage,
        load_if_exists=True, sampler=optuna.samplers.TPESampler(seed=options.seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3))
    study.optimize(objective, n_trials=max(0, options.trials - len(study.trials)))
    best = study.best_trial
    print(f"best     Recall@20 {best.user_attrs['recall']:.4f}  MRR@20 {best.user_attrs['mrr']:.4f}  "
          f"trial {best.number + 1} of {len(study.trials)}, on {options.valid}")
    print(f"train    {best.user_attrs['command']}")


if __name__ == "__main__":
    main()
