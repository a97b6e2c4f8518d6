/**
 * The frame in which HTML of a mail is shown: it may run no script (sandbox), it inherits the page's policy, and it holds only
 * nodes that came out of the sanitiser. Each part of a mail has a frame of its own.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { blankFrame } from "../lib/trusted";
import { placeHtml, type Placed } from "../mail/place";
import type { SafeHtml } from "../mail/sanitize";
import type { Target } from "../mail/links";

const MOST_HEIGHT = 30_000;
const LEAST_HEIGHT = 60;

interface Props {
  safe: SafeHtml;
  imageFor: (contentId: string) => Promise<string | null>;
  onLink: (target: Target) => void;
}

export function MailHtml({ safe, imageFor, onLink }: Props) {
  const frame = useRef<HTMLIFrameElement>(null);
  const [height, setHeight] = useState(200);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    let placed: Placed | null = null;
    let watch: ResizeObserver | null = null;
    const onLoad = () => {
      placed = placeHtml(element, safe, { imageFor, onLink });
      watch = followHeight(element, setHeight);
    };
    element.addEventListener("load", onLoad, { once: true });
    blankFrame(element);
    return () => {
      element.removeEventListener("load", onLoad);
      watch?.disconnect();
      placed?.release();
    };
  }, [safe]);
  return (
    <iframe
      ref={frame}
      class="paper"
      title="Message"
      sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"
      referrerpolicy="no-referrer"
      style={{ height: `${height}px` }}
    />
  );
}

/** Gives the frame the height of what it holds, so that the page scrolls and not the frame. */
function followHeight(frame: HTMLIFrameElement, set: (height: number) => void): ResizeObserver | null {
  const root = frame.contentDocument?.documentElement;
  const body = frame.contentDocument?.body;
  if (!root || !body) return null;
  const measure = () => {
    const overflow = root.scrollWidth > root.clientWidth ? 16 : 0;
    const wanted = Math.max(body.scrollHeight, body.offsetHeight) + overflow;
    set(Math.min(MOST_HEIGHT, Math.max(LEAST_HEIGHT, wanted)));
  };
  const watch = new ResizeObserver(measure);
  watch.observe(body);
  measure();
  return watch;
}
