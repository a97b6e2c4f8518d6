/** Light or dark. */
import { setTheme, theme, type Theme } from "../../state/theme";

const CHOICES: [Theme, string, string][] = [
  ["system", "As the system", "Follows your device"],
  ["light", "Light", ""],
  ["dark", "Dark", ""],
];

export function AppearanceSection() {
  return (
    <section class="card">
      <fieldset>
        <legend>Colours</legend>
        {CHOICES.map(([value, name, hint]) => (
          <label class="check" key={value}>
            <input
              type="radio"
              name="theme"
              value={value}
              checked={theme.value === value}
              onChange={() => setTheme(value)}
            />
            <span>
              {name} {hint && <small class="muted">{hint}</small>}
            </span>
          </label>
        ))}
      </fieldset>
      <p class="hint">The choice lasts while this page is open: nothing about you is stored in the browser.</p>
    </section>
  );
}
