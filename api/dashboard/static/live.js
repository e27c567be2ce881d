// Keeps the live part of a page fresh: a hint arrives, htmx fetches the page again and morphs it in.
"use strict";
(() => {
  const page = document.querySelector("[data-live]");
  const state = document.getElementById("live-state");
  if (!page || !state || !window.EventSource) return;

  const show = (name, text) => {
    state.hidden = false;
    state.dataset.state = name;
    state.querySelector(".text").textContent = text;
  };

  const refresh = () => {
    if (document.hidden) return;
    window.htmx.trigger(document.body, "refresh");
    drawChart();
  };

  const open = () => {
    const source = new EventSource("/live");
    source.onopen = () => show("on", "Live");
    source.onmessage = refresh;
    source.onerror = () => {
      show("off", "Reconnecting");
      if (source.readyState === EventSource.CLOSED) setTimeout(open, 5000);
    };
    window.addEventListener("pagehide", () => source.close(), { once: true });
  };

  const figure = document.getElementById("chart");
  const CHART_EVERY_MS = 3000;
  let plot = null;
  let drawnAt = 0;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const clocks = (_, times) => {
    const end = times.length > 1 && times[1] - times[0] < 60 ? 19 : 16;
    return times.map((seconds) => new Date(seconds * 1000).toISOString().slice(11, end));
  };

  // Chargers are counted in whole ones.
  const WHOLE = [1, 2, 5].flatMap((step) => [1, 10, 100, 1000].map((power) => step * power)).sort((a, b) => a - b);

  const options = (width) => {
    const steps = window.uPlot.paths.stepped({ align: 1 });
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    return {
      width,
      height: 180,
      legend: { live: false },
      tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [0, Math.max(1, high)] } },
      axes: [{ ...axis, values: clocks, space: 90 }, { ...axis, size: 44, incrs: WHOLE }],
      series: [
        { label: "Time" },
        { label: "Updated", stroke: colour("--good"), fill: colour("--good-soft"), width: 2, paths: steps, points: { show: false } },
        { label: "Failed", stroke: colour("--bad"), width: 2, dash: [6, 4], paths: steps, points: { show: false } },
      ],
    };
  };

  const drawChart = async () => {
    if (!figure || !window.uPlot || Date.now() - drawnAt < CHART_EVERY_MS) return;
    drawnAt = Date.now();
    const answer = await fetch(figure.dataset.src, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const { at, updated, failed } = await answer.json();
    if (at.length < 2) return;
    figure.hidden = false;
    const data = [at, updated, failed];
    const place = figure.querySelector(".plot");
    if (plot) plot.setData(data);
    else plot = new window.uPlot(options(place.clientWidth), data, place);
  };

  // One plot per health signal; its numbers stand beside it in the page.
  const signalPlots = new Map();
  const percent = (_, shares) => shares.map((share) => `${+(100 * share).toPrecision(3)} %`);

  const signalOptions = (width) => {
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const points = { size: 5 };
    return {
      width,
      height: 150,
      legend: { live: false },
      cursor: { points: { size: 6 } },
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, space: 60 }, { ...axis, size: 56, values: percent }],
      series: [
        { label: "Charger-hours" },
        { label: "Updated", stroke: colour("--accent"), width: 2, points },
        { label: "Not yet", stroke: colour("--muted"), width: 2, points },
        { label: "Matters", stroke: colour("--bad"), width: 1, dash: [6, 4], points: { show: false } },
      ],
    };
  };

  const drawSignals = () => {
    if (!window.uPlot) return;
    for (const place of document.querySelectorAll(".signal .plot")) {
      const { looks, updated, others, bound } = place.closest(".signal").dataset;
      const data = [looks, updated, others, bound].map((column) => JSON.parse(column));
      const known = signalPlots.get(place);
      if (known) known.setData(data);
      else if (place.clientWidth) signalPlots.set(place, new window.uPlot(signalOptions(place.clientWidth), data, place));
    }
  };

  document.body.addEventListener("htmx:afterSwap", drawSignals);
  document.body.addEventListener("toggle", drawSignals, true);
  drawSignals();

  window.addEventListener("resize", () => {
    for (const [place, known] of signalPlots) known.setSize({ width: place.clientWidth, height: 150 });
    if (plot) plot.setSize({ width: figure.querySelector(".plot").clientWidth, height: 180 });
  });

  drawChart();
  open();
})();
