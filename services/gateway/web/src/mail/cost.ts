/**
 * What it would cost to build a mail's HTML, estimated from its text alone, before any parser sees it.
 *
 * HTML can be short and still be a bomb: an element such as <font> that is left open is opened again by the parser in every
 * block that follows, so n of them before n paragraphs make n² elements. The estimate counts tags and, for every tag, the
 * formatting elements that stand open; a mail above the bounds is shown as text instead.
 */
export const MOST_HTML = 2_000_000;
export const MOST_ELEMENTS = 30_000;
const MOST_REOPENED = 300_000;
const FORMATTING = new Set("a b big code em font i nobr s small strike strong tt u".split(" "));

export function tooCostly(html: string): boolean {
  if (html.length > MOST_HTML) return true;
  let elements = 0;
  let open = 0;
  let reopened = 0;
  for (let at = html.indexOf("<"); at >= 0; at = html.indexOf("<", at + 1)) {
    const closing = html[at + 1] === "/";
    const name = tagName(html, closing ? at + 2 : at + 1);
    if (!name) continue;
    if (!closing && ++elements > MOST_ELEMENTS) return true;
    if (FORMATTING.has(name)) open = closing ? Math.max(0, open - 1) : open + 1;
    else reopened += open;
    if (reopened > MOST_REOPENED) return true;
  }
  return false;
}

function tagName(html: string, from: number): string {
  let end = from;
  while (end < html.length && end - from < 12 && /[a-z0-9]/i.test(html[end] ?? "")) end++;
  return html.slice(from, end).toLowerCase();
}
