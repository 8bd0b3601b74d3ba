"""What the bureau publishes: which cells and seasons it answers for, the terms of its products, their price sheet."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from fusion.channel import Channel
from fusion.errors import PeerError
from fusion.scenarios.weather.wire import receive, send

__all__ = ["Offer", "Sheet", "publish", "read"]

_LIMIT = 1 << 24
_MOST_CELLS = 1 << 17

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
_Number = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the offer: one row a product and cell, or one a cell.

    Attributes
    ----------
    index : list of str
        What the rows are.
    columns : dict of str to list of float
        Of one length.
    """

    index: Annotated[list[_Name], msgspec.Meta(max_length=_MOST_CELLS)]
    columns: dict[_Name, list[_Number]]

    def __post_init__(self) -> None:
        if any(len(column) != len(self.index) for column in self.columns.values()):
            raise ValueError("a sheet has columns of one length")


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the bureau answers for; it tells this to every insurer alike.

    Attributes
    ----------
    grid : str
        The grid in words: extent, step, coordinate system.
    day_ends : str
        When a day of the record ends.
    products, terms : list of str
        Their names, in the order of a book, and the terms of each in words.
    cells : list of int
        Numbers of the grid cells, ascending; the columns of a book.
    places : list of str
        What each is called.
    years : list of int
        Seasons that every cell's record covers, the rows of a portfolio's payouts.
    step : int
        To what totals of payouts are rounded, in yuan.
    basis_place : str
        The place whose index is compared with losses elsewhere.
    basis_product : str
        The product that it pays by.
    basis_years : list of int
        Of that comparison.
    basis_step : int
        To what its sums are rounded, in thousandths of the sum insured.
    basis_moments : list of int
        Sum, sum of squares and count above zero of that index' payouts, in thousandths.
    prices, correlations : Sheet
        Burn analysis by product and cell; correlation of payouts between cells.
    """

    grid: str
    day_ends: str
    products: Annotated[list[_Name], msgspec.Meta(min_length=1, max_length=1000)]
    terms: list[str]
    cells: Annotated[list[_Count], msgspec.Meta(min_length=1, max_length=_MOST_CELLS)]
    places: list[_Name]
    years: Annotated[list[_Count], msgspec.Meta(min_length=1, max_length=1000)]
    step: _Count
    basis_place: str
    basis_product: str
    basis_years: Annotated[list[_Count], msgspec.Meta(min_length=1, max_length=1000)]
    basis_step: _Count
    basis_moments: Annotated[list[_Count], msgspec.Meta(min_length=3, max_length=3)]
    prices: Sheet
    correlations: Sheet

    def __post_init__(self) -> None:
        ascending = all(list(numbers) == sorted(set(numbers)) for numbers in (self.cells, self.years, self.basis_years))
        if not ascending or len(self.places) != len(self.cells) or len(self.terms) != len(self.products):
            raise ValueError("cells and years ascend, each cell has its place and each product its terms")
        if self.basis_place not in self.places or self.basis_product not in self.products:
            raise ValueError("the place and the product of the comparison are among those offered")

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that stand for all of it."""
        return hashlib.sha256(b"fusion/weather/offer/1/" + _encode(self)).hexdigest()


def publish(peer: Channel, offer: Offer) -> None:
    """Tell the peer what this side answers for; it calls `read`. Leakage: the offer, which is public."""
    _tell(peer, offer, publisher=peer.name)


def read(peer: Channel) -> Offer:
    """Learn what the peer answers for.

    Raises
    ------
    PeerError
        Bytes that are no offer.
    """
    return _tell(peer, None, publisher=peer.peer)


def _tell(peer: Channel, offer: Offer | None, *, publisher: str) -> Offer:
    with peer.operation("weather.offer"):
        parameters: dict[str, str | int] = {"publisher": publisher, "suite": "json/1"}
        peer.open(learn="both", kinds=(), rows=len(offer.cells) if offer else 0, parameters=parameters)
        if offer is not None:
            send(peer, _encode(offer))
        else:
            try:
                offer = msgspec.json.decode(receive(peer, _LIMIT), type=Offer)
            except msgspec.MsgspecError:
                raise PeerError(f"{peer.peer} sends no offer of cells, years and products; check its version") from None
        other = peer.peer if publisher == peer.name else peer.name
        told = f"what {publisher} publishes: {len(offer.cells)} cells, {len(offer.products)} products and their prices"
        peer.finish({publisher: ["nothing"], other: [told]})
    return offer


def _encode(offer: Offer) -> bytes:
    return msgspec.json.encode(offer)
