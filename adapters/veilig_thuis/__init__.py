"""Veilig Thuis, and the police that reports to it: StUF-JZ."""

from gateway.formats.stufjz import STUF_JZ
from gateway.ports import Adapter

ADAPTER = Adapter("veilig_thuis", (STUF_JZ,))
