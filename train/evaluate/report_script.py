"""Style and script of the report's page. The script magnifies the confusion matrix around a cell and names the cell."""

STYLE = """
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(350px, 1fr)); gap: 18px; margin-top: 18px; }
.cards section { margin: 0; padding: 16px 18px; }
.big { font-size: 34px; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
.warning { color: var(--red); }
.side { display: flex; gap: 24px; flex-wrap: wrap; align-items: flex-start; }
.matrix { position: relative; line-height: 0; border: 1px solid var(--line); }
.matrix img { cursor: crosshair; outline-offset: 3px; }
#mark { position: absolute; border: 2px solid var(--ink); pointer-events: none; display: none; }
#said { min-height: 3.2em; margin: 0 0 8px; max-width: 360px; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin: 0 5px 0 12px;
  vertical-align: -1px; }
.scroll { max-height: 430px; overflow: auto; border: 1px solid var(--line); border-radius: 8px; padding: 0 14px; }
.scroll table { width: 100%; }
.scroll th { position: sticky; top: 0; }
.bar { display: inline-block; width: 130px; height: 9px; background: #e9edf2; border-radius: 5px; overflow: hidden;
  margin-right: 10px; }
.bar i { display: block; height: 100%; background: var(--blue); }
.worst { display: grid; grid-template-columns: repeat(auto-fill, minmax(460px, 1fr)); gap: 16px; }
.worst figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.worst img { width: 100%; }
.worst figcaption { padding: 9px 12px; font-size: 13.5px; line-height: 1.45; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
a { color: var(--blue); }
"""

SCRIPT = """
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const picture = document.getElementById("matrix");
  const mark = document.getElementById("mark");
  const said = document.getElementById("said");
  const lens = document.getElementById("lens");
  const size = data.order.length, classes = data.names.length, seen = Math.min(13, size), cell = 18, left = 128;
  const place = new Map(data.order.map((number, position) => [number, position]));
  const count = new Map(data.cells.map(([truth, predicted, samples]) => [truth * classes + predicted, samples]));
  const total = new Array(classes).fill(0);
  for (const [truth, , samples] of data.cells) total[truth] += samples;
  let at = [0, 0], pinned = false;

  const samplesOf = (truth, predicted) => count.get(truth * classes + predicted) || 0;

  function colour(truth, predicted) {
    const samples = samplesOf(truth, predicted);
    if (!samples) return "#fff";
    const share = samples / total[truth];
    const [low, high] = truth === predicted ? data.right : data.wrong;
    const way = truth === predicted ? share : Math.sqrt(share);
    return `rgb(${low.map((value, i) => Math.round(value + (high[i] - value) * way)).join(",")})`;
  }

  function magnify() {
    const side = seen * cell, ratio = window.devicePixelRatio || 1;
    lens.width = (left + side + 4) * ratio;
    lens.height = (side + left) * ratio;
    lens.style.width = left + side + 4 + "px";
    lens.style.height = side + left + "px";
    const draw = lens.getContext("2d");
    draw.scale(ratio, ratio);
    draw.font = "11px system-ui, sans-serif";
    const start = at.map((position) => Math.max(0, Math.min(position - (seen >> 1), size - seen)));
    const named = (position) => {
      const name = data.names[data.order[position]];
      return name.length > 19 ? name.slice(0, 18) + "\\u2026" : name;
    };
    for (let i = 0; i < seen; i++) {
      for (let j = 0; j < seen; j++) {
        const truth = data.order[start[0] + i], predicted = data.order[start[1] + j];
        draw.fillStyle = colour(truth, predicted);
        draw.fillRect(left + j * cell, i * cell, cell - 1, cell - 1);
        const samples = samplesOf(truth, predicted);
        if (samples && truth !== predicted) {
          draw.fillStyle = "#1d2733";
          draw.textAlign = "center";
          draw.fillText(samples, left + j * cell + cell / 2, i * cell + 13);
        }
      }
      draw.fillStyle = start[0] + i === at[0] ? "#1d2733" : "#7b8794";
      draw.textAlign = "right";
      draw.fillText(named(start[0] + i), left - 6, i * cell + 13);
      draw.fillStyle = start[1] + i === at[1] ? "#1d2733" : "#7b8794";
      draw.save();
      draw.translate(left + i * cell + 13, side + 6);
      draw.rotate(-Math.PI / 2);
      draw.fillText(named(start[1] + i), 0, 0);
      draw.restore();
    }
    draw.strokeStyle = "#e1e6ec";
    draw.strokeRect(left - 0.5, 0.5, side, side - 1);
    draw.strokeStyle = "#1d2733";
    draw.lineWidth = 2;
    draw.strokeRect(left + (at[1] - start[1]) * cell - 1, (at[0] - start[0]) * cell, cell + 1, cell);
  }

  function show(row, column) {
    at = [row, column].map((position) => Math.max(0, Math.min(position, size - 1)));
    const [truth, predicted] = at.map((position) => data.order[position]);
    const samples = samplesOf(truth, predicted);
    const answer = truth === predicted ? "recognised" : `taken for ${data.names[predicted]} (${predicted})`;
    said.textContent = `${data.names[truth]} (${truth}) ${answer}: ${samples} of ${total[truth]} samples`;
    const side = picture.clientWidth / size;
    mark.style.display = "block";
    mark.style.left = at[1] * side - 4 + "px";
    mark.style.top = at[0] * side - 4 + "px";
    mark.style.width = mark.style.height = side + 8 + "px";
    magnify();
  }

  function cellAt(event) {
    const box = picture.getBoundingClientRect();
    return [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width].map((share) =>
      Math.floor(share * size));
  }

  function fromAddress() {
    const found = /^#cell=(\\d+),(\\d+)$/.exec(location.hash);
    const [truth, predicted] = found ? [Number(found[1]), Number(found[2])] : data.start;
    if (!place.has(truth) || !place.has(predicted)) return;
    pinned = Boolean(found);
    show(place.get(truth), place.get(predicted));
  }

  picture.addEventListener("pointermove", (event) => { if (!pinned) show(...cellAt(event)); });
  picture.addEventListener("click", (event) => { pinned = !pinned; show(...cellAt(event)); });
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    pinned = true;
    show(at[0] + step[0], at[1] + step[1]);
  });
  window.addEventListener("hashchange", fromAddress);
  fromAddress();
})();
"""
