/**
 * The only two places where a string becomes code or markup, kept behind one Trusted Types policy, so that the page can be
 * served with `require-trusted-types-for 'script'; trusted-types sealpost dompurify`.
 */

interface Policy {
  createScriptURL(url: string): unknown;
  createHTML(html: string): unknown;
}

const rules = {
  createScriptURL(url: string): string {
    const target = new URL(url, location.origin);
    if (target.origin !== location.origin) throw new TypeError("a script of another origin");
    return url;
  },
  createHTML(html: string): string {
    if (html !== BLANK) throw new TypeError("markup that is not ours");
    return html;
  },
};

const BLANK = "<!doctype html><title>Message</title>";

const factory = (globalThis as { trustedTypes?: { createPolicy(name: string, rules: object): Policy } }).trustedTypes;
const policy: Policy = factory ? factory.createPolicy("sealpost", rules) : rules;

/** Starts one of our own module workers. */
export function startWorker(url: string): Worker {
  return new Worker(policy.createScriptURL(url) as string, { type: "module" });
}

/** Gives a frame an empty document in standards mode; mail is put in node by node, never as markup. */
export function blankFrame(frame: HTMLIFrameElement): void {
  frame.srcdoc = policy.createHTML(BLANK) as string;
}
