/** A chart as a PNG that explains itself: its title above, what line and band mean below. */
import { saveBytes } from "../lib/download";
import { paintOf } from "./paint";

interface Words {
  title: string;
  subtitle: string;
  legend: string;
  note: string;
}

const EDGE = 24;
const TOP = 72;
const BOTTOM = 76;

/** @throws Error where the browser makes no picture */
export async function savePicture(chart: HTMLCanvasElement, words: Words, name: string): Promise<void> {
  const ratio = devicePixelRatio || 1;
  const paint = paintOf(document.body);
  const [width, height] = [chart.width / ratio + 2 * EDGE, chart.height / ratio + TOP + BOTTOM];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const ctx = canvas.getContext("2d");
  if (!ctx) throw new Error("no canvas");
  ctx.scale(ratio, ratio);
  ctx.fillStyle = paint.surface;
  ctx.fillRect(0, 0, width, height);
  const write = (text: string, top: number, size: number, colour: string, left = EDGE) => {
    ctx.font = `${size >= 18 ? "600 " : ""}${size}px ${paint.font}`;
    ctx.fillStyle = colour;
    ctx.fillText(text, left, top, width - left - EDGE);
  };
  write(words.title, 34, 18, paint.text);
  write(words.subtitle, 56, 13, paint.soft);
  ctx.drawImage(chart, EDGE, TOP, chart.width / ratio, chart.height / ratio);
  const foot = height - BOTTOM + 28;
  ctx.fillStyle = paint.band;
  ctx.fillRect(EDGE, foot - 11, 26, 14);
  ctx.fillStyle = paint.line;
  ctx.fillRect(EDGE, foot - 5, 26, 2);
  write(words.legend, foot, 13, paint.text, EDGE + 36);
  write(words.note, foot + 24, 12, paint.soft);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("no picture");
  saveBytes(blob, name);
}
