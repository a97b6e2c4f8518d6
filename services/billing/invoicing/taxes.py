"""Which tax an invoice bears, by where its payer is.

A payer in another country of the European Union who has a number for value added tax there pays it there: the invoice
bears none and says so (Directive 2006/112/EC, Articles 44, 196 and 226 point 11a). Whoever is in a country that the
catalogue has a rate for pays that. Who is outside of the Union in a country without a rate pays none, and the invoice
says why. Everybody else, and who has named no country, pays the rate of the seller's country: what is owed nowhere else
is owed there.
"""

from __future__ import annotations

from services.billing.domain.customers import Details
from services.billing.domain.model import Catalogue
from services.billing.invoicing.content import TaxLine

REVERSE_CHARGE = "Reverse charge: the recipient is liable for the tax (Article 196 of Directive 2006/112/EC)."
ELSEWHERE = "No tax: the service is supplied outside of the country of the seller and of the European Union."

_UNION = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())
# What numbers for value added tax begin with where that is not the country.
_PREFIXES = {"GR": "EL"}
_NO_TAX = TaxLine(0, "No tax")


def tax_for(catalogue: Catalogue, payer: Details) -> TaxLine:
    """Return how an invoice of this payer is taxed."""
    home = catalogue.seller.country
    if payer.country != home and {payer.country, home} <= _UNION and _registered(payer):
        return TaxLine(0, "VAT 0 %", REVERSE_CHARGE)
    tax = catalogue.taxes.get(payer.country)
    if tax is None and payer.country and payer.country != home and payer.country not in _UNION:
        return TaxLine(0, "No tax", ELSEWHERE)
    tax = tax or catalogue.taxes.get(home)
    return TaxLine(tax.rate, tax.title) if tax is not None else _NO_TAX


def _registered(payer: Details) -> bool:
    number = payer.vat_id.replace(" ", "").upper()
    prefix = _PREFIXES.get(payer.country, payer.country)
    # Whether the number is good is for whoever takes the details to ask; here it must at least be of that country.
    return number.startswith(prefix) and len(number) >= len(prefix) + 2
