"""Weights in and out: PyTorch, ONNX, safetensors, TSV.

PyTorch's GRU is the form reset-after, with another convention: its update gate z says how much of the old
state stays, ours how much of the candidate comes in, so ours is 1 - z, and 1 - sigmoid(a) = sigmoid(-a): the
z rows of both matrices and biases change sign. Its matrices have a row for each output, ours a row for each
input.
"""
from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from ._library import ffi, lib
from ._log import Log, check, error
from ._model import Model, options

EMBEDDINGS = ("tied", "separate", "none")
FORMS = ("reset-before", "reset-after")
USER_MODES = ("init", "all", "gates")


# ---- models from arrays ------------------------------------------------------------------------------------

def from_arrays(tensors: Mapping[str, Any], item_ids: Sequence[Any], gru: str = "reset-after",
                support: Optional[Any] = None, user_mode: Optional[str] = None) -> Model:
    """A model of matrices with the library's names and shapes (manual, sessrec_model_tensor): "Wy" [V,H],
    "By" [V,1], "E" [V,D], "L0.W" [D,3H], "L0.U" [H,3H], "L0.b" [1,3H], "L0.c" [1,3H] and so on; of HRNN
    "U0.W", "I0.W", "C0.W" too. support: clicks of each item, for popularity. user_mode: "init", "all" (if
    there is a C0.W) or "gates"."""
    item_count, layers = len(item_ids), sum(name.endswith(".U") and name[0] == "L" for name in tensors)
    config = options(gru=gru, layers=[np.shape(tensors[f"L{layer}.U"])[0] for layer in range(layers)],
                     negatives=0)
    if "E" in tensors:
        config.embedding, config.embedding_width = EMBEDDINGS.index("separate"), np.shape(tensors["E"])[1]
    elif np.shape(tensors["L0.W"])[0] != np.shape(tensors["Wy"])[1]:
        config.embedding = EMBEDDINGS.index("none")
    if "U0.U" in tensors:
        config.user_hidden = np.shape(tensors["U0.U"])[0]
        config.user_mode = USER_MODES.index(user_mode or ("all" if "C0.W" in tensors else "init"))
    # A trainer numbers items in the order of their first click: one session of all of them is a log to make
    # it from.
    counts = np.ones(item_count, dtype=np.int64) if support is None else np.asarray(support, dtype=np.int64)
    clicks = np.repeat(np.arange(item_count), np.maximum(counts, 1))
    log = Log.from_arrays(np.zeros(len(clicks), dtype=np.int64),
                          np.asarray([str(i) for i in item_ids])[clicks],
                          np.arange(len(clicks), dtype=np.float64), np.zeros(len(clicks), dtype=np.int64)
                          if config.user_hidden else None)
    out, err = ffi.new("sessrec_trainer **"), error()
    check(lib.sessrec_trainer_create(config, log._handle, out, err), err)
    trainer = ffi.gc(out[0], lib.sessrec_trainer_destroy)
    model = ffi.new("sessrec_model **")
    for name, values in tensors.items():
        tensor = ffi.new("sessrec_mutable_tensor *")
        check(lib.sessrec_trainer_tensor(trainer, name.encode(), tensor, err), err)
        array = np.ascontiguousarray(values, dtype=np.float32).reshape(tensor.rows, tensor.columns)
        ffi.memmove(tensor.data, ffi.from_buffer(array), array.nbytes)
    check(lib.sessrec_trainer_take_model(trainer, model, err), err)
    return Model(model[0])


def join_gates(reset: Any, update: Any, candidate: Any, update_keeps: bool = False) -> np.ndarray:
    """One matrix [D,3H] or bias [1,3H] of three with a column for each output, as programs keep them that
    have a matrix for each gate. update_keeps: their update gate says how much of the old state stays, so that
    its sign changes."""
    parts = [np.atleast_2d(np.asarray(part, np.float32)) for part in (reset, update, candidate)]
    if update_keeps:
        parts[1] = -parts[1]
    return np.concatenate(parts, axis=1)


def to_arrays(model: Model) -> Dict[str, np.ndarray]:
    """All matrices of a model, as copies."""
    return {name: model.tensor(name).copy() for name in model.tensor_names}


