/** Saves bytes to the user's disk: always as unknown data, always under a safe name, never opened in the page. */
import { safeFileName } from "../mail/filename";

export function saveBytes(bytes: BlobPart, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = safeFileName(name);
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
