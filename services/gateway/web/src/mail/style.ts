/**
 * Which styles of a mail are kept: an allow-list of properties, and of values without any function that can load something.
 *
 * The browser parses (CSSOM), so there is no second reading that could differ from the one that is applied; what passes is
 * applied through CSSOM again, since the page's policy forbids inline styles. Nothing that positions, animates, generates
 * content or refers to an address is on the list.
 */
const PROPERTIES = new Set(
  `color background-color opacity
   font-family font-size font-style font-variant font-weight font-stretch line-height letter-spacing word-spacing
   text-align text-decoration-line text-decoration-color text-decoration-style text-indent text-transform
   white-space white-space-collapse text-wrap-mode word-break overflow-wrap direction unicode-bidi vertical-align hyphens
   width min-width max-width height min-height max-height box-sizing display float clear
   margin-top margin-right margin-bottom margin-left padding-top padding-right padding-bottom padding-left
   border-top-color border-right-color border-bottom-color border-left-color
   border-top-style border-right-style border-bottom-style border-left-style
   border-top-width border-right-width border-bottom-width border-left-width
   border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius
   border-collapse border-spacing empty-cells caption-side table-layout
   list-style-type list-style-position flex-direction flex-wrap flex-grow flex-shrink flex-basis
   justify-content align-items align-content align-self row-gap column-gap`.split(/\s+/),
);
const DISPLAYS =
  /^(none|inline|block|inline-block|flex|inline-flex|list-item|table|inline-table|table-(row|cell|column|caption|row-group|column-group|header-group|footer-group))$/;
const FUNCTIONS = /^(rgba?|hsla?|calc|min|max|clamp)$/;
const MOST_VALUE = 300;
export const MOST_RULES = 2000;
const MOST_SELECTOR = 300;

export type Declaration = readonly [property: string, value: string, priority: string];

/** Whether a declaration, as the browser writes it out, may be applied. */
export function allowedDeclaration(property: string, value: string): boolean {
  if (!PROPERTIES.has(property) || value === "" || value.length > MOST_VALUE) return false;
  if (/[\\@{};<>]|\/\*/.test(value)) return false;
  for (const [, name] of value.matchAll(/([-\w]*)\(/g)) {
    if (!FUNCTIONS.test((name ?? "").toLowerCase())) return false;
  }
  if (property === "display") return DISPLAYS.test(value);
  if (property.startsWith("margin")) return !/(^|[\s(])-/.test(value);
  if (property === "text-indent" || property.endsWith("spacing")) return !/-\d{3}|\d{5}/.test(value);
  return true;
}

/** Declarations of one parsed block that may be applied. */
export function allowedDeclarations(style: CSSStyleDeclaration): Declaration[] {
  const kept: Declaration[] = [];
  for (let i = 0; i < style.length; i++) {
    const property = style.item(i);
    const value = style.getPropertyValue(property);
    if (allowedDeclaration(property, value)) kept.push([property, value, style.getPropertyPriority(property)]);
  }
  return kept;
}

/** Parses a style attribute on an element of a document that never loads anything. */
export function parseStyleAttribute(inert: Document, text: string): Declaration[] {
  if (text.length > 20_000) return [];
  const probe = inert.createElement("i");
  probe.style.cssText = text;
  return allowedDeclarations(probe.style);
}

/** Rewrites a mail's style sheet to what is allowed; conditions (`@media`) keep their place, all other at-rules fall. */
export function allowedSheet(text: string): string {
  if (text.length > 500_000) return "";
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text.replace(/@import[^;]*;?/gi, ""));
  const budget = { rules: MOST_RULES };
  return rewriteRules(sheet.cssRules, budget, 0).join("\n");
}

function rewriteRules(rules: CSSRuleList, budget: { rules: number }, depth: number): string[] {
  const kept: string[] = [];
  for (const rule of Array.from(rules)) {
    if (budget.rules-- <= 0) break;
    if (rule instanceof CSSStyleRule) {
      const body = allowedDeclarations(rule.style).map(([p, v, priority]) => `${p}:${v}${priority && "!important"}`);
      if (body.length > 0 && allowedSelector(rule.selectorText)) kept.push(`${rule.selectorText}{${body.join(";")}}`);
    } else if (rule instanceof CSSMediaRule && depth < 2 && allowedCondition(rule.conditionText)) {
      kept.push(`@media ${rule.conditionText}{${rewriteRules(rule.cssRules, budget, depth + 1).join("\n")}}`);
    }
  }
  return kept;
}

/** Selectors of names, classes, attributes and plain states; none that look far around (`:has`) or at visited links. */
export function allowedSelector(selector: string): boolean {
  if (selector.length > MOST_SELECTOR || /[{}@\\<]/.test(selector)) return false;
  return !/:(?!hover\b|active\b|focus\b|first-child\b|last-child\b|nth-child\b|link\b|root\b|not\b)/i.test(selector);
}

function allowedCondition(condition: string): boolean {
  return condition.length < 200 && /^[\w\s().:,<>=/-]*$/.test(condition);
}