# ---- PyTorch -----------------------------------------------------------------------------------------------

def _other_z(matrix: np.ndarray) -> np.ndarray:
    """Rows r, z, n of PyTorch: the z rows with the other sign."""
    changed = np.array(matrix, dtype=np.float32)
    third = len(changed) // 3
    changed[third:2 * third] *= -1
    return changed


def from_torch(state: Mapping[str, Any], item_ids: Sequence[Any], output: str = "Wy.weight",
               bias: str = "By.weight",
               embedding: str = "E.weight", layer: str = "G.{}", support: Optional[Any] = None) -> Model:
    """A model of a PyTorch state dict: an output table [V,H], a bias [V] or [V,1], GRU cells `layer` with
    weight_ih [3H,D], weight_hh [3H,H], bias_ih, bias_hh (or torch.nn.GRU's weight_ih_l0 and so on, with
    layer="gru"), and, unless input and output share a table, an embedding [V,D]. item_ids has the id of each
    row, as a list or as the authors' item map (id -> row)."""
    if isinstance(item_ids, Mapping) or hasattr(item_ids, "items"):
        rows = dict(item_ids.items())
        item_ids = sorted(rows, key=lambda item_id: rows[item_id])
    state = {name: np.asarray(values.detach().cpu() if hasattr(values, "detach") else values,
                              dtype=np.float32)
             for name, values in state.items()}

    def find(name: str) -> Any:
        """By its whole name, or where a module around it puts something in front."""
        return next((values for other, values in state.items() if other == name
                     or other.endswith("." + name)), None)

    tensors: Dict[str, np.ndarray] = {"Wy": find(output)}
    if tensors["Wy"] is None:
        raise KeyError(f"the state dict has no {output}; it has {', '.join(state)}")
    by = find(bias)
    tensors["By"] = np.zeros(len(tensors["Wy"]), np.float32) if by is None else by
    if find(embedding) is not None:
        tensors["E"] = find(embedding)
    for number in range(4):
        name = layer.format(number)
        parts = [find(f"{name}.{part}") if "{}" in layer else find(f"{name}.{part}_l{number}")
                 for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        if parts[0] is None:
            break
        W, U, b, c = (_other_z(part) for part in parts)
        tensors.update({f"L{number}.W": W.T, f"L{number}.U": U.T, f"L{number}.b": b, f"L{number}.c": c})
    return from_arrays(tensors, item_ids, "reset-after", support)


def to_torch(model: Model) -> Dict[str, Any]:
    """The state dict that from_torch reads."""
    import torch

    if FORMS[model.info.gru] != "reset-after":
        raise ValueError("PyTorch's GRU has the form reset-after; this model was trained with reset-before")
    arrays = to_arrays(model)
    state = {"Wy.weight": arrays["Wy"], "By.weight": arrays["By"]}
    if "E" in arrays:
        state["E.weight"] = arrays["E"]
    for layer in range(model.info.layer_count):
        for name, ours in (("weight_ih", "W"), ("weight_hh", "U"), ("bias_ih", "b"), ("bias_hh", "c")):
            values = arrays[f"L{layer}.{ours}"]
            state[f"G.{layer}.{name}"] = _other_z(values.T if values.shape[0] > 1 or ours in "WU"
                                                  else values[0])
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in state.items()}


# ---- ONNX --------------------------------------------------------------------------------------------------

