// Find elements wider than their parents, broken words, and texts of low contrast.
addEventListener("load", () => {
  const problems = [];
  let numTexts = 0;
  const name = (element) =>
    `${element.tagName.toLowerCase()}.${element.getAttribute("class") || ""}` +
    ` "${element.textContent.trim().slice(0, 40)}"`;
  const numbers = (color) => (color.match(/[\d.]+/g) || []).map(Number);

  const scrolls = (element) => {
    for (let each = element; each && each !== document.body; each = each.parentElement)
      if (getComputedStyle(each).overflowX !== "visible") return true;
    return false;
  };
  const over = (color, ground) => {
    const [alpha = 1] = color.slice(3);
    return ground.map((value, i) => alpha * color[i] + (1 - alpha) * value);
  };
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const color = numbers(getComputedStyle(element).backgroundColor);
    const alpha = color.length > 3 ? color[3] : 1;
    return alpha === 1 ? color.slice(0, 3) : over(color, ground(element.parentElement));
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };

  const checkText = (node) => {
    const element = node.parentElement;
    const svg = element.closest("svg");
    const style = getComputedStyle(element);
    let back = ground(svg ? svg.parentElement : element);
    const cell = svg && element.previousElementSibling;
    if (cell && element.matches(".in-cell")) {
      const fill = getComputedStyle(cell);
      back = over([...numbers(fill.fill).slice(0, 3), Number(fill.fillOpacity)], back);
    }
    const front = over(numbers(svg ? style.fill : style.color), back);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(front, back);
    if (ratio < (isLarge ? 3 : 4.5))
      problems.push(`contrast ${ratio.toFixed(2)} of ${name(element)}`);
    if (svg || element.closest("pre, code")) return;
    for (const word of node.data.matchAll(/[\p{L}\p{N}]{2,24}(?![\p{L}\p{N}])/gu)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.top)));
      if (lines.size > 1) problems.push(`broken: ${word[0]} in ${name(element)}`);
    }
  };

  for (const each of document.querySelectorAll("details")) each.open = true;
  if (document.documentElement.scrollWidth > innerWidth)
    problems.push(`wider than the page: ${document.documentElement.scrollWidth}`);
  for (const element of document.body.querySelectorAll("*")) {
    const parent = element.parentElement;
    if (parent.closest("svg") || scrolls(parent)) continue;
    const own = element.getBoundingClientRect();
    const outer = parent.getBoundingClientRect();
    if (own.width && (own.right > outer.right + 1 || own.left < outer.left - 1))
      problems.push(`${name(element)} sticks out of ${name(parent)}`);
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, title, style")) continue;
    if (!element.getClientRects().length) continue;
    numTexts += 1;
    checkText(node);
  }
  const found = document.createElement("pre");
  found.id = "problems";
  found.textContent = JSON.stringify({
    width: innerWidth,
    is_dark: matchMedia("(prefers-color-scheme: dark)").matches,
    num_texts: numTexts,
    problems: [...new Set(problems)],
  });
  document.body.append(found);
});
