"""Session-based recommendation in one C library: GRU4Rec and HRNN.

>>> import sessrec
>>> model = sessrec.Model.fit(clicks, layers=100, epochs=10)      # a DataFrame: SessionId, ItemId, Time
>>> model.recommend(["grinder", "beans"], k=5)
[('filter', 3.1), ('scale', 2.7), ...]

Options of training have the names of the command line (`sessrec help train`) with _ for -: loss="bpr-max",
dropout_hidden=0.2.
"""
from ._log import Log, SessrecError
from ._model import Model, Report, Session, User, options
from ._library import ffi as _ffi, lib as _lib

__all__ = ["Log", "Model", "Report", "Session", "SessrecError", "User", "options"]
__version__ = _ffi.string(_lib.sessrec_version()).decode()
