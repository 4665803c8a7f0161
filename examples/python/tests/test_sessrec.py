"""python -m pytest examples/python: the package against the library's own promises, on a made-up shop."""
import pickle

import numpy as np
import pytest

import sessrec

SMALL = dict(layers=16, epochs=5, batch=8, negatives=16, threads=1)
ROUTES = (("grinder", "beans", "filter", "mug"), ("kettle", "tea", "honey", "cup"),
          ("beans", "scale", "filter", "mug"))


def shop(visits=300, first=0):
    """Visits that follow one of three routes: after two clicks the third is certain."""
    session = np.repeat(np.arange(first, first + visits), 4)
    item = np.array([ROUTES[visit % 3][click] for visit in range(visits) for click in range(4)])
    return session, item, session * 60.0 + np.tile(np.arange(4), visits)


@pytest.fixture(scope="module")
def model():
    return sessrec.Model.fit(sessrec.Log.from_arrays(*shop()), **SMALL)


def test_a_log_of_arrays_holds_what_was_given():
    log = sessrec.Log.from_arrays(*shop(30))
    assert (log.event_count, log.session_count, log.item_count) == (120, 30, 9)
    assert log.item_id(int(log.items[0])) == "grinder"


def test_integers_are_ids_as_they_are():
    log = sessrec.Log.from_arrays([1, 1, 2, 2], [500, 7, 7, 500], [1, 2, 3, 4])
    assert [log.item_id(item) for item in log.items] == ["500", "7", "7", "500"]


def test_a_frame_of_pandas_is_the_same_log():
    pandas = pytest.importorskip("pandas")
    session, item, time = shop(30)
    frame = pandas.DataFrame({"SessionId": session, "ItemId": item, "Time": pandas.to_datetime(time,
            unit="s")})
    assert np.array_equal(sessrec.Log.from_frame(frame).items, sessrec.Log.from_arrays(session, item,
            time).items)


def test_what_is_written_is_read_as_the_same(tmp_path):
    log = sessrec.Log.from_arrays(*shop(30))
    log.write(tmp_path / "clicks.tsv")
    assert np.array_equal(sessrec.Log.read(tmp_path / "clicks.tsv").items, log.items)


def test_a_bad_log_is_an_exception_with_its_line(tmp_path):
    (tmp_path / "bad.tsv").write_text("SessionId\tItemId\tTime\n1\ta\t1\n1\tb\tyesterday\n")
    with pytest.raises(sessrec.SessrecError) as caught:
        sessrec.Log.read(tmp_path / "bad.tsv")
    assert caught.value.line == 3


def test_it_learns_the_routes(model):
    assert model.recommend(["kettle", "tea"], k=1)[0][0] == "honey"
    assert model.recommend(["grinder", "beans"], k=1)[0][0] == "filter"


def test_many_at_once_are_the_same_as_one_by_one(model):
    visits = [["kettle"], ["grinder", "beans"], ["beans", "scale"], []]
    assert model.recommend_many(visits, k=3) == [model.recommend(visit, k=3) for visit in visits]


def test_a_session_goes_on_where_its_bytes_were_restored(model):
    first, second = model.session(), model.session()
    first.click("kettle")
    second.restore(first.export())
    assert first.click("tea") and second.click("tea") and not second.click("unheard of")
    assert first.recommend(3) == second.recommend(3)


def test_candidates_and_what_was_seen(model):
    assert {item for item, _ in model.recommend(["kettle"],
                                                candidates=["mug", "cup", "unheard of"])} == {"mug", "cup"}
    assert "kettle" not in dict(model.recommend(["kettle"], k=20))
    assert "kettle" in dict(model.recommend(["kettle"], k=20, allow_seen=True))


def test_evaluation_has_metrics_and_ranks(model):
    report = model.evaluate(sessrec.Log.from_arrays(*shop(30, first=1000)), cutoffs=(1, 5), ranks=True)
    assert report.event_count == 90 == len(report.ranks)
    assert report.recall[5] == pytest.approx(np.mean(report.ranks["rank"] <= 5))
    assert report.recall[5] > 0.6


def test_a_pickle_and_a_file_are_the_same_model(model, tmp_path):
    model.save(tmp_path / "m")
    copies = pickle.loads(pickle.dumps(model)), sessrec.Model.load(tmp_path / "m")
    for copy in copies:
        assert copy.to_bytes() == model.to_bytes()
        assert copy.recommend(["kettle"], 5) == model.recommend(["kettle"], 5)


def test_the_same_seed_is_the_same_model_for_any_number_of_threads():
    log = sessrec.Log.from_arrays(*shop(60))
    files = {sessrec.Model.fit(log, **{**SMALL, "threads": threads}).to_bytes() for threads in (1, 2, 3)}
    assert len(files) == 1


def test_partial_fit_keeps_items_and_adds_new_ones(model):
    session, item, time = shop(60, first=2000)
    item[3::4] = "saucer"
    later = [model.partial_fit(sessrec.Log.from_arrays(session, item, time, items_of=like), batch=8,
                               negatives=16) for like in (model, None)]
    assert later[0].item_count == model.item_count + 1 and later[0].item("kettle") == model.item("kettle")
    assert later[0].to_bytes() == later[1].to_bytes()


def test_an_option_that_is_none_is_named():
    with pytest.raises(sessrec.SessrecError, match="loss"):
        sessrec.options(loss="cross")
    with pytest.raises(sessrec.SessrecError):
        sessrec.options(hiden=3)


def test_progress_stops_with_its_exception(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr("sessrec._model._Progress.__call__", lambda self,
                        progress: (setattr(self, "error", KeyboardInterrupt()), 1)[1])
    with pytest.raises(KeyboardInterrupt):
        sessrec.Model.fit(sessrec.Log.from_arrays(*shop()), progress=True, **SMALL)


def test_similar_items_are_not_the_item_itself(model):
    similar = model.similar("mug", 3)
    assert len(similar) == 3 and "mug" not in dict(similar)
