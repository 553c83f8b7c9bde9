// Magnifies the picture of the confusion matrix around a cell, and names the cell.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const picture = document.getElementById("matrix");
  const mark = document.getElementById("mark");
  const caption = document.getElementById("caption");
  const lens = document.getElementById("lens");
  const size = data.order.length;
  const classes = data.names.length;
  const shown = Math.min(13, size); // cells on a side of the lens
  const cell = 18; // pixels
  const left = 128; // room for names
  const place = new Map(data.order.map((number, position) => [number, position]));
  const count = new Map(data.cells.map(([truth, predicted, samples]) => [truth * classes + predicted, samples]));
  const total = new Array(classes).fill(0);
  for (const [truth, , samples] of data.cells) total[truth] += samples;
  let current = [0, 0]; // row and column
  let held = false;

  const samplesOf = (truth, predicted) => count.get(truth * classes + predicted) || 0;
  const themeColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

  // As `draw_matrix` in confusion.py colors the picture: red, green, blue, opacity.
  function colorOf(truth, predicted) {
    const share = samplesOf(truth, predicted) / total[truth];
    const [low, high] = truth === predicted ? data.right : data.wrong;
    const way = truth === predicted ? share : Math.sqrt(share);
    return low.map((value, i) => value + (high[i] - value) * way);
  }

  // Black or white, whichever has the larger contrast on a color over the page: at least 4.5 (WCAG 2, relative luminance).
  function textOn([red, green, blue, opacity]) {
    const page = themeColor("--panel").trim().replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3");
    const linear = [red, green, blue].map((value, i) => {
      const ground = parseInt(page.slice(1 + 2 * i, 3 + 2 * i), 16);
      const share = (value * opacity + ground * (1 - opacity)) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179 ? "#000" : "#fff";
  }

  function nameAt(position) {
    const name = data.names[data.order[position]];
    return name.length > 19 ? name.slice(0, 18) + "\u2026" : name;
  }

  function drawCell(draw, truth, predicted, x, y) {
    const samples = samplesOf(truth, predicted);
    if (!samples) return;
    const color = colorOf(truth, predicted);
    draw.fillStyle = `rgba(${color.join(",")})`;
    draw.fillRect(x, y, cell - 1, cell - 1);
    if (truth !== predicted) {
      draw.fillStyle = textOn(color);
      draw.textAlign = "center";
      draw.fillText(samples, x + cell / 2, y + 13);
    }
  }

  function drawNames(draw, start, side) {
    for (let i = 0; i < shown; i++) {
      draw.fillStyle = themeColor(start[0] + i === current[0] ? "--ink" : "--soft");
      draw.textAlign = "right";
      draw.fillText(nameAt(start[0] + i), left - 6, i * cell + 13);
      draw.fillStyle = themeColor(start[1] + i === current[1] ? "--ink" : "--soft");
      draw.save();
      draw.translate(left + i * cell + 13, side + 6);
      draw.rotate(-Math.PI / 2);
      draw.fillText(nameAt(start[1] + i), 0, 0);
      draw.restore();
    }
  }

  function magnify() {
    const side = shown * cell;
    const ratio = window.devicePixelRatio || 1;
    lens.width = (left + side + 4) * ratio;
    lens.height = (side + left) * ratio;
    lens.style.width = left + side + 4 + "px";
    const draw = lens.getContext("2d");
    draw.scale(ratio, ratio);
    draw.font = "11px system-ui, sans-serif";
    const start = current.map((position) => Math.max(0, Math.min(position - (shown >> 1), size - shown)));
    for (let i = 0; i < shown; i++) {
      for (let j = 0; j < shown; j++) {
        drawCell(draw, data.order[start[0] + i], data.order[start[1] + j], left + j * cell, i * cell);
      }
    }
    drawNames(draw, start, side);
    draw.strokeStyle = themeColor("--line");
    draw.strokeRect(left - 0.5, 0.5, side, side - 1);
    draw.strokeStyle = themeColor("--ink");
    draw.lineWidth = 2;
    draw.strokeRect(left + (current[1] - start[1]) * cell - 1, (current[0] - start[0]) * cell, cell + 1, cell);
  }

  function show(row, column) {
    current = [row, column].map((position) => Math.max(0, Math.min(position, size - 1)));
    const [truth, predicted] = current.map((position) => data.order[position]);
    const answer = truth === predicted ? "recognized" : `taken for ${data.names[predicted]} (${predicted})`;
    const samples = samplesOf(truth, predicted);
    const plural = total[truth] === 1 ? "" : "s";
    caption.textContent = `${data.names[truth]} (${truth}) ${answer}: ${samples} of ${total[truth]} sample${plural}`;
    const side = picture.clientWidth / size;
    mark.style.display = "block";
    mark.style.left = current[1] * side - 4 + "px";
    mark.style.top = current[0] * side - 4 + "px";
    mark.style.width = mark.style.height = side + 8 + "px";
    magnify();
  }

  function cellAt(event) {
    const box = picture.getBoundingClientRect();
    const shares = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    return shares.map((share) => Math.floor(share * size));
  }

  function fromAddress() {
    const found = /^#cell=(\d+),(\d+)$/.exec(location.hash);
    const [truth, predicted] = found ? [Number(found[1]), Number(found[2])] : data.start;
    if (!place.has(truth) || !place.has(predicted)) return;
    held = Boolean(found);
    show(place.get(truth), place.get(predicted));
    if (found) picture.scrollIntoView({ block: "nearest" });
  }

  picture.addEventListener("pointermove", (event) => {
    if (!held) show(...cellAt(event));
  });
  picture.addEventListener("click", (event) => {
    held = !held;
    show(...cellAt(event));
  });
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    held = true;
    show(current[0] + step[0], current[1] + step[1]);
  });
  window.addEventListener("hashchange", fromAddress);
  window.addEventListener("resize", () => show(...current));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", magnify);
  fromAddress();
})();
