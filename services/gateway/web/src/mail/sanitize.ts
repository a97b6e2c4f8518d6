/**
 * HTML of a mail, made harmless: parsed once into an inert document by DOMPurify, kept by allow-list, and handed over as
 * nodes. Nothing is ever written out and parsed a second time, so there is no mutation between two readings (mXSS).
 *
 * Styles leave the nodes as lists of allowed declarations and are applied through CSSOM. Every address that could load
 * something is taken away; images come from the mail itself or not at all. Names and ids are dropped (DOM clobbering).
 * The frame that shows the result runs no script anyway, and the page's policy loads nothing from elsewhere: three fences.
 */
import DOMPurify from "dompurify";
import { readTarget, type Target } from "./links";
import { allowedSheet, parseStyleAttribute, type Declaration } from "./style";

const TAGS =
  `a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del dfn
 dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav nobr ol p pre q rp
 rt ruby s samp section small span strike strong sub sup table tbody td tfoot th thead time tr tt u ul var wbr`.split(
    /\s+/,
  );
const ATTRIBUTES = `abbr align alt bgcolor border cellpadding cellspacing class clear color colspan dir face height href
 lang nowrap reversed rowspan rules scope size span src start style summary title type valign value width`.split(/\s+/);
const IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+$/;

export interface SafeHtml {
  fragment: DocumentFragment;
  /** To be applied, element by element, once the fragment stands in its frame. */
  styles: [element: HTMLElement, declarations: Declaration[]][];
  sheet: string;
  links: { element: HTMLAnchorElement; target: Target }[];
  /** Images named by cid:, to be filled in from the mail's own parts. */
  embedded: { element: HTMLImageElement; contentId: string }[];
  removed: { remoteImages: number; forms: number; scripts: number };
}

/** Makes `html` harmless. The fragment belongs to a document without a window. */
export function sanitizeHtml(html: string): SafeHtml {
  const inert = document.implementation.createHTMLDocument("");
  const found: SafeHtml = {
    fragment: inert.createDocumentFragment(),
    styles: [],
    sheet: "",
    links: [],
    embedded: [],
    removed: { remoteImages: 0, forms: 0, scripts: 0 },
  };
  const sheets: string[] = [];
  // One instance for the page: a second one could not have its Trusted Types policy.
  DOMPurify.removeAllHooks();
  DOMPurify.addHook("uponSanitizeElement", (node, data) => countElement(node, data.tagName, found, sheets));
  DOMPurify.addHook("uponSanitizeAttribute", (node, data) => {
    data.keepAttr = keepAttribute(node as HTMLElement, data.attrName, data.attrValue, found, inert);
  });
  const whole = DOMPurify.sanitize(html, {
    ALLOWED_TAGS: [...TAGS, "html", "head", "body"],
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_ARIA_ATTR: false,
    ALLOW_DATA_ATTR: false,
    ALLOWED_NAMESPACES: ["http://www.w3.org/1999/xhtml"],
    FORBID_CONTENTS: ["style", "script", "title", "template", "noscript", "svg", "math", "iframe", "object", "select"],
    KEEP_CONTENT: true,
    // Style sheets of mails stand in the head, and colours on the body.
    WHOLE_DOCUMENT: true,
    RETURN_DOM_FRAGMENT: true,
  });
  found.fragment.append(bodyAsDivision(whole, found));
  found.sheet = sheets.map(allowedSheet).join("\n");
  return found;
}

/** The body becomes a division of the frame's own body, with what it was given. */
function bodyAsDivision(whole: DocumentFragment, found: SafeHtml): HTMLElement {
  const owner = whole.ownerDocument;
  const division = owner.createElement("div");
  const body = Array.from(whole.children).find((child) => child.localName === "body") as HTMLElement | undefined;
  if (!body) return division;
  division.className = body.className;
  division.append(...body.childNodes);
  const styles = found.styles.find(([element]) => element === body);
  if (styles) styles[0] = division;
  const colour = body.getAttribute("bgcolor");
  if (colour) found.styles.unshift([division, parseStyleAttribute(owner, `background-color:${colour}`)]);
  return division;
}

function countElement(node: Node, tag: string, found: SafeHtml, sheets: string[]): void {
  if (tag === "style" && sheets.length < 20) sheets.push(node.textContent ?? "");
  if (tag === "form") found.removed.forms++;
  if (tag === "script" || tag === "iframe" || tag === "object" || tag === "embed") found.removed.scripts++;
}

function keepAttribute(node: HTMLElement, name: string, value: string, found: SafeHtml, inert: Document): boolean {
  if (name === "style") {
    const declarations = parseStyleAttribute(inert, value);
    if (declarations.length > 0) found.styles.push([node, declarations]);
    return false;
  }
  if (name === "href") return keepLink(node, value, found);
  if (name === "src") return keepImage(node, value, found);
  return ATTRIBUTES.includes(name) && !/^(?:data|javascript|vbscript):/i.test(value);
}

function keepLink(node: HTMLElement, href: string, found: SafeHtml): boolean {
  const target = node.nodeName === "A" ? readTarget(href, node.textContent ?? "") : null;
  if (target) found.links.push({ element: node as HTMLAnchorElement, target });
  return false;
}

function keepImage(node: HTMLElement, source: string, found: SafeHtml): boolean {
  if (node.nodeName !== "IMG") return false;
  if (IMAGE.test(source)) return true;
  if (/^cid:/i.test(source)) {
    found.embedded.push({ element: node as HTMLImageElement, contentId: contentIdOf(source) });
  } else {
    found.removed.remoteImages++;
    node.className = node.getAttribute("alt")?.trim() ? "sealpost-not-loaded" : "sealpost-hidden";
  }
  return false;
}

/** The name inside `cid:` and `<…>`, comparable. */
export function contentIdOf(text: string): string {
  const plain = text.replace(/^cid:/i, "").replace(/^<|>$/g, "");
  try {
    return decodeURIComponent(plain).toLowerCase();
  } catch {
    return plain.toLowerCase();
  }
}
