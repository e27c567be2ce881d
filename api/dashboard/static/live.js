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
      axes: [{ ...axis, values: clocks, space: 90 }, { ...axis, size: 44 }],
      series: [
        { label: "Time" },
        { label: "Attested", stroke: colour("--good"), fill: colour("--good-soft"), width: 2, paths: steps, points: { show: false } },
        { label: "Failed", stroke: colour("--bad"), width: 2, dash: [6, 4], paths: steps, points: { show: false } },
      ],
    };
  };

  const drawChart = async () => {
    if (!figure || !window.uPlot || Date.now() - drawnAt < CHART_EVERY_MS) return;
    drawnAt = Date.now();
    const answer = await fetch(figure.dataset.src, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const { at, attested, failed } = await answer.json();
    if (at.length < 2) return;
    figure.hidden = false;
    const data = [at, attested, failed];
    const place = figure.querySelector(".plot");
    if (plot) plot.setData(data);
    else plot = new window.uPlot(options(place.clientWidth), data, place);
  };

  window.addEventListener("resize", () => {
    if (plot) plot.setSize({ width: figure.querySelector(".plot").clientWidth, height: 180 });
  });

  drawChart();
  open();
})();