def to_onnx(model: Model, path: Any) -> None:
    """One click as an ONNX graph: item [N] int64 and hidden0 .. [N,H] in, scores [N,V] and the new hidden
    states out."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    info, arrays = model.info, to_arrays(model)
    if info.user_hidden:
        raise ValueError("a model with users has no ONNX form here")
    nodes: list = []
    constants = {"one": np.ones(1, np.float32), "WyT": arrays["Wy"].T, "By": arrays["By"].reshape(1, -1)}

    def op(kind: str, *inputs: str, out: str = "") -> str:
        name = out or f"t{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [name]))
        return name

    def gate(layer: int, name: str, number: int, matrix: str) -> str:
        """Columns of one gate of a matrix or bias, as a constant."""
        width = info.hidden[layer]
        key = f"L{layer}.{matrix}{name}"
        constants[key] = arrays[f"L{layer}.{matrix}"][:, number * width:(number + 1) * width]
        return key

    one_hot = EMBEDDINGS[info.embedding] == "none"
    if not one_hot:
        constants["table"] = arrays["E"] if "E" in arrays else arrays["Wy"]
    x = "" if one_hot else op("Gather", "table", "item")
    outputs = []
    for layer in range(info.layer_count):
        h, gates = f"hidden{layer}", {}
        for number, name in enumerate("rzn"):
            W, U, b = (gate(layer, name, number, matrix) for matrix in "WUb")
            gates[name] = (op("Add", op("Gather", W, "item") if not x else op("MatMul", x, W), b), U)
        r, z = (op("Sigmoid", op("Add", gates[name][0], _recurrent(op, gate, arrays, layer, name, number, h,
                gates[name][1])))
                for number, name in enumerate("rz"))
        if FORMS[info.gru] == "reset-before":
            past = op("MatMul", op("Mul", r, h), gates["n"][1])
        else:
            past = op("Mul", r, _recurrent(op, gate, arrays, layer, "n", 2, h, gates["n"][1]))
        n = op("Tanh", op("Add", gates["n"][0], past))
        x = op("Add", op("Mul", op("Sub", "one", z), h), op("Mul", z, n), out=f"new_hidden{layer}")
        outputs.append(helper.make_tensor_value_info(x, TensorProto.FLOAT, ["N", info.hidden[layer]]))
    scores = op("Add", op("MatMul", x, "WyT"), "By", out="scores")
    inputs = [helper.make_tensor_value_info("item", TensorProto.INT64, ["N"])]
    inputs += [helper.make_tensor_value_info(f"hidden{i}", TensorProto.FLOAT, ["N", info.hidden[i]])
               for i in range(info.layer_count)]
    outputs.insert(0, helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["N", info.item_count]))
    graph = helper.make_graph(nodes, "sessrec", inputs, outputs,
                              [numpy_helper.from_array(np.ascontiguousarray(values), name) for name,
                               values in constants.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(made, {"item_ids": json.dumps(model.item_ids)})
    onnx.checker.check_model(made)
    onnx.save(made, str(path))


def _recurrent(op: Any, gate: Any, arrays: Any, layer: int, name: str, number: int, h: str, U: str) -> str:
    """h U, with the recurrent bias where the form has one."""
    product = op("MatMul", h, U)
    return op("Add", product, gate(layer, name, number, "c")) if f"L{layer}.c" in arrays else product


# ---- safetensors, embeddings -------------------------------------------------------------------------------

def to_safetensors(model: Model, path: Any) -> None:
    """All matrices, with ids, support and the form of the GRU as metadata."""
    from safetensors.numpy import save_file

    support: List[int] = [lib.sessrec_model_support(model._handle, item) for item in range(model.item_count)]
    save_file(to_arrays(model), str(path), {"sessrec": "1", "gru": FORMS[model.info.gru],
                                            "user_mode": USER_MODES[model.info.user_mode],
                                            "item_ids": json.dumps(model.item_ids),
                                            "support": json.dumps(support)})


def from_safetensors(path: Any) -> Model:
    from safetensors import safe_open

    with safe_open(str(path), "np") as file:
        facts = file.metadata() or {}
        if facts.get("sessrec") != "1":
            raise ValueError(f"{path} was not written by sessrec.convert.to_safetensors")
        return from_arrays({name: file.get_tensor(name) for name in file.keys()},
                           json.loads(facts["item_ids"]), facts["gru"],
                           json.loads(facts["support"]), facts.get("user_mode"))


def to_tsv(model: Model, path: Any) -> None:
    """The output row of each item: its id, then its numbers."""
    with open(path, "w", encoding="utf-8") as file:
        for item_id, row in zip(model.item_ids, model.tensor("Wy")):
            file.write("\t".join([item_id, *(repr(float(value)) for value in row)]) + "\n")


def to_npy(model: Model, path: Any) -> None:
    """The output rows of all items [V,H] as one array of numpy, and their ids in the file PATH.ids, one a
    line."""
    with open(path, "wb") as file:
        np.save(file, model.tensor("Wy"))
    with open(f"{os.fspath(path)}.ids", "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{item_id}\n" for item_id in model.item_ids)
