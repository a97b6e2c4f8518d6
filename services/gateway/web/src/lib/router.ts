/** Paths as state: one signal, changed by links of this page and by the browser's own back and forward. */
import { signal } from "@preact/signals";

// What the server renders itself is not a view of the page either.
const NOT_VIEWS =
  /^\/(v1|assets|\.well-known|evidence|erasure)\/|^\/(privacy|transparency)(\/|$)|^\/[\w-]+\.(json|svg|txt)$/;

export const path = signal(location.pathname);

/** Goes to a path of this page. `replace` leaves no trace in the history. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (to === location.pathname) return;
  if (options.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  path.value = location.pathname;
}

/** The decoded pieces of a path; an ill-formed piece comes back as it is. */
export function pieces(of: string): string[] {
  return of
    .split("/")
    .filter((piece) => piece !== "")
    .map((piece) => {
      try {
        return decodeURIComponent(piece);
      } catch {
        return piece;
      }
    });
}

addEventListener("popstate", () => {
  path.value = location.pathname;
});

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (NOT_VIEWS.test(link.pathname)) return;
  event.preventDefault();
  navigate(link.pathname);
});
