"""Neighbors, rules, blends and scorers in Python: what they recommend, why, and that files keep them."""
import pickle
import threading

import numpy as np
import pytest
from test_sessrec import SMALL, shop

import sessrec
from sessrec._library import ffi
from sessrec._scorer import RANKS


@pytest.fixture(scope="module")
def log():
    return sessrec.Log.from_arrays(*shop(90))


@pytest.fixture(scope="module")
def model(log):
    return sessrec.Model.fit(log, **SMALL)


@pytest.fixture(scope="module")
def neighbors(log):
    return sessrec.Neighbors.fit(log, preset="vsknn", k=50)


@pytest.fixture(scope="module")
def rules(log):
    return sessrec.Rules.fit(log, kind="markov", order=2)


@pytest.fixture(scope="module")
def blend(model, neighbors):
    return sessrec.Blend.of((model, 1), (neighbors, 0.5))


@pytest.fixture(scope="module")
def quantized(model):
    return sessrec.Quantized.of(model)


class Again(sessrec.OwnScorer):
    """People go back: the last clicks, the newest most."""

    def score(self, clicks, times):
        return {item: place for place, item in enumerate(clicks, 1)}


class Dense(sessrec.OwnScorer):
    """The same as an array over the catalog."""

    def score(self, clicks, times):
        scores = np.full(self.item_count, np.nan)
        for place, item in enumerate(clicks, 1):
            scores[self.item(item)] = place
        return scores


def test_a_row_of_ranks_is_an_event_of_the_library():
    event = ffi.typeof("sessrec_event")
    assert [(name, field.offset) for name, field in event.fields] == \
        [(name, RANKS.fields[name][1]) for name in RANKS.names] and ffi.sizeof(event) == RANKS.itemsize


def test_every_kind_learns_the_routes(model, neighbors, rules, blend, quantized):
    for scorer in (model, neighbors, rules, blend, quantized):
        assert scorer.recommend(["kettle", "tea"], k=1)[0][0] == "honey"


def test_every_kind_of_file_is_loaded_as_what_it_is(tmp_path, model, neighbors, rules, blend, quantized):
    assert len(quantized.to_bytes()) < len(model.to_bytes())
    for scorer in (model, neighbors, rules, blend, quantized):
        path = tmp_path / type(scorer).__name__
        scorer.save(path)
        copies = [sessrec.load(path), sessrec.load(path, mapped=True), pickle.loads(pickle.dumps(scorer)),
                  type(scorer).load(path)]
        for copy in copies:
            assert type(copy) is type(scorer)
            assert copy.recommend(["grinder", "beans"], 5) == scorer.recommend(["grinder", "beans"], 5)
    with pytest.raises(TypeError, match="Blend"):
        sessrec.Model.load(tmp_path / "Blend")
    (tmp_path / "no").write_text("no model")
    with pytest.raises(ValueError, match="no is not"):
        sessrec.load(tmp_path / "no")


def test_every_kind_is_evaluated(model, neighbors, rules, blend):
    test = sessrec.Log.from_arrays(*shop(30, first=1000))
    for scorer in (model, neighbors, rules, blend):
        report = scorer.evaluate(test, cutoffs=(1, 5), ranks=True, coverage=True)
        assert report.recall[5] == pytest.approx(np.mean(report.ranks["rank"] <= 5))
        assert report.recall[5] > 0.6
        assert sum(group.event_count for group in report.by_position) == report.event_count == 90
        assert 0 < report.coverage[5] <= 1
    assert sessrec.Popularity.fit(test).evaluate(test, cutoffs=(1,)).recall[1] < 0.5


def test_many_at_once_are_the_same_as_one_by_one(model, neighbors, rules, blend):
    visits = [["kettle"], ["grinder", "beans"], ["beans", "scale"], []] * 20
    for scorer in (model, neighbors, rules, blend):
        assert scorer.recommend_many(visits, k=3) == [scorer.recommend(visit, k=3) for visit in visits]


