// Writes into the document that this one is framed in what a test wants to know of a page as it is laid out: how much wider than the window it is,
// and the smallest contrast of a text (WCAG 2) with what is behind it.
"use strict";
(() => {
  const parse = (color) => {
    const found = color.match(/[\d.]+/g).map(Number);
    return found.length < 4 ? [...found, 1] : found;
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const luminance = (color) => {
    const [red, green, blue] = color.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const ground = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.unshift(parse(getComputedStyle(one).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    if (!element.getClientRects().length || ![...element.childNodes].some(isText)) continue;
    const style = getComputedStyle(element);
    const drawn = element instanceof SVGElement;
    let behind = ground(drawn ? element.ownerSVGElement : element);
    const cell = element.previousElementSibling;
    // A count stands right after the rectangle of its cell.
    if (drawn && cell instanceof SVGRectElement && /^cell-/.test(cell.getAttribute("class"))) {
      const fill = parse(getComputedStyle(cell).fill).slice(0, 3);
      behind = over([...fill, Number(getComputedStyle(cell).fillOpacity)], behind);
    }
    const color = over(parse(drawn ? style.fill : style.color), behind);
    found.push({ contrast: contrast(color, behind), text: element.textContent.trim().slice(0, 40) });
  }
  found.sort((a, b) => a.contrast - b.contrast);
  const result = {
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    width: window.innerWidth,
    texts: found.length,
    worst: found[0],
    ground: luminance(ground(document.body)),
  };
  const place = document.createElement("pre");
  place.id = "measures";
  place.textContent = JSON.stringify(result);
  parent.document.body.append(place);
})();
