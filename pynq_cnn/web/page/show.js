// Answers, layers and facts, shown.

const MOST_BARS = 12; // with more classes, the likeliest are shown

// How the time of a run is to be taken, by what ran.
const RUNS = {
  overlay: "on the accelerator",
  virtual: "run on the emulated board (says nothing of a real one)",
  kernel: "run by the kernel's source (not the accelerator's time)",
  cpu: "run on the processor, by cpu",
  reference: "run on the processor, by the reference",
};

export const find = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function duration(seconds) {
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  return seconds >= 1e-3 ? `${(1e3 * seconds).toFixed(1)} ms` : `${(1e6 * seconds).toFixed(0)} µs`;
}

export const percent = (part) => `${(100 * part).toFixed(1)} %`;

function list(where, texts) {
  where.replaceChildren(...texts.map((text) => element("li", { textContent: text })));
  where.hidden = texts.length === 0;
}

export const showNotes = (notes) => list(find("notes"), notes);

export function showFacts(network, listed) {
  const [height, width, channels] = network.shape;
  const alpha = network.color.endsWith("A") ? " with transparency" : "";
  const colours = network.color.startsWith("L") ? `grey${alpha}` : `in colour${alpha}`;
  const what = network.color === "plain" ? `of ${channels} channels that no picture has` : colours;
  const parts = [`${height} x ${width} ${what}`, `${network.layers} layers`];
  parts.push(`${network.weights.toLocaleString("en")} weights`);
  if (listed.dataset) parts.unshift(listed.dataset);
  if (listed.accuracy != null) parts.push(`${(100 * listed.accuracy).toFixed(2)} % right on its test images`);
  find("facts").textContent = `${parts.join(" · ")} · runs on ${network.backend}`;
}

function showBars(answer) {
  const bars = find("bars");
  const plain = answer.kind === "values";
  let rows = Object.entries(plain ? answer.values : answer.probabilities);
  if (!plain && rows.length > MOST_BARS) rows = rows.sort((a, b) => b[1] - a[1]).slice(0, MOST_BARS);
  bars.className = `bars${plain ? " plain" : rows.some(([name]) => name.length > 2) ? " named" : ""}`;
  bars.setAttribute("aria-label", plain ? "Values" : "Probabilities");
  bars.replaceChildren(
    ...rows.map(([name, value]) => {
      const row = element("li", { className: answer.labels.includes(name) ? "best" : "" });
      row.append(element("span", { className: "name", textContent: name }));
      if (!plain) {
        const fill = element("div", { className: "fill" });
        fill.style.width = `${100 * value}%`;
        const track = element("div", { className: "track" }, fill);
        track.setAttribute("aria-hidden", "true");
        row.append(track);
      }
      row.append(element("span", { className: "share", textContent: plain ? value.toPrecision(5) : percent(value) }));
      return row;
    }),
  );
}

export function showAnswer({ answer, seen }, backend, browser) {
  const label = find("label");
  label.replaceChildren(answer.label);
  label.classList.toggle("long", answer.label.length > 14);
  if (answer.probability !== null) label.append(element("small", { textContent: percent(answer.probability) }));
  list(find("warnings"), answer.warnings);
  showBars(answer);
  const times = [
    [RUNS[backend === "virtual" ? backend : answer.backend], answer.run_seconds],
    ["in all, with reading and preparing", answer.seconds],
    ["from the browser and back", browser],
  ];
  const rows = times.map(([what, seconds]) => [
    element("dt", { textContent: what }),
    element("dd", { textContent: duration(seconds) }),
  ]);
  find("times").replaceChildren(...rows.flat());
  find("seen").src = seen;
  find("steps").replaceChildren(...answer.preparation.map((text) => element("li", { textContent: text })));
  for (const id of ["answer", "saw", "inside"]) find(id).hidden = false;
  find("nothing").hidden = true;
}

const ASK = find("nothing").textContent;

// No answer, and why.
export function showNothing(why = ASK) {
  for (const id of ["answer", "saw", "inside"]) find(id).hidden = true;
  find("nothing").textContent = why;
  find("nothing").hidden = false;
}

export function showLayers(layers) {
  const where = find("layers");
  where.replaceChildren(
    ...layers.map((layer) => {
      const [height, width, channels] = layer.shape;
      const what = height * width > 1 ? `${channels} of ${height} x ${width}` : `${channels} values`;
      const zero = !layer.zero ? "" : `, real 0 is ${layer.zero}`;
      const range = layer.type === "bit" ? "bits" : `${layer.low} to ${layer.high}${zero}`;
      const picture = element("img", { src: layer.picture, alt: `${layer.name}: ${what}, ${range}` });
      picture.style.maxWidth = `${layer.width * (layer.width < 60 ? 12 : 4)}px`;
      const caption = element("figcaption", {}, layer.name, element("span", { textContent: ` ${layer.kind} · ${what} · ${range}` }));
      return element("figure", {}, caption, picture);
    }),
  );
}
