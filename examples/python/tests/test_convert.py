"""Weights that go out and come back give the same recommendations; another runtime gives the same scores."""
import numpy as np
import pytest
from test_sessrec import SMALL, shop

import sessrec
from sessrec import convert

FORMS = [dict(gru="reset-before"), dict(gru="reset-after"), dict(gru="reset-after", layers=[12, 16]),
         dict(gru="reset-before", embedding="none"), dict(gru="reset-after", embedding=8)]


@pytest.fixture(scope="module", params=FORMS, ids=str)
def model(request):
    return sessrec.Model.fit(sessrec.Log.from_arrays(*shop(90)), **{**SMALL, "epochs": 2, **request.param})


def same(model, other):
    for visit in (["kettle"], ["grinder", "beans"], ["beans", "scale", "filter"]):
        assert other.recommend(visit, 5) == model.recommend(visit, 5)


def test_arrays_there_and_back(model):
    same(model, convert.from_arrays(convert.to_arrays(model), model.item_ids, convert.FORMS[model.info.gru]))


def test_safetensors_there_and_back(model, tmp_path):
    pytest.importorskip("safetensors")
    convert.to_safetensors(model, tmp_path / "m.safetensors")
    same(model, convert.from_safetensors(tmp_path / "m.safetensors"))


def test_onnx_gives_the_same_scores(model, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    convert.to_onnx(model, tmp_path / "m.onnx")
    run = runtime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    state = {f"hidden{i}": np.zeros((1, model.info.hidden[i]), np.float32)
             for i in range(model.info.layer_count)}
    session = model.session()
    for click in ("grinder", "beans", "filter"):
        scores, *hidden = run.run(None, {"item": np.array([model.item(click)]), **state})
        state = dict(zip(state, hidden))
        session.click(click)
        for item, score in session.recommend(9, allow_seen=True):
            assert scores[0, model.item(item)] == pytest.approx(score, rel=1e-5, abs=1e-5)


def test_pytorch_there_and_back(model):
    torch = pytest.importorskip("torch")
    if convert.FORMS[model.info.gru] != "reset-after":
        with pytest.raises(ValueError):
            convert.to_torch(model)
        return
    state = convert.to_torch(model)
    same(model, convert.from_torch(state, {item: row for row, item in enumerate(model.item_ids)}))
    # PyTorch's own cells give the scores that the library has.
    x = state.get("E.weight", state["Wy.weight"])[model.item("kettle")][None]
    for layer in range(model.info.layer_count):
        cell = torch.nn.GRUCell(x.shape[1], model.info.hidden[layer])
        cell.load_state_dict({name.split(".")[2]: values for name, values in state.items()
                              if name.startswith(f"G.{layer}.")})
        x = cell(x, torch.zeros(1, model.info.hidden[layer]))
    scores = (x @ state["Wy.weight"].T + state["By.weight"].T)[0].detach().numpy()
    for item, score in model.recommend(["kettle"], 9, allow_seen=True):
        assert scores[model.item(item)] == pytest.approx(score, rel=1e-4, abs=1e-5)


def test_embeddings_as_text(model, tmp_path):
    convert.to_tsv(model, tmp_path / "items.tsv")
    rows = [line.rstrip("\n").split("\t") for line in open(tmp_path / "items.tsv", encoding="utf-8")]
    assert [row[0] for row in rows] == model.item_ids
    assert np.array_equal(np.array([row[1:] for row in rows], dtype=np.float32), model.tensor("Wy"))
