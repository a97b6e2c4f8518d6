/** What every page has on top: its name and the switch between light and dark; knows nothing of sessions. */
import { useEffect } from "preact/hooks";
import { setTheme, theme } from "../state/theme";
import { Logo } from "./icon";
import { IconButton } from "./parts";

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · sealpost` : "sealpost";
  }, [title]);
}

export function ThemeButton() {
  const dark =
    theme.value === "dark" || (theme.value === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  return (
    <IconButton
      icon={dark ? "sun" : "moon"}
      label={dark ? "Use light colours" : "Use dark colours"}
      onClick={() => setTheme(dark ? "light" : "dark")}
    />
  );
}

export function Brand() {
  return (
    <a class="brand" href="/" aria-label="sealpost, start page">
      <Logo />
      <span>sealpost</span>
    </a>
  );
}
