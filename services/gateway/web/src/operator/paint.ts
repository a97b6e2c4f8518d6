/** Colours for canvases, which know no custom properties: as they are at this moment, in this theme. */
import { effect, signal } from "@preact/signals";
import { theme } from "../state/theme";

export interface Paint {
  text: string;
  soft: string;
  grid: string;
  surface: string;
  line: string;
  band: string;
  second: string;
  gap: string;
  font: string;
}

const NAMES = {
  text: "--text",
  soft: "--text-soft",
  grid: "--chart-grid",
  surface: "--surface",
  line: "--chart-line",
  band: "--chart-band",
  second: "--chart-second",
  gap: "--chart-gap",
} as const;

/** Counts the changes of the theme, so that what is drawn is drawn again. */
export const repaint = signal(0);
effect(() => {
  void theme.value;
  repaint.value = repaint.peek() + 1;
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (repaint.value = repaint.peek() + 1));

/** Resolved by an element of the page: light-dark() has a value only where it is used. */
export function paintOf(place: Element): Paint {
  const paint = { font: getComputedStyle(place).fontFamily } as Paint;
  for (const [name, property] of Object.entries(NAMES)) {
    // One for each: a colour that changes may do so in a transition.
    const probe = document.createElement("span");
    probe.style.color = `var(${property})`;
    place.append(probe);
    paint[name as keyof Paint] = getComputedStyle(probe).color;
    probe.remove();
  }
  return paint;
}
