// The drawings of the page: three charts by uPlot and a time line as SVG. What they show is handed in; nothing is fetched.
"use strict";

const BatonCharts = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const ofVersion = (version) => colour(`v${(Number(version) || 0) % 6}`);
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");
  const plain = (value, digits = 1) =>
    value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits });

  let marks = []; // seconds at which a release began to answer
  let immature = []; // [from, to] in seconds

  function drawMarks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour("soft");
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.lineWidth = devicePixelRatio;
    for (const at of marks) {
      const x = plot.valToPos(at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  function hatch(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour("line");
    ctx.lineWidth = devicePixelRatio;
    for (const [from, to] of immature) {
      const left = Math.max(bbox.left, plot.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(to, "x", true));
      if (right <= left) continue;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, right - left, bbox.height);
      ctx.clip();
      ctx.beginPath();
      for (let x = left - bbox.height; x < right; x += 8 * devicePixelRatio) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
    ctx.restore();
  }

  const axis = (more) => ({
    stroke: colour("soft"),
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { stroke: colour("grid"), width: 1 },
    font: "12px system-ui, sans-serif",
    ...more,
  });

  class Chart {
    // log: a logarithmic scale; zero: one that begins at 0; hatched: with the windows that are not mature.
    constructor(id, unit, { log = false, zero = false, hatched = false }) {
      this.place = document.getElementById(id);
      Object.assign(this, { unit, log, zero, hatched });
      this.plot = null;
      this.shape = "";
    }

    // Lines are [{label, colour, values, width, points}]; they are made anew only when there are others than before.
    show(times, lines, none) {
      this.place.classList.toggle("none", !lines.length);
      if (!lines.length) {
        this.close();
        this.place.textContent = none;
        return;
      }
      const shape = JSON.stringify([lines.map((line) => [line.label, line.colour]), colour("grid")]);
      if (shape !== this.shape) this.make(lines);
      this.shape = shape;
      this.plot.setData([times, ...lines.map((line) => line.values)]);
      if (this.plot.cursor.left < 0) this.plot.setLegend({ idx: times.length - 1 }); // nobody points: the newest
    }

    make(lines) {
      this.close();
      this.place.textContent = "";
      const series = lines.map((line) => ({
        label: line.label,
        stroke: line.colour,
        width: line.width || 2,
        points: { show: Boolean(line.points), size: 5 },
        value: (_, value) => (value === null || value === undefined ? "–" : `${plain(value)}${this.unit}`),
      }));
      const scale = this.log ? { distr: 3 } : { range: (_, low, high) => this.room(low, high) };
      const options = {
        ...this.size(),
        series: [{ label: "at", value: (_, at) => (at ? clock(at) : "–") }, ...series],
        scales: { x: { time: true }, y: scale },
        axes: [
          axis({ values: (_, splits) => splits.map((at) => clock(at).slice(0, splits[1] - splits[0] < 60 ? 8 : 5)), space: 70 }),
          axis({ size: 62, values: (_, splits) => splits.map((value) => (value === null ? "" : plain(value))) }),
        ],
        padding: [8, 30, 0, 0],
        cursor: { drag: { x: false, y: false } },
        hooks: { drawClear: this.hatched ? [hatch] : [], draw: [drawMarks] },
      };
      this.plot = new uPlot(options, [[], ...lines.map(() => [])], this.place);
    }

    room(low, high) {
      const rest = (high - low || high || 1) / 5;
      return [this.zero ? 0 : low - rest, high + rest];
    }

    size() {
      return { width: Math.max(240, this.place.clientWidth), height: innerWidth < 740 ? 180 : 220 };
    }

    fit() {
      if (this.plot && this.plot.width !== this.size().width) this.plot.setSize(this.size());
    }

    close() {
      if (this.plot) this.plot.destroy();
      this.plot = null;
      this.shape = "";
    }
  }

  const SVG = "http://www.w3.org/2000/svg";
  function svg(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const SIGNS = { batch: "▲", training: "■", version: "◆", release: "●", refusal: "✕", "hand-over": "⇒" };

  // Releases as bars, one above the other where they overlap, and below them a sign for each thing that happened.
  function timeLine(place, from, to, releases, events, serving) {
    const width = Math.max(240, place.clientWidth), x = (at) => ((at - from) / (to - from)) * width;
    const picture = svg("svg", { viewBox: `0 0 ${width} 84`, "aria-hidden": "true" });
    const shown = releases.filter((one, i) => (releases[i + 1] ? releases[i + 1][2] : to) >= from);
    shown.forEach(([release, version, first, last], i) => {
      const next = shown[i + 1], ends = serving && serving.release === release ? to : Math.max(last, next ? next[2] : last);
      const left = Math.min(width - 3, Math.max(0, x(first))), right = Math.min(width, Math.max(x(ends), left + 3));
      picture.append(svg("rect", { x: left, y: 6, width: right - left, height: 22, rx: 4, fill: ofVersion(version), opacity: 0.28 }));
      picture.append(svg("rect", { x: left, y: 6, width: 3, height: 22, fill: ofVersion(version) }));
      if (right - left > 34) picture.append(svg("text", { x: left + 8, y: 21 }, right - left > 150 ? `version ${version}, release ${release}` : `v${version}`));
      if (first > from && release !== releases[0][0]) {
        const mark = svg("line", { x1: left, x2: left, y1: 0, y2: 62, stroke: colour("ink"), "stroke-dasharray": "4 4", "data-mark": "hand-over" });
        mark.append(svg("title", {}, `release ${release} of version ${version} answers since ${clock(first)}`));
        picture.append(mark);
      }
    });
    if (!shown.length) picture.append(svg("text", { x: 0, y: 21, class: "soft" }, "no release has answered in this time"));
    for (const event of events.filter((one) => one.at >= from)) {
      const sign = svg("text", { x: Math.min(width - 8, x(event.at)), y: 50, "text-anchor": "middle" }, SIGNS[event.kind] || "●");
      sign.style.fill = colour({ training: "training", refusal: "bad", batch: "accent" }[event.kind] || "ink");
      sign.append(svg("title", {}, `${clock(event.at)} ${event.text}`));
      picture.append(sign);
    }
    picture.append(svg("line", { x1: 0, x2: width, y1: 62, y2: 62, stroke: colour("edge") }));
    for (let i = 0; i <= 4; i += 1) {
      const at = from + ((to - from) * i) / 4, anchor = ["start", "middle", "middle", "middle", "end"][i];
      picture.append(svg("text", { x: x(at), y: 78, "text-anchor": anchor, class: "soft" }, clock(at).slice(0, 5)));
    }
    place.replaceChildren(picture);
  }

  return {
    Chart, clock, plain, ofVersion, colour, timeLine, SIGNS,
    mark: (times, bands) => { marks = times; immature = bands; },
  };
})();
