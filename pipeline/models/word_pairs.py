"""Pairs of words that stand in a relation, which a head may know: facts, of no one's authorship."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Monday"
_MONTHS = "January February March April May June July August September October November December January"
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_CAPITALS = """
Afghanistan Kabul Albania Tirana Algeria Algiers Angola Luanda Armenia Yerevan Australia Canberra Austria Vienna
Azerbaijan Baku Bangladesh Dhaka Belarus Minsk Belgium Brussels Bolivia Sucre Bulgaria Sofia Canada Ottawa
Chile Santiago China Beijing Colombia Bogota Croatia Zagreb Cuba Havana Cyprus Nicosia Denmark Copenhagen
Ecuador Quito Egypt Cairo Estonia Tallinn Finland Helsinki France Paris Georgia Tbilisi Germany Berlin Ghana Accra
Greece Athens Hungary Budapest Iceland Reykjavik India Delhi Indonesia Jakarta Iran Tehran Iraq Baghdad Ireland Dublin
Israel Jerusalem Italy Rome Jamaica Kingston Japan Tokyo Jordan Amman Kenya Nairobi Latvia Riga Lebanon Beirut
Libya Tripoli Lithuania Vilnius Malta Valletta Mongolia Ulaanbaatar Morocco Rabat Nepal Kathmandu
Netherlands Amsterdam Nigeria Abuja Norway Oslo Pakistan Islamabad Peru Lima Philippines Manila Poland Warsaw
Portugal Lisbon Qatar Doha Romania Bucharest Russia Moscow Rwanda Kigali Senegal Dakar Serbia Belgrade
Slovakia Bratislava Slovenia Ljubljana Somalia Mogadishu Spain Madrid Sudan Khartoum Sweden Stockholm Switzerland Bern
Syria Damascus Taiwan Taipei Thailand Bangkok Tunisia Tunis Turkey Ankara Uganda Kampala Ukraine Kyiv
Uruguay Montevideo Venezuela Caracas Vietnam Hanoi Zambia Lusaka Zimbabwe Harare
"""
_CAPITALISED = """
Alice Bob Paris London Monday Sunday English French German Python Linux Windows The This That When Where What Which
How Return Error Value Type Name File Class Function Module List String Number True False None New Old First Last
"""

Pairs = tuple[tuple[str, str], ...]


def _following(words: str) -> Pairs:
    return tuple(pairwise(words.split()))


RELATIONS: Mapping[str, Pairs] = {
    "days": _following(_DAYS),
    "months": _following(_MONTHS),
    "numbers": (*_following(_NUMBERS), *_following(_ORDINALS)),
    "numerals": _following(" ".join(map(str, range(100)))),
    "letters": (*pairwise(ascii_lowercase), *pairwise(ascii_uppercase)),
    "capitals": tuple(zip(_CAPITALS.split()[::2], _CAPITALS.split()[1::2], strict=True)),
    "lower_case": tuple((word, word.lower()) for word in _CAPITALISED.split()),
}


class Found(NamedTuple):
    """A pair of words, and the tokens that are these words; None where one is no token alone."""

    relation: str
    source: str
    target: str
    source_id: int | None
    target_id: int | None


def found(ids: Mapping[str, int]) -> Iterator[Found]:
    """Look every pair up among a vocabulary's texts, both words after a space or, where that fails, both without.

    Args:
        ids: of tokens, by text.
    """
    for relation, pairs in RELATIONS.items():
        for source, target in pairs:
            places = [(ids.get(space + source), ids.get(space + target)) for space in (" ", "")]
            whole = [place for place in places if None not in place]
            yield Found(relation, source, target, *(whole[0] if whole else (None, None)))
