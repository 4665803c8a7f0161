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


def test_embeddings_as_an_array(model, tmp_path):
    convert.to_npy(model, tmp_path / "items.npy")
    assert np.array_equal(np.load(tmp_path / "items.npy"), model.tensor("Wy"))
    assert (tmp_path / "items.npy.ids").read_text(encoding="utf-8").split() == model.item_ids


# ---- PyTorch's own modules ----

def scores_of(model, clicks):
    session = model.session()
    for click in clicks:
        session.click(click)
    return session.score(model.item_ids)


def test_layers_of_torch_nn_gru_give_the_same_scores():
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    ids = [f"item {number}" for number in range(50)]

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(50, 12)
            self.gru = torch.nn.GRU(12, 20, num_layers=2)
            self.out = torch.nn.Linear(20, 50)

        def forward(self, items):
            return self.out(self.gru(self.table(items))[0])[-1]

    network = Network()
    model = convert.from_torch(network.state_dict(), ids, "out.weight", "out.bias", "table.weight", "gru")
    assert (model.info.layer_count, model.info.embedding_width) == (2, 12)
    for clicks in ([7], [3, 3, 41], list(range(20))):
        with torch.no_grad():
            expected = network(torch.tensor(clicks)).numpy()
        assert np.allclose(scores_of(model, [ids[item] for item in clicks]), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shared", (True, False))
def test_a_network_in_the_layout_of_the_authors_program_recommends_the_same(shared):
    """Tables Wy and By, E if input and output share none, GRU cells G, and an item map from ids to rows."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(2)
    session, item, _ = shop(60)
    item_map = {name: row for row, name in enumerate(sorted(set(item)))}

    class Layout(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.Wy, self.By = torch.nn.Embedding(9, 16), torch.nn.Embedding(9, 1)
            if not shared:
                self.E = torch.nn.Embedding(9, 16)
            self.G = torch.nn.ModuleList([torch.nn.GRUCell(16, 16)])

        def forward(self, items, hidden):
            hidden = self.G[0]((self.Wy if shared else self.E)(items), hidden)
            return hidden @ self.Wy.weight.T + self.By.weight.T, hidden

    network = Layout()
    visits = torch.tensor([item_map[name] for name in item]).reshape(-1, 4)
    steps = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(40):
        hidden, loss = torch.zeros(len(visits), 16), 0
        for click in range(3):
            scores, hidden = network(visits[:, click], hidden)
            loss = loss + torch.nn.functional.cross_entropy(scores, visits[:, click + 1])
        steps.zero_grad()
        loss.backward()
        steps.step()
    assert loss < 3  # it has learned
    model = convert.from_torch({"model." + name: values for name, values in network.state_dict().items()},
                               item_map)
    for visit in (["kettle"], ["grinder", "beans"], ["beans", "scale", "filter"]):
        hidden = torch.zeros(1, 16)
        for name in visit:
            scores, hidden = network(torch.tensor([item_map[name]]), hidden)
        scores = scores[0].detach().numpy()
        assert np.allclose(scores_of(model, visit)[[model.item(name) for name in item_map]], scores,
                           rtol=1e-5, atol=1e-5)
        order = [name for name in np.array(list(item_map))[np.argsort(-scores)] if name not in visit]
        assert [name for name, _ in model.recommend(visit, 3)] == order[:3]


@pytest.mark.parametrize("mode", convert.USER_MODES)
def test_a_hierarchical_network_from_matrices_of_single_gates(mode):
    """As programs keep them that have a matrix for each gate, with an update gate of the other meaning."""
    session, item, time = shop(90)
    model = sessrec.Model.fit(sessrec.Log.from_arrays(session, item, time, session % 15), user_hidden=8,
                              user_mode=mode, **{**SMALL, "epochs": 2})
    arrays = convert.to_arrays(model)
    gated = [name for name in arrays if name[0] in "LUC"]
    assert len(gated) == (6 if mode == "init" else 7)
    for name in gated:
        reset, update, candidate = np.split(arrays[name], 3, axis=1)
        arrays[name] = convert.join_gates(reset, -update, candidate, update_keeps=True)
    copy = convert.from_arrays(arrays, model.item_ids, "reset-before", user_mode=mode)
    answers = []
    for each in (model, copy):
        user, visit = each.user(), each.session()
        for click in ("kettle", "tea", "honey"):
            visit.click(click)
        user.fold(visit)
        user.begin(visit)
        visit.click("beans")
        answers.append(visit.recommend(5))
    assert answers[0] == answers[1]
    assert all(np.array_equal(values, convert.to_arrays(copy)[name]) for name, values in arrays.items())
