// The page: from a picture, wherever it comes from, to the answer.

import { Camera } from "./camera.js";
import { Drawing } from "./draw.js";
import { get, getPicture, send } from "./server.js";
import { element, find, percent, showAnswer, showFacts, showLayers, showNothing, showNotes } from "./show.js";

const REST = 700; // milliseconds without a new answer, after which it is said to a screen reader
const AGAIN = 800; // milliseconds after which a busy server is asked again
const BETWEEN = 150; // milliseconds between two pictures of the camera

const model = find("model");
const backend = find("backend");
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let choices;
let picture = null; // the newest, which the answer is about
let wanted = null; // the newest that has no answer yet
let working = false;
let rest;

function trouble(text) {
  find("trouble").textContent = text;
  find("trouble").hidden = text === "";
}

function inWords(answer) {
  const chance = answer.probability === null ? "" : `, ${percent(answer.probability)}`;
  const doubts = answer.warnings.length ? `. Warning: ${answer.warnings.join(". ")}` : "";
  return `${answer.label}${chance}${doubts}`;
}

function say(text) {
  clearTimeout(rest);
  rest = setTimeout(() => (find("said").textContent = text), REST);
}

// Take a new picture, given by a function that makes it when its turn comes: while one is being worked on, only the
// newest waits.
function submit(make) {
  wanted = make;
  if (!working) work();
}

function forget() {
  picture = wanted = null;
  clearTimeout(rest);
  find("said").textContent = "";
  trouble("");
  showNothing();
}

async function work() {
  working = true;
  while (wanted) {
    const make = wanted;
    wanted = null;
    const mine = await make();
    if (!mine) continue;
    picture = mine;
    const chosen = { model: model.value, backend: backend.value };
    const outdated = () => picture !== mine || model.value !== chosen.model || backend.value !== chosen.backend;
    try {
      const start = performance.now();
      const result = await send("classify", chosen, mine);
      if (outdated()) continue;
      trouble("");
      showNotes(result.notes);
      if (result.refused) {
        showNothing(result.refused);
        say(result.refused);
        continue;
      }
      showAnswer(result, chosen.backend, (performance.now() - start) / 1e3);
      say(inWords(result.answer));
      if (find("inside").open && !wanted) await look(mine);
    } catch (error) {
      if (outdated()) continue;
      trouble(error.message);
      if (error.status === 429) {
        await wait(AGAIN);
        if (!outdated()) wanted ??= make;
      } else {
        showNothing();
      }
    }
  }
  working = false;
}

async function look(mine) {
  const { layers } = await send("layers", { model: model.value }, mine);
  if (picture === mine) showLayers(layers);
}

// -- where pictures come from ------------------------------------------------------------------------------------

const drawing = new Drawing(
  find("canvas"),
  find("pen"),
  () => submit(() => drawing.picture()),
  forget,
);
const camera = new Camera(find("video"), () => {
  stopCamera();
  trouble("The camera has stopped.");
});
const sources = [...document.querySelectorAll("[name=source]")];

function show(source) {
  for (const radio of sources) {
    radio.checked = radio.value === source;
    find(radio.value).hidden = !radio.checked;
  }
  if (source !== "camera" && camera.runs) stopCamera();
}

// The first of some files.
function load(files) {
  const file = files?.[0];
  if (!file) return;
  find("chosen").files = files; // that it may say the name of one that was dropped
  show("file");
  const preview = find("preview");
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.alt = file.name ? `The picture ${file.name}` : "The picture";
  preview.hidden = false;
  preview.onerror = () => (preview.hidden = true);
  if (file.size > choices?.most_bytes) {
    forget();
    trouble(`The picture has ${(file.size / 2 ** 20).toFixed(1)} MB, at most ${choices.most_bytes / 2 ** 20} MB are taken.`);
    return;
  }
  submit(() => file);
}

function stopCamera() {
  camera.stop();
  find("film").textContent = "Start the camera";
}

async function film() {
  if (camera.runs) {
    stopCamera();
    return;
  }
  find("film").disabled = true; // while the browser asks whether it may
  try {
    await camera.start();
  } catch (error) {
    trouble(error.message);
    return;
  } finally {
    find("film").disabled = false;
  }
  if (find("camera").hidden) {
    camera.stop(); // another source was chosen meanwhile
    return;
  }
  find("film").textContent = "Stop the camera";
  trouble("");
  while (camera.runs) {
    if (!working) submit(() => camera.picture());
    await wait(BETWEEN);
  }
}

async function example() {
  try {
    const digit = await getPicture("example");
    await drawing.lay(digit);
    submit(() => digit);
  } catch (error) {
    trouble(error.message);
  }
}

for (const radio of sources) radio.addEventListener("change", () => show(radio.value));
find("clear").addEventListener("click", () => drawing.clear());
find("example").addEventListener("click", example);
find("chosen").addEventListener("change", (event) => load(event.target.files));
find("film").addEventListener("click", film);
find("no-camera").hidden = Camera.there;
find("film").disabled = !Camera.there;
find("tunnel").textContent = `ssh -L ${location.port}:localhost:${location.port} USER@${location.hostname}`;

document.addEventListener("visibilitychange", () => document.hidden && camera.runs && stopCamera());
document.addEventListener("paste", (event) => load(event.clipboardData?.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  load(event.dataTransfer?.files);
});

// -- networks and executions -------------------------------------------------------------------------------------

async function choose() {
  const chosen = { model: model.value, backend: backend.value };
  const outdated = () => model.value !== chosen.model || backend.value !== chosen.backend;
  find("facts").textContent = `opening ${chosen.model} ...`;
  try {
    const network = await get("model", chosen);
    if (outdated()) return;
    trouble("");
    showNotes(network.notes);
    showFacts(network, choices.models.find((one) => one.name === chosen.model));
    find("example").hidden = network.fit !== "digit";
    const shown = picture;
    if (shown) submit(() => shown);
  } catch (error) {
    if (outdated()) return;
    find("facts").textContent = "";
    showNothing();
    trouble(error.message);
  }
}

async function begin() {
  try {
    choices = await get("choices");
  } catch (error) {
    trouble(error.message);
    return;
  }
  const option = (name, label, chosen) => element("option", { value: name, textContent: label, selected: chosen });
  model.replaceChildren(
    ...choices.models.map(({ name, dataset }) => option(name, dataset ? `${name} (${dataset})` : name, name === choices.model)),
  );
  backend.replaceChildren(...choices.backends.map(({ name, label }) => option(name, label, name === choices.backend)));
  await choose();
}

model.addEventListener("change", choose);
backend.addEventListener("change", choose);
find("inside").addEventListener("toggle", async () => {
  if (!find("inside").open || !picture) return;
  try {
    await look(picture);
  } catch (error) {
    trouble(error.message);
  }
});
begin();
