import { toast } from "../state/toast";

/** Puts text on the clipboard and says so. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("Your browser did not allow copying. Select the text and copy it yourself.", { kind: "error" });
  }
}
