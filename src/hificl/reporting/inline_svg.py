"""An SVG made fit to stand inside the page: named for screen readers, coloured by the page, its ids its own."""

from __future__ import annotations

import re
from html import escape

from hificl.reporting.figures import Figure
from hificl.reporting.palette import VARIABLES

_FONT = re.compile(r"font-family: [^;\"]*")


def inline_svg(svg: bytes, figure: Figure) -> str:
    """Return the element ``svg`` alone, with a title, a description, and no colour or font of its own.

    Sizes are left to the page; ids get the name of the figure in front, since many figures share one document.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = re.sub(r"\W", "-", figure.name)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'((?:xlink:)?href="|url\()#', rf"\1#{prefix}-", text)
    text = text.replace("xlink:href", "href")
    for colour, variable in VARIABLES.items():
        text = re.sub(re.escape(colour), variable, text, flags=re.IGNORECASE)
    text = _FONT.sub("font-family: var(--sans)", text)
    box = re.search(r'viewBox="([^"]*)"', text)
    start = (
        f'<svg class="figure" role="img" aria-labelledby="{prefix}-title {prefix}-text" '
        f'viewBox="{box.group(1) if box else "0 0 374 240"}"><title id="{prefix}-title">{escape(figure.title)}</title>'
        f'<desc id="{prefix}-text">{escape(figure.description)}</desc>'
    )
    return start + text[text.index(">") + 1 :].strip()
