/**
 * Puts harmless HTML into its frame: nodes are adopted, styles set through CSSOM, links marked, images of the mail filled in.
 * A link gets its address only here, from the parsed target, together with everything that makes opening it safe.
 */
import { MARK_TEXT, type Target } from "./links";
import type { SafeHtml } from "./sanitize";

const PAPER = `
 html { background: #fff; color: #1c1b19; color-scheme: light; overflow-x: auto; }
 body { margin: 0; padding: 20px; font: 15px/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
 img { max-width: 100%; height: auto; }
 table { max-width: 100%; }
 a { color: #0b5d57; }
 pre { white-space: pre-wrap; }
 blockquote { margin: 8px 0 8px 4px; padding-left: 12px; border-left: 3px solid #d8d4cc; }
 .sealpost-not-loaded { display: inline-block; min-width: 1em; padding: 2px 6px; border: 1px dashed #b9b3a7;
   border-radius: 4px; color: #6b665d; font-size: 12px; }
 .sealpost-hidden { display: none !important; }
 .sealpost-mark { display: inline; margin: 0 3px; padding: 0 5px; border-radius: 4px; background: #fbe3df; color: #8c1d12;
   font: 600 12px/1.4 system-ui, sans-serif; letter-spacing: 0; white-space: nowrap; }
`;

export interface Placed {
  links: Target[];
  release(): void;
}

export interface PlaceOptions {
  /** An object URL for an image of the mail, or null. */
  imageFor(contentId: string): Promise<string | null>;
  onLink(target: Target): void;
}

/** Fills `frame`, whose blank document has loaded. */
export function placeHtml(frame: HTMLIFrameElement, safe: SafeHtml, options: PlaceOptions): Placed | null {
  const view = frame.contentWindow as (Window & { CSSStyleSheet: typeof CSSStyleSheet }) | null;
  const page = frame.contentDocument;
  if (!view || !page) return null;
  const sheets = [PAPER, safe.sheet].map((text) => {
    const sheet = new view.CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
  page.adoptedStyleSheets = sheets;
  const byElement = new Map(safe.links.map(({ element, target }) => [element as Element, target]));
  const onClick = (event: Event) => intercept(event as MouseEvent, byElement, options);
  const heard = listen(page, onClick);
  for (const { element, target } of safe.links) arm(element, target, heard);
  page.body.replaceChildren(page.adoptNode(safe.fragment));
  for (const [element, declarations] of safe.styles) {
    for (const [property, value, priority] of declarations) element.style.setProperty(property, value, priority);
  }
  const alive = { current: true };
  for (const { element, contentId } of safe.embedded) void fillImage(element, contentId, options, alive);
  return { links: safe.links.map(({ target }) => target), release: () => void (alive.current = false) };
}

/**
 * Listens for clicks, and finds out whether this browser lets us: one that runs no listener at all in a frame without scripts
 * (WebKit) would open links unasked, so there they lead to a page of ours that asks.
 */
function listen(page: Document, onClick: (event: Event) => void): boolean {
  let heard = false;
  const probe = () => void (heard = true);
  page.addEventListener("sealpost-probe", probe, { once: true });
  page.dispatchEvent(new Event("sealpost-probe"));
  page.addEventListener("click", onClick);
  page.addEventListener("auxclick", onClick);
  return heard;
}

function arm(element: HTMLAnchorElement, target: Target, heard: boolean): void {
  const asking = new URL("/leaving", location.origin);
  asking.hash = encodeURIComponent(target.url);
  element.setAttribute("href", heard ? target.url : asking.href);
  element.setAttribute("target", "_blank");
  element.setAttribute("rel", "noopener noreferrer nofollow");
  element.setAttribute("title", target.kind === "mail" ? target.host : `Opens ${target.host}`);
  const worst = target.marks.filter((mark) => mark !== "port");
  if (worst.length === 0) return;
  const note = element.ownerDocument.createElement("span");
  note.className = "sealpost-mark";
  note.title = worst.map((mark) => MARK_TEXT[mark]).join(" ");
  note.textContent = `\u26a0 really opens ${target.host}`;
  element.after(note);
}

function intercept(event: MouseEvent, targets: Map<Element, Target>, options: PlaceOptions): void {
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link) return;
  event.preventDefault();
  const target = targets.get(link);
  if (target && event.button < 2) options.onLink(target);
}

async function fillImage(
  image: HTMLImageElement,
  contentId: string,
  options: PlaceOptions,
  alive: { current: boolean },
): Promise<void> {
  const url = await options.imageFor(contentId);
  if (!alive.current || !url) return;
  image.src = url;
}
