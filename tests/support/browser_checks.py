"""What pages are shown in a browser for: text that must not act, and what scripts look for."""

BAD = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{n}{constructor}${alert(1)}",
    "\u202egnp.exe\u2066\u200b",
    "__proto__",
    "<!--<script>",
    "]]>&lt;b&gt;",
    "위조 문서 " * 30,
]
WIDER = """() => [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth)
  .map((e) => e.tagName + " " + e.className)"""
CONTRAST = """() => {
  const numbers = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const back = (x) => { for (; x; x = x.parentElement) {
    const c = numbers(getComputedStyle(x).backgroundColor); if (c.length === 3 || c[3] === 1) return c; }
    return [255, 255, 255]; };
  const out = [];
  for (const x of document.querySelectorAll("body *:not(script):not(style):not(option)")) {
    const own = [...x.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !x.getClientRects().length || x.closest("svg")) continue;
    const [a, b] = [light(numbers(getComputedStyle(x).color)), light(back(x))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) out.push([x.tagName, x.className, ratio]);
  }
  return out;
}"""
