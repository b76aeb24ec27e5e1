// Keeps the page as the server tells it: what is known once, then what has changed, each second. Every text that comes
// from there is put in as text, never as HTML.
"use strict";

(() => {
  const { Chart, clock, plain, ofVersion, colour, timeLine, mark, SIGNS } = BatonCharts;
  const KEPT_S = 3600, EVENTS_KEPT = 200, SHOWN = 100, PIXELS = 300 /* a chart is drawn anew when it has moved by one of so many */, NAMES = { rmse: "RMSE", mae: "MAE", r2: "R²", auc: "AUC", accuracy: "accuracy", log_loss: "log loss" };
  const by = (id) => document.getElementById(id);
  const token = document.querySelector("meta[name=baton-token]").content;

  const seconds = new Map(), windows = new Map();
  let releases = [], events = [], state = null, now = null, traffic = null, problem = "", liveAt = 0, heardAt = 0, drawnAt = 0, dirty = true;

  const charts = {
    flow: new Chart("c-flow", "/s", { zero: true }),
    latency: new Chart("c-latency", " ms", { log: true }),
    live: new Chart("c-live", "", { hatched: true }),
  };

  // ---- small helpers

  function put(id, text) {
    const place = typeof id === "string" ? by(id) : id;
    if (place.textContent !== text) place.textContent = text;
  }

  function made(name, text, className) {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  function row(...cells) {
    const tr = made("tr");
    for (const cell of cells) tr.append(cell instanceof Node ? cell : made("td", cell));
    return tr;
  }

  const count = (number, one, many) => `${plain(number, 0)} ${number === 1 ? one : many || `${one}s`}`;
  const figure = (value) => plain(value, Math.abs(value) < 10 ? 3 : 0);
  const ms = (value) => (value === null ? "–" : `${plain(value, value < 10 ? 1 : 0)} ms`);

  function station(id, value, note, moving, works) {
    const place = by(`n-${id}`);
    put(place.querySelector(".value"), value);
    put(place.querySelector(".note"), note);
    place.classList.toggle("moving", Boolean(moving));
    place.classList.toggle("works", Boolean(works));
  }

  // ---- what the server tells

  function take(told) {
    if (told.fresh) {
      seconds.clear();
      windows.clear();
      releases = [];
      events = [];
    }
    for (const one of told.seconds) seconds.set(one[0], one);
    for (const one of told.windows) windows.set(`${one.version}@${one.window_start}`, one);
    if (told.windows.length) liveAt = told.now.at;
    const oldest = told.now.at - KEPT_S;
    for (const at of seconds.keys()) if (at < oldest) seconds.delete(at);
    if (windows.size > 3000) for (const [key, one] of windows) if (one.window_start < oldest - 5 * KEPT_S) windows.delete(key);
    if (told.releases) releases = told.releases;
    events = events.concat(told.events).slice(-EVENTS_KEPT);
    if (told.state) state = told.state;
    if (told.state || told.releases || told.events.length || told.problem !== problem) dirty = true;
    now = told.now;
    traffic = told.traffic;
    problem = told.problem;
    heardAt = Date.now();
  }

  // ---- figures and the loop, each second

  function showNow() {
    const serving = state.serving;
    put("f-serving", serving ? `version ${serving.version}` : "nothing yet");
    put("f-answers", `${plain(now.answers_per_s)}/s`);
    put("f-p50", ms(now.p50_ms));
    put("f-p99", ms(now.p99_ms));
    put("f-silence", `${plain(now.silence_s)} s`);
    by("f-silence").classList.toggle("bad", now.silence_s >= 2);
    put("f-longest", ms(now.longest_silence_ms));
    put("f-waiting", plain(now.waiting, 0));

    const landing = state.landing_n, wanted = state.wanted, training = state.training;
    const rolls = wanted && (!serving || wanted.release !== serving.release);
    station("landing", count(landing, "batch", "batches"), landing ? state.landing[state.landing.length - 1].batch : `${plain(state.used_n, 0)} used, ${plain(state.refused_n, 0)} refused`, training, landing);
    station("training", training ? "runs" : "idle", training ? (training.step ? `done: ${training.step}` : training.batch) : "", training && /log the model|register|name the|promote|move the/.test(training.step), training);
    station("champion", state.champion ? `version ${state.champion}` : "none yet", rolls ? `release ${wanted.release}: ${wanted.state.split(";")[0]}` : count(state.versions_n, "version"), rolls, rolls);
    const asked = now.requests_per_s > 0, answered = now.answers_per_s > 0;
    station("requests", `${plain(now.requests_per_s)}/s`, traffic ? `this page sends ${plain(traffic.rate)}/s until ${clock(traffic.until)}` : "", asked, asked);
    station("waiting", count(now.waiting, "request"), count(now.partitions.length, "partition"), answered, now.waiting);
    station("server", serving ? `version ${serving.version}` : "none serves", serving ? `release ${serving.release}` : "", answered, answered);
    const latest = latestLive();
    station("answers", `${plain(now.answers_per_s)}/s`, now.p99_ms === null ? "" : `p99 ${ms(now.p99_ms)}`, now.at - liveAt < 15 && answered, answered);
    station("live", latest ? `${latest.name} ${figure(latest.value)}` : "no outcomes yet", latest ? `version ${latest.version}, ${count(latest.labelled, "outcome")}${latest.name === "RMSE" ? `; in the unit of ${state.target}` : ""}` : "", false, false);

    by("stop").disabled = !traffic;
    by("start").disabled = Boolean(traffic) || !serving;
    by("rollback").disabled = state.versions_n < 2;
    by("partitions").replaceChildren(...now.partitions.map((one) => row(String(one.partition), plain(one.waiting, 0), plain(one.silence_s))));
  }

  const errorOf = (one) => (one.rmse !== undefined ? ["RMSE", one.rmse] : one.log_loss !== undefined ? ["log loss", one.log_loss] : null);

  function latestLive() {
    let best = null;
    for (const one of windows.values()) if (one.labelled && errorOf(one) && (!best || one.window_start > best.window_start)) best = one;
    return best && { version: best.version, labelled: best.labelled, name: errorOf(best)[0], value: errorOf(best)[1] };
  }

  // ---- charts

  function showCharts() {
    const span = Number(by("range").value), to = Math.floor(now.at) - 1, from = to - span + 1;
    const known = [...seconds.keys()].filter((at) => at >= from && at <= to);
    const first = known.length ? Math.min(...known) : to;
    const times = [], columns = [[], [], [], [], []];
    for (let at = from; at <= to; at += 1) {
      const one = seconds.get(at);
      times.push(at);
      columns[0].push(one ? one[1] : at < first ? null : 0);
      columns[1].push(one ? one[2] : at < first ? null : 0);
      for (const i of [3, 4, 5]) columns[i - 1].push(one && one[i] !== null ? Math.max(one[i], 0.1) : null);
    }
    const handovers = releases.slice(1).map((one) => one[2]);
    const bands = [...windows.values()].filter((one) => !one.mature).map((one) => [one.window_start, one.window_start + one.window_s]);
    mark(handovers, bands);
    const none = `no requests and no answers in the last ${span / 60} minutes`;
    charts.flow.show(times, known.length ? [
      { label: "requests", colour: colour("soft"), values: columns[0] },
      { label: "answers", colour: colour("accent"), values: columns[1] },
    ] : [], none);
    charts.latency.show(times, columns[2].some((value) => value !== null) ? [
      { label: "longest silence", colour: colour("training"), values: columns[4], width: 1 },
      { label: "p99", colour: colour("v0"), values: columns[3] },
      { label: "p50", colour: colour("v1"), values: columns[2] },
    ] : [], "no answers in this time");
    by("c-flow").setAttribute("aria-label", `Requests ${plain(now.requests_per_s)} and answers ${plain(now.answers_per_s)} per second now; the chart shows ${span / 60} minutes.`);
    by("c-latency").setAttribute("aria-label", `Latency p50 ${ms(now.p50_ms)}, p99 ${ms(now.p99_ms)}; longest silence of the last minute ${ms(now.longest_silence_ms)}.`);
    timeLine(by("line"), from, to + 1, releases, events, state.serving);
    showLive();
  }

  function showLive() {
    const labelled = [...windows.values()].filter((one) => one.labelled && errorOf(one));
    const versions = [...new Set(labelled.map((one) => one.version))].sort((a, b) => a - b);
    const times = [...new Set(labelled.map((one) => one.window_start))].sort((a, b) => a - b);
    const of = new Map(labelled.map((one) => [`${one.version}@${one.window_start}`, errorOf(one)[1]]));
    const lines = versions.map((version) => ({
      label: `version ${version}`, colour: ofVersion(version), points: true,
      values: times.map((at) => of.get(`${version}@${at}`) ?? null),
    }));
    const on = state.services.some((one) => one.service === "live-metrics");
    const why = on ? "no outcomes yet: they come some time after the answers that they are of" : "live metrics are off; they are on after: ./baton up --set live_metrics=on";
    charts.live.show(times, lines, why);
    const name = labelled.length ? errorOf(labelled[0])[0] : "", unit = name === "RMSE" ? `RMSE, in the unit of ${state.target || "the target"}` : name === "log loss" ? "log loss, in nats" : "";
    const width = labelled.length ? labelled[0].window_s : 0;
    put("live-hint", labelled.length ? `${unit}, of windows of ${count(width, "second")} by when the prediction was made. Hatched: outcomes may still come for these, so the figure may move. Dashed: a release begins to answer.` : "");
    by("c-live").setAttribute("aria-label", labelled.length ? `Live error of ${count(versions.length, "version")}: ${versions.map((version) => lastOf(version, labelled)).join("; ")}.` : why);
  }

  function lastOf(version, labelled) {
    const last = labelled.filter((one) => one.version === version).reduce((a, b) => (b.window_start > a.window_start ? b : a));
    return `version ${version} ${errorOf(last)[0]} ${plain(errorOf(last)[1])} of ${count(last.labelled, "outcome")}`;
  }

  // ---- lists, when they have changed

  function errors(metrics, prefix) {
    const found = Object.entries(metrics).filter(([name]) => name.startsWith(prefix) && !["live_labelled", "live_drift_large"].includes(name));
    return found.map(([name, value]) => `${NAMES[name.slice(prefix.length)] || name} ${figure(value)}`).join(", ");
  }

  function showLists() {
    put("what", [state.dataset, `${state.mode} mode`].filter(Boolean).join(", "));
    const problems = state.problems.concat(problem || []);
    by("problems").hidden = !problems.length;
    by("problems").querySelector("ul").replaceChildren(...problems.map((text) => made("li", text)));

    by("versions").replaceChildren(...state.versions.map((one) => {
      const head = made("th", one.version);
      head.scope = "row";
      const outcomes = one.metrics.live_labelled, live = errors(one.metrics, "live_");
      const serves = state.serving && state.serving.version === one.version;
      const wanted = state.wanted && !serves && state.wanted.version === one.version ? `release ${state.wanted.release}: ${state.wanted.state}` : "";
      const words = [wanted, serves ? `serves, release ${state.serving.release}` : "", one.version === state.champion ? "champion" : "", one.withheld ? `withheld: ${one.withheld}` : "", one.alarm, one.metrics.live_drift_large ? `drift in ${count(one.metrics.live_drift_large, "feature")}` : ""];
      return row(head, one.batch, errors(one.metrics, "test_") || "–", live ? `${live}, of ${count(outcomes || 0, "outcome")}` : "no outcomes yet", words.filter(Boolean).join("; "));
    }));
    const more = (total, shown) => (total > shown ? `the newest ${shown} of ${plain(total, 0)}` : total ? "" : "none yet");
    const unit = state.versions.some((one) => "test_rmse" in one.metrics) ? `RMSE and MAE in the unit of ${state.target}` : "";
    put("c-versions", [more(state.versions_n, state.versions.length), unit].filter(Boolean).join("; "));

    const batches = [
      ...state.landing.map((one) => [one.batch, "landing", `training: ${one.training}`]),
      ...state.refused.map((one) => [one.batch, "refused", one.reason]),
      ...state.used.map((name) => [name, "used", ""]),
    ];
    by("batches").replaceChildren(...batches.map(([name, where, why]) => {
      const head = made("th", name);
      head.scope = "row";
      return row(head, made("td", where, where === "refused" ? "bad" : ""), why);
    }));
    const landing = state.landing_n, used = state.used_n, refused = state.refused_n;
    put("c-batches", landing + used + refused ? `${plain(landing, 0)} landing, ${plain(used, 0)} used, ${plain(refused, 0)} refused` : "none yet");
    by("services").replaceChildren(...state.services.map((one) => made("li", `${one.service}: ${one.state}${one.restarts ? `, restarted ${one.restarts}×` : ""}`)));

    const handovers = releases.map(([release, version, first], i) => ({ at: first, kind: "hand-over", text: i ? `hand-over: release ${release} of version ${version} answers; longest silence within 5 s of it ${ms(silenceAt(first))}` : `release ${release} of version ${version} answers` }));
    const all = events.concat(handovers).sort((a, b) => b.at - a.at).slice(0, SHOWN);
    by("events").replaceChildren(...all.map((one) => {
      const li = made("li", undefined, one.kind);
      li.append(made("time", clock(one.at)), made("span", `${SIGNS[one.kind] || "●"} ${one.text}`));
      return li;
    }));
  }

  function silenceAt(at) {
    let longest = null;
    for (let second = Math.floor(at) - 5; second <= at + 5; second += 1) {
      const one = seconds.get(second);
      if (one && one[5] !== null) longest = Math.max(longest ?? 0, one[5]);
    }
    return longest;
  }

  function show() {
    if (!state || !now) return;
    showNow();
    if (dirty) showLists();
    const due = now.at - drawnAt >= Number(by("range").value) / PIXELS;
    if (!document.hidden && (due || dirty)) {
      showCharts();
      drawnAt = now.at;
    }
    dirty = false;
  }

  function showAll() {
    dirty = true;
    show();
  }

  // ---- the connection

  function connect() {
    const source = new EventSource("/events");
    source.onmessage = (message) => {
      take(JSON.parse(message.data));
      show();
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    };
  }

  setInterval(() => {
    const lost = Date.now() - heardAt > 5000;
    by("link").classList.toggle("lost", lost && heardAt > 0);
    document.body.classList.toggle("stale", lost && heardAt > 0);
    put("link", !heardAt ? "connecting …" : lost ? "nothing is heard; is ./baton page still there?" : "live");
  }, 1000);

  // ---- buttons

  async function press(path, body, waiting) {
    put("said", waiting);
    try {
      const response = await fetch(path, {
        method: "POST",
        headers: { "x-baton-token": token, "content-type": "application/json" },
        body: JSON.stringify(body || {}),
      });
      const told = await response.json();
      put("said", told.done || told.error || `it must be done; got ${response.status}`);
      by("said").classList.toggle("bad", !response.ok);
    } catch (error) {
      put("said", `the page must be served; got ${error.message}`);
    }
  }

  if (token) {
    by("buttons").hidden = false;
    by("drop").onclick = async () => {
      by("drop").disabled = true;
      await press("/drop", null, "a batch is dropped: some seconds …");
      by("drop").disabled = false;
    };
    by("start").onclick = () => press("/traffic", { rate: Number(by("rate").value), seconds: 60 * Number(by("minutes").value) }, "…");
    by("stop").onclick = () => press("/traffic/stop", null, "it is stopped …");
    by("rollback").onclick = () => {
      put("ask-text", `Version ${state.champion} is champion. The one that was champion before it becomes it again, and is rolled out; nothing is lost by it.`);
      by("ask").showModal();
    };
    by("ask-no").onclick = () => by("ask").close();
    by("ask-yes").onclick = () => {
      by("ask").close();
      press("/rollback", null, "…");
    };
  }

  by("range").onchange = showAll;
  addEventListener("resize", () => { for (const chart of Object.values(charts)) chart.fit(); showAll(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showAll);
  document.addEventListener("visibilitychange", showAll);
  connect();
})();