def test_rules_and_neighbors_have_reasons(neighbors, rules):
    session = rules.session()
    session.click("kettle")
    reason = session.reasons("tea")[0]
    assert (reason.context, reason.held, reason.of, reason.session) == (["kettle"], 30, 30, -1)
    session = neighbors.session()
    session.click("kettle")
    for reason in session.reasons("tea"):
        assert neighbors.session_items(reason.session) == ["kettle", "tea", "honey", "cup"]
    with pytest.raises(KeyError):
        session.reasons("unheard of")


def test_an_index_grows_and_forgets(log):
    index = sessrec.Neighbors.fit(log, preset="sknn")
    before = index.session_count
    index.append(["mug", "honey"], time=9000.0)
    index.partial_fit(sessrec.Log.from_arrays([7, 7, 8, 8], ["mug", "honey", "mug", "unheard of"],
                                              [9001.0, 9002.0, 9003.0, 9004.0]))
    assert index.session_count == before + 3 and index.session_items(before + 1) == ["mug", "honey"]
    assert "honey" in dict(index.recommend(["mug"]))
    index.forget(9000.5)
    assert index.session_count == 2 and index.recommend(["mug"])[0][0] == "honey"


def test_a_blend_is_the_weighted_sum(model, rules):
    blend = sessrec.Blend.of((model, 2), (rules, 1, False))
    session, parts = blend.session(), [model.session(), rules.session()]
    for each in (session, *parts):
        each.click("kettle")
    network, rule = (part.score(["tea", "mug"]) for part in parts)
    assert session.score(["tea"]) == pytest.approx(2 * network[0] + rule[0], rel=1e-5)
    assert session.score(["mug"]) == pytest.approx(2 * network[1], rel=1e-5)
    assert session.score(["unheard of"])[0] == -np.inf


def test_a_scorer_of_ones_own_is_evaluated_and_blended(log, neighbors):
    again = Again(neighbors.item_ids)
    back = sessrec.Log.from_arrays([1, 1, 1], ["mug", "cup", "mug"], [1.0, 2.0, 3.0])
    assert again.recommend(["mug", "cup"], 5, allow_seen=True) == [("cup", 2.0), ("mug", 1.0)]
    report = again.evaluate(back, cutoffs=(1, 2), ranks=True)
    assert list(report.ranks["rank"]) == [9.0, 2.0]
    assert Dense(neighbors.item_ids).evaluate(log).recall == again.evaluate(log).recall
    blend = sessrec.Blend.of((neighbors, 1, False), (again, 1000, False))
    assert blend.recommend(["kettle", "tea"], 1, allow_seen=True)[0][0] == "tea"
    with pytest.raises(TypeError, match="of your own"):
        again.to_bytes()


def test_a_scorer_of_ones_own_remembers_the_last_clicks_with_their_times(neighbors):
    seen = []

    class Look(sessrec.OwnScorer):
        def score(self, clicks, times):
            seen.append((clicks, list(times)))
            return {}

    Look(neighbors.item_ids, remember=2).evaluate(
        sessrec.Log.from_arrays([1] * 4, ["mug", "cup", "tea", "mug"], [1.0, 2.0, 3.0, 4.0]), threads=1)
    assert seen == [(["mug"], [1.0]), (["mug", "cup"], [1.0, 2.0]), (["cup", "tea"], [2.0, 3.0])]
    session = Look(neighbors.item_ids).session()
    assert [session.click(*click) for click in (("mug", 5.0), ("unheard of", 6.0), ("cup",))] == [1, 0, 1]
    session.recommend(1)
    assert seen[-1][0] == ["mug", "cup"] and seen[-1][1][0] == 5.0 and np.isnan(seen[-1][1][1])


