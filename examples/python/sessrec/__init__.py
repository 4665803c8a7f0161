"""Session-based recommendation in one C library: networks (GRU4Rec, HRNN), neighbors, rules, blends.

>>> import sessrec
>>> model = sessrec.Model.fit(clicks, layers=100, epochs=10)      # a DataFrame: SessionId, ItemId, Time
>>> model.recommend(["grinder", "beans"], k=5)
[('filter', 3.1), ('scale', 2.7), ...]
>>> neighbors = sessrec.Neighbors.fit(clicks, preset="vstan")
>>> sessrec.Blend.of((model, 1), (neighbors, 0.5)).save("shop.model")
>>> sessrec.load("shop.model").session().click("grinder")

Options of training have the names of the command line (`sessrec help train`) with _ for -: loss="bpr-max",
dropout_hidden=0.2.
"""
from ._log import Log, SessrecError
from ._model import Model, User, options
from ._methods import Blend, Neighbors, OwnScorer, Popularity, Quantized, Rules
from ._scorer import Metrics, Reason, Report, Scorer, Session
from ._library import ffi as _ffi, lib as _lib

load = Scorer.load

__all__ = ["Blend", "Log", "Metrics", "Model", "Neighbors", "OwnScorer", "Popularity", "Quantized", "Reason",
           "Report", "Rules", "Scorer", "Session", "SessrecError", "User", "load", "options"]
__version__ = _ffi.string(_lib.sessrec_version()).decode()
