// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { contentIdOf, sanitizeHtml } from "../src/mail/sanitize";
import { allowedDeclaration, allowedSelector } from "../src/mail/style";

/** The fragment written out, only to look at it. */
function text(html: string): string {
  const holder = document.createElement("div");
  holder.append(document.adoptNode(sanitizeHtml(html).fragment));
  return holder.innerHTML;
}

describe("HTML", () => {
  it.each([
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>1</script></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<iframe srcdoc='<script>1</script>'></iframe>",
    "<object data=x></object><embed src=x>",
    "<form action=https://evil.test><input name=a><button>go</button></form>",
    "<base href=https://evil.test><meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<link rel=stylesheet href=https://evil.test/x.css>",
    "<video src=https://evil.test poster=https://evil.test></video><audio src=https://evil.test></audio>",
    "<table background=https://evil.test/x><td background=https://evil.test/y>x",
    "<template><img src=x onerror=alert(1)></template>",
    "<picture><source srcset=https://evil.test/x><img srcset=https://evil.test/y></picture>",
    "<a href=javascript:alert(1) ping=https://evil.test>x</a>",
    "<img name=body><form id=x><input name=attributes></form>",
    "<p style='background:url(https://evil.test)'>x</p>",
    "<style>@import 'https://evil.test'</style>",
  ])("keeps nothing that runs or loads of %s", (html) => {
    const got = text(html);
    expect(got).not.toMatch(
      /evil|alert|<(script|svg|math|iframe|object|embed|form|input|button|base|meta|link|video|audio|style|template|source)/i,
    );
    expect(got).not.toMatch(/\s(on\w+|style|href|srcset|background|name|id|ping|action)=/i);
  });

  it("keeps what a letter needs", () => {
    const got = text("<h1>Hi</h1><table width=500 bgcolor=#fff><tr><td align=center>x <b>y</b></td></tr></table>");
    expect(got).toContain("<h1>Hi</h1>");
    expect(got).toMatch(/<td align="center">x <b>y<\/b><\/td>/);
  });

  it("counts what it keeps out", () => {
    const { removed } = sanitizeHtml(
      "<img src=https://t.test/1><img src=//t.test/2><img src=/v1/session><form></form><script>1</script>",
    );
    expect(removed).toEqual({ remoteImages: 3, forms: 1, scripts: 1 });
  });

  it("takes links apart into targets", () => {
    const { links } = sanitizeHtml(
      "<a href=https://evil.test/x>bank.example</a><a href=/v1/session>x</a><area href=https://evil.test>",
    );
    expect(links.map(({ target }) => [target.host, target.marks])).toEqual([["evil.test", ["other-host"]]]);
  });

  it("finds images that the mail brings and takes small inline ones", () => {
    const safe = sanitizeHtml(
      "<img src='cid:Leaf%40x'><img src='data:image/png;base64,AAAA'><img src='data:image/svg+xml;base64,AAAA'>",
    );
    expect(safe.embedded.map(({ contentId }) => contentId)).toEqual(["leaf@x"]);
    expect(safe.removed.remoteImages).toBe(1);
    expect(contentIdOf("<Leaf@x>")).toBe("leaf@x");
  });

  it("keeps allowed declarations as lists, and the body's", () => {
    const safe = sanitizeHtml(
      "<body bgcolor=red style='color: blue'><p style='color: green; position: fixed; font-size: 20px'>x",
    );
    expect(safe.styles.flatMap(([, declarations]) => declarations.map(([p, v]) => `${p}:${v}`))).toEqual(
      expect.arrayContaining(["background-color:red", "color:blue", "color:green", "font-size:20px"]),
    );
    expect(JSON.stringify(safe.styles)).not.toContain("fixed");
  });
});

describe("style allow-list", () => {
  it.each([
    ["color", "rgb(1, 2, 3)"],
    ["background-color", "hsl(10deg 20% 30%)"],
    ["width", "calc(100% - 10px)"],
    ["display", "table-cell"],
    ["margin-left", "12px"],
    ["font-family", '"Helvetica Neue", Arial'],
  ])("%s: %s is kept", (property, value) => {
    expect(allowedDeclaration(property, value)).toBe(true);
  });

  it.each([
    ["background-image", 'url("https://evil.test")'],
    ["background-color", "url(x)"],
    ["color", "var(--x)"],
    ["color", "env(x)"],
    ["width", "attr(data-x)"],
    ["list-style-image", "url(x)"],
    ["list-style-type", 'url("x")'],
    ["list-style-type", 'image-set("x" 1x)'],
    ["font-family", "src(x)"],
    ["color", "red;}x{"],
    ["color", "r\\65 d"],
    ["color", "red/* */"],
    ["position", "fixed"],
    ["z-index", "9"],
    ["content", '"x"'],
    ["animation-name", "x"],
    ["transform", "scale(9)"],
    ["filter", "blur(1px)"],
    ["cursor", "url(x)"],
    ["mask-image", "url(x)"],
    ["display", "contents"],
    ["margin-top", "-500px"],
    ["margin-top", "calc(-1 * 500px)"],
    ["--x", "1"],
    ["behavior", "url(x)"],
    ["color", "x".repeat(400)],
  ])("%s: %s falls", (property, value) => {
    expect(allowedDeclaration(property, value)).toBe(false);
  });

  it("keeps plain selectors alone", () => {
    for (const good of ["p", ".a > b", "a:hover", "td:nth-child(2n+1)", '[class~="x"]', "h1, h2"])
      expect(allowedSelector(good)).toBe(true);
    for (const bad of ["a:visited", "p::before", ":has(a)", "p{}", "@media", ":host", "x".repeat(400)])
      expect(allowedSelector(bad)).toBe(false);
  });
});