def test_an_exception_of_a_scorer_of_ones_own_is_raised(log, neighbors):
    class Broken(sessrec.OwnScorer):
        def score(self, clicks, times):
            raise ZeroDivisionError("at last")

    broken = Broken(neighbors.item_ids)
    blend = sessrec.Blend.of((neighbors, 1, False), (broken, 1, False))
    for scorer in (broken, blend):
        with pytest.raises(ZeroDivisionError, match="at last"):
            scorer.recommend(["mug"])
        with pytest.raises(ZeroDivisionError, match="at last"):
            scorer.recommend_many([["mug"], ["cup"]])
        with pytest.raises(ZeroDivisionError, match="at last"):
            scorer.evaluate(log)
    with pytest.raises(ValueError, match="scores for 9"):
        class Short(sessrec.OwnScorer):
            def score(self, clicks, times):
                return np.zeros(3)

        Short(neighbors.item_ids).recommend(["mug"])


def test_sessions_move_between_threads(blend):
    sessions = [blend.session() for _ in range(40)]
    answers, own_memory = [None] * 40, []

    def serve(offset, click):
        for i in range(offset, 40, 2):
            sessions[i].click(click)
            answers[i] = sessions[i].recommend(3)
            own_memory.append(sessions[i]._scratch is blend._work.memory)

    for click in ("kettle", "tea"):
        threads = [threading.Thread(target=serve, args=(offset, click)) for offset in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [blend.recommend(["kettle", "tea"], 3)] * 40
    assert own_memory == [True] * 80  # two threads must not work in the same memory


def test_an_answer_of_many_keeps_failures_apart(model):
    good, bad = model.session(), model.session()
    for session in (good, bad):
        session.click("kettle")
    answers = model.answer([(good, {"k": 2}), (bad, {"k": 0}), (good, {"k": 1, "candidates": ["mug"]})])
    assert len(answers[0]) == 2 and isinstance(answers[1], sessrec.SessrecError)
    assert [item for item, _ in answers[2]] == ["mug"]
    seen = model.answer([(good, {"k": 1, "candidates": ["kettle"], "allow_seen": see}) for see in (0, 1)])
    assert [len(answer) for answer in seen] == [0, 1]


def test_a_query_has_offsets_groups_and_exploration(model):
    offsets = np.zeros(model.item_count, np.float32)
    offsets[model.item("mug")] = 1000
    assert model.recommend(["kettle"], 1, offsets=offsets)[0][0] == "mug"
    groups = np.zeros(model.item_count, np.int32)
    assert len(model.recommend(["kettle"], 5, groups=groups, group_limit=2)) == 2
    first = [model.recommend(["kettle"], 3, temperature=5.0, random=r) for r in (1, 1, 2)]
    assert first[0] == first[1] != first[2]
    with pytest.raises(ValueError, match="offsets"):
        model.recommend(["kettle"], offsets=[1.0])
    with pytest.raises(TypeError, match="no colour"):
        model.recommend(["kettle"], colour=3)


def test_users_come_back(tmp_path):
    rng = np.random.default_rng(1)
    tastes = {0: ("beans", "grinder"), 1: ("tea", "kettle")}
    rows = [(user, user * 10 + visit, rng.choice(tastes[user % 2]), user * 1000 + visit * 100 + click)
            for user in range(40) for visit in range(4) for click in range(4)]
    users, sessions, items, times = map(np.array, zip(*rows))
    names = np.array([f"user {user}" for user in users], dtype=object)
    log = sessrec.Log.from_arrays(sessions, items, times, names)
    model = sessrec.Model.fit(log, user_hidden=8, **SMALL)
    user, session = model.user(), model.session()
    for click in ("tea", "kettle", "tea"):
        session.click(click)
    user.fold(session)
    assert user.session_count == 1 and session.clicks == (0, 0)
    other = model.user().restore(user.export())
    other.begin(session)
    session.click("tea")
    fresh = model.session()
    fresh.click("tea")
    assert session.recommend(3, allow_seen=True) != fresh.recommend(3, allow_seen=True)
    rest, last = log.split_last_session()
    assert model.evaluate(last, history=rest).recall[1] >= 0
    assert model.evaluate(last, history=rest).by_history[3].event_count == 120
    with pytest.raises(ValueError, match="user_hidden"):
        sessrec.Model.fit(log, **SMALL).user()


def test_frames_of_both_libraries_go_in_and_out(model):
    session, item, time = shop(9)
    frames = []
    for library in ("pandas", "polars"):
        module = pytest.importorskip(library)
        frame = module.DataFrame({"SessionId": [f"s{i}" for i in session], "ItemId": item, "Time": time,
                                  "UserId": [f"u{i % 3}" if i % 2 else None for i in session]})
        log = sessrec.Log.of(frame)
        assert (log.item_count, log.session_count, log.user_count) == (9, 9, 3)
        back = log.to_frame(library)
        assert list(back["SessionId"]) == list(frame["SessionId"])
        assert list(back["ItemId"]) == list(frame["ItemId"])
        assert list(back["UserId"].fillna("") if library == "pandas" else back["UserId"].fill_null("")) == \
            [f"u{i % 3}" if i % 2 else "" for i in session]
        answer = model.recommend_frame(frame, k=2)
        assert type(answer) is type(frame) and list(answer["Rank"]) == [1, 2] * 9
        frames.append(list(answer["ItemId"]))
    assert frames[0] == frames[1]
    assert frames[0][:2] == [best for best, _ in model.recommend(list(item[:4]), 2)]


def test_a_log_has_categories(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("SessionId,ItemId,Time,Brand,Color\n1,a,1,Acme,red\n1,b,2,,blue\n2,a,3,Acme,red\n")
    log = sessrec.Log.read(path, category_columns="Brand,Color")
    assert {name: list(values) for name, values in log.categories.items()} == \
        {"Brand": ["Acme", None, "Acme"], "Color": ["red", "blue", "red"]}
    assert sessrec.Log.from_arrays(*shop(3)).categories == {}
    pytest.importorskip("pandas")
    assert list(log.to_frame()["Color"]) == ["red", "blue", "red"]


def test_a_missing_item_is_refused_with_its_row():
    with pytest.raises(ValueError, match="row 1 has no item"):
        sessrec.Log.from_arrays([1, 1], np.array(["a", None], dtype=object), [1.0, 2.0])
    with pytest.raises(ValueError, match="fractions"):
        sessrec.Log.from_arrays([1, 1], np.array([1.0, np.nan]), [1.0, 2.0])


def test_training_tells_its_history_and_stops_when_told(log):
    seen = []
    model = sessrec.Model.fit(log, validation=log, progress=lambda facts: seen.append(facts["epoch"]),
                              **SMALL)
    assert [epoch["epoch"] for epoch in model.history] == [0, 1, 2, 3, 4]
    assert model.history[-1]["loss"] < model.history[0]["loss"] and 0 < model.history[-1]["validation"] <= 1
    stopped = sessrec.Model.fit(log, progress=lambda facts: facts["epoch"] == 1, **SMALL)
    assert seen and len(stopped.history) < 5 and stopped.recommend(["kettle"], 1)


def test_a_bar_of_tqdm_moves(log, monkeypatch):
    tqdm = pytest.importorskip("tqdm.auto")
    moved = []
    monkeypatch.setattr(tqdm.tqdm, "update", lambda self, by: moved.append(by))
    sessrec.Model.fit(log, progress=True, **SMALL)
    assert sum(moved) > 0


def test_settings_that_are_none_are_named(log):
    for call in (lambda: sessrec.Neighbors.fit(log, colour=3), lambda: sessrec.Rules.fit(log, colour=3)):
        with pytest.raises(TypeError, match="colour"):
            call()
    with pytest.raises(ValueError, match="preset"):
        sessrec.Neighbors.fit(log, preset="best")
    with pytest.raises(ValueError, match="sequential"):
        sessrec.Rules.fit(log, kind="best")
    assert sessrec.Rules.fit(log, kind="itemknn", lambda_=5.0, alpha=0.4).recommend(["kettle"], 1)
