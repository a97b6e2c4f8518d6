"""An invoice as PDF, for people: one page as a rule, and what was used by day as an appendix.

The font has Latin, Greek and Cyrillic letters and stands in the file; a name in another script shows boxes here and is
whole in the JSON form. Title, author and language stand in the file as well, for those who have it read to them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import font_roboto
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageBreak, PageTemplate, Paragraph, Spacer, Table

from services.billing.domain.model import Meter
from services.billing.domain.money import said
from services.billing.domain.pricing import Line
from services.billing.invoicing.content import Content
from services.billing.invoicing.documents import Invoice, Kind
from services.billing.invoicing.json_form import iso, percent

_INK, _GREY, _RULE, _SHADE = (colors.HexColor(one) for one in ("#1c2430", "#5b6675", "#d5dae1", "#f4f6f8"))
_MARGIN = 20 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_METERS = {
    Meter.MAILS_STORED: "mails received",
    Meter.MAILS_DELIVERED: "mails delivered",
    Meter.API_OPERATIONS: "API operations",
    Meter.SENDS: "mails sent",
    Meter.PIECES: "printed pieces",
    Meter.STORAGE_BYTES: "bytes stored",
    Meter.ADDRESSES: "addresses",
}
_TITLES = {Kind.INVOICE: "Invoice", Kind.CREDIT_NOTE: "Credit note"}


def pdf_form(invoice: Invoice, content: Content) -> bytes:
    """Return an issued document. The same document gives the same bytes."""
    _fonts()
    out = io.BytesIO()
    title = f"{_TITLES[invoice.kind]} {invoice.number}"
    template = BaseDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=32 * mm,
        title=title,
        author=content.seller.name,
        lang="en",
        invariant=1,
    )
    frame = Frame(_MARGIN, 32 * mm, _WIDTH, A4[1] - 32 * mm - _MARGIN, 0, 0, 0, 0)
    template.addPageTemplates(PageTemplate(frames=[frame], onPage=_footer(content, title)))
    template.build([*_head(invoice, content), *_body(invoice, content), *_appendix(content)])
    return out.getvalue()


@cache
def _fonts() -> None:
    files = Path(font_roboto.__file__).parent / "files"
    for name, file in (("Sealpost", "Roboto-Regular.ttf"), ("Sealpost-Bold", "Roboto-Medium.ttf")):
        pdfmetrics.registerFont(TTFont(name, str(files / file)))
    pdfmetrics.registerFontFamily("Sealpost", normal="Sealpost", bold="Sealpost-Bold")


def _style(size: float = 9.5, *, bold: bool = False, right: bool = False, grey: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        "text",
        fontName="Sealpost-Bold" if bold else "Sealpost",
        fontSize=size,
        leading=size * 1.4,
        textColor=_GREY if grey else _INK,
        alignment=TA_RIGHT if right else 0,
        splitLongWords=1,
    )


def _text(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(text), style)


def _head(invoice: Invoice, content: Content) -> list[Flowable]:
    seller, payer = content.seller, content.payer
    told = [
        ("Number", invoice.number),
        ("Date", iso(invoice.issued_day)),
        ("Period", f"{iso(content.first_day)} to {iso(content.last_day)}"),
    ]
    if invoice.kind is Kind.INVOICE:
        told.append(("Due", iso(invoice.due_day)))
    else:
        told.append(("For invoice", invoice.of))
    facts = Table(
        [[_text(name, _style(grey=True)), _text(value, _style(right=True))] for name, value in told],
        colWidths=[28 * mm, 52 * mm],
        style=[
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            _tight(1.5),
        ],
    )
    whom = [payer.name or f"Account {invoice.account_id}", *payer.address_lines, payer.country]
    lines = [_text(line, _style()) for line in whom if line]
    if payer.vat_id:
        lines.append(_text(f"VAT ID {payer.vat_id}", _style()))
    return [
        _text(seller.name, _style(13, bold=True)),
        _text(" · ".join([*seller.address_lines, seller.country]), _style(8.5, grey=True)),
        Spacer(0, 16 * mm),
        Table(
            [[lines, facts]],
            colWidths=[_WIDTH - 80 * mm, 80 * mm],
            style=[("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0), _no_right()],
        ),
        Spacer(0, 12 * mm),
        _text(f"{_TITLES[invoice.kind]} {invoice.number}", _style(18, bold=True)),
        Spacer(0, 6 * mm),
    ]


def _body(invoice: Invoice, content: Content) -> list[Flowable]:
    parts: list[Flowable] = [_lines(invoice, content), Spacer(0, 3 * mm), _sums(invoice, content), Spacer(0, 8 * mm)]
    if content.tax.note:
        parts += [_text(content.tax.note, _style()), Spacer(0, 3 * mm)]
    if invoice.kind is Kind.INVOICE:
        amount = said(invoice.gross, content.digits, invoice.currency)
        asked = f"Please pay {amount} until {iso(invoice.due_day)}, on the page of your account or by transfer:"
        bank = f"{content.seller.bank}, reference {invoice.number}".replace(" ", "\u00a0").replace(",\u00a0", ", ")
        parts += [_text(asked, _style()), Spacer(0, 1.5 * mm), _text(bank, _style(bold=True))]
    else:
        parts.append(_text("What was paid of it already stands in your credits.", _style()))
    return parts


def _lines(invoice: Invoice, content: Content) -> Flowable:
    rows = [[_text("Description", _head_style()), _text("Units", _head_style(right=True)), _amount_head(invoice)]]
    for line in content.lines:
        units = f"{line.units:,}".replace(",", "\u202f") if line.units else ""
        net = said(line.net, content.digits)
        right = _style(right=True)
        rows.append([_text(_described(line), _style()), _text(units, right), _text(net, right)])
    return _table(rows, [_WIDTH - 70 * mm, 35 * mm, 35 * mm])


def _described(line: Line) -> str:
    if line.meter is None:
        return f"{line.title}, days" if line.units else line.title
    return f"{line.title}, {_METERS[line.meter]} above what is included"


def _amount_head(invoice: Invoice) -> Paragraph:
    return _text(f"Net, {invoice.currency}", _head_style(right=True))


def _sums(invoice: Invoice, content: Content) -> Flowable:
    rate = f"{content.tax.title} {percent(content.tax.rate)} %" if content.tax.rate else content.tax.title
    told = [("Net", invoice.net, False), (rate, invoice.tax, False)]
    total = "To pay" if invoice.kind is Kind.INVOICE else "Credited"
    rows = [
        ["", _text(name, _style(bold=bold)), _text(said(amount, content.digits), _style(right=True, bold=bold))]
        for name, amount, bold in [*told, (f"{total}, {invoice.currency}", invoice.gross, True)]
    ]
    return Table(
        rows,
        colWidths=[_WIDTH - 90 * mm, 55 * mm, 35 * mm],
        style=[("LINEABOVE", (1, 2), (-1, 2), 0.8, _INK), ("LEFTPADDING", (0, 0), (-1, -1), 3), _tight(2.5), _right()],
    )


def _appendix(content: Content) -> list[Flowable]:
    meters = sorted({meter for of in content.usage.values() for meter in of})
    if not meters:
        return []
    rows: list[list[Paragraph]] = [
        [_text("Day", _head_style()), *(_text(_METERS[meter], _head_style(right=True)) for meter in meters)]
    ]
    for day in sorted(content.usage):
        of = content.usage[day]
        counts = (f"{of.get(meter, 0):,}".replace(",", "\u202f") for meter in meters)
        rows.append([_text(iso(day), _style(8.5)), *(_text(count, _style(8.5, right=True)) for count in counts)])
    width = min(40 * mm, (_WIDTH - 30 * mm) / len(meters))
    table = _table(rows, [_WIDTH - width * len(meters), *[width] * len(meters)], padding=1.4)
    return [PageBreak(), _text("What was used, by day", _style(14, bold=True)), Spacer(0, 5 * mm), table]


def _table(rows: Sequence[list[Paragraph]], widths: list[float], padding: float = 3) -> Table:
    return Table(
        rows,
        colWidths=widths,
        repeatRows=1,
        style=[
            ("BACKGROUND", (0, 0), (-1, 0), _SHADE),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, _RULE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            _tight(padding),
            _right(),
        ],
    )


def _head_style(*, right: bool = False) -> ParagraphStyle:
    return _style(8.5, bold=True, right=right, grey=True)


def _tight(padding: float) -> tuple[str, tuple[int, int], tuple[int, int], float]:
    return ("BOTTOMPADDING", (0, 0), (-1, -1), padding)


def _right() -> tuple[str, tuple[int, int], tuple[int, int], float]:
    return ("RIGHTPADDING", (0, 0), (-1, -1), 3)


def _no_right() -> tuple[str, tuple[int, int], tuple[int, int], float]:
    return ("RIGHTPADDING", (0, 0), (-1, -1), 0)


def _footer(content: Content, title: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - reportlab's callback
    seller = content.seller

    def draw(canvas: Canvas, document: BaseDocTemplate) -> None:
        canvas.saveState()
        canvas.setStrokeColor(_RULE)
        canvas.line(_MARGIN, 26 * mm, A4[0] - _MARGIN, 26 * mm)
        canvas.setFont("Sealpost", 8)
        canvas.setFillColor(_GREY)
        for place, line in enumerate((f"{seller.name} · VAT ID {seller.vat_id}", seller.bank)):
            canvas.drawString(_MARGIN, 21 * mm - place * 4 * mm, line)
        canvas.drawRightString(A4[0] - _MARGIN, 21 * mm, f"{title} · page {document.page}")
        canvas.restoreState()

    return draw
