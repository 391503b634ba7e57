"""ZSM and the OM: StUF-JZ as the chain speaks it, and the decision it has no message for."""

from adapters.zsm.afdoening import ZSM_1
from gateway.formats.stufjz import STUF_JZ
from gateway.ports import Adapter

ADAPTER = Adapter("zsm", (STUF_JZ, ZSM_1))
