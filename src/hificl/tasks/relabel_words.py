"""Made-up words that serve as labels: each is one token of the embedded model, and none names what it labels."""

from __future__ import annotations

import zlib

WORDS = tuple(
    """
    tafus rupun tapun gagu fakus puvus kevi kegos nebis tuvan dupu lagek nosak lofon betes bebik vabe sezok roka
    zogis bomun fitin megek feson reso natu geros ramun midek fama dilo letun tupo zusa supas voton fabu fanos
    tizun zevun miden fikes momi fason tanas zebu gepas zanus segon biba zogi robin zipis lutes vipu fusek suron
    kurun tolun rogok pudo sutus vigik peles tikus dimi dedis sige piri zepi gili zidu divi sasen kabi fegos
    saran zipa gupi figes pefi viva muvos nanis zomas zogas tegik bunen kotik zoluk tolin nopes gafas kodes
    megak bume kebon riru denas noven zuta nugak guvik futas sozo sanas bizik ratu lerus sugek pefon sidin megus
    lusus date nute nasus budu sulu nupi gunu dugon tomi katu matin vomak vipin donuk ligun sasos buban valos
    pama nama zuso gedak zaben mirak pekis goses nipo redun notos seses binek kezan veses duden topin pupa kulas
    sule para rodas dato loti robu fuvu voten gubuk lubu zura gute bizok bisok pemi sati nemi lizos parun kubun
    peke vakas zobu gofu gipin disen pibok kome gefun dures rotak nelik pufan bemuk vedos seze nibus dabas fuzan
    vizo vipik fafen nobu rarus naze ruros fuvan ketus muda bomek fekun vosi gutek tiku nefu dopa mufes pela
    nana lobon tiro getek busen pilek mobon medas tene nulu vepa pukon boma vubik dulis nulus rulan rivek boni
    fakes negun nune rune lakus mipa vodos pebe funus regen robis pufes
    """.split()  # noqa: SIM905 - as a list of texts it would fill four pages
)


def is_unseen_label(concept: str, word: str) -> bool:
    """Say whether pretraining never labelled images of this concept with this word: one pair in five, by checksum."""
    return zlib.crc32(f"{concept}|{word}".encode()) % 5 == 0
