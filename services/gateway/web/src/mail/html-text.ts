/** The words of harmless HTML (sanitize.ts), as lines: to quote it in an answer. Nothing is laid out, nothing loaded. */
import { sanitizeHtml } from "./sanitize";

const OWN_LINES =
  /^(address|article|blockquote|br|center|dd|div|dl|dt|footer|form|h[1-6]|header|hr|li|ol|p|pre|section|table|tr|ul)$/i;
const SPACED = /^(blockquote|h[1-6]|ol|p|table|ul)$/i;
const MOST = 500_000;

export function htmlToText(html: string): string {
  let safe: Node;
  try {
    safe = sanitizeHtml(html).fragment;
  } catch {
    return "";
  }
  const pieces: string[] = [];
  let length = 0;
  const walk = (node: Node): void => {
    if (length > MOST) return;
    if (node.nodeType === Node.TEXT_NODE) {
      const text = (node.textContent ?? "").replace(/[ \t\r\n]+/g, " ");
      length += text.length;
      pieces.push(text);
      return;
    }
    const name = node.nodeName;
    if (OWN_LINES.test(name)) pieces.push(SPACED.test(name) ? "\n\n" : "\n");
    if (/^li$/i.test(name)) pieces.push("- ");
    if (/^t[dh]$/i.test(name)) pieces.push(" ");
    for (const child of Array.from(node.childNodes)) walk(child);
    if (OWN_LINES.test(name) && !/^br$/i.test(name)) pieces.push(SPACED.test(name) ? "\n\n" : "\n");
  };
  walk(safe);
  return pieces
    .join("")
    .replace(/ *\n */g, "\n")
    .replace(/ {2,}/g, " ")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}
